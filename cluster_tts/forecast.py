"""How long so many requests take at given limits: the run is simulated. Arithmetic only: no clock, no randomness.

Requests leave in order, each as soon as a place in flight is free (list scheduling) and the account's window allows it.
Where work never runs out ``counting.Quota`` comes down to a recurrence, request i of u(i) units leaving at::

    t(i) = max( t(i - 1),  t(i - R) + W,  t(j) + W,  the earliest end of those in flight, if they take all places )

with R requests or C units in any window of W seconds (guard included), j the last of those that have to be out of the
window so that the rest of it and u(i) fit into C; bursts are paced by the very bucket of ``quota``. Tests hold it to
what ``Quota`` itself says of generated work. It takes a few microseconds a request, hence of more than ``MOST`` only
about so many are simulated, picked evenly; whole cycles of windows are added for the rest (error: below 1 %).

Texts and answers are taken as uneven as the texts are, refusals and failures as none. What the limiter has to find out
first is simulated as it does that: how many may leave at once, and how many in flight are worth it.
"""

import heapq
import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_tts.quota.ceiling import FIRST_REFUSAL_S, Ceiling
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.logs import Bucket

MOST = 20_000
WINDOWS = 4  # that are simulated at the least, however many requests that takes
PARTS = 100  # of a course
START_IN_FLIGHT = 2
ROUNDS = 3  # of answers that the limiter measures before it doubles what is in flight


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to ask for: the characters of each request in order, how many units of the model one of them is,
    and how long an answer takes, first for any text and then for each of its characters."""

    sizes: Sequence[int]
    units_per_character: float = 1.0
    latency_s: float = 1.0
    latency_s_per_character: float = 0.0

    def units(self, size: int) -> int:
        return round(size * self.units_per_character)

    def latency(self, size: int) -> float:
        return self.latency_s + self.latency_s_per_character * size


@dataclass(frozen=True, slots=True)
class Account:
    """Whom it is asked of: the limits (None: none is known), and how many requests the workers can have in flight.

    ``learns``: how much may leave at once, and where no limit is known how many in flight are worth it (at most
    ``max_unknown``), has to be found out.
    """

    limits: Limits | None
    places: int
    learns: bool = False
    max_unknown: int = 32


def seconds(work: Work, account: Account) -> float:
    """How long ``work`` takes, from the first request that leaves to the last answer."""
    return course(work, account)[-1]


def course(work: Work, account: Account) -> list[float]:
    """When each hundredth of the requests has been answered: 101 moments from 0 on, the last of which is the end.

    Of a work of which only a part is simulated they are evenly spread.
    """
    total = len(work.sizes)
    if not total:
        return [0.0] * (PARTS + 1)
    step = math.ceil(total / max(MOST, WINDOWS * _in_window(work, account.limits)))
    if step == 1:
        ended = _simulated(work, account)[1]
        return [ended[part * total // PARTS - 1] if part * total >= PARTS else 0.0 for part in range(PARTS + 1)]
    picked = work.sizes[::step]
    heavier = sum(work.sizes) / total * len(picked) / (sum(picked) or 1)
    sample = Work(picked, work.units_per_character * heavier, work.latency_s, work.latency_s_per_character * heavier)
    left, ended = _simulated(sample, account)
    cycle_s, cycle = _cycle(left, account.limits)
    skipped = math.ceil((total - len(left)) / cycle)
    all_s = skipped * cycle_s + ended[total - skipped * cycle - 1]
    return [all_s * part / PARTS for part in range(PARTS + 1)]


def _in_window(work: Work, limits: Limits | None) -> int:
    """How many requests may leave in a window, about."""
    if limits is None:
        return 0
    mean = work.units_per_character * sum(work.sizes) / len(work.sizes)
    by_text = None if limits.characters is None or mean <= 0 else limits.characters / mean
    return math.ceil(min((most for most in (limits.requests, by_text) if most is not None), default=0.0))


def _simulated(work: Work, account: Account) -> tuple["array[float]", "array[float]"]:
    """When each request leaves, and when the last answer is there to all up to it."""
    window, places = _Window(account), _Places(account)
    left, ended = array("d"), array("d")
    now = last = 0.0
    for size in work.sizes:
        units = work.units(size)
        now = window.leaves(units, places.free(now))
        window.take(units, now)
        end = now + work.latency(size)
        places.take(end)
        last = max(last, end)
        left.append(now)
        ended.append(last)
    return left, ended


def _cycle(left: Sequence[float], limits: Limits | None) -> tuple[float, int]:
    """A time after which the run repeats itself once it has settled, and how many requests leave in it."""
    span = limits.window_s + limits.guard_s if limits is not None else 0.0
    settled_s = left[-1] - left[len(left) // WINDOWS]
    whole_s = settled_s // span * span if span and settled_s >= span else settled_s
    begin, end = (bisect_left(left, when - 1e-6) for when in (left[-1] - whole_s, left[-1]))  # of what leaves at once
    return whole_s, max(1, end - begin)


class _Places:
    """Those in flight, by when they end."""

    def __init__(self, account: Account) -> None:
        named = account.limits.in_flight if account.limits is not None else None
        self._most = min(account.places, named or account.places)
        self._level = self._most
        if account.learns and account.limits is None:
            self._most = min(self._most, account.max_unknown)
            self._level = min(self._most, START_IN_FLIGHT)
        self._ends: list[float] = []
        self._answers = 0

    def free(self, now: float) -> float:
        """The first moment, not before ``now``, at which there is a free place."""
        ends = self._ends
        while ends and (ends[0] <= now or len(ends) >= self._level):
            now = max(now, heapq.heappop(ends))
            self._answers += 1
            if self._level < self._most and self._answers >= ROUNDS * self._level:
                self._level, self._answers = min(self._most, 2 * self._level), 0
        return now

    def take(self, end: float) -> None:
        heapq.heappush(self._ends, end)


class _Window:
    """What left, as far as it still counts; ``counting.Quota`` for work that never runs out."""

    def __init__(self, account: Account) -> None:
        limits = self._limits = account.limits or Limits()
        self._span = limits.window_s + limits.guard_s
        self._requests = None if limits.requests is None else max(1, math.floor(limits.requests))
        self._left = array("d")
        self._sums = array("q", [0])  # units of all that left before each
        self._oldest = 0  # of those whose text still counts
        self._pacers = _pacers(limits, account.learns)

    def leaves(self, units: int, now: float) -> float:
        """The first moment, not before ``now``, at which a request of so many units may leave."""
        left, sums, count = self._left, self._sums, len(self._left)
        if self._requests is not None and count >= self._requests:
            now = max(now, left[count - self._requests] + self._span)
        if self._limits.characters is not None:
            most = self._limits.characters - units
            while self._oldest < count and (
                left[self._oldest] + self._span <= now or sums[count] - sums[self._oldest] > most
            ):
                now = max(now, left[self._oldest] + self._span)
                self._oldest += 1
        for pacer in self._pacers:
            now = pacer.leaves(units, now)
        return now

    def take(self, units: int, now: float) -> None:
        self._left.append(now)
        self._sums.append(self._sums[-1] + units)
        for pacer in self._pacers:
            pacer.take(units, now)


class _Pacer:
    """How much may leave at once, declared or found out as the limiter does: ``ceiling`` is None where declared."""

    def __init__(self, limit: float, burst: float | None, limits: Limits, by_text: bool) -> None:
        self._bucket = Bucket(limit / limits.window_s)
        self._guard_s = limits.guard_s
        self._burst = burst or 0.0
        self._ceiling = Ceiling(1, limit) if burst is None else None
        self._by_text = by_text

    def leaves(self, units: int, now: float) -> float:
        amount, bucket, ceiling = units if self._by_text else 1, self._bucket, self._ceiling
        while True:
            burst = self._burst
            if ceiling is not None:
                burst = ceiling.allowed(amount, now, FIRST_REFUSAL_S)
                burst += 0.0 if ceiling.is_final else self._guard_s * bucket.rate
            wait_s = bucket.wait_s(amount, burst, self._guard_s, now)
            if ceiling is not None:
                wait_s = min(wait_s, ceiling.wait_s(now, FIRST_REFUSAL_S)) if wait_s > 0 else 0.0
            if wait_s <= 1e-9:
                return now
            now += wait_s

    def take(self, units: int, now: float) -> None:
        self._bucket.take(units if self._by_text else 1, now)
        if self._ceiling is not None:
            self._ceiling.took(self._bucket.drawn(now), now)


def _pacers(limits: Limits, learns: bool) -> list[_Pacer]:
    """Those that the limits need: a burst of a whole window is none."""
    pacers = []
    if limits.requests is not None and (learns if limits.burst is None else limits.burst < limits.requests):
        pacers.append(_Pacer(limits.requests, limits.burst, limits, by_text=False))
    learns = learns and limits.burst is None
    of_text = limits.burst_characters
    if limits.characters is not None and (learns if of_text is None else of_text < limits.characters):
        pacers.append(_Pacer(limits.characters, limits.burst_characters, limits, by_text=True))
    return pacers
