"""What an account was asked, reckoned from the emulator's log: used, refused, shares, places, pauses. Plain arithmetic.

An entry of the log is a dictionary as ``cluster_tts.emulator.log.Entry`` has it. Texts begin with the name of the job
and a hyphen, ``A-0017``, so that the log tells who asked.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Entry = dict[str, Any]
Amount = Callable[[Entry], int]
REFUSALS = ("requests", "characters", "concurrency")


def requests(entry: Entry) -> int:
    return 1


def characters(entry: Entry) -> int:
    return int(entry["characters"])


@dataclass(frozen=True)
class Figure:
    """One measured number, and what is wanted of it: at least ``low``, at most ``high``; neither: only told."""

    what: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def good(self) -> bool:
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def wanted(self) -> str:
        bounds = [f">= {_number(self.low)}" if self.low is not None else ""]
        bounds += [f"<= {_number(self.high)}" if self.high is not None else ""]
        return f"{self.what} {' '.join(filter(None, bounds)) or '-'}"

    @property
    def measured(self) -> str:
        return f"{_number(self.value)}{'' if self.good else ' !'}"


def refused(entries: Iterable[Entry]) -> list[Entry]:
    """Those that a limit refused."""
    return [entry for entry in entries if entry["refused"] in REFUSALS]


def admitted(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry["admitted_s"] is not None]


def of(job: str, entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry["text"].startswith(f"{job}-")]


def between(entries: Iterable[Entry], start_s: float, end_s: float) -> list[Entry]:
    return [entry for entry in entries if start_s <= entry["arrival_s"] < end_s]


def first_s(entries: Sequence[Entry]) -> float:
    """The first arrival, of those that asked for speech."""
    return min(float(entry["arrival_s"]) for entry in entries)


def used(
    entries: Iterable[Entry], amount: Amount, start_s: float, end_s: float, limit: float, window_s: float
) -> float:
    """What was let in from ``start_s`` to ``end_s``, of what the limit allows in that time."""
    total = sum(map(amount, between(admitted(entries), start_s, end_s)))
    return total / (limit * (end_s - start_s) / window_s)


def shares(
    entries: Sequence[Entry], job: str, amount: Amount, start_s: float, window_s: float, count: int
) -> list[float]:
    """The part of what was let in that was ``job``'s, window by window."""
    found = []
    for number in range(count):
        inside = between(admitted(entries), start_s + number * window_s, start_s + (number + 1) * window_s)
        total = sum(map(amount, inside))
        found.append(sum(map(amount, of(job, inside))) / total if total else 0.0)
    return found


def in_flight(entries: Iterable[Entry], start_s: float, end_s: float) -> float:
    """How many were at work on average from ``start_s`` to ``end_s``."""
    area = 0.0
    for entry in admitted(entries):
        left_s = end_s if entry["left_s"] is None else entry["left_s"]
        area += max(0.0, min(left_s, end_s) - max(entry["admitted_s"], start_s))
    return area / (end_s - start_s)


def list_schedule(latencies: Iterable[float], places: int) -> float:
    """How long the work takes if each place takes the next one the moment it is free."""
    free = [0.0] * places
    for latency_s in latencies:
        heapq.heapreplace(free, free[0] + latency_s)
    return max(free)


def span_s(entries: Sequence[Entry]) -> float:
    """From the first arrival to the last answer."""
    return max(float(entry["left_s"]) for entry in admitted(entries)) - first_s(entries)


def longest_pause_s(entries: Sequence[Entry], start_s: float, end_s: float) -> float:
    """The longest time between two arrivals from ``start_s`` to ``end_s``, the edges counted as arrivals."""
    times = [start_s, *sorted(entry["arrival_s"] for entry in between(entries, start_s, end_s)), end_s]
    return max(float(later - earlier) for earlier, later in pairwise(times))


def reached_s(
    entries: Sequence[Entry], share: float, start_s: float, until_s: float, measure: Callable[[float], float]
) -> float:
    """How long after ``start_s`` ``measure``, of the time that begins then, first was ``share``; until_s if never."""
    at = start_s
    while at < until_s:
        if measure(at) >= share:
            return at - start_s
        at += 0.5
    return until_s - start_s


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"
