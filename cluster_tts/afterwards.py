"""What can be done with what a run has left: join it again, say where it stands, write its report again."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from cluster_tts import saved_job
from cluster_tts import storage as places
from cluster_tts.clips import Clips
from cluster_tts.endings import Result, finish, verdict_of
from cluster_tts.errors import EXIT_CONTINUE, DamagedClips, Interrupted, JobError
from cluster_tts.fencing import Fence, at_work
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder, join
from cluster_tts.manifest import Manifest
from cluster_tts.pipeline import as_incomplete, as_whole
from cluster_tts.planning import plan_of_manifest
from cluster_tts.record import Listing, Record, failures, line, read_back, read_report, write_report
from cluster_tts.report import MOST_FAILURES, Report
from cluster_tts.storage import Folder
from cluster_tts.workspace import log_file, run_id, storage

log = logging.getLogger(__name__)

KILLED = "the run ended without a last word, as after a kill: run the same command again to continue"


def stitch_out(
    where: str, settings: Sequence[str], files: Sequence[str | Path] = (), tell: Callable[[str], object] = log.warning
) -> Result:
    """Join every document in ``where`` again from its clips, with the settings of its run and ``settings`` over them.

    Raises:
        JobError: ``where`` holds no run, or the settings are wrong.
        Interrupted: another run has taken over.
    """
    job, out = saved_job.load(where, settings, files), places.at(where)
    manifest = Manifest(out / "manifest", run_id())
    fence = Fence(out, manifest.run_id, manifest.newest_term)
    try:
        with storage(out):
            asyncio.run(fence.take(asyncio.Event(), tell, lambda: None))
            manifest.term = fence.term
        return _stitch(job, where, manifest, fence)
    finally:
        fence.release()


def _stitch(job: Job, where: str, manifest: Manifest, fence: Fence) -> Result:
    out, plan = places.at(where), plan_of_manifest(job, manifest)
    if manifest.damage.told:  # of what it has lost nobody can say whether it is whole
        raise Interrupted(
            f"'{manifest.damage.told[0]}' is damaged, so not everything can be joined: run the run's own command "
            "again, which mends it"
        )
    record = Record(out, manifest, fence=fence)
    record.rows, record.listing = plan.rows, Clips.of(job).listing
    clips = Clips.of(job)
    with storage(out), log_file(out, verbose=False) as record.spool:
        for name in plan.pending:
            row = plan.rows[name]
            if plan.completion.is_whole(name):
                location, sounds = plan.locations[name], plan.completion.sounds(name)
                order = JoinOrder(name, location, sounds, out, clips, job.stitching, fence.badge)
                try:
                    row = as_whole(row, join(order))
                except DamagedClips as damage:
                    row = as_incomplete(row, len(damage.clip_ids), str(damage))
            else:
                row = as_incomplete(row, plan.completion.missing(name))
            record.document(row)
        return finish(job, plan, record)


def report_out(where: str) -> Report:
    """``report.json`` and ``report.html`` in ``where`` written again from its manifest, over all its runs.

    Raises:
        JobError: ``where`` holds no run.
    """
    report, out = status_of(where), places.at(where)
    with storage(out):
        write_report(out, report)
    return report


def status_of(where: str) -> Report:
    """Where the run in ``where`` stands, from its manifest; nothing is written.

    Raises:
        JobError: ``where`` holds no run.
    """
    out = places.at(where)
    manifest = Manifest(out / "manifest")
    if not manifest.exists:
        raise JobError(
            f"'{where}' holds no run: there is no manifest/documents.parquet in it; "
            "give the folder that a run had as --out"
        )
    with storage(out):
        return manifest.steadily(lambda: _report_of(out, manifest))


def _report_of(out: Folder, manifest: Manifest) -> Report:
    totals, failed = read_back(manifest)
    rows = manifest.documents()
    last = read_report(out, manifest.damage) or {}
    if last.get("status") == "running" and not at_work(out):
        last = {**last, "status": "interrupted", "exit_code": EXIT_CONTINUE, "message": KILLED}
    missing = failures(failed, rows.values(), manifest.plans(), _listing(str(out)))
    verdict = verdict_of(rows.values())
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
    )


def _listing(where: str) -> Listing | None:
    """What tells which clips are there; None where the run's job, which says where they are kept, cannot be read."""
    try:
        return Clips.of(saved_job.load(where, (), ())).listing
    except JobError as error:
        log.warning("which clips are there is not known: %s", error)
        return None
