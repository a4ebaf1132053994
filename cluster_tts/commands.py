"""What each command does with a job, once its arguments have been read: run, plan, stitch, report, status."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_tts import config, documents, keys
from cluster_tts.catalogue import warnings_of
from cluster_tts.clips import Clips
from cluster_tts.errors import (
    EXIT_CONTINUE,
    EXIT_INCOMPLETE,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNEXPECTED,
    DamagedClips,
    JobError,
)
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder, join
from cluster_tts.local import LocalCrew
from cluster_tts.manifest import DocumentRow, Manifest
from cluster_tts.missing import missing_of, missing_told
from cluster_tts.model import Document, Outcome, Purse
from cluster_tts.pipeline import Crew, Run, as_incomplete, as_whole
from cluster_tts.planning import make_plan, plan_of_manifest
from cluster_tts.progress import Progress
from cluster_tts.providers import make as make_provider
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Limits
from cluster_tts.record import Record, failures, line, read_report, write_report, write_whole
from cluster_tts.report import Report, Totals, note_failure
from cluster_tts.reservations import Reservations, close_dead
from cluster_tts.spending import purse_of, refuse_budget, refuse_empty
from cluster_tts.workload import Plan, Summary, course_of, summarise
from cluster_tts.workspace import clear_document, log_file, make_room, resumable, run_id, storage

if TYPE_CHECKING:
    from cluster_tts.cluster.crew import RayCrew

log = logging.getLogger(__name__)

GRACE_S = 10.0  # what is in flight when a run is asked to stop may take so long to end


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended. ``exit_code`` is 0 only if every document is whole; ``report`` is what ``report.json`` says."""

    out: Path
    exit_code: int
    report: Report


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is told besides its job."""

    watch: Callable[[Progress], None] = lambda progress: None
    fresh: bool = False  # forget what the manifest says; clips stay
    retry_failed: bool = False  # speak only what failed
    verbose: bool = False


async def run_job(
    job: Job,
    sources: Sequence[str],
    stop: asyncio.Event,
    options: RunOptions = RunOptions(),
) -> Result:
    """Speak and join everything in ``sources``; what is there already is left alone.

    Raises:
        JobError: nothing could be done.
        Interrupted: storage failed; the same call continues. (A run that ``stop`` ended returns a result with 75.)
    """
    manifest = Manifest(job.out_dir / "manifest", run_id())
    record = Record(job.out_dir, manifest)
    try:
        if options.retry_failed and not manifest.exists:
            raise JobError(f"nothing has failed yet: '{job.out}' holds no run; leave out --retry-failed")
        found = documents.find(sources)
        make_provider(job.provider)  # an unknown voice is told now, not by a worker later
        refuse_budget(job)
        if not _joins_cluster(job):  # whose nodes may hold the key that this machine does not
            keys.require(job.provider)
        make_room(job)
        with storage(job.out_dir), log_file(job.out_dir / "run.log", options.verbose):
            for warning in warnings_of(job, datetime.now(UTC).date()):
                log.warning("%s", warning)
            log.info("run %s: %d documents, %s, engine %s", manifest.run_id, len(found), job.provider.name, job.engine)
            record.flush("running", None)
            plan = await _run(job.absolute() if job.engine == "ray" else job, found, record, stop, options)
            with resumable(job.out_dir):
                return _finish(job, plan, record, *_verdict(plan))
    except BaseException as error:
        if record.flushed or manifest.exists:  # else there is no OUT yet, and none is made to say so
            with suppress(OSError, JobError):  # which the same disk may refuse too
                record.flush(*_ending(error))
        raise


async def _run(job: Job, found: Sequence[Document], record: Record, stop: asyncio.Event, options: RunOptions) -> Plan:
    """Plan, speak and join, over whichever crew it takes; the crew is gone afterwards, whatever happens."""
    manifest = record.manifest
    close_dead(manifest.folder)
    purse = await asyncio.to_thread(purse_of, job, manifest)
    pool = _pool(job, purse)
    crew: Crew | None = None
    # Ray takes seconds to start. A new OUT has surely something to speak, so reading and cutting go on meanwhile;
    # in one that is not new the plan may well say that nothing is left to do.
    hiring = asyncio.create_task(pool.hire()) if pool is not None and not manifest.exists else None
    try:
        plan = await asyncio.to_thread(_record_plan, job, found, manifest, options)
        record.rows, record.locations = plan.rows, plan.locations
        record.purse, record.gauge.named = purse, Limits.of(job.quota)
        if not options.retry_failed:  # of what failed before it is not known how much is left of it
            record.gauge.course = await asyncio.to_thread(course_of, plan, job)
        with resumable(job.out_dir), missing_told(job, plan, record):
            record.flush("running", None)
            if plan.needs_speech and not provider_class(job.provider.name).embedded:
                refuse_empty(job, purse)
                record.reservations = Reservations(manifest.folder, manifest.run_id, job)
            if pool is not None and plan.needs_speech:
                await (hiring or pool.hire())
                crew = pool
            else:
                crew = LocalCrew(job, purse=purse)
            await Run(job, plan, record, crew, options.watch).until_done(stop, GRACE_S)
        return plan
    finally:
        if hiring is not None:
            await asyncio.gather(hiring, return_exceptions=True)
        if crew is not None and crew is not pool:
            await crew.aclose()
        if pool is not None:
            await pool.aclose()


def plan_job(job: Job, sources: Sequence[str], fresh: bool = False) -> Summary:
    """What ``run_job`` would do. Reads everything, writes nothing, asks nobody."""
    found = documents.find(sources)
    make_provider(job.provider)
    manifest = Manifest(job.out_dir / "manifest")
    with storage(job.out_dir):
        return summarise(make_plan(job, found, manifest, fresh=fresh), job, purse=purse_of(job, manifest))


def stitch_out(out: Path, settings: Sequence[str], files: Sequence[str | Path] = ()) -> Result:
    """Join every document of ``out`` again from its clips, with the settings of its run and ``settings`` over them.

    Raises:
        JobError: ``out`` holds no run, or the settings are wrong.
    """
    job = _job_of(out, settings, files)
    manifest = Manifest(out / "manifest", run_id())
    plan = plan_of_manifest(job, manifest)
    record = Record(out, manifest)
    record.rows = plan.rows
    clips = Clips(job.clips_dir, job.provider.suffix)
    with storage(out), log_file(out / "run.log", verbose=False):
        for name in plan.pending:
            row = plan.rows[name]
            if plan.completion.is_whole(name):
                order = JoinOrder(name, plan.locations[name], plan.completion.sounds(name), out, clips, job.stitching)
                try:
                    row = as_whole(row, join(order), out)
                except DamagedClips as damage:
                    row = as_incomplete(row, len(damage.clip_ids), str(damage))
            else:
                row = as_incomplete(row, plan.completion.missing(name))
            record.document(row)
        return _finish(job, plan, record, *_verdict(plan))


def report_out(out: Path) -> Report:
    """``report.json`` and ``report.html`` of ``out`` written again from its manifest, over all its runs.

    Raises:
        JobError: ``out`` holds no run.
    """
    report = status_of(out)
    with storage(out):
        write_report(out, report)
    return report


def status_of(out: Path) -> Report:
    """Where the run in ``out`` stands, from its manifest; nothing is written.

    Raises:
        JobError: ``out`` holds no run.
    """
    manifest = Manifest(out / "manifest")
    if not manifest.exists:
        raise JobError(
            f"'{out}' holds no run: there is no manifest/documents.parquet in it; "
            "give the folder that a run had as --out"
        )
    totals, failed = Totals(), dict[str, Outcome]()
    for outcome in manifest.read_outcomes():
        totals.count(outcome)
        note_failure(failed, outcome)
    rows = manifest.documents()
    last = read_report(out) or {}
    verdict = _verdict_of(rows.values())
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
        failures=tuple(failures(failed, rows.values(), manifest.plans())),
        missing=last.get("missing"),
        quota=last.get("quota"),
    )


def _pool(job: Job, purse: Purse) -> "RayCrew | None":
    if job.engine != "ray":
        return None
    from cluster_tts.cluster.crew import RayCrew  # planning and the local engine never pay for importing Ray

    return RayCrew(job, purse=purse)


def _joins_cluster(job: Job) -> bool:
    return job.engine == "ray" and bool(job.cluster.address or os.environ.get("RAY_ADDRESS"))


def _record_plan(job: Job, found: Sequence[Document], manifest: Manifest, options: RunOptions) -> Plan:
    writer = manifest.plan_writer()
    try:
        plan = make_plan(job, found, manifest, writer, fresh=options.fresh)
    except BaseException:
        writer.abandon()
        raise
    if options.retry_failed:
        plan.only_failed(manifest)
    write_whole(job.out_dir / "job.yaml", config.to_yaml(job.absolute()))
    for name in plan.stale:
        clear_document(job.out_dir, name)
    return plan


def _verdict(plan: Plan) -> tuple[str, int, str | None]:
    return _verdict_of(plan.rows.values())


def _verdict_of(rows: Iterable[DocumentRow]) -> tuple[str, int, str | None]:
    """Status, exit code and message that the documents add up to."""
    states = Counter(row.status for row in rows)
    total = states.total()
    if states["planned"]:
        return (
            "interrupted",
            EXIT_CONTINUE,
            f"interrupted: {states['whole']} of {total} documents are whole; run the same command again to continue",
        )
    if states["whole"] < total:
        return "incomplete", EXIT_INCOMPLETE, f"{total - states['whole']} of {total} documents are not whole"
    return "whole", EXIT_OK, None


def _ending(error: BaseException) -> tuple[str, int, str]:
    """Status, exit code and message of a run that an error ended."""
    if isinstance(error, JobError):
        by_code = {EXIT_CONTINUE: "interrupted", EXIT_REFUSED: "refused"}
        status = by_code.get(error.exit_code, "failed")
        return status, error.exit_code, str(error)
    if isinstance(error, Exception):
        return "failed", EXIT_UNEXPECTED, f"{type(error).__name__}: {error}"
    return "interrupted", EXIT_CONTINUE, "interrupted; run the same command again to continue"


def _finish(job: Job, plan: Plan, record: Record, status: str, exit_code: int, message: str | None) -> Result:
    record.locations, record.missing = plan.locations, asdict(missing_of(plan, job))
    report = record.flush(status, exit_code, message)
    log.info("ended %s, exit code %d%s", status, exit_code, f": {message}" if message else "")
    return Result(job.out_dir, exit_code, report)


def _job_of(out: Path, settings: Sequence[str], files: Sequence[str | Path]) -> Job:
    saved = out / "job.yaml"
    if not saved.is_file():
        raise JobError(f"'{out}' holds no run: there is no job.yaml in it; give the folder that a run had as --out")
    return replace(config.load([saved, *files], settings), out=str(out))
