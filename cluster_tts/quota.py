"""What an account may be asked: arithmetic on requests, characters and time. No clock, no waiting, no I/O.

A window is counted as window + guard: a request that left first may arrive up to ``guard_s`` after one that left
later, so only spacing both out by the guard keeps *every* window at the provider within its limit, however it counts
(sliding, fixed or bucket). The log behind the count is exact: an estimate lets through up to twice the limit.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from cluster_tts.job import QuotaSettings

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one account, per window; None: no such limit is known."""

    requests: float | None = None
    characters: float | None = None
    in_flight: int | None = None
    window_s: float = 60.0
    guard_s: float = 0.1
    burst: int | None = None

    @classmethod
    def of(cls, settings: QuotaSettings) -> "Limits | None":
        """The limits that ``settings`` name, cut to ``share``; None where they name none."""
        rates = [rate for rate in (settings.requests_per_minute, settings.characters_per_minute) if rate is not None]
        slowest_s = max((60.0 / (rate * settings.share) for rate in rates), default=0.0)
        window_s = max(settings.window_s, slowest_s)  # so that rounding down leaves at least one a window
        per_window = settings.share * window_s / 60.0
        limits = cls(
            requests=_scaled(settings.requests_per_minute, per_window),
            characters=_scaled(settings.characters_per_minute, per_window),
            in_flight=settings.max_concurrent_requests
            and max(1, int(settings.max_concurrent_requests * settings.share)),
            window_s=window_s,
            guard_s=settings.guard_ms / 1000.0,
            burst=settings.burst,
        )
        unlimited = limits.requests is None and limits.characters is None and limits.in_flight is None
        return None if unlimited else limits

    def least(self, other: "Limits") -> "Limits":
        """Limits that keep both: the smaller of each, over the longer window."""
        return Limits(
            requests=_smaller(self.requests, other.requests),
            characters=_smaller(self.characters, other.characters),
            in_flight=_smaller(self.in_flight, other.in_flight),
            window_s=max(self.window_s, other.window_s),
            guard_s=max(self.guard_s, other.guard_s),
            burst=_smaller(self.burst, other.burst),
        )


def _scaled(limit: float | None, by: float) -> float | None:
    return None if limit is None else math.floor(limit * by + 1e-9)


def _smaller(one: N | None, other: N | None) -> N | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


class Quota:
    """Says when the next request may leave, and keeps the log that the answer rests on.

    The promise: in any window at the provider no more requests and characters than the limits, and never more in
    flight, as long as travelling times differ by less than ``guard_s``. A request dearer than the whole character
    limit is let through alone, in a window of its own.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_flight = 0
        self._log: deque[tuple[float, int]] = deque()  # (when it left, its characters), oldest first
        self._characters = 0
        self._cold_until = -math.inf

    def __repr__(self) -> str:
        return f"<Quota {self.limits} in_flight={self.in_flight} in_window={len(self._log)}>"

    def wait_s(self, characters: int, now: float) -> float:
        """Seconds until a request of so many characters may leave; infinite where only a returned place can help."""
        self._forget(now)
        if self.limits.in_flight is not None and self.in_flight >= self.limits.in_flight:
            return math.inf
        return max(0.0, self._cold_until - now, self._rate_wait_s(characters, now))

    def take(self, characters: int, now: float) -> None:
        """Note that a request leaves; ``wait_s`` must have said 0."""
        self.in_flight += 1
        self._log.append((now, characters))
        self._characters += characters

    def give_back(self) -> None:
        """Note that a request ended, whichever way; its part of the window stays used."""
        self.in_flight -= 1

    def cool(self, until: float) -> None:
        """Let nothing leave before ``until``."""
        self._cold_until = max(self._cold_until, until)

    def _rate_wait_s(self, characters: int, now: float) -> float:
        """Seconds until enough of the log has left the window, oldest first; an empty window admits anything."""
        span = self.limits.window_s + self.limits.guard_s
        count, total, wait = len(self._log), self._characters, 0.0
        for left, cost in self._log:
            if self._fits(count + 1, total + characters):
                break
            count, total, wait = count - 1, total - cost, left + span - now
        return wait

    def _fits(self, requests: int, characters: int) -> bool:
        return (self.limits.requests is None or requests <= self.limits.requests) and (
            self.limits.characters is None or characters <= self.limits.characters
        )

    def _forget(self, now: float) -> None:
        span = self.limits.window_s + self.limits.guard_s
        while self._log and self._log[0][0] + span <= now:
            self._characters -= self._log.popleft()[1]
