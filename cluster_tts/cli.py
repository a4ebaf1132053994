"""argv to a job, and a result to words and an exit code. What each command does is in ``commands``.

Imports are inside the commands: ``--help`` answers at once, ``plan`` never imports Ray.
"""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cluster_tts.errors import EXIT_UNEXPECTED, EXIT_USAGE, CTTSError, JobError

if TYPE_CHECKING:
    from rich.console import Console

    from cluster_tts.commands import Result, RunOptions
    from cluster_tts.config import Job
    from cluster_tts.planning import Summary
    from cluster_tts.report import Report

app = typer.Typer(
    name="cluster-tts",
    help="Turns many documents into finished audio, at the full speed an account allows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich for it took half of the time to answer
    context_settings={"help_option_names": ["-h", "--help"]},
)

SETTING = re.compile(r"[A-Za-z_][\w.]*=", re.ASCII)

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE|key=value", help="Files, folders, globs; and settings as key=value.")
]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Where everything goes (default: out).")]
Config = Annotated[list[Path] | None, typer.Option("-c", "--config", metavar="FILE", help="A YAML file of settings.")]
Existing = Annotated[Path, typer.Argument(metavar="OUT", help="The folder of an earlier run.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Settings.")]
Json = Annotated[bool, typer.Option("--json", help="One machine-readable summary on stdout.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what the manifest says; clips stay.")]


@app.command()
def run(
    arguments: Sources,
    out: Out = None,
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, as plan does.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Speak only what failed before.")] = False,
    fresh: Fresh = False,
    sequential: Annotated[bool, typer.Option("--sequential", help="Local engine, one request at a time.")] = False,
    as_json: Json = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log everything to OUT/run.log.")] = False,
) -> None:
    """Speak everything and join it; run again to continue."""
    from cluster_tts.commands import RunOptions, plan_job

    sources, settings = _split(arguments)
    if sequential:
        settings += ["engine=local", "workers.slots=1"]
    job = _job(out, config, settings)
    if dry_run:
        _say_plan(plan_job(job, sources, fresh), as_json)
        return
    options = RunOptions(fresh=fresh, retry_failed=retry_failed, verbose=verbose)
    result = _run_watched(job, sources, options)
    _say_result(result, as_json)
    raise typer.Exit(result.exit_code)


@app.command()
def plan(
    arguments: Sources, out: Out = None, config: Config = None, fresh: Fresh = False, as_json: Json = False
) -> None:
    """Say what a run would do; ask nobody, write nothing."""
    from cluster_tts.commands import plan_job

    sources, settings = _split(arguments)
    _say_plan(plan_job(_job(out, config, settings), sources, fresh), as_json)


@app.command()
def status(out: Existing, as_json: Json = False) -> None:
    """Say where a run stands; which items failed, and why."""
    from cluster_tts.commands import status_of

    _say_report(status_of(out), as_json)


@app.command()
def stitch(out: Existing, overrides: Overrides = None, config: Config = None, as_json: Json = False) -> None:
    """Join again from the clips; no request is made."""
    from cluster_tts.commands import stitch_out

    result = stitch_out(out, overrides or [], config or [])
    _say_result(result, as_json)
    raise typer.Exit(result.exit_code)


@app.command()
def report(out: Existing, as_json: Json = False) -> None:
    """Write report.json and report.html again from the manifest."""
    from cluster_tts.commands import report_out

    written = report_out(out)
    if as_json:
        _print_json(written.as_dict())
    else:
        _stderr().print(f"wrote {out / 'report.json'} and {out / 'report.html'}", soft_wrap=True, highlight=False)


def main() -> NoReturn:
    """The program: one clear line for a person's mistake, and the exit code that design and README promise."""
    try:
        app()
    except JobError as error:
        _fail(str(error), error.exit_code)
    except CTTSError as error:
        _fail(str(error), EXIT_USAGE)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has left; there is nobody to complain to
        sys.exit(EXIT_UNEXPECTED)
    sys.exit(0)


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"cluster-tts: {message}\n")
    sys.exit(exit_code)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Sources and settings apart; a file that exists is a source even if its name has an equals sign."""
    settings = [text for text in arguments if SETTING.match(text) and not Path(text).exists()]
    return [text for text in arguments if text not in settings], settings


def _job(out: str | None, files: list[Path] | None, settings: list[str]) -> "Job":
    from cluster_tts.config import load

    return load(files or [], settings if out is None else [*settings, f"out={json.dumps(out)}"])


def _run_watched(job: "Job", sources: list[str], options: "RunOptions") -> "Result":
    """Run with a display, stopping in good order on SIGINT and SIGTERM and at once on a second one."""
    import asyncio
    import os
    import signal
    from dataclasses import replace

    from cluster_tts.commands import run_job
    from cluster_tts.display import shown
    from cluster_tts.errors import EXIT_CONTINUE

    async def watched() -> "Result":
        stop = asyncio.Event()

        def on_signal() -> None:
            if stop.is_set():
                os._exit(EXIT_CONTINUE)
            stop.set()
            console.print("stopping: what is in flight may end; a second signal ends at once", highlight=False)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        console = _stderr()
        with shown(console) as watch:
            return await run_job(job, sources, stop, replace(options, watch=watch))

    return asyncio.run(watched())


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _print_json(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


def _say_plan(summary: "Summary", as_json: bool) -> None:
    from dataclasses import asdict

    from cluster_tts.report import clock

    if as_json:
        _print_json(asdict(summary))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("document", "status", box=None, pad_edge=False)
    for column in ("chunks", "characters", "clips missing"):
        table.add_column(column, justify="right")
    for line in summary.documents:
        table.add_row(
            line.name, line.error or line.status, f"{line.chunks:,}", f"{line.characters:,}", f"{line.missing:,}"
        )
    console = Console()
    console.print(table)
    console.print(
        f"\n{len(summary.documents)} documents, {summary.chunks:,} chunks, {summary.characters:,} characters, "
        f"about {clock(summary.audio_s)} of audio.\n{summary.clips_there:,} of {summary.clips:,} clips are there "
        f"already; {summary.characters_to_speak:,} characters are to be spoken.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _say_result(result: "Result", as_json: bool) -> None:
    if as_json:
        _print_json(result.report.as_dict())
        return
    _say_outcome(result.report, _stderr())
    _stderr().print(f"audio, manifest and report: {result.out}", soft_wrap=True, highlight=False, markup=False)


def _say_report(report: "Report", as_json: bool) -> None:
    if as_json:
        _print_json(report.as_dict())
        return
    from rich.console import Console
    from rich.table import Table

    from cluster_tts.report import clock

    table = Table("document", "status", box=None, pad_edge=False)
    for column in ("chunks", "missing", "audio"):
        table.add_column(column, justify="right")
    for line in report.documents:
        table.add_row(line.name, line.status, f"{line.chunks:,}", f"{line.missing:,}", clock(line.duration_s))
    console = Console()
    console.print(table)
    _say_outcome(report, console)


def _say_outcome(report: "Report", console: "Console") -> None:
    from cluster_tts.report import clock

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    totals = report.as_dict()["totals"]
    say(
        f"{report.status}: {totals['documents_whole']} of {totals['documents']} documents whole, "
        f"{clock(totals['document_audio_s'])} of audio; clips spoken {totals['spoken']}, found {totals['found']}, "
        f"failed {totals['failed']}, tried again {totals['retried']}; {clock(totals['run_s'])} of work"
    )
    for line in report.documents:
        if line.status in ("incomplete", "unreadable"):
            say(f"  {line.name} is {line.status}: {line.error or f'{line.missing} clips are missing'}")
    for failure in report.failures[:20]:
        say(f"  {failure.document} #{failure.chunk_index}, {failure.kind}: {failure.message}")
    if len(report.failures) > 20:
        say(f"  and {len(report.failures) - 20} more: see report.html")
    if report.message:
        say(report.message)
