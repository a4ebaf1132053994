"""What a run has not made when it ends, however it ends, and what that takes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from cluster_tts.clips import Clips
from cluster_tts.errors import AccountRefused
from cluster_tts.job import Job
from cluster_tts.prices import dollars
from cluster_tts.providers import provider_class
from cluster_tts.record import Record
from cluster_tts.workload import Plan, cost_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Missing:
    """Clips that are not there, the documents that need them, and what they cost, about (None: not known).

    Its text is what a person is told.
    """

    clips: int
    documents: int
    characters: int
    cost_usd: float | None

    def __str__(self) -> str:
        clips, documents = _counted(self.clips, "clip"), _counted(self.documents, "document")
        about = "" if self.cost_usd and self.cost_usd < 0.01 else "about "
        cost = "" if self.cost_usd is None else f", {about}{dollars(self.cost_usd)} more"
        return f"{clips} of {documents} {'is' if self.clips == 1 else 'are'} missing{cost}"


def missing_of(plan: Plan, job: Job) -> Missing:
    """What of ``plan`` is not there. A clip on disk that nobody has looked at is taken for whole, as in the plan."""
    clips, characters, documents = 0, 0, set[str]()
    on_disk: set[str] | None = None
    for clip_id, length, wanting in plan.completion.lacking():
        if on_disk is None:  # whoever lacks nothing need not look
            on_disk = set(Clips.of(job).listing())
        if clip_id not in on_disk:
            clips, characters = clips + 1, characters + length
            documents.update(wanting)
    units = characters * (plan.units_to_speak / plan.characters_to_speak if plan.characters_to_speak else 1.0)
    voice = provider_class(job.provider.name)
    cost_usd = None if voice.embedded else cost_of(job, units, characters / voice.characters_per_second)[0]
    return Missing(clips, len(documents), characters, cost_usd)


@contextmanager
def missing_told(job: Job, plan: Plan, record: Record) -> Iterator[None]:
    """Whatever breaks the block off, the report says what is missing; a refusal of the account names it too."""
    try:
        yield
    except BaseException as error:
        try:
            missing = missing_of(plan, job)
        except OSError as failure:  # what broke the block off is the graver of the two
            log.error("what is missing cannot be told: %s", failure)
            raise error from None
        record.missing = asdict(missing)
        if isinstance(error, AccountRefused):
            raise AccountRefused(f"{error}; {missing}", error.kind, error.receipt) from error
        raise


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
