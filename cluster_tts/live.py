"""A run as it goes on: bars that stay on a terminal, a plain line every few seconds elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from cluster_tts.display import one_line
from cluster_tts.gauge import in_words, known, share_of
from cluster_tts.report import clock, percent

if TYPE_CHECKING:
    from cluster_tts.progress import Progress

PLAIN_EVERY_S = 5.0
SETTLE_S = 3.0  # a rate measured over less says nothing, nor does an ETA made of it


class Pace:
    """Turns progress into rate and time left. Measured from the first clip, for starting up is not speaking.

    By the rate alone nothing would seem to be left to wait for while a window of the quota is used up, by the plan
    alone nothing would be learned from a run that is slower: the longer of the two is told.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: tuple[float, Progress] | None = None

    def __call__(self, progress: "Progress") -> tuple[float | None, float | None]:
        """Characters a second and seconds left; None while neither is known."""
        if self._first is None:
            if _made(progress) == 0:
                return None, progress.left_s
            self._first = self._now(), progress
        since, first = self._now() - self._first[0], self._first[1]
        made = _made(progress) - _made(first)
        if since < SETTLE_S or made <= 0:
            return None, progress.left_s
        left = progress.clips - _made(progress)
        by_rate = left * since / made
        return (progress.characters - first.characters) / since, max(by_rate, progress.left_s or 0.0) if left else 0.0


class News:
    """The lines that were not shown yet, each once."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, progress: "Progress") -> list[str]:
        new = [line for number, line in progress.notes if number > self._shown]
        self._shown = max((number for number, _ in progress.notes), default=self._shown)
        return new


def plain_line(progress: "Progress", pace: tuple[float | None, float | None]) -> str:
    """One line for a log."""
    parts = [
        f"documents {progress.documents_whole}/{progress.documents}, clips {_made(progress)}/{progress.clips}",
        status_line(progress, pace),
        quota_line(progress),
        waits_line(progress),
    ]
    return ", ".join(part for part in parts if part)


def status_line(progress: "Progress", pace: tuple[float | None, float | None]) -> str:
    """What the bars do not tell."""
    rate, left = pace
    parts = [f"ETA {clock(left)}"] if left is not None and left > 0 else []
    parts += [f"in flight {_in_flight(progress)}", f"audio {clock(progress.audio_s)}"]
    if progress.failed:
        parts.append(f"failed {progress.failed}")
    if progress.joining:
        parts.append(f"joining {progress.joining}")
    if rate is not None:
        parts.append(f"{rate:,.0f} characters/s")
    return ", ".join(parts)


def quota_line(progress: "Progress") -> str:
    """How much of the quota is in use, and how many wait for it; empty where nobody's quota is needed."""
    quota = progress.quota
    if quota is None:
        return ""
    share, refused = share_of(quota, quota.limits), progress.asked.refused
    parts = [] if share is None else [f"quota {percent(share)} used"]
    parts.append(f"refused {refused}{f' ({percent(progress.asked.share_refused)})' if refused else ''}")
    if quota.cool_s > 0:
        parts.append(f"paused for {quota.cool_s:.0f} s")
    parts.append(f"waiting {quota.waiting}")
    return ", ".join(parts)


def waits_line(progress: "Progress") -> str:
    """How long requests wait to leave, and how long for their answers: the median of the last ones, and what 95 of 100
    do not exceed."""
    spreads = (("at the gate", progress.gate_wait_s), ("latency", progress.latency_s))
    if progress.quota is None:
        return ""
    return ", ".join(f"{name} {each[0]:.1f} s (95%: {each[1]:.1f} s)" for name, each in spreads if each)


@contextmanager
def shown(console: Console, now: Callable[[], float] = time.monotonic) -> Iterator[Callable[["Progress"], None]]:
    """A function to show progress with, for as long as the block lasts."""
    pace, news = Pace(now), News()
    if console.is_terminal:
        with Live("starting ...", console=console, refresh_per_second=4, transient=True) as live:
            bars = _Bars(console)

            def show(progress: "Progress") -> None:
                for line in news(progress):
                    live.console.print(one_line(line), highlight=False, markup=False)
                live.update(bars(progress, pace(progress)))

            yield show
        return
    shown_at = -math.inf

    def say(progress: "Progress") -> None:
        nonlocal shown_at
        lines, current = news(progress), pace(progress)
        if progress.clips and now() - shown_at >= PLAIN_EVERY_S:
            shown_at = now()
            lines.append(plain_line(progress, current))
        for line in lines:
            console.print(one_line(line), soft_wrap=True, highlight=False, markup=False)

    yield say


class _Bars:
    """The live display: documents, clips and quota as bars, the rest in lines below, cut where they are too long."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<9}"), BarColumn(bar_width=None), TaskProgressColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"), expand=True, console=console,
        )  # fmt: skip
        self._documents, self._clips = (self._bars.add_task(name, total=None) for name in ("documents", "clips"))

    def __call__(self, progress: "Progress", pace: tuple[float | None, float | None]) -> Table:
        self._bars.update(self._documents, total=progress.documents, completed=progress.documents_whole)
        self._bars.update(self._clips, total=progress.clips, completed=_made(progress))
        grid = Table.grid(expand=True)
        grid.add_row(self._bars)
        for line in (status_line(progress, pace), quota_line(progress), waits_line(progress), _limits_line(progress)):
            if line:
                grid.add_row(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
        return grid


def _limits_line(progress: "Progress") -> str:
    quota = progress.quota
    if quota is None:
        return ""
    parts = [in_words(known(quota.limits)) or "none is known"]
    if quota.degraded_to is not None:
        parts.append(f"only {quota.degraded_to} in flight because requests fail")
    if quota.parties > 1:
        parts.append(f"shared by {quota.parties}")
    return f"limits: {', '.join(parts)}"


def _in_flight(progress: "Progress") -> str:
    """What is in flight at the provider where that is known, else what workers hold."""
    quota = progress.quota
    if quota is None:
        return f"{progress.in_flight}"
    most = quota.limits.in_flight
    return f"{quota.in_flight}" + (f" of {most}" if most else "")


def _made(progress: "Progress") -> int:
    return progress.spoken + progress.found + progress.failed
