"""How often and how soon a clip is asked for again. Arithmetic only: time is handed in.

An attempt that the account's own limits turned away costs nothing and is not counted; such answers, and a server that
cannot be reached any more, are borne as long as patience lasts. All else is counted, up to ``retry.max_attempts``.
"""

from collections.abc import Callable

from cluster_tts.errors import REFUSALS, Interrupted, RetryLater

LONGEST_PAUSE_S = 60.0
LEAST_PAUSE_S = 0.25  # also where a server says "at once": it has just refused
BUSY_FACTOR = 4.0  # a server that is overloaded needs longer than one that stumbled
LONGEST_WAIT_FOR_A_PLACE_S = 4.0  # one's own requests end every few seconds, and each frees a place
UNREACHABLE, GATE = "unreachable", "gate"


def pause_s(kind: str, after_s: float | None, tries: int) -> float:
    """Seconds to wait after the ``tries``-th attempt in a row that ended like this: those that the server names, else
    1, 2, 4 … 60 s."""
    if after_s is not None:
        return max(LEAST_PAUSE_S, after_s)
    pause = min(LONGEST_PAUSE_S, 2.0 ** (min(tries, 10) - 1) * (BUSY_FACTOR if kind == "busy" else 1.0))
    return min(pause, LONGEST_WAIT_FOR_A_PLACE_S) if kind == "too_many_at_once" else pause


class Patience:
    """Bears refusals until there has been nothing else for ``patience_s``. One for all clips of a worker."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._refused_since: float | None = None
        self._reached = False  # whether the server has ever answered

    def answered(self) -> None:
        """Note an answer that was no refusal."""
        self._reached = True
        self._refused_since = None

    def bears(self, error: RetryLater) -> bool:
        """Whether an attempt that ended so is not counted.

        Raises:
            Interrupted: there has been nothing else for too long, or the server names a pause longer than that.
        """
        if error.kind == GATE:
            return False  # our own limiter failed: nobody was asked
        if error.kind not in REFUSALS and error.kind != UNREACHABLE:
            self.answered()
            return False
        if error.kind == UNREACHABLE and not self._reached:
            return False  # it may never have been there: an address is wrong sooner than a network is down
        self._reached = True
        now = self._clock()
        since = self._refused_since = now if self._refused_since is None else self._refused_since
        waited = now + (error.after_s or 0.0) - since
        if waited > self._patience_s:
            raise Interrupted(
                f"out of patience after {now - since:.0f} s without any other answer"
                f"{f' and a pause of {error.after_s:.0f} s to come' if error.after_s else ''} "
                f"(quota.patience_s is {self._patience_s:g}): {error}; run the same command again to continue"
            )
        return True

    def give_up(self, error: RetryLater) -> None:
        """Raise ``Interrupted`` if the last attempt at a clip ended so that no other clip can fare better."""
        if error.kind == UNREACHABLE and not self._reached:
            raise Interrupted(f"{error}; check provider.base_url and the network, then run the same command again")
