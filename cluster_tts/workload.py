"""What a run has to do: its documents, where their chunks stand, what is missing, and what that takes and costs."""

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from cluster_tts.catalogue import limits_of, plans_for, warnings_of
from cluster_tts.completion import Completion
from cluster_tts.context import in_context
from cluster_tts.forecast import Account, Work, course
from cluster_tts.job import LIMITS, Job, QuotaSettings
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation, last_words
from cluster_tts.model import Clip, Outcome, Purse
from cluster_tts.prices import Price, months_of
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Limits
from cluster_tts.report import note_failure
from cluster_tts.staffing import expected
from cluster_tts.task_queue import TAIL_ROUNDS

UNBOUND = Purse()


@dataclass(slots=True)
class Plan:
    """The documents of a run in reading order, where their chunks stand, and what is missing."""

    rows: dict[str, DocumentRow] = field(default_factory=dict)
    locations: dict[str, PlanLocation] = field(default_factory=dict)
    completion: Completion = field(default_factory=Completion)
    pending: list[str] = field(default_factory=list)  # documents without audio that was joined from just this plan
    again: set[str] = field(default_factory=set)  # pending ones of which an earlier run may have left files
    stale: list[str] = field(default_factory=list)  # documents whose audio, if there is any, is of another text
    postponed: set[str] = field(default_factory=set)  # documents that wait for clips that this run does not ask for
    differing: Collection[str] = ()  # clips that stand on disk in another size than was measured of them
    distinct_clips: int = 0  # that all documents are made of
    clips_to_speak: int = 0  # those of them that some document waits for and that are not on disk
    sizes_to_speak: "array[int]" = field(default_factory=lambda: array("L"))  # the characters of each, in order
    characters_to_speak: int = 0
    units_to_speak: float = 0.0  # the same as the model counts; estimated where clips are there or shared
    context_characters: int = 0  # how much of its neighbours each clip is spoken with

    @property
    def needs_speech(self) -> bool:
        """Whether clips are missing, so that workers are needed."""
        return any(not self.completion.is_whole(name) for name in self.pending)

    def only_failed(self, manifest: Manifest) -> None:
        """Restrict the plan to clips that were given up in an earlier run. Whatever else is missing stays missing, and
        its documents are ``postponed``."""
        failed: dict[str, Outcome] = {}
        for batch in manifest.outcomes():
            for outcome in last_words(batch, failed):
                note_failure(failed, outcome)
        for clip in list(self.clips()):
            if clip.id not in failed:
                self.completion.fail(clip.id)
                self.postponed.add(clip.document)

    def clips(self) -> Iterator[Clip]:
        """The clips that are missing, a document's before the next one's; a clip may come again while it is missing.

        Documents that are half as long go first, so that nobody waits for a book to end; those of about the same
        length keep their order.

        Texts are read from the manifest, hence only of a plan that was recorded there.
        """
        for document in sorted(self.pending, key=lambda name: self.rows[name].characters.bit_length()):
            yield from self.clips_of(document)

    def clips_of(self, document: str) -> Iterator[Clip]:
        """The missing clips of one document."""
        for planned, before, after in in_context(self.locations[document], self.context_characters):
            if self.completion.needs(planned.clip_id):
                speaker, speech = planned.role.speaker, planned.speech
                yield Clip(planned.clip_id, planned.text, document, planned.index, before, after, speaker, speech)


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
class PlanSummary:
    """What is to be spoken, on one of the provider's plans. None: no such limit, no such price."""

    name: str
    requests_per_minute: float | None
    characters_per_minute: float | None
    max_concurrent_requests: int | None
    usd_per_month: float | None
    time_s: float
    cost_usd: float | None
    months: float | None
    """How many months' credits it takes."""


@dataclass(frozen=True, slots=True)
class BudgetSummary:
    """What is left of a budget, and how far it goes."""

    unit: str
    """``usd`` or ``characters``."""
    budget: float
    left: float
    needed: float | None
    """What the rest takes, about; None where that is not known."""

    @property
    def covers(self) -> float | None:
        """How much of the rest it will do for: 1 is all."""
        return None if self.needed is None else min(1.0, self.left / self.needed) if self.needed else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
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
    requests_to_speak: int
    unit: str
    """What the model counts instead of characters, if it does: ``codepoint``, ``utf16``, ``byte``."""
    units_to_speak: int
    cost_usd: float | None
    cost_note: str
    """Why there is no cost."""
    price_read_on: str | None
    time_s: float | None
    """How long it takes with the job's own quota; None for embedded voices, which are as fast as cores."""
    plans: tuple[PlanSummary, ...]
    budgets: tuple[BudgetSummary, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def summarise(plan: Plan, job: Job, today: date | None = None, purse: Purse = UNBOUND) -> Summary:
    """``plan`` in numbers; ``purse`` is what is left of the job's budgets."""
    rows = plan.rows.values()
    characters = sum(row.characters for row in rows)
    gaps_s = sum(row.chunks for row in rows) * job.stitching.gap_ms / 1000
    voice = provider_class(job.provider.name)
    units, speech_s = plan.units_to_speak, plan.characters_to_speak / voice.characters_per_second
    cost_usd, cost_note = (None, "") if voice.embedded else cost_of(job, units, speech_s)
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
        audio_s=characters / voice.characters_per_second + gaps_s,
        requests_to_speak=plan.clips_to_speak,
        unit=job.model.unit,
        units_to_speak=round(units),
        cost_usd=cost_usd,
        cost_note=cost_note,
        price_read_on=job.catalogue.read_on,
        time_s=time_s(plan, job),
        plans=tuple(_on_plans(plan, job, speech_s)),
        budgets=tuple(_budgets(plan, job, purse, cost_usd)),
        warnings=warnings_of(job, today or datetime.now(UTC).date()),
        notes=tuple(_notes(plan, job)),
    )


def cost_of(job: Job, units: float, speech_s: float) -> tuple[float | None, str]:
    """What so much speech costs, or why that is not known. What a free plan does not hold cannot be had for nothing."""
    price, months = Price.of(job), months_of(job, units)
    if months is not None and months > 1 and not job.catalogue.plans[job.quota.plan or ""].usd_per_month:
        return None, f"it takes {months:.1f} months' credits of plan {job.quota.plan}, which sells no more"
    return price.estimate(units, speech_s), price.note


def _budgets(plan: Plan, job: Job, purse: Purse, cost_usd: float | None) -> Iterator[BudgetSummary]:
    """What is left of each budget that the job has."""
    if job.quota.budget_usd is not None and purse.usd is not None:
        yield BudgetSummary("usd", job.quota.budget_usd, purse.usd, cost_usd)
    if job.quota.budget_characters is not None and purse.characters is not None:
        in_credits = job.model.credits_per_character
        billed = plan.units_to_speak * in_credits if in_credits else float(plan.characters_to_speak)
        yield BudgetSummary("characters", job.quota.budget_characters, purse.characters, billed)


def _on_plans(plan: Plan, job: Job, speech_s: float) -> Iterator[PlanSummary]:
    """The same work on every plan that is for the job's model."""
    for name, facts in plans_for(job).items():
        limits = limits_of(facts, job.model)
        quota = replace(job.quota, plan=name, **{limit: getattr(limits, limit) for limit in LIMITS})
        on_plan = replace(job, quota=quota)
        yield PlanSummary(
            name=name,
            requests_per_minute=limits.requests_per_minute,
            characters_per_minute=limits.characters_per_minute,
            max_concurrent_requests=limits.max_concurrent_requests,
            usd_per_month=facts.usd_per_month,
            time_s=time_s(plan, job, quota) or 0.0,
            cost_usd=cost_of(on_plan, plan.units_to_speak, speech_s)[0],
            months=months_of(on_plan, plan.units_to_speak),
        )


def time_s(plan: Plan, job: Job, quota: QuotaSettings | None = None) -> float | None:
    """How long speaking takes with the job's own quota, or another; None for embedded voices: as long as cores take."""
    moments = course_of(plan, job, quota)
    return moments[-1] if moments else None


def course_of(plan: Plan, job: Job, quota: QuotaSettings | None = None) -> Sequence[float]:
    """When each hundredth of what is to be spoken will have been (``forecast.course``); empty for embedded voices."""
    if provider_class(job.provider.name).embedded:
        return ()
    quota, catalogue, places = quota or job.quota, job.catalogue, expected(job).places
    work = Work(
        sizes=_as_lent(plan.sizes_to_speak, places),
        units_per_character=plan.units_to_speak / plan.characters_to_speak if plan.characters_to_speak else 1.0,
        latency_s=catalogue.latency_s,
        latency_s_per_character=catalogue.latency_s_per_character,
    )
    return course(work, Account(Limits.of(quota), places, quota.adaptive, quota.max_unknown))


def _as_lent(sizes: "array[int]", places: int) -> "array[int]":
    """``sizes`` in the order in which the queue lends them: towards the end the longest go first."""
    tail = max(0, len(sizes) - TAIL_ROUNDS * places)
    return sizes[:tail] + array("L", sorted(sizes[tail:], reverse=True))


def _notes(plan: Plan, job: Job) -> Iterator[str]:
    """What is not told by numbers alone."""
    model, wanted = job.model, job.chunking.max_characters
    per_character = plan.units_to_speak / plan.characters_to_speak if plan.characters_to_speak else 1.0
    if model.max_characters is not None and model.max_characters / per_character < wanted:
        counted = "characters" if model.unit == "codepoint" else f"{model.unit}s of text"
        yield (
            f"a chunk has at most {model.max_characters:,} {counted}, all that model {job.provider.model} takes, "
            f"instead of {wanted:,} characters (chunking.max_characters)"
        )
    if job.chunking.context_characters:
        yield (
            "each clip is spoken in the context of its neighbours: after an edit they are bought again too "
            "(chunking.context_characters)"
        )
