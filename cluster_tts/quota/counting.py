"""What an account may be asked: arithmetic on requests, units of text and time. No clock, no waiting, no I/O.

A window is counted as window + guard: a request that left first may arrive up to ``guard_s`` after one that left
later, so only spacing both out by the guard keeps *every* window at the provider within its limit, however it counts
(sliding, fixed or bucket). The log behind the count is exact: an estimate lets through up to twice the limit.

A provider that counts by bucket takes R = limit / window on average and B at once. What leaves by a bucket of
``b = B - guard R`` arrives, whatever its travelling times, so that any t seconds hold at most ``b + (t + guard) R``,
which is ``B + t R``. Where that leaves less than one, requests leave singly, every ``(1 / R + guard) / B``, and never
faster than R.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import merge

from cluster_tts.quota.limits import Limits
from cluster_tts.quota.logs import Bucket, Log, Use

GRAIN = 0.05  # of the guard: the log is exact to that, on the safe side


@dataclass(slots=True)
class Others:
    """Limiters that share the account without sharing memory: what they sent, and what is theirs in any case."""

    log: Log = field(default_factory=Log)
    requests: float = 0.0
    """Theirs of each window besides what is logged; ``units``, ``places``, and ``part`` of rates and bursts as well."""
    units: float = 0.0
    places: int = 0
    part: float = 0.0
    is_first: bool = True
    """Whether nobody else was there before: what is larger than a part is ours to send once the others send nothing."""


class Quota:
    """Says when the next request may leave, and keeps the log that the answer rests on.

    The promise: in any window at the provider no more requests and text than the limits, and never more in flight, as
    long as travelling times differ by less than ``guard_s``. A request dearer than the whole limit of text is let
    through alone, in a window of its own.
    """

    def __init__(self, limits: Limits) -> None:
        self.in_flight = 0
        self.mine = Log(grain_s=limits.guard_s * GRAIN)
        self.noticed = Log()  # by headers: what somebody unknown has used
        self.others = Others()
        self._cold_until = -math.inf
        self._extra_s, self._extra_until = 0.0, -math.inf
        self.limits = limits
        self.requests_drawn, self.units_drawn = Bucket(math.inf), Bucket(math.inf)
        self.set(limits)

    def __repr__(self) -> str:
        return f"<Quota {self.limits} in_flight={self.in_flight} in_window={self.mine.requests}>"

    def set(self, limits: Limits) -> None:
        """Hold to ``limits`` from now on; what was sent stays sent."""
        self.limits = limits
        part = 1.0 - self.others.part
        for bucket, limit in (self.requests_drawn, limits.requests), (self.units_drawn, limits.characters):
            bucket.rate = math.inf if limit is None else limit * part / limits.window_s

    def share(self, others: Others) -> None:
        """Leave to ``others`` what is theirs."""
        self.others = others
        self.set(self.limits)

    def wait_s(self, units: int, now: float) -> float:
        """Seconds until a request of so many units may leave; infinite where only a returned place can help."""
        self.forget(now)
        if self.places <= 0:
            return math.inf
        return max(
            0.0, self._cold_until - now, self._paced_s(units, now), self._rate_wait_s(units, now),
        )  # fmt: skip

    def wait_behind_s(self, units: int, before: int, now: float) -> float:
        """What ``wait_s`` would say of ``units`` if another request, of ``before`` units, left now."""
        return max(0.0, self._cold_until - now, self._rate_wait_s(units + before, now, 2))

    @property
    def places(self) -> float:
        """How many more may be in flight."""
        if self.limits.in_flight is None:
            return math.inf
        return self.limits.in_flight - self.in_flight - self.others.places

    def take(self, units: int, now: float) -> None:
        """Note that a request leaves; ``wait_s`` must have said 0."""
        self.in_flight += 1
        self.add(now, 1, units)

    def add(self, now: float, requests: int, units: int) -> None:
        """Note what left, not before anything that was noted."""
        self.mine.add(now, requests, units)
        self.requests_drawn.take(requests, now)
        self.units_drawn.take(units, now)

    def draw(self, uses: Iterable[Use]) -> None:
        """Reckon with what somebody else sent before anything was sent here: the provider's bucket is not full."""
        for left, requests, units in sorted(uses):
            self.requests_drawn.take(requests, left)
            self.units_drawn.take(units, left)

    def recall(self, uses: Iterable[Use]) -> None:
        """Note what left before, in any order: what an earlier limiter wrote down, what workers tell."""
        uses = sorted([*self.mine.uses, *uses])
        self.mine, limits = Log(grain_s=self.limits.guard_s * GRAIN), self.limits
        self.requests_drawn, self.units_drawn = Bucket(math.inf), Bucket(math.inf)
        self.set(limits)
        for use in uses:
            self.add(*use)

    def note_late(self, late_s: float, now: float) -> None:
        """Note that a request left so much later than it was let through.

        A machine that is busy, or a connection that has to be made first, can take longer than the guard allows for.
        For a window from then on the guard is longer by what that is above half of it.
        """
        extra_s = late_s - self.limits.guard_s / 2
        if extra_s > 0 and (extra_s >= self._extra_s or now >= self._extra_until):
            self._extra_s, self._extra_until = extra_s, now + self.limits.window_s + self.limits.guard_s + extra_s

    def span_s(self, now: float) -> float:
        """How long what was sent counts."""
        span_s = self.limits.window_s + self.limits.guard_s
        return span_s + self._extra_s if now < self._extra_until else span_s

    def give_back(self) -> None:
        """Note that a request ended, whichever way; its part of the window stays used."""
        self.in_flight -= 1

    def cool(self, until: float) -> None:
        """Let nothing leave before ``until``."""
        self._cold_until = max(self._cold_until, until)

    def cool_s(self, now: float) -> float:
        return max(0.0, self._cold_until - now)

    def used(self, now: float) -> tuple[int, int]:
        """Requests and units of the window that ends now, everybody's."""
        self.forget(now)
        logs = (self.mine, self.noticed, self.others.log)
        return sum(log.requests for log in logs), sum(log.units for log in logs)

    def forget(self, now: float) -> None:
        """Drop what has left the window."""
        until = now - self.span_s(now)
        for log in (self.mine, self.noticed, self.others.log):
            log.forget(until)

    def _paced_s(self, units: int, now: float) -> float:
        limits, part = self.limits, 1.0 - self.others.part
        wait_s = 0.0
        if part <= 0:
            return math.inf  # everything is others', until they write that they make room
        if limits.requests is not None and limits.burst is not None and limits.burst < limits.requests:
            wait_s = self.requests_drawn.wait_s(1, limits.burst * part, limits.guard_s, now)
        text, text_burst = limits.characters, limits.burst_characters
        if text is not None and text_burst is not None and text_burst < text:
            wait_s = max(wait_s, self.units_drawn.wait_s(units, text_burst * part, limits.guard_s, now))
        return wait_s

    def _rate_wait_s(self, units: int, now: float, requests: int = 1) -> float:
        """Seconds until enough has left the window, oldest first; an empty window admits anything."""
        span, wait = self.span_s(now), 0.0
        ours = [self.mine.requests + self.noticed.requests + requests, self.mine.units + self.noticed.units + units]
        theirs = [self.others.log.requests, self.others.log.units]
        if self._fits(ours, theirs):
            return 0.0
        logs = ((self.mine.uses, ours), (self.noticed.uses, ours), (self.others.log.uses, theirs))
        for (left, requests, has_units), counted in merge(
            *([(use, counted) for use in uses] for uses, counted in logs), key=lambda each: each[0][0]
        ):
            counted[0], counted[1] = counted[0] - requests, counted[1] - has_units
            wait = left + span - now
            if self._fits(ours, theirs):
                return wait
        reserved = self.others.requests or self.others.units
        if reserved and (self.others.log.uses or not self.others.is_first):
            return math.inf  # larger than our part: only the others' end, or their rest, makes room for it
        return wait

    def _fits(self, ours: list[int], theirs: list[int]) -> bool:
        limits, others = self.limits, self.others
        return (limits.requests is None or ours[0] + others.requests + theirs[0] <= limits.requests) and (
            limits.characters is None or ours[1] + others.units + theirs[1] <= limits.characters
        )
