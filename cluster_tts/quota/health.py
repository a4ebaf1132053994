"""How an account fares, and how much less is asked of it while it fares badly. Arithmetic only."""

from collections import deque

SEEN, LEAST_SEEN = 20, 10  # finished attempts to look back on, and the fewest that say anything
TOO_MANY, FEW = 0.30, 0.10


class Health:
    """Halves what may be in flight when too many attempts fail, and doubles it back when few do.

    Only what a server does wrong counts: errors, time-outs, resets, answers that are no speech. Refusals by a limit and
    texts that can never work do not.
    """

    def __init__(self) -> None:
        self.cap: int | None = None  # no more in flight; None: as many as the limits allow
        self.failed_share = 0.0
        self._ended: deque[bool] = deque(maxlen=SEEN)
        self._full = 1  # how many were in flight when all was well
        self._least = LEAST_SEEN

    def ended(self, failed: bool, in_flight: int) -> bool:
        """Note how an attempt ended while so many were in flight; whether that changed the cap."""
        self._ended.append(failed)
        if self.cap is None:
            self._full = max(1, in_flight)
        self.failed_share = sum(self._ended) / len(self._ended)
        if len(self._ended) >= self._least and self.failed_share > TOO_MANY:
            before = self.cap or self._full
            self.cap = max(1, before // 2)
            self._begin_anew()
            return self.cap < before
        if self.cap is not None and len(self._ended) == SEEN and self.failed_share < FEW:
            self.cap = 2 * self.cap if 2 * self.cap < self._full else None
            self._begin_anew()
            return True
        return False

    def _begin_anew(self) -> None:
        """The next twenty tell what that was good for."""
        self._ended.clear()
        self._least = SEEN
