"""What a run has to do: its documents, where their chunks stand, and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cluster_tts.completion import Completion
from cluster_tts.job import Job
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation
from cluster_tts.model import Clip, Outcome
from cluster_tts.providers import provider_class
from cluster_tts.report import note_failure


@dataclass(slots=True)
class Plan:
    """The documents of a run in reading order, where their chunks stand, and what is missing."""

    rows: dict[str, DocumentRow] = field(default_factory=dict)
    locations: dict[str, PlanLocation] = field(default_factory=dict)
    completion: Completion = field(default_factory=Completion)
    pending: list[str] = field(default_factory=list)  # documents without audio that was joined from just this plan
    stale: list[str] = field(default_factory=list)  # documents whose audio, if there is any, is of another text
    distinct_clips: int = 0  # that all documents are made of
    clips_to_speak: int = 0  # those of them that some document waits for and that are not on disk
    characters_to_speak: int = 0

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
