"""What is told of an attempt: a row of the manifest, and news for whoever guards the account. Arithmetic only."""

from dataclasses import dataclass

from cluster_tts import keys
from cluster_tts.errors import AccountRefused, ChunkError, RetryLater
from cluster_tts.job import Job
from cluster_tts.model import Clip, News, Outcome, Receipt, Sound, Status, Want
from cluster_tts.prices import Bounds, Price
from cluster_tts.providers.told import in_unit

Failure = ChunkError | RetryLater | AccountRefused


@dataclass(slots=True)
class Attempt:
    """One attempt at a clip: when it was begun, let through the gate, and answered (epoch seconds), the gate's number
    for it, and what the answer said; 0 and None: not yet."""

    clip: Clip
    number: int
    begun: float
    left: float = 0.0
    answered: float = 0.0
    request: int | None = None
    receipt: Receipt | None = None


class Telling:
    """Turns attempts into what is told of them, with what they cost."""

    def __init__(self, job: Job, characters_per_second: float) -> None:
        self._price = Price.of(job)
        self._bounds = Bounds.of(job)
        self._unit = job.model.unit
        self._characters_per_second = characters_per_second

    def outcome(
        self, attempt: Attempt, status: Status, now: float, ended: tuple[Sound, Receipt] | Failure | None = None
    ) -> Outcome:
        """The attempt as a row; ``ended`` is the sound and the receipt for it, or what went wrong."""
        clip, sound, receipt, error = attempt.clip, None, Receipt(), None
        if isinstance(ended, tuple):
            sound, receipt = ended
        elif ended is not None:
            error, receipt = ended, ended.receipt or receipt
        left = attempt.left or now
        answered = attempt.answered or left
        return Outcome(
            clip_id=clip.id,
            document=clip.document,
            chunk_index=clip.chunk_index,
            attempt=attempt.number,
            status=status,
            characters=len(clip.text),
            speaker=clip.speaker,
            sound=sound,
            error_kind=error.kind if error else None,
            error_message=keys.redact(str(error)) if error else None,  # whoever wrote it, and whatever it quotes
            http_status=receipt.http_status,
            request_id=keys.redact(receipt.request_id) if receipt.request_id else None,
            billed_characters=_billed(receipt, clip.text),
            cost_usd=self._paid(receipt, clip.text, sound),
            gate_wait_s=left - attempt.begun,
            latency_s=answered - left,
            started_at=attempt.begun,
            finished_at=now,
        )

    def news(self, attempt: Attempt, request: int, outcome: Outcome, ended: tuple[Sound, Receipt] | Failure) -> News:
        """The same for the limiter. What was refused with a status cost nothing; of what was never answered nobody
        knows, so that what was reserved for it stays spent."""
        receipt = (ended[1] if isinstance(ended, tuple) else ended.receipt) or Receipt()
        sound_or_charge = isinstance(ended, tuple) or _names_charge(receipt)
        refused = receipt.http_status is not None and not _answered(receipt)
        free = refused or outcome.error_kind == "unreachable"
        return News(
            request=request,
            kind=outcome.error_kind or "",
            after_s=ended.after_s if isinstance(ended, RetryLater) else None,
            told=in_unit(receipt.told, self._unit),
            units=self._bounds.measure(attempt.clip.text),
            latency_s=outcome.latency_s,
            sent_after_s=receipt.sent_after_s,
            billed_characters=0 if free and outcome.billed_characters is None else outcome.billed_characters,
            cost_usd=0.0 if free and outcome.cost_usd is None else outcome.cost_usd if sound_or_charge else None,
        )

    def want(self, clip: Clip) -> Want:
        """What a request for the clip may take of the account at most."""
        return self._bounds.want(clip.text)

    def _paid(self, receipt: Receipt, text: str, sound: Sound | None) -> float | None:
        """What an attempt cost: as the provider says, else by its prices. What was refused cost nothing."""
        if receipt.cost_usd is not None or not (_answered(receipt) or receipt.billed_characters):
            return receipt.cost_usd
        seconds = sound.seconds if sound else len(text) / self._characters_per_second
        return self._price.charged(receipt, self._bounds.measure(text), seconds)


def _names_charge(receipt: Receipt) -> bool:
    """Whether the provider says what it charged. Else the seconds of an answer that is not believed are not known."""
    return any(each is not None for each in (receipt.cost_usd, receipt.billed_characters, receipt.machine_s))


def _billed(receipt: Receipt, text: str) -> int | None:
    """What the provider says that it charged for, else all that was asked of it, if it answered."""
    if receipt.billed_characters is None and _answered(receipt):
        return len(text)
    return receipt.billed_characters


def _answered(receipt: Receipt) -> bool:
    return receipt.http_status is not None and 200 <= receipt.http_status < 300
