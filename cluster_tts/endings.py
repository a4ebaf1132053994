"""How a run ends: status, exit code and message, told by its documents or by the error that ended it."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from cluster_tts import keys
from cluster_tts.errors import EXIT_CONTINUE, EXIT_INCOMPLETE, EXIT_OK, EXIT_REFUSED, EXIT_UNEXPECTED, JobError
from cluster_tts.job import Job
from cluster_tts.manifest import DocumentRow
from cluster_tts.missing import missing_of
from cluster_tts.record import Record
from cluster_tts.report import Report
from cluster_tts.workload import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended. ``exit_code`` is 0 only if every document is whole; ``report`` is what ``report.json`` says.

    ``out`` is the path or URL as it was given: for a local one ``Path(result.out, "documents")`` has the audio.
    """

    out: str
    exit_code: int
    report: Report


def verdict_of(
    rows: Iterable[DocumentRow], failed: bool = False, postponed: bool = False
) -> tuple[str, int, str | None]:
    """Status, exit code and message that the documents add up to.

    ``failed``: clips were given up. ``postponed``: some were not asked for, because only what had failed was.
    """
    rows = list(rows)
    states = Counter(row.status for row in rows)
    total = states.total()
    if not total:
        return "interrupted", EXIT_CONTINUE, "no document is known; run the same command again to find them out"
    whole = f"{states['whole']} of {total} documents are whole"
    if states["planned"]:
        rest = "run the same command again to continue"
        if postponed:
            rest = "what has not been asked for yet is asked for without --retry-failed"
        return "interrupted", EXIT_CONTINUE, f"interrupted: {whole}; {rest}"
    if states["whole"] < total:
        again = "; --retry-failed speaks again what failed" if failed and states["incomplete"] else ""
        return "incomplete", EXIT_INCOMPLETE, f"{total - states['whole']} of {total} documents are not whole{again}"
    if alone := [row.error for row in rows if row.error]:
        return "incomplete", EXIT_INCOMPLETE, f"{len(alone)} of {total} documents have their audio, but no video"
    return "whole", EXIT_OK, None


def ending(error: BaseException) -> tuple[str, int, str]:
    """Status, exit code and message of a run that an error ended."""
    if isinstance(error, JobError):
        by_code = {EXIT_CONTINUE: "interrupted", EXIT_REFUSED: "refused"}
        status = by_code.get(error.exit_code, "failed")
        return status, error.exit_code, keys.redact(str(error))
    if isinstance(error, Exception):
        return "failed", EXIT_UNEXPECTED, keys.redact(f"{type(error).__name__}: {error}")
    return "interrupted", EXIT_CONTINUE, "interrupted; run the same command again to continue"


def finish(job: Job, plan: Plan, record: Record, kept: int = 0) -> Result:
    """Write down how the run of ``plan`` has ended; so many documents were ``kept`` as they were, short of clips."""
    status, exit_code, message = verdict_of(plan.rows.values(), bool(record.failed), bool(plan.postponed))
    if kept:
        documents, their = ("1 document was", "its") if kept == 1 else (f"{kept:,} documents were", "their")
        told = f"{documents} not joined again, for clips are gone; {their} audio of before is kept"
        message = f"{message}; {told}" if message else told
        status, exit_code = ("incomplete", EXIT_INCOMPLETE) if exit_code == EXIT_OK else (status, exit_code)
    record.locations, record.missing = plan.locations, asdict(missing_of(plan, job))
    report = record.flush(status, exit_code, message)
    log.info("ended %s, exit code %d%s", status, exit_code, f": {message}" if message else "")
    return Result(job.out, exit_code, report)
