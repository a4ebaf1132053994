"""What a run has to do: documents read and cut, set against the clips and the plan that are there already."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from cluster_tts.chunking import chunk
from cluster_tts.clips import Clips, clip_id, digest
from cluster_tts.completion import Completion
from cluster_tts.config import Job
from cluster_tts.documents import read
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation, PlanWriter
from cluster_tts.model import Chunk, Clip, Document, Outcome
from cluster_tts.providers import provider_class
from cluster_tts.report import note_failure

log = logging.getLogger(__name__)

MOST_NAMED = 5  # documents in one message
READERS = 1  # raise when a reader changes what it reads: documents are then cut anew


@dataclass(slots=True)
class Plan:
    """The documents of a run in reading order, where their chunks stand, and what is missing."""

    rows: dict[str, DocumentRow] = field(default_factory=dict)
    locations: dict[str, PlanLocation] = field(default_factory=dict)
    completion: Completion = field(default_factory=Completion)
    pending: list[str] = field(default_factory=list)  # documents without audio that was joined from just this plan
    stale: list[str] = field(default_factory=list)  # audio below OUT that was joined from an earlier plan
    distinct_clips: int = 0  # that all documents are made of
    clips_to_speak: int = 0  # those of them that some document waits for and that are not on disk
    characters_to_speak: int = 0

    @property
    def is_done(self) -> bool:
        """Whether every document that can be read has its audio."""
        return not self.pending

    @property
    def needs_speech(self) -> bool:
        """Whether clips are missing, so that workers are needed."""
        return any(not self.completion.is_whole(name) for name in self.pending)

    def only_failed(self, manifest: Manifest) -> None:
        """Restrict the plan to clips that were given up in an earlier run; whatever else is missing stays missing."""
        failed: dict[str, Outcome] = {}
        for outcome in manifest.read_outcomes():
            note_failure(failed, outcome)
        for clip in list(self.clips()):
            if clip.id not in failed:
                self.completion.fail(clip.id)

    def clips(self) -> Iterator[Clip]:
        """The clips that are missing, a document's before the next one's; a clip may come again while it is missing.

        Texts are read from the manifest, hence only of a plan that was recorded there.
        """
        for document in self.pending:
            yield from self.clips_of(document)

    def clips_of(self, document: str) -> Iterator[Clip]:
        """The missing clips of one document."""
        for planned in self.locations[document]:
            if self.completion.needs(planned.clip_id):
                yield Clip(planned.clip_id, planned.text, document, planned.index)


def make_plan(
    job: Job,
    documents: Sequence[Document],
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
    known, located = manifest.documents(), manifest.plans()
    plan = Plan()
    for document in documents:
        plan.completion.add(document.name)
        old = known.get(document.name)
        before = _Before(old, located.get(document.name), believed=not fresh)
        try:
            plan.rows[document.name] = _plan_document(
                job, document, before, _Tally(plan.completion, document.name), writer
            )
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
    on_disk = dict(Clips(job.clips_dir, job.provider.format).listing())
    for damaged in () if fresh else _note_clips(plan, on_disk, manifest):
        del on_disk[damaged]
    _note_documents(plan, job, known, fresh)
    _note_missing(plan, on_disk)
    return plan


def plan_of_manifest(job: Job, manifest: Manifest) -> Plan:
    """The plan that the manifest holds, every document to be joined again; sources are not looked at.

    Raises:
        JobError: there is no manifest.
    """
    if not manifest.exists:
        raise JobError(f"'{job.out}' holds no run: there is no manifest/documents.parquet in it")
    plan = Plan(rows=manifest.documents(), locations=manifest.plans())
    for name, row in plan.rows.items():
        if row.status != "unreadable" and name in plan.locations:
            plan.completion.add(name)
            for planned in plan.locations[name]:
                plan.completion.need(name, planned.clip_id)
            plan.pending.append(name)
    _note_clips(plan, Clips(job.clips_dir, job.provider.format).listing(), manifest)
    for name in plan.pending:
        plan.rows[name] = replace(plan.rows[name], join_key=_join_key(job, plan.rows[name]))
    return plan


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """What one document takes."""

    name: str
    status: str  # whole: nothing to do; planned; unreadable
    chunks: int
    characters: int
    missing: int
    """Distinct clips that are not there."""
    error: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run would do. Seconds of audio are an estimate by the provider's typical speed."""

    documents: tuple[DocumentSummary, ...]
    chunks: int
    clips: int
    clips_there: int
    """Those that need not be spoken."""
    characters: int
    characters_to_speak: int
    audio_s: float


def summarise(plan: Plan, job: Job) -> Summary:
    """``plan`` in numbers."""
    rows = plan.rows.values()
    characters = sum(row.characters for row in rows)
    gaps_s = sum(row.chunks for row in rows) * job.stitching.gap_ms / 1000
    return Summary(
        documents=tuple(
            DocumentSummary(row.document, row.status, row.chunks, row.characters, row.missing, row.error)
            for row in rows
        ),
        chunks=sum(row.chunks for row in rows),
        clips=plan.distinct_clips,
        clips_there=plan.distinct_clips - plan.clips_to_speak,
        characters=characters,
        characters_to_speak=plan.characters_to_speak,
        audio_s=characters / provider_class(job.provider.name).characters_per_second + gaps_s,
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """What an earlier run left of a document: its row, its newest plan, and whether they are to be believed."""

    row: DocumentRow | None
    plan: PlanLocation | None
    believed: bool

    @property
    def generation(self) -> int:
        """The highest there is. A run that was killed may have left a plan newer than the row."""
        return max(self.row.generation if self.row else -1, self.plan.generation if self.plan else -1)


def _plan_document(
    job: Job, document: Document, before: _Before, tally: "_Tally", writer: PlanWriter | None
) -> DocumentRow:
    key, old, location = _plan_key(job, document), before.row, before.plan if before.believed else None
    if old and location and old.plan_key == key and old.generation == location.generation:
        for planned in location:
            tally.add(planned.paragraph, planned.clip_id, planned.text)
        return replace(old, source=_printable(document.source))
    earlier = (planned.text for planned in location) if location else ()
    chunks = tally.count(_identified(job, chunk(document.name, read(document), job.chunking, earlier=earlier)))
    generation = before.generation + 1
    if writer is not None:
        writer.write(chunks, generation)
    else:
        for _ in chunks:
            pass
    return DocumentRow(
        document=document.name,
        source=_printable(document.source),
        status="planned",
        chunks=tally.chunks,
        characters=tally.characters,
        plan_key=key,
        plan_digest=tally.digest.hexdigest(),
        generation=generation,
    )


class _Tally:
    """Counts the chunks of a document as they flow by, so that no document is ever held whole."""

    def __init__(self, completion: Completion, document: str) -> None:
        self._completion = completion
        self._document = document
        self.chunks = 0
        self.characters = 0
        self.digest = hashlib.sha256()

    def count(self, chunks: Iterable[tuple[Chunk, str]]) -> Iterator[tuple[Chunk, str]]:
        for piece, identity in chunks:
            self.add(piece.paragraph, identity, piece.text)
            yield piece, identity

    def add(self, paragraph: int, identity: str, text: str) -> None:
        self._completion.need(self._document, identity, len(text))
        self.chunks += 1
        self.characters += len(text)
        self.digest.update(f"{paragraph} {identity}\n".encode())


def _identified(job: Job, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, str]]:
    revision = provider_class(job.provider.name).revision()
    for piece in chunks:
        yield piece, clip_id(job.provider, revision, piece.text)


def _plan_key(job: Job, document: Document) -> str:
    """A digest of all that the document's chunks and their clips follow from."""
    try:
        content = digest(document.source) if document.source.is_file() else None  # a pipe would be waited for for ever
    except OSError as error:
        raise DocumentError(f"cannot read '{document.source}': {error.strerror or error}") from None
    sound = clip_id(job.provider, provider_class(job.provider.name).revision(), "")
    return _digest([READERS, content, document.source.suffix, asdict(job.chunking), sound])


def _note_clips(plan: Plan, sizes: Mapping[str, int], manifest: Manifest) -> set[str]:
    """Count the clips that stand on disk in the size that the manifest knows; those that have another, for a worker
    to look at, as it does at those that the manifest does not know."""
    differing: set[str] = set()
    for identity, sound in manifest.sounds() if sizes else ():
        if identity in sizes and plan.completion.needs(identity):
            if sizes[identity] == sound.size_bytes:
                plan.completion.have(identity, sound)
                differing.discard(identity)
            else:
                differing.add(identity)
    return differing


def _note_missing(plan: Plan, on_disk: Collection[str]) -> None:
    """Count what is to be spoken, in all and by document."""
    missing: Counter[str] = Counter()
    for identity, characters, documents in plan.completion.lacking():
        if identity not in on_disk:
            plan.clips_to_speak += 1
            plan.characters_to_speak += characters
            missing.update(documents)
    for name in plan.pending:
        plan.rows[name] = replace(plan.rows[name], missing=missing[name])


def _note_documents(plan: Plan, job: Job, known: Mapping[str, DocumentRow], fresh: bool) -> None:
    """Tell for every document whether its audio is there already, and joined from just this."""
    for name in [name for name, row in plan.rows.items() if row.status != "unreadable"]:
        row, old = plan.rows[name], known.get(name)
        key = _join_key(job, row)
        if not fresh and old and old.status == "whole" and old.join_key == key and _is_there(job, old):
            plan.completion.release(name)
            plan.rows[name] = _as_it_was(row, old)
            continue
        if old is not None and old.path is not None and old.plan_digest != row.plan_digest:
            plan.stale.append(old.path)
        plan.pending.append(name)
        plan.rows[name] = replace(
            row, status="planned", join_key=key, path=None, size_bytes=None, sha256=None, duration_s=None, error=None,
        )  # fmt: skip


def _as_it_was(row: DocumentRow, old: DocumentRow) -> DocumentRow:
    """``row``, which may be new although its chunks are not (a blank was added), with the audio that ``old`` has."""
    return replace(
        row, status="whole", join_key=old.join_key, path=old.path, size_bytes=old.size_bytes,
        sha256=old.sha256, duration_s=old.duration_s,
    )  # fmt: skip


def _join_key(job: Job, row: DocumentRow) -> str:
    """A digest of all that the document's audio is joined from."""
    return _digest([row.plan_digest, asdict(job.stitching)])


def _is_there(job: Job, row: DocumentRow) -> bool:
    audio = job.out_dir / row.path if row.path else None
    return audio is not None and audio.is_file() and audio.stat().st_size == row.size_bytes


def _printable(text: object) -> str:
    """``text`` without what UTF-8 cannot hold: file names may be any bytes, the manifest and the report may not."""
    return str(text).encode("utf-8", "replace").decode()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
