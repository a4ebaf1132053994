"""What can be done with what a run has left: join it again, say where it stands, write its report again."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from cluster_tts import saved_job
from cluster_tts import storage as places
from cluster_tts.assembly import as_incomplete, as_planned, as_whole, order_of
from cluster_tts.clips import Clips
from cluster_tts.endings import Result, ending, finish, verdict_of
from cluster_tts.errors import EXIT_CONTINUE, DamagedClips, DocumentError, Interrupted, JobError
from cluster_tts.fencing import Fence, at_work
from cluster_tts.job import Job
from cluster_tts.joining import join
from cluster_tts.logs import Style
from cluster_tts.manifest import DocumentRow, Manifest
from cluster_tts.planning import plan_of_manifest
from cluster_tts.record import Listing, Record, failures, line, read_back, read_report, still_missing, write_report
from cluster_tts.report import MOST_FAILURES, Report
from cluster_tts.storage import Folder
from cluster_tts.submitted import refuse_relative, submission
from cluster_tts.workload import Plan
from cluster_tts.workspace import clear_document, log_file, run_id, storage

log = logging.getLogger(__name__)

MOST_NAMED = 20  # documents in one line
KILLED = "the run ended without a last word, as after a kill: run the same command again to continue"

UNKNOWN = (
    "no document of the run can be told, for what the manifest says of them is damaged: run the run's own command "
    "again, which mends it"
)


def stitch_out(
    where: str, settings: Sequence[str], files: Sequence[str | Path] = (), tell: Callable[[str], object] = log.warning
) -> Result:
    """Join every document in ``where`` again from its clips, with the settings of its run and ``settings`` over them.

    Raises:
        JobError: ``where`` holds no run, or the settings are wrong.
        Interrupted: another run has taken over.
    """
    refuse_relative("OUT", where)
    job, out = saved_job.load(where, settings, files), places.at(where)
    manifest = Manifest(out / "manifest", run_id())
    fence = Fence(out, manifest.run_id, manifest.newest_term)
    record = Record(out, manifest, fence=fence)
    try:
        with storage(out):
            asyncio.run(fence.take(asyncio.Event(), tell, lambda: None))
            manifest.term = fence.term
        with storage(out):
            before, plan = manifest.documents(), plan_of_manifest(job, manifest)
        _refuse_lost(manifest, plan)
        result, kept = _stitch(job, out, plan, before, record)
        if kept:
            more = f" and {len(kept) - MOST_NAMED:,} more" if len(kept) > MOST_NAMED else ""
            tell(f"not joined again: {', '.join(kept[:MOST_NAMED])}{more}")
        return result
    except BaseException as error:
        if record.flushed:
            with suppress(OSError, JobError):  # which the same disk may refuse too
                record.flush(*ending(error))
        raise
    finally:
        fence.release()


def _refuse_lost(manifest: Manifest, plan: Plan) -> None:
    """Raise ``Interrupted`` where the manifest has lost what would have to be known: nobody can say what is whole."""
    if manifest.damage.told:
        raise Interrupted(
            f"'{manifest.damage.told[0]}' is damaged, so not everything can be joined: run the run's own command "
            "again, which mends it"
        )
    for name, row in plan.rows.items():
        if row.status != "unreadable" and name not in plan.locations:
            raise Interrupted(f"the plan of '{name}' is gone: run the run's own command again, which makes it anew")


def _stitch(
    job: Job, out: Folder, plan: Plan, before: Mapping[str, DocumentRow], record: Record
) -> tuple[Result, list[str]]:
    """How it ended, and the documents that keep their audio of ``before`` because clips of theirs are gone."""
    kept: list[str] = []
    record.rows, record.listing, record.submitted = plan.rows, Clips.of(job).listing, submission()
    badge = record.fence and record.fence.badge
    style = Style(job.logging.format, record.manifest.run_id)
    with storage(out), log_file(out, verbose=False, style=style) as record.spool:
        rows = dict(plan.rows)
        for name, row in rows.items():  # before files are replaced that the rows of before would still take for whole
            if name in plan.again:
                is_kept = plan.completion.missing(name) and _has_audio(out, before[name])
                record.document(before[name] if is_kept else as_planned(row, row.join_key))
        record.flush("running", None)
        for name in plan.pending:
            row, missing, error = rows[name], plan.completion.missing(name), None
            if not missing:
                try:
                    joined = join(order_of(job, plan, name, badge))
                    assert joined is not None, "a whole document is joined as a whole"
                    row = as_whole(row, joined)
                    if joined.complaint:
                        log.warning("%s has its audio, but no video: %s", name, joined.complaint)
                except DamagedClips as damage:
                    missing, error = len(damage.clip_ids), str(damage)
                except DocumentError as lost:
                    log.error("%s was not joined: %s", name, lost)
                    error = str(lost)
            if missing and _has_audio(out, before[name]):
                kept.append(name)
                row = before[name]  # and no run buys the clips again that its audio was joined from
            elif missing or error:
                row = as_incomplete(row, missing, error)
                clear_document(out, name)
            record.document(row)
            record.beat()
        return finish(job, plan, record, len(kept)), kept


def _has_audio(out: Folder, row: DocumentRow) -> bool:
    """Whether the document's own file stands as it was joined."""
    return row.status == "whole" and row.path is not None and out.size(row.path) == row.size_bytes


def report_out(where: str) -> Report:
    """``report.json`` and ``report.html`` in ``where`` written again from its manifest, over all its runs.

    Raises:
        JobError: ``where`` holds no run, or a run is at work on it.
    """
    refuse_relative("OUT", where)
    report, out = status_of(where), places.at(where)
    with storage(out):
        if at_work(out):
            raise JobError(f"a run is at work on '{where}' and writes its own report; use status")
        write_report(out, report)
    return report


def status_of(where: str) -> Report:
    """Where the run in ``where`` stands, from its manifest; nothing is written.

    Raises:
        JobError: ``where`` holds no run.
    """
    out = places.at(where)
    manifest = Manifest(out / "manifest")
    with storage(out):
        if not manifest.exists:
            raise saved_job.no_run(where, "manifest/documents.parquet")
        return manifest.steadily(lambda: _report_of(out, manifest))


def _report_of(out: Folder, manifest: Manifest) -> Report:
    totals, failed = read_back(manifest)
    rows = still_missing(manifest.documents(), manifest)
    last = read_report(out, manifest.damage) or {}
    if last.get("status") == "running" and not at_work(out):
        last = {**last, "status": "interrupted", "exit_code": EXIT_CONTINUE, "message": KILLED}
    elif not rows and last.get("status") != "running":
        last = {**last, "status": "interrupted", "exit_code": EXIT_CONTINUE, "message": UNKNOWN}
    plans = manifest.plans()
    missing = failures(failed, rows.values(), plans, _listing(str(out)))
    verdict = verdict_of(rows.values(), bool(failed))
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Report(
        run_id=str(last.get("run_id", "")),
        status=str(last.get("status", verdict[0])),
        exit_code=last["exit_code"] if "exit_code" in last else verdict[1],
        started_at=str(last.get("started_at", now)),
        heartbeat=str(last.get("heartbeat", now)),
        message=last.get("message"),
        totals=totals.as_dict(float(last.get("totals", {}).get("run_s", 0.0))),
        documents=tuple(line(row, totals.by_document.get(row.document)) for row in rows.values()),
        failures=tuple(islice(missing, MOST_FAILURES)),
        missing=last.get("missing"),
        quota=last.get("quota"),
        job=last.get("job"),
    )


def _listing(where: str) -> Listing | None:
    """What tells which clips are there; None where the run's job, which says where they are kept, cannot be read."""
    try:
        return Clips.of(saved_job.load(where, (), ())).listing
    except JobError as error:
        log.warning("which clips are there is not known: %s", error)
        return None
