"""What people see: plans, voices and reports as tables and lines. A run that goes on is shown by ``live``."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cluster_tts.errors import EXIT_INCOMPLETE, EXIT_OK
from cluster_tts.gauge import used_line
from cluster_tts.prices import dollars
from cluster_tts.report import clock, percent

if TYPE_CHECKING:
    from cluster_tts.model import Voice
    from cluster_tts.report import Report
    from cluster_tts.workload import BudgetSummary, PlanSummary, Summary

MOST_QUOTED = 40  # characters of a text that has no sound
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
        for budget in summary.budgets:
            console.say(budget_line(budget))
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
        yield f"time: about {clock(summary.time_s)} at this quota, for {asked}"


def budget_line(budget: "BudgetSummary") -> str:
    """What is left of a budget, and whether it will do."""
    amount = dollars if budget.unit == "usd" else "{:,.0f} characters".format
    if budget.left <= 0:
        return f"budget: nothing is left of {amount(budget.budget)}: a run would be refused"
    left = f"{amount(budget.left)} of {amount(budget.budget)}" if budget.left < budget.budget else amount(budget.left)
    if budget.covers is None:
        return f"budget: {left} left"
    will_do = "enough" if budget.covers >= 1 else f"covers about {budget.covers:.0%} of it"
    return f"budget: {left} left, {will_do}"


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


def show_outcome(report: "Report", console: PlainConsole, out: str | None = None) -> None:
    """How a run ended and what is missing, in a few lines."""
    totals = report.as_dict()["totals"]
    console.say(
        f"{report.status}: {totals['documents_whole']} of {totals['documents']} documents whole, "
        f"{clock(totals['document_audio_s'])} of audio; clips spoken {totals['spoken']}, found {totals['found']}, "
        f"failed {totals['failed']}, tried again {totals['retried']}; {clock(totals['run_s'])} of work"
        + (f"; about {dollars(totals['cost_usd'])}" if totals["cost_usd"] else "")
    )
    for told in quota_lines(report):
        console.say(told)
    lacking = [line for line in report.documents if line.status in ("incomplete", "unreadable") or line.error]
    bad = [
        (line.name, "without its video" if line.status == "whole" else line.status, line.error or _lacks(line.missing))
        for line in lacking
    ]
    _say_bad(console, bad)
    for failure in report.failures[:MOST_LINES]:
        console.say(
            f"  {failure.document} #{failure.chunk_index} {_begun(failure.text)}: {failure.kind}, {failure.message}"
        )
    if len(report.failures) > MOST_LINES:
        console.say(f"  and {len(report.failures) - MOST_LINES:,} more: see report.html")
    if report.message:
        console.say(report.message)
    if report.status == "running":
        console.say(f"the last sign of life was at {report.heartbeat}: if that is long ago, run again to continue")
    if out is not None:
        console.say(f"audio, manifest and report: {out}")


def _lacks(missing: int) -> str:
    return f"{missing:,} {'clip' if missing == 1 else 'clips'} missing"


def _begun(text: str) -> str:
    """How a text begins, in quotes."""
    return f'"{text if len(text) <= MOST_QUOTED else text[: MOST_QUOTED - 3] + "..."}"'


def quota_lines(report: "Report") -> Iterator[str]:
    """What was made of the quota, what was learned of it, and whether the forecast was right; nothing where nobody's
    was needed."""
    quota, totals = report.quota or {}, report.totals
    parts, asked = [used] if (used := used_line(quota)) else [], totals.get("requests", 0)
    if quota and asked:
        parts.append(f"{totals['refused']:,} of {asked:,} requests refused ({percent(totals['share_refused'])})")
    predicted, took = quota.get("predicted_s"), quota.get("run_s")
    if predicted is not None and took is not None and report.exit_code in (EXIT_OK, EXIT_INCOMPLETE):
        parts.append(f"predicted {clock(predicted)}, took {clock(took)}")
    if parts:
        yield f"quota: {'; '.join(parts)}"
    if learned := quota.get("learned"):
        settings = " ".join(f"quota.{name}={value:.10g}" for name, value in learned.items())
        yield f"learned: {settings} (as a file for -c: learned.yaml)"


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
