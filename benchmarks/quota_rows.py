"""The rows of the table: each starts emulators and runs, and answers what was measured at the emulator.

``scale`` shortens a row for ``--quick``: fewer windows, fewer requests; what is wanted stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quota_figures import (
    Amount,
    Entry,
    Figure,
    between,
    characters,
    first_s,
    in_flight,
    list_schedule,
    refused,
    requests,
    shares,
    span_s,
    used,
)
from quota_runs import Emulator, Job, texts

TRAVEL = ("--travel", "0.02", "--latency", "0.05")
WINDOW_S, LIMIT = 20.0, 200
PER_MINUTE = LIMIT * 60 / WINDOW_S
CHARACTERS = 24_000  # a window's; a chunk has at most 180, less than 1 %
BURST = 10
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Way:
    """How an account counts: the emulator's options, what our run is told, and what an amount is."""

    count: str
    what: str = "requests"

    @property
    def amount(self) -> Amount:
        return requests if self.what == "requests" else characters

    @property
    def limit(self) -> int:
        return LIMIT if self.what == "requests" else CHARACTERS

    @property
    def per_minute(self) -> float:
        return self.limit * 60 / WINDOW_S

    @property
    def options(self) -> list[str]:
        burst = {"requests": ["--burst", str(BURST)], "characters": ["--burst-characters", str(CHARACTERS // 20)]}
        limit = [f"--{self.what}-per-minute", f"{self.per_minute:g}", "--window", f"{WINDOW_S:g}"]
        return [*limit, "--count", self.count, *(burst[self.what] if self.count == "bucket" else [])]

    @property
    def settings(self) -> list[str]:
        return [f"quota.{self.what}_per_minute={self.per_minute:g}", f"quota.window_s={WINDOW_S:g}"]

    @property
    def most_refused(self) -> int:
        """An unknown bucket may refuse three times, ever: that is how it is found."""
        return 3 if self.count == "bucket" else 0


def whole_windows(folder: Path, way: Way, jobs: int, scale: float, *engine: str) -> list[Figure]:
    """Used of five whole windows that begin one window after the first arrival, work waiting throughout."""
    windows = max(1, round(5 * scale))
    each = round((windows + 2.5) * LIMIT * (1 if jobs == 1 else 0.75))
    names = "AB"[:jobs]
    with Emulator(folder, "openai", *way.options, *TRAVEL) as emulator:
        running = [Job(name, folder, texts(name, each), emulator, *way.settings, *engine) for name in names]
        start_s = emulator.wait_for_first(running) + WINDOW_S
        end_s = start_s + windows * WINDOW_S
        emulator.sleep_until(end_s + 0.2, running)
        log = emulator.log()
        for job in running:
            job.stop()
    figures = [
        Figure("used", used(log, way.amount, start_s, end_s, way.limit, WINDOW_S), low=0.99),
        Figure("refused", len(refused(log)), high=way.most_refused),
    ]
    if jobs > 1:
        parts = shares(log, "A", way.amount, start_s, WINDOW_S, windows)
        figures += [Figure("least share", min(min(parts), 1 - max(parts)), low=0.45)]
    return figures


def known_end(folder: Path, count: str, burst: int | None, scale: float) -> list[Figure]:
    """1,500 requests on 600 a minute: how long, against what the counting allows."""
    number, limit = round(1500 * scale), 600
    options = ["--requests-per-minute", f"{limit}", "--count", count, *TRAVEL]
    options += ["--burst", str(BURST)] if count == "bucket" else []
    told = [f"quota.requests_per_minute={limit}", *([f"quota.burst={burst}"] if burst else [])]
    with Emulator(folder, "openai", *options) as emulator:
        job = Job("A", folder, texts("A", number), emulator, *told)
        job.finish(PATIENCE_S)
        log = emulator.log()
    return [*against_counting(log, number, limit, count, 1.01 if count != "bucket" or burst else 1.05)]


def against_counting(log: Sequence[Entry], number: int, limit: int, count: str, most: float | None) -> list[Figure]:
    """How long ``number`` requests took against what the counting allows; ``most``: at most so much of it."""
    last_s = log[-1]["latency_s"]
    ideal_s = (number - BURST) / (limit / 60) if count == "bucket" else (math.ceil(number / limit) - 1) * 60.0
    served = {entry["text"] for entry in log if entry["admitted_s"] is not None}
    few = 3 if count == "bucket" and most == 1.05 else 0
    return [
        Figure("time / ideal", (span_s(log) - last_s) / ideal_s if ideal_s else span_s(log), high=most),
        Figure("refused", len(refused(log)), high=few if most else None),
        Figure("lost", number - len(served), high=0 if most else None),
    ]


def places(folder: Path, most: int, scale: float) -> list[Figure]:
    """Requests in flight: mean of what is allowed until the work runs out, and the time against list scheduling."""
    number = max(4 * most, round((300 if most <= 5 else 600) * scale))
    median_s = 2.0 / math.exp(0.5**2 / 2)  # so that the mean is 2 s
    options = ("--max-concurrent", str(most), "--latency", f"{median_s:.4f}", "--sigma", "0.5")
    with Emulator(folder, "elevenlabs", *options) as emulator:
        job = Job("A", folder, texts("A", number), emulator, f"quota.max_concurrent_requests={most}")
        job.finish(PATIENCE_S)
        log = emulator.log()
    start_s, out_s = first_s(log), max(entry["arrival_s"] for entry in log)
    ideal_s = list_schedule((entry["latency_s"] for entry in log if not entry["refused"]), most)
    return [
        Figure("in flight / limit", in_flight(log, start_s, out_s) / most, low=0.98),
        Figure("time / list schedule", span_s(log) / ideal_s, high=1.03),
        Figure("refused", len(refused(log)), high=0),
    ]


def told_to_wait(folder: Path, scale: float) -> list[Figure]:
    """Retry-After: 7: silence from 0.1 s after the refusal left until 7 s after it, and then no more waiting."""
    # Seed 296 draws the 55th, 88th and 238th of 300.
    fault = ("--fault", "rate_limit_exceeded=0.01", "--retry-after", "7", "--seed", "296")
    options = ("--requests-per-minute", "1200", *fault, "--latency", "0.2")
    with Emulator(folder, "openai", *options) as emulator:
        job = Job("A", folder, texts("A", 300), emulator, "quota.requests_per_minute=1200")
        emulator.sleep_until(emulator.wait_for_first([job]) + 75, [job])
        log = emulator.log()
        job.stop()
    told = sorted(entry["left_s"] for entry in log if entry["fault"])
    served = {entry["text"] for entry in log if entry["left_s"] and not entry["fault"]}
    early, late_s = 0, []
    for left_s, following_s in zip(told, [*told[1:], math.inf], strict=True):
        early += len(between(log, left_s + 0.1, min(left_s + 7, following_s)))
        after = [entry["arrival_s"] for entry in log if entry["arrival_s"] > left_s + 0.1]
        if after and following_s > left_s + 7:  # else the next refusal has prolonged it
            late_s.append(min(after) - left_s - 7)
    return [
        Figure("told to wait", len(told), low=1),
        Figure("too early", early, high=0),
        Figure("latest first arrival after, s", max(late_s, default=math.inf), high=0.1),
        Figure("served in 75 s", len(served), low=300),
    ]


def killed_and_again(folder: Path, scale: float) -> list[Figure]:
    """A run killed and started again within its window."""
    way = Way("sliding")
    with Emulator(folder, "openai", *way.options, *TRAVEL) as emulator:
        job = Job("A", folder, texts("A", 1500), emulator, *way.settings)
        start_s = emulator.wait_for_first([job])
        emulator.sleep_until(start_s + 5)
        job.kill()
        job.start()
        emulator.sleep_until(start_s + (4 if scale >= 1 else 2.5) * WINDOW_S, [job])
        log = emulator.log()
        job.stop()
    again = between(log, start_s + 6, math.inf)
    return [
        Figure("refused", len(refused(log)), high=0),
        Figure("asked again after the kill", len(again), low=LIMIT // 2),
    ]


def one_after_the_other(folder: Path, scale: float) -> list[Figure]:
    """Two runs on one machine that share no Ray, the second 15 s later: together."""
    way, windows = Way("sliding"), max(2, round(4 * scale))
    with Emulator(folder, "openai", *way.options, *TRAVEL) as emulator:
        first = Job("A", folder, texts("A", 1500), emulator, *way.settings)
        start_s = emulator.wait_for_first([first])
        emulator.sleep_until(start_s + 15)
        second = Job("B", folder, texts("B", 1000), emulator, *way.settings)
        emulator.sleep_until(start_s + (windows + 1) * WINDOW_S, [first, second])
        log = emulator.log()
        first.stop()
        second.stop()
    end_s = start_s + (windows + 1) * WINDOW_S
    theirs = used(
        [entry for entry in log if entry["text"].startswith("B-")],
        requests,
        end_s - 2 * WINDOW_S,
        end_s,
        LIMIT,
        WINDOW_S,
    )
    return [
        Figure("used", used(log, requests, start_s + WINDOW_S, end_s, LIMIT, WINDOW_S), low=0.9),
        Figure("refused", len(refused(log)), high=0),
        Figure("the second's part", theirs, low=0.4, high=0.6),
    ]
