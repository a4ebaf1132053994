"""What a run has to do: documents read and cut, set against the clips and the plan that are there already."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cluster_tts import storage
from cluster_tts.assembly import as_planned, video_of
from cluster_tts.clips import Clips
from cluster_tts.completion import Completion
from cluster_tts.cutting import MEASURES, Measure
from cluster_tts.documents import urls
from cluster_tts.drafting import Drafting, digest_of
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import Job
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation, PlannedChunk, PlanReader, PlanWriter
from cluster_tts.model import PLAIN, Chunk, Document, Role
from cluster_tts.stitching import BESIDE
from cluster_tts.storage import Folder
from cluster_tts.workload import Plan

log = logging.getLogger(__name__)

MOST_NAMED = 5  # documents in one message


def make_plan(
    job: Job,
    documents: Iterable[Document],
    manifest: Manifest,
    writer: PlanWriter | None = None,
    fresh: bool = False,
) -> Plan:
    """The plan for ``documents``. With a ``writer`` new plans are recorded; without one nothing is written.

    A document that was neither edited nor is cut otherwise now keeps its plan unread. With ``fresh`` nothing the
    manifest says is believed: every document is cut and joined anew, and workers look at every clip.

    Raises:
        JobError: there is no document that can be read.
    """
    drafting = Drafting(job)
    known, located, reader = manifest.documents(), manifest.plans(), PlanReader()
    plan = Plan(context_characters=job.chunking.context_characters)
    measure, units_per_character = MEASURES[job.model.unit], dict[str, float]()
    for document in drafting.in_turn(documents):
        plan.completion.add(document.name)
        old = known.get(document.name)
        before = _Before(old, located.get(document.name), reader, believed=not fresh)
        tally = _Tally(plan.completion, document.name, measure)
        try:
            plan.rows[document.name] = _plan_document(drafting, document, before, tally, writer)
            units_per_character[document.name] = tally.units / max(tally.characters, 1)
        except DocumentError as error:
            log.error("%s", error)
            plan.completion.release(document.name)
            plan.rows[document.name] = DocumentRow(
                document=document.name,
                source=_printable(document.source),
                status="unreadable",
                error=_printable(error),
                generation=before.generation + 1,
            )
    if not any(row.status != "unreadable" for row in plan.rows.values()):
        errors = [row.error or "" for row in plan.rows.values()]
        more = f"; and {len(errors) - MOST_NAMED} more like these" if len(errors) > MOST_NAMED else ""
        raise JobError("; ".join(errors[:MOST_NAMED]) + more)
    written = writer.close() if writer else {}
    plan.locations = {
        name: written.get(name) or located[name]
        for name, row in plan.rows.items()
        if row.status != "unreadable" and (name in written or name in located)
    }
    plan.distinct_clips = plan.completion.clips
    on_disk = dict(Clips.of(job).listing())
    plan.differing = set() if fresh else _note_clips(plan, on_disk, manifest)
    for damaged in plan.differing:
        del on_disk[damaged]
    _note_documents(plan, job, known, fresh)
    _note_missing(plan, on_disk, units_per_character)
    return plan


def plan_of_manifest(job: Job, manifest: Manifest) -> Plan:
    """The plan that the manifest holds, every document to be joined again; sources are not looked at.

    Raises:
        JobError: there is no manifest.
    """
    if not manifest.exists:
        raise JobError(f"'{job.out}' holds no run: there is no manifest/documents.parquet in it")
    plan = Plan(manifest.documents(), manifest.plans(), context_characters=job.chunking.context_characters)
    reader = PlanReader()
    for name, row in plan.rows.items():
        if row.status != "unreadable" and name in plan.locations:
            plan.completion.add(name)
            for planned in reader.chunks(plan.locations[name]):
                plan.completion.need(name, planned.clip_id, len(planned.text))
            plan.pending.append(name)
            plan.again.add(name)
    _note_clips(plan, Clips.of(job).listing(), manifest)
    for name in plan.pending:
        plan.rows[name] = replace(plan.rows[name], join_key=_join_key(job, plan.rows[name]))
    return plan


@dataclass(frozen=True, slots=True)
class _Before:
    """What an earlier run left of a document: its row, its newest plan, and whether they are to be believed."""

    row: DocumentRow | None
    plan: PlanLocation | None
    reader: PlanReader
    believed: bool

    @property
    def generation(self) -> int:
        """The highest there is. A run that was killed may have left a plan newer than the row."""
        return max(self.row.generation if self.row else -1, self.plan.generation if self.plan else -1)

    def chunks(self) -> Iterator[PlannedChunk]:
        """What the plan says, as far as it is to be believed."""
        return self.reader.chunks(self.plan) if self.plan and self.believed else iter(())


def _plan_document(
    drafting: Drafting, document: Document, before: _Before, tally: "_Tally", writer: PlanWriter | None
) -> DocumentRow:
    key, old, location = drafting.key(document), before.row, before.plan if before.believed else None
    if old and location and old.plan_key == key and old.generation == location.generation:
        for planned in before.chunks():
            tally.add(planned.paragraph, planned.clip_id, planned.text, planned.role)
        return replace(old, source=_printable(document.source), video_source=_video_of(document))
    earlier = (planned.text for planned in before.chunks())
    chunks = tally.count(drafting.chunks(document, earlier))
    generation = before.generation + 1
    if writer is not None:
        writer.write(chunks, generation)
    else:
        for _ in chunks:
            pass
    return DocumentRow(
        document=document.name,
        source=_printable(document.source),
        video_source=_video_of(document),
        status="planned",
        chunks=tally.chunks,
        characters=tally.characters,
        plan_key=key,
        plan_digest=tally.digest.hexdigest(),
        generation=generation,
    )


class _Tally:
    """Counts the chunks of a document as they flow by, so that no document is ever held whole."""

    def __init__(self, completion: Completion, document: str, measure: Measure) -> None:
        self._completion = completion
        self._document = document
        self._measure = measure
        self.chunks = 0
        self.characters = 0
        self.units = 0  # as the model counts characters
        self.digest = hashlib.sha256()

    def count(self, chunks: Iterable[tuple[Chunk, str]]) -> Iterator[tuple[Chunk, str]]:
        for piece, identity in chunks:
            self.add(piece.paragraph, identity, piece.text, piece.role)
            yield piece, identity

    def add(self, paragraph: int, identity: str, text: str, role: Role) -> None:
        self._completion.need(self._document, identity, len(text))
        self.chunks += 1
        self.characters += len(text)
        self.units += self._measure(text)
        self.digest.update(f"{paragraph} {identity}{'' if role == PLAIN else f' {role}'}\n".encode())


def _note_clips(plan: Plan, sizes: Mapping[str, int], manifest: Manifest) -> set[str]:
    """Count the clips that stand on disk in the size that the manifest knows; those that have another, for a worker
    to look at, as it does at those that the manifest does not know."""
    differing: set[str] = set()
    for identity, sound in manifest.sounds() if sizes else ():
        if sizes.get(identity) == sound.size_bytes:
            plan.completion.have(identity, sound)  # of two measurements the later counts
            differing.discard(identity)
        elif identity in sizes and plan.completion.needs(identity):
            differing.add(identity)
    return differing


def _note_missing(plan: Plan, on_disk: Collection[str], units_per_character: Mapping[str, float]) -> None:
    """Count what is to be spoken, in all and by document."""
    missing: Counter[str] = Counter()
    for identity, characters, documents in plan.completion.lacking():
        if identity not in on_disk:
            plan.clips_to_speak += 1
            plan.sizes_to_speak.append(characters)
            plan.characters_to_speak += characters
            plan.units_to_speak += characters * units_per_character[documents[0]]
            missing.update(documents)
    for name in plan.pending:
        plan.rows[name] = replace(plan.rows[name], missing=missing[name])


def _note_documents(plan: Plan, job: Job, known: Mapping[str, DocumentRow], fresh: bool) -> None:
    """Tell for every document whether its audio is there already, and joined from just this."""
    out = storage.at(job.out)
    sizes = {entry.name: entry.size_bytes for entry in out.files("documents")} if known and not fresh else {}

    def size(name: str) -> int | None:
        return sizes.get(name) if "/." not in name else out.size(name)  # a listing leaves out what is hidden

    for name, row in list(plan.rows.items()):
        old = known.get(name)
        if row.status == "unreadable":
            plan.stale.append(name)
            continue
        key = _join_key(job, row)
        is_current = not fresh and old is not None and old.status == "whole" and not old.error and old.join_key == key
        if is_current and old and _is_there(old, size) and (not job.stitching.each_item or _has_items(out, old, size)):
            plan.completion.release(name)
            plan.rows[name] = _as_it_was(row, old)
            continue
        if old is None or old.plan_digest != row.plan_digest:
            plan.stale.append(name)
        plan.pending.append(name)
        if old is not None:
            plan.again.add(name)
        plan.rows[name] = as_planned(row, key)


def _as_it_was(row: DocumentRow, old: DocumentRow) -> DocumentRow:
    """``row``, which may be new although its chunks are not (a blank was added), with the audio that ``old`` has."""
    return replace(
        row, status="whole", join_key=old.join_key, path=old.path, size_bytes=old.size_bytes,
        sha256=old.sha256, duration_s=old.duration_s, video=old.video, video_size_bytes=old.video_size_bytes,
    )  # fmt: skip


def _join_key(job: Job, row: DocumentRow) -> str:
    """A digest of all that the document's audio is joined from."""
    video = video_of(job, row)
    timed = [asdict(job.timeline), video and [video, _stamp(video), asdict(job.media)]]
    return digest_of([row.plan_digest, asdict(job.stitching), timed])


def _stamp(video: str) -> list[int | None]:
    """What tells a video from another at the same place: its size, and of a path when it was last written."""
    if storage.is_url(video):
        return [urls.size(video)]
    try:
        status = Path(video).stat()
    except OSError:  # which joining meets again, and tells of
        return []
    return [status.st_size, status.st_mtime_ns]


def _is_there(row: DocumentRow, size: Callable[[str], int | None]) -> bool:
    """Whether a document's audio stands as it was joined, with its times and subtitles beside it, and its video."""
    if row.path is None or size(row.path) != row.size_bytes:
        return False
    if row.video is not None and size(row.video) != row.video_size_bytes:
        return False
    return all(size(f"documents/{row.document}.{suffix}") is not None for suffix in BESIDE)


def _has_items(out: Folder, row: DocumentRow, size: Callable[[str], int | None]) -> bool:
    """Whether the files of all items of a document stand, as far as what stands beside it tells."""
    try:
        items = json.loads(out.read(f"documents/{row.document}.json"))["items"]
        return all(size(item["path"]) == item["size_bytes"] for item in items)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _video_of(document: Document) -> str | None:
    """The document's video by a name that means the same to whoever joins it, wherever it was started."""
    video = document.video.absolute() if isinstance(document.video, Path) else document.video
    return None if video is None else _printable(video)


def _printable(text: object) -> str:
    """``text`` without what UTF-8 cannot hold: file names may be any bytes, the manifest and the report may not."""
    return str(text).encode("utf-8", "replace").decode()
