"""What people see: plans and reports as tables, a run as a live display on a terminal, as plain lines elsewhere."""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from cluster_tts.report import clock

if TYPE_CHECKING:
    from cluster_tts.model import Voice
    from cluster_tts.pipeline import Progress
    from cluster_tts.report import Report
    from cluster_tts.workload import PlanSummary, Summary

PLAIN_EVERY_S = 5.0
SETTLE_S = 3.0  # a rate measured over less says nothing, nor does an ETA made of it
MOST_LINES = 20  # of a kind; the report has all
UNIT_NAMES = {"codepoint": "characters", "utf16": "UTF-16 units", "byte": "bytes"}
UNWRAPPED = 10_000  # columns where there is no terminal to wrap for
# What would break a line or command a terminal: file names and what servers answer may hold anything.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """``text`` as one line that shows what is in it, whatever that is."""
    return UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], text)


class PlainConsole(Console):
    """Prints texts as they are, a line each; outside a terminal nothing is wrapped.

    A reader of stderr who leaves does not end the run: what is paid for is finished in silence.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = UNWRAPPED

    def say(self, text: str) -> None:
        self.print(one_line(text), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        if not self.stderr:
            raise  # the BrokenPipeError that is being handled
        self.quiet = True


def show_plan(summary: "Summary") -> None:
    """A plan on stdout."""
    rows = (
        (line.name, line.status, f"{line.chunks:,}", f"{line.characters:,}", f"{line.missing:,}")
        for line in summary.documents
    )
    console = PlainConsole()
    console.print(_table(("chunks", "characters", "clips missing"), rows))
    _say_bad(console, [(line.name, line.status, line.error) for line in summary.documents if line.error])
    console.say(
        f"{len(summary.documents)} documents, {summary.chunks:,} chunks, {summary.characters:,} characters, "
        f"about {clock(summary.audio_s)} of audio"
    )
    console.say(
        f"{summary.clips_there:,} of {summary.clips:,} clips are there already; "
        f"{summary.characters_to_speak:,} characters are to be spoken"
    )
    if summary.requests_to_speak:
        for line in cost_lines(summary):
            console.say(line)
        if summary.plans:
            console.print(_plans_table(summary))
    for line in (*summary.notes, *(f"warning: {warning}" for warning in summary.warnings)):
        console.say(line)


def cost_lines(summary: "Summary") -> Iterator[str]:
    """What speaking costs and how long it takes, as far as that is known."""
    if summary.cost_usd is not None:
        prices = f" (prices of {summary.price_read_on})" if summary.price_read_on else ""
        about = "" if 0 < summary.cost_usd < 0.01 else "about "
        yield f"cost: {about}{dollars(summary.cost_usd)}{prices}"
    elif summary.cost_note:
        yield f"cost: {summary.cost_note}"
    if summary.time_s is not None:
        asked = f"{summary.requests_to_speak:,} requests"
        if summary.unit != "codepoint":
            asked += f" with {summary.units_to_speak:,} {UNIT_NAMES[summary.unit]}"
        yield f"time: at least {clock(summary.time_s)} at this quota, for {asked}"


def dollars(usd: float) -> str:
    return "<$0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def _plans_table(summary: "Summary") -> Table:
    """The same work on each plan of the provider; columns of which nothing is known are left out."""
    columns: tuple[tuple[str, Callable[[PlanSummary], str]], ...] = (
        ("requests/min", lambda plan: _number(plan.requests_per_minute)),
        (f"{UNIT_NAMES[summary.unit]}/min", lambda plan: _number(plan.characters_per_minute)),
        ("at once", lambda plan: _number(plan.max_concurrent_requests)),
        ("time", lambda plan: clock(plan.time_s)),
        ("cost", lambda plan: "" if plan.cost_usd is None else dollars(plan.cost_usd)),
        ("$/month", lambda plan: _number(plan.usd_per_month)),
        ("its credits used", lambda plan: "" if plan.months is None else f"{plan.months:,.0%}"),
    )
    shown = [(name, cell) for name, cell in columns if any(map(cell, summary.plans))]
    table = Table("plan", box=None, pad_edge=False)
    for name, _ in shown:
        table.add_column(name, justify="right")
    for plan in summary.plans:
        table.add_row(one_line(plan.name), *(cell(plan) for _, cell in shown))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def show_voices(voices: Sequence["Voice"]) -> None:
    """Voices on stdout, in a table; what the first column has is what ``provider.voice`` takes."""
    table = Table("voice", "name", "language", "description", box=None, pad_edge=False)
    for voice in voices:
        table.add_row(*map(one_line, (voice.id, voice.name, voice.language, voice.description)))
    PlainConsole().print(table)


def show_report(report: "Report") -> None:
    """A report on stdout."""
    rows = (
        (line.name, line.status, f"{line.chunks:,}", f"{line.missing:,}", clock(line.duration_s))
        for line in report.documents
    )
    console = PlainConsole()
    console.print(_table(("chunks", "missing", "audio"), rows))
    show_outcome(report, console)


def show_outcome(report: "Report", console: PlainConsole, out: Path | None = None) -> None:
    """How a run ended and what is missing, in a few lines."""
    totals = report.as_dict()["totals"]
    console.say(
        f"{report.status}: {totals['documents_whole']} of {totals['documents']} documents whole, "
        f"{clock(totals['document_audio_s'])} of audio; clips spoken {totals['spoken']}, found {totals['found']}, "
        f"failed {totals['failed']}, tried again {totals['retried']}; {clock(totals['run_s'])} of work"
        + (f"; about {dollars(totals['cost_usd'])}" if totals["cost_usd"] else "")
    )
    lacking = [line for line in report.documents if line.status in ("incomplete", "unreadable")]
    _say_bad(console, [(line.name, line.status, line.error or f"{line.missing} clips missing") for line in lacking])
    for failure in report.failures[:MOST_LINES]:
        console.say(f"  {failure.document} #{failure.chunk_index}, {failure.kind}: {failure.message}")
    if len(report.failures) > MOST_LINES:
        console.say(f"  and {len(report.failures) - MOST_LINES:,} more: see report.html")
    if report.message:
        console.say(report.message)
    if report.status == "running":
        console.say(f"the last sign of life was at {report.heartbeat}: if that is long ago, run again to continue")
    if out is not None:
        console.say(f"audio, manifest and report: {out}")


def _table(numbers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table("document", "status", box=None, pad_edge=False)
    for column in numbers:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(one_line, row))
    return table


def _say_bad(console: PlainConsole, documents: Sequence[tuple[str, str, str | None]]) -> None:
    for name, status, error in documents[:MOST_LINES]:
        console.say(f"  {name} is {status}: {error}")
    if len(documents) > MOST_LINES:
        console.say(f"  and {len(documents) - MOST_LINES:,} more such documents")


class Pace:
    """Turns progress into rate and time left. Measured from the first clip, for starting up is not speaking."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: tuple[float, Progress] | None = None

    def __call__(self, progress: "Progress") -> tuple[float | None, float | None]:
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


def plain_line(progress: "Progress", pace: tuple[float | None, float | None]) -> str:
    """One line for a log."""
    return (
        f"documents {progress.documents_whole}/{progress.documents}, clips {_made(progress)}/{progress.clips}, "
        f"{status_line(progress, pace)}"
    )


def status_line(progress: "Progress", pace: tuple[float | None, float | None]) -> str:
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
def shown(console: Console, now: Callable[[], float] = time.monotonic) -> Iterator[Callable[["Progress"], None]]:
    """A function to show progress with, for as long as the block lasts."""
    pace = Pace(now)
    if console.is_terminal:
        bars = Bars(
            TextColumn("{task.description:<9}"), BarColumn(bar_width=None), TaskProgressColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"), expand=True, console=console,
        )  # fmt: skip
        documents, clips = bars.add_task("documents", total=None), bars.add_task("clips", total=None)

        def show(progress: "Progress") -> None:
            bars.update(documents, total=progress.documents, completed=progress.documents_whole)
            bars.update(clips, total=progress.clips, completed=_made(progress))
            grid = Table.grid(expand=True)
            grid.add_row(bars)
            grid.add_row(Text(status_line(progress, pace(progress)), style="dim"))
            live.update(grid)

        with Live("starting ...", console=console, refresh_per_second=4, transient=True) as live:
            yield show
        return
    shown_at = -math.inf

    def say(progress: "Progress") -> None:
        nonlocal shown_at
        current = pace(progress)
        if progress.clips and now() - shown_at >= PLAIN_EVERY_S:
            shown_at = now()
            console.print(plain_line(progress, current), soft_wrap=True, highlight=False, markup=False)

    yield say


def _made(progress: "Progress") -> int:
    return progress.spoken + progress.found + progress.failed
