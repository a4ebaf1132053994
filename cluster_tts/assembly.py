"""From a plan to the joining of one of its documents, and from what came of it to the document's row."""

from dataclasses import replace

from cluster_tts import storage
from cluster_tts.clips import Clips
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder, Standing
from cluster_tts.manifest import DocumentRow
from cluster_tts.stitching import Joined
from cluster_tts.workload import Plan


def order_of(job: Job, plan: Plan, name: str, fence: Standing | None, only_items: bool = False) -> JoinOrder:
    """All that joining the document ``name`` takes: the whole of it, or those of its items that lack nothing."""
    return JoinOrder(
        name, plan.locations[name], plan.completion.sounds(name), storage.at(job.out), Clips.of(job), job.stitching,
        fence, timeline=job.timeline, media=job.media, video=video_of(job, plan.rows[name]), only_items=only_items,
        replaces=name in plan.again,
    )  # fmt: skip


def video_of(job: Job, row: DocumentRow) -> str | None:
    """The video that the document is to become the sound of."""
    return None if job.media.video == "none" else row.video_source


def as_planned(row: DocumentRow, join_key: str | None) -> DocumentRow:
    """``row`` of a document that is to be joined from what ``join_key`` names, and until then has no audio."""
    return _silent(replace(row, status="planned", join_key=join_key))


def as_incomplete(row: DocumentRow, missing: int, error: str | None = None) -> DocumentRow:
    """``row`` of a document that lacks clips, and hence has no audio."""
    return _silent(replace(row, status="incomplete", missing=missing), error)


def _silent(row: DocumentRow, error: str | None = None) -> DocumentRow:
    return replace(
        row, error=error, duration_s=None, path=None, size_bytes=None, sha256=None, video=None, video_size_bytes=None
    )


def as_whole(row: DocumentRow, joined: Joined) -> DocumentRow:
    """``row`` once its document has been joined. Where it has an ``error``, that is why its video is none."""
    return replace(
        row,
        status="whole",
        missing=0,
        duration_s=joined.seconds,
        path=joined.path,
        size_bytes=joined.size_bytes,
        sha256=joined.sha256,
        video=joined.video,
        video_size_bytes=joined.video_size_bytes,
        error=joined.complaint,
    )
