"""What a provider itself says of an account in the headers of its answers. Arithmetic only."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from cluster_tts.model import Told
from cluster_tts.quota.ceiling import Ceiling
from cluster_tts.quota.counting import Quota
from cluster_tts.quota.limits import Limits

MARGIN = 0.02  # of a limit, left free beside others who do not keep to our clock
ALL = 0.98  # of a window's limit at once is taken for all of it: what headers say is rounded


@dataclass(frozen=True, slots=True)
class Sent:
    """How things stood when a request had just left, itself included."""

    left: float
    units: int
    in_flight: int
    window_requests: int
    window_units: int
    requests_drawn: float
    units_drawn: float


def per_window(told: Told, window_s: float) -> Told:
    """``told`` with limits for the window over which they are counted: headers tell them per minute."""
    requests, characters = (
        limit and max(1, math.floor(limit * window_s / 60.0 + 1e-9))
        for limit in (told.limit_requests, told.limit_characters)
    )
    return replace(told, limit_requests=requests, limit_characters=characters)


class Announced:
    """The limits that headers tell, believed at once, and what they give away of others on the account."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told = Told()
        self._others_in_flight = 0

    @property
    def is_rate(self) -> bool:
        """Whether a limit on requests or text was told."""
        return bool(self._told.limit_requests or self._told.limit_characters)

    def requests(self, share: float) -> float | None:
        return _share_of(self._told.limit_requests, share)

    def characters(self, share: float) -> float | None:
        return _share_of(self._told.limit_characters, share)

    def in_flight(self, share: float) -> float | None:
        """How many are left for us beside those of others."""
        most = _share_of(self._told.most_in_flight, share)
        return None if most is None else max(1, most - self._others_in_flight)

    def settings(self, window_s: float) -> dict[str, float]:
        """The same as settings, per minute."""
        told, per_minute = self._told, 60.0 / window_s
        found = {
            "requests_per_minute": told.limit_requests and round(told.limit_requests * per_minute, 3),
            "characters_per_minute": told.limit_characters and round(told.limit_characters * per_minute, 3),
            "max_concurrent_requests": told.most_in_flight,
        }
        return {name: value for name, value in found.items() if value}

    def hear(self, sent: Sent, told: Told, quota: Quota, named: Limits) -> None:
        """Note what an answer told."""
        for name, what, limit in (
            ("limit_requests", f"requests in {named.window_s:g} s", named.requests),
            ("limit_characters", f"units of text in {named.window_s:g} s", named.characters),
            ("most_in_flight", "requests in flight", named.in_flight),
        ):
            value = getattr(told, name)
            if not value or value == getattr(self._told, name):
                continue
            self._told = replace(self._told, **{name: value})
            if limit is None or value < limit:
                self._say(f"the provider tells its limit: {value:,} {what}")
        if told.in_flight is not None:
            self._others_in_flight = max(0, told.in_flight - max(sent.in_flight, quota.in_flight + 1))

    def burst(self, told: Told, window_s: float) -> tuple[float, bool] | None:
        """How much may leave at once as far as an answer tells, and whether that is all that ever may.

        What remains may; what a bucket is refilled by until it is full makes up its size. For what counts by window
        that is never less than the limit, since nothing is forgotten sooner.
        """
        limit, remaining = told.limit_requests, told.remaining_requests
        if not limit or remaining is None:
            return None
        if told.reset_requests_s is None:
            return remaining, False
        size = remaining + told.reset_requests_s * limit / window_s
        return (limit, True) if size >= ALL * limit else (size, True)

    def notice_others(self, sent: Sent, told: Told, quota: Quota, now: float) -> None:
        """Count as used what was used of the window and not by us: where limits count by window, or by a bucket that
        holds a whole window's.

        Answers come late: what had left by then was counted, and what has left since may have been. What was noticed
        is kept in mind for a window: a provider that counts by fixed windows has just forgotten it.
        """
        limit, remaining = told.limit_requests, told.remaining_requests
        if not limit or remaining is None:
            return
        used, noticed = limit - remaining, quota.noticed.requests
        known = math.ceil(quota.others.requests) + quota.others.log.requests  # of those we meet at the state file
        others = used - max(sent.window_requests, quota.mine.requests) - known
        margin = max(2, math.ceil(MARGIN * limit))
        if others > (0 if noticed else margin) and others + margin > noticed:
            quota.noticed.add(now, others + margin - noticed, 0)


def _share_of(limit: int | None, share: float) -> float | None:
    return None if not limit else max(1, math.floor(limit * share + 1e-9))


def whole(burst: Ceiling | None) -> bool:
    """Whether a whole window's may leave at once, as far as is known."""
    return burst is not None and burst.proven >= ALL * burst.most
