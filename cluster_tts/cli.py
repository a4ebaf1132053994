"""argv to a job, and a result to words and an exit code. What each command does is in ``commands``.

Imports are inside the commands: ``--help`` answers at once, ``plan`` never imports Ray.
"""

import json
import logging
import os
import re
import sys
import traceback
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from cluster_tts.emulator.command import emulate
from cluster_tts.errors import (
    EXIT_CONTINUE,
    EXIT_INCOMPLETE,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    CTTSError,
    JobError,
)

if TYPE_CHECKING:
    from cluster_tts.endings import Result
    from cluster_tts.job import Job
    from cluster_tts.report import Report
    from cluster_tts.workload import Summary

app = typer.Typer(
    name="cluster-tts",
    help="Turns many documents into finished audio, at the full speed an account allows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich for it took half of the time to answer
    context_settings={"help_option_names": ["-h", "--help"]},
)

SETTING = re.compile(r"[A-Za-z_][\w.]*(?:\[[^]=]+\][\w.]*)*=", re.ASCII)

TYPER_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt; older ones raise Abort

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE|key=value", help="Files, folders, globs, URLs; settings as key=value.")
]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="A folder or storage URL (default: out).")]
Config = Annotated[
    list[Path] | None,
    typer.Option("-c", "--config", metavar="FILE", help="A file of settings (YAML), or a job of ours: digest."),
]
Existing = Annotated[str, typer.Argument(metavar="OUT", help="What an earlier run had as --out.")]
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
    from datetime import UTC, datetime

    from cluster_tts.catalogue import warnings_of
    from cluster_tts.commands import RunOptions, plan_job
    from cluster_tts.watched import run_watched

    if retry_failed and (fresh or dry_run):
        other = "--fresh forgets what failed" if fresh else "--dry-run tells of a whole run"
        raise JobError(f"--retry-failed cannot be combined: {other}; leave out one of them")
    sources, settings = _split(arguments)
    if sequential:
        settings += ["engine=local", "workers.slots=1"]
    job = _job(out, config, settings)
    if dry_run:
        raise typer.Exit(_say_plan(plan_job(job, sources, fresh), as_json))
    options = RunOptions(fresh=fresh, retry_failed=retry_failed, verbose=verbose)
    for warning in warnings_of(job, datetime.now(UTC).date()):
        _say_error(warning)
    result = run_watched(job, sources, options, _print_ended if as_json else None)
    _say_result(result, as_json)
    raise typer.Exit(result.exit_code)


@app.command()
def plan(
    arguments: Sources, out: Out = None, config: Config = None, fresh: Fresh = False, as_json: Json = False
) -> None:
    """Say what a run would do; ask nobody, write nothing."""
    from cluster_tts.commands import plan_job

    sources, settings = _split(arguments)
    raise typer.Exit(_say_plan(plan_job(_job(out, config, settings), sources, fresh), as_json))


@app.command()
def status(out: Existing, as_json: Json = False) -> None:
    """Say where a run stands; which items failed, and why."""
    from cluster_tts.afterwards import status_of

    _say_report(status_of(out), as_json)


@app.command()
def stitch(out: Existing, overrides: Overrides = None, config: Config = None, as_json: Json = False) -> None:
    """Join again from the clips; no request is made."""
    from cluster_tts.afterwards import stitch_out

    result = stitch_out(out, overrides or [], config or [], _say_error)
    _say_result(result, as_json)
    raise typer.Exit(result.exit_code)


@app.command()
def report(out: Existing, as_json: Json = False) -> None:
    """Write report.json and report.html again from the manifest."""
    from cluster_tts.afterwards import report_out
    from cluster_tts.display import PlainConsole
    from cluster_tts.storage import at

    written = report_out(out)
    if as_json:
        _print_json(written.as_dict())
    else:
        PlainConsole(stderr=True).say(f"wrote {at(out).address('report.json')} and {at(out).address('report.html')}")


@app.command()
def voices(overrides: Overrides = None, config: Config = None, as_json: Json = False) -> None:
    """List what the chosen provider can speak with."""
    import asyncio
    from dataclasses import asdict

    from cluster_tts.display import show_voices
    from cluster_tts.providers import voices_of

    found = asyncio.run(voices_of(_job(None, config, overrides or []).provider))
    if as_json:
        _print_json({"voices": [asdict(voice) for voice in found]})
    else:
        show_voices(found)


app.command()(emulate)


def main() -> NoReturn:
    """The program: one clear line for a person's mistake, and the exit code that design and README promise."""
    _prepare_streams()
    try:
        exit_code = _answer()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has left, as `head` does: there is nobody to complain to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_code = EXIT_UNEXPECTED
    sys.exit(exit_code)


def _answer() -> int:
    try:
        if (exit_code := app(standalone_mode=False) or EXIT_OK) == TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        return int(exit_code)
    except typer.TyperException as error:
        cast(typer.BadParameter, error).show()  # with the hint where to find help
        return _told(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _told(_say_error("interrupted; run it again"), EXIT_CONTINUE)
    except CTTSError as error:
        return _told(_say_error(str(error)), error.exit_code if isinstance(error, JobError) else EXIT_USAGE)
    except Exception as error:  # noqa: BLE001 - a defect: one line for the person, the traceback for us
        from cluster_tts import keys

        with NamedTemporaryFile("w", prefix="cluster-tts-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(keys.redact(traceback.format_exc()))
        what = f"unexpected {type(error).__name__}: {error}; please report it together with '{file.name}'"
        return _told(_say_error(what), EXIT_UNEXPECTED)


def _prepare_streams() -> None:
    """What was closed swallows everything; what cannot hold a character gets it escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A guessed encoding is for whoever gave the text, a damaged file for whoever keeps it. The rest is for run.log.
    logging.getLogger("cluster_tts").addHandler(logging.NullHandler())
    for name in "cluster_tts.documents", "cluster_tts.damage":
        if not (logger := logging.getLogger(name)).handlers:
            logger.addHandler(_Warnings(logging.WARNING))


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say_error(record.getMessage())


def _say_error(message: str) -> str:
    from cluster_tts import keys
    from cluster_tts.display import one_line

    message = keys.redact(message)
    with suppress(OSError):
        sys.stderr.write(f"cluster-tts: {one_line(message)}\n")
    return message


def _told(message: str, exit_code: int) -> int:
    """The exit code of a command that failed with ``message``, told to machines too where they listen."""
    if "--json" in sys.argv:
        _print_ended(message, exit_code)
    return exit_code


def _print_ended(message: str, exit_code: int) -> None:
    """The summary of a command that has no more to say."""
    status = {EXIT_CONTINUE: "interrupted", EXIT_REFUSED: "refused"}.get(exit_code, "failed")
    _print_json({"status": status, "exit_code": exit_code, "message": message})


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Sources and settings apart; a file that exists is a source even if its name has an equals sign."""
    settings = [text for text in arguments if SETTING.match(text) and not os.path.exists(text)]  # noqa: PTH110 - Path raises
    return [text for text in arguments if text not in settings], settings


def _job(out: str | None, files: list[Path] | None, settings: list[str]) -> "Job":
    from cluster_tts.config import load

    return load(files or [], settings if out is None else [*settings, {"out": out}])


def _print_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")  # in ASCII: any terminal can show it, and any file name is in it


def _say_plan(summary: "Summary", as_json: bool) -> int:
    """Show the plan; 3 where documents cannot be read, as the run itself would say."""
    from dataclasses import asdict

    from cluster_tts.display import show_plan

    if as_json:
        _print_json(asdict(summary))
    else:
        show_plan(summary)
    return EXIT_INCOMPLETE if any(line.error for line in summary.documents) else EXIT_OK


def _say_result(result: "Result", as_json: bool) -> None:
    from cluster_tts.display import PlainConsole, show_outcome

    if as_json:
        _print_json(result.report.as_dict())
    else:
        show_outcome(result.report, PlainConsole(stderr=True), result.out)


def _say_report(report: "Report", as_json: bool) -> None:
    from cluster_tts.display import show_report

    if as_json:
        _print_json(report.as_dict())
    else:
        show_report(report)
