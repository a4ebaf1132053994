"""What the commands that speak do with a job, once their arguments have been read: run and plan."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_tts import documents, keys, media, saved_job
from cluster_tts import storage as places
from cluster_tts.catalogue import warnings_of
from cluster_tts.clips import Clips
from cluster_tts.documents import urls
from cluster_tts.documents.reading import Reading
from cluster_tts.endings import Result, ending, finish
from cluster_tts.errors import DocumentError, Interrupted, JobError
from cluster_tts.fencing import Fence
from cluster_tts.figures import snapshot
from cluster_tts.job import Job
from cluster_tts.local import LocalCrew
from cluster_tts.logs import Style
from cluster_tts.manifest import Manifest
from cluster_tts.missing import missing_told
from cluster_tts.model import Document, Purse
from cluster_tts.pipeline import Crew, Run
from cluster_tts.planning import MOST_NAMED, make_plan
from cluster_tts.progress import Progress
from cluster_tts.providers import make as make_provider
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Limits
from cluster_tts.record import Record, write_whole
from cluster_tts.reservations import Reservations, close_dead
from cluster_tts.spending import purse_of, refuse_budget, refuse_empty
from cluster_tts.stitching import require_format
from cluster_tts.submitted import refuse_relative, submission
from cluster_tts.workload import Plan, Summary, course_of, summarise
from cluster_tts.workspace import (
    IN_THE_WAY,
    absolute,
    clear_document,
    log_file,
    make_room,
    resumable,
    run_id,
    storage,
    sweep,
)

if TYPE_CHECKING:
    from cluster_tts.cluster.crew import RayCrew

log = logging.getLogger(__name__)

GRACE_S = 10.0  # what is in flight when a run is asked to stop may take so long to end


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is told besides its job."""

    watch: Callable[[Progress], None] = lambda progress: None
    fresh: bool = False  # forget what the manifest says; clips stay
    retry_failed: bool = False  # speak only what failed
    verbose: bool = False
    tell: Callable[[str], object] = log.warning  # a line for a person: whom the run waits for


async def run_job(
    job: Job,
    sources: Sequence[str],
    stop: asyncio.Event,
    options: RunOptions = RunOptions(),
) -> Result:
    """Speak and join everything in ``sources``; what is there already is left alone.

    Raises:
        JobError: nothing could be done.
        Interrupted: storage failed, or another run has taken over; the same call continues. (A run that ``stop``
            ended returns a result with 75.)
    """
    refuse_relative("--out", job.out)
    refuse_relative("clips.dir", job.clips.dir)
    out = places.at(job.out)
    # Where plans stand is told to joiners, which may have been started elsewhere.
    manifest = Manifest((out.absolute() if job.engine == "ray" else out) / "manifest", run_id(), mends=True)
    fence = Fence(out, manifest.run_id, manifest.newest_term)
    record = Record(out, manifest, fence=fence)
    record.submitted = submission()
    try:
        with storage(out):
            if options.retry_failed and not manifest.exists:
                raise JobError(f"nothing has failed yet: '{job.out}' holds no run; leave out --retry-failed")
        found = documents.find(sources, Reading.of(job))
        refuse_unready(job, found)
        refuse_budget(job)
        if not _joins_cluster(job):  # whose nodes may hold the key that this machine does not
            keys.require(job.provider)
        make_room(job)
        with storage(out):
            await fence.take(stop, options.tell, partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set))
            manifest.term = fence.term
        style = Style(job.logging.format, manifest.run_id)
        with storage(out), log_file(out, options.verbose, fence, style) as record.spool, resumable(out, IN_THE_WAY):
            await asyncio.to_thread(sweep, job)
            for warning in warnings_of(job, datetime.now(UTC).date()):
                log.warning("%s", warning)
            log.info("run %s: %d documents, %s, engine %s", manifest.run_id, len(found), job.provider.name, job.engine)
            if record.submitted:
                log.info("submitted as %(submission_id)s, runs on %(node)s, Ray %(ray_version)s", record.submitted)
            record.flush("running", None)
            plan = await _run(absolute(job) if job.engine == "ray" else job, found, record, stop, options)
            await asyncio.to_thread(sweep, job, clips=bool(record.totals.errors["worker_died"]))
            return finish(job, plan, record)
    except BaseException as error:
        with suppress(OSError, JobError):  # which the same disk may refuse too, and another run's OUT is its own
            # Without either there is no OUT yet, and none is made to say so.
            if (record.flushed or manifest.exists) and (fence.owns or fence.try_once()):
                manifest.term = fence.term
                record.flush(*ending(error))
        if fence.error is not None and isinstance(error, Exception):  # whatever it stumbled over after that
            raise fence.error from error
        raise
    finally:
        fence.release()


async def _run(job: Job, found: Sequence[Document], record: Record, stop: asyncio.Event, options: RunOptions) -> Plan:
    """Plan, speak and join, over whichever crew it takes; the crew is gone afterwards, whatever happens."""
    manifest, out = record.manifest, places.at(job.out)
    close_dead(manifest.folder, out / "clips", manifest.damage)
    purse = await asyncio.to_thread(purse_of, job, manifest)
    pool = _pool(job, purse, manifest.run_id, found)
    crew: Crew | None = None
    # Ray takes seconds to start. A new OUT has surely something to speak, so reading and cutting go on meanwhile;
    # in one that is not new the plan may well say that nothing is left to do.
    hiring = asyncio.create_task(pool.hire()) if pool is not None and not manifest.exists else None
    try:
        plan = await asyncio.to_thread(_record_plan, job, _unless(stop, found), record, options)
        record.rows, record.locations, record.listing = plan.rows, plan.locations, Clips.of(job).listing
        record.purse, record.quota, record.gauge.named = purse, job.quota, Limits.of(job.quota)
        if not options.retry_failed:  # of what failed before it is not known how much is left of it
            record.gauge.course = await asyncio.to_thread(course_of, plan, job)
        with resumable(out), missing_told(job, plan, record):
            record.flush("running", None)
            if plan.needs_speech and not provider_class(job.provider.name).embedded:
                refuse_empty(job, purse)
                record.reservations = Reservations(manifest.folder, manifest.run_id, job)
            if pool is not None and plan.needs_speech and (hiring or not stop.is_set()):
                await (hiring or pool.hire())
                pool.publish(lambda: snapshot(record.totals, record.states, record.gauge, record.budget_left))
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
    found = documents.find(sources, Reading.of(job))
    refuse_unready(job, found)
    out = places.at(job.out)
    manifest = Manifest(out / "manifest")
    with storage(out):
        purse = manifest.steadily(lambda: purse_of(job, manifest))
        return summarise(manifest.steadily(lambda: make_plan(job, found, manifest, fresh=fresh)), job, purse=purse)


def refuse_unready(job: Job, found: Sequence[Document]) -> None:
    """Raise ``JobError`` for a voice that the provider does not know, for a video that takes no sound track, and for
    what is needed and not installed: now, instead of when something has been paid."""
    require_format(job.stitching)
    _refuse_videos(job, found)
    of_others = {*job.voices.values(), *(document.voice for document in found)}
    for voice in sorted({job.provider.voice or "", *(voice for voice in of_others if voice)}):
        make_provider(replace(job.provider, voice=voice or None))


def _refuse_videos(job: Job, found: Sequence[Document]) -> None:
    """Raise ``JobError`` for videos that take no sound track. Of those in buckets only the names are looked at."""
    videos = {document.video for document in found if document.video is not None}
    if not videos:
        return
    media.require()
    complaints = [complaint for video in sorted(videos, key=str) if (complaint := _complaint_of(video, job))]
    if complaints:
        more = f"; and {len(complaints) - MOST_NAMED} more like these" if len(complaints) > MOST_NAMED else ""
        raise JobError(f"{'; '.join(complaints[:MOST_NAMED])}{more}; or set media.video=none")


def _complaint_of(video: Path | str, job: Job) -> str | None:
    """What keeps a video from getting a sound track."""
    try:
        str(video).encode()  # the manifest, by which it is found again, holds nothing else
        if isinstance(video, Path):
            media.check(video, job.media)
        else:
            media.refuse_container(video, urls.suffix(video))
    except UnicodeEncodeError:
        return f"'{str(video).encode(errors='replace').decode()}' has a name that is not UTF-8: rename it"
    except DocumentError as error:
        return str(error)
    except OSError as error:
        return f"'{video}' cannot be read: {error.strerror or error}"
    return None


def _pool(job: Job, purse: Purse, run: str, found: Sequence[Document]) -> "RayCrew | None":
    if job.engine != "ray":
        return None
    from cluster_tts.cluster.crew import RayCrew  # planning and the local engine never pay for importing Ray

    videos = [document.video for document in found if isinstance(document.video, Path)]
    return RayCrew(job, purse=purse, run_id=run, videos=videos)


def _joins_cluster(job: Job) -> bool:
    return job.engine == "ray" and bool(job.cluster.address or os.environ.get("RAY_ADDRESS"))


def _unless(stop: asyncio.Event, found: Sequence[Document]) -> Iterator[Document]:
    """The documents as long as nobody wants to stop: reading thousands of them takes minutes."""
    for document in found:
        if stop.is_set():
            raise Interrupted("stopped before all documents were read; run the same command again to continue")
        yield document


def _record_plan(job: Job, found: Iterable[Document], record: Record, options: RunOptions) -> Plan:
    manifest = record.manifest
    writer = manifest.plan_writer()
    try:
        plan = make_plan(job, found, manifest, writer, fresh=options.fresh)
    except BaseException:
        writer.abandon()
        raise
    _remove_damaged(job, plan)
    if options.retry_failed:
        plan.only_failed(manifest)
    out = places.at(job.out)
    if record.fence is not None:
        record.fence.check()  # reading and cutting take their time
    write_whole(out, saved_job.NAME, saved_job.text_of(job))
    for name in plan.stale:
        clear_document(out, name)
    return plan


def _remove_damaged(job: Job, plan: Plan) -> None:
    """Have clips that were cut short or swapped spoken again. In a folder of many runs another may have made them anew
    since: workers look at those."""
    for clip_id in () if job.clips.dir else sorted(plan.differing):
        log.warning("clip %s is not of the size that was measured: it was changed, and is spoken again", clip_id)
        Clips.of(job).remove(clip_id)
