"""How a run shows itself: a live display on a terminal, one plain line every few seconds elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from cluster_tts.pipeline import Progress
from cluster_tts.report import clock

PLAIN_EVERY_S = 5.0
SETTLE_S = 3.0  # a rate measured over less says nothing, nor does an ETA made of it


class Pace:
    """Turns progress into rate and time left. Measured from the first clip, for starting up is not speaking."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: tuple[float, Progress] | None = None

    def __call__(self, progress: Progress) -> tuple[float | None, float | None]:
        """Characters a second and seconds left; None while neither is known."""
        if self._first is None:
            if _made(progress) == 0:
                return None, None
            self._first = self._now(), progress
        since, first = self._now() - self._first[0], self._first[1]
        made = _made(progress) - _made(first)
        if since < SETTLE_S or made <= 0:
            return None, None
        left = progress.clips - _made(progress)
        return (progress.characters - first.characters) / since, left * since / made


def plain_line(progress: Progress, pace: tuple[float | None, float | None]) -> str:
    """One line for a log."""
    return (
        f"documents {progress.documents_whole}/{progress.documents}, clips {_made(progress)}/{progress.clips}, "
        f"{status_line(progress, pace)}"
    )


def status_line(progress: Progress, pace: tuple[float | None, float | None]) -> str:
    """What the bars do not tell."""
    rate, left = pace
    parts = [f"audio {clock(progress.audio_s)}", f"in flight {progress.in_flight}"]
    if progress.failed:
        parts.append(f"failed {progress.failed}")
    if progress.joining:
        parts.append(f"joining {progress.joining}")
    if rate is not None:
        parts.append(f"{rate:,.0f} characters/s")
    if left is not None and left > 0:
        parts.append(f"ETA {clock(left)}")
    return ", ".join(parts)


@contextmanager
def shown(console: Console, now: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Progress], None]]:
    """A function to show progress with, for as long as the block lasts."""
    pace = Pace(now)
    if console.is_terminal:
        bars = Bars(
            TextColumn("{task.description:<9}"), BarColumn(bar_width=None), TaskProgressColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"), expand=True, console=console,
        )  # fmt: skip
        documents, clips = bars.add_task("documents", total=None), bars.add_task("clips", total=None)

        def show(progress: Progress) -> None:
            bars.update(documents, total=progress.documents, completed=progress.documents_whole)
            bars.update(clips, total=progress.clips, completed=_made(progress))
            grid = Table.grid(expand=True)
            grid.add_row(bars)
            grid.add_row(f"[dim]{status_line(progress, pace(progress))}")
            live.update(grid)

        with Live("starting ...", console=console, refresh_per_second=4, transient=True) as live:
            yield show
        return
    shown_at = -math.inf

    def say(progress: Progress) -> None:
        nonlocal shown_at
        current = pace(progress)
        if progress.clips and now() - shown_at >= PLAIN_EVERY_S:
            shown_at = now()
            console.print(plain_line(progress, current), soft_wrap=True, highlight=False, markup=False)

    yield say


def _made(progress: Progress) -> int:
    return progress.spoken + progress.found + progress.failed
