"""One clip's way: gate, provider, check, clip, outcome. The only place that tries again."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cluster_tts import keys
from cluster_tts.checking import believe, probe
from cluster_tts.chunking import MEASURES
from cluster_tts.clips import Clips
from cluster_tts.errors import REFUSALS, AccountRefused, ChunkError, CTTSError, Interrupted, JobError, RetryLater
from cluster_tts.job import Job
from cluster_tts.model import Clip, Outcome, Receipt, Sound, Status, Utterance
from cluster_tts.patience import Patience, pause_s
from cluster_tts.prices import Price
from cluster_tts.providers.asking import ask
from cluster_tts.providers.base import Provider

log = logging.getLogger(__name__)


class Gate(Protocol):
    """Permission to ask: a place is held from leaving to the last byte, and never while waiting for anything else."""

    def place(self, characters: int) -> AbstractAsyncContextManager[None]: ...

    def cool(self, seconds: float) -> None: ...


@dataclass(slots=True)
class _Times:
    """When one attempt was begun, let through the gate, and answered (epoch seconds)."""

    begun: float
    left: float = 0.0
    answered: float = 0.0


class Synthesis:
    """Makes clips of texts, one call a clip, any number at once.

    Promise: a clip that exists is never asked for again, what is published was decoded to its end, and every attempt
    is told as an ``Outcome``, the last one final, but for one that stops the run by a mistake in the job.
    """

    def __init__(
        self,
        provider: Provider,
        gate: Gate,
        clips: Clips,
        job: Job,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._gate = gate
        self._clips = clips
        self._max_attempts = job.retry.max_attempts
        self._timeout_s = job.provider.timeout_s
        self._band = job.check.characters_per_second
        self._sleep = sleep
        self._clock = clock
        self._price = Price.of(job)
        self._cost = MEASURES[job.model.unit]  # of a text, as the account's limits count
        self._patience = Patience(job.quota.patience_s, clock)
        self._asking: set[str] = set()  # the clips whose request has left and whose attempt has not ended
        self._stopped = False
        self._has_spoken = False

    async def make(self, clip: Clip) -> AsyncIterator[Outcome]:
        """Every attempt at ``clip`` as it ends; the last outcome is final, unless ``stop`` was called.

        Raises:
            JobError: nothing can be spoken or stored any more; the clip is neither made nor given up.
        """
        if found := await asyncio.to_thread(self._find, clip):
            now = self._clock()
            yield self._outcome(clip, 0, Status.FOUND, _Times(now, now, now), sound=found)
            return
        counted = borne = 0
        for attempt in itertools.count(1):
            if self._stopped:
                return
            times = _Times(self._clock())
            try:
                sound, receipt = await self._attempt(clip, times)
            except RetryLater as error:
                if self._patience.bears(error):
                    borne += 1
                else:
                    counted, borne = counted + 1, 0
                last = counted == self._max_attempts
                yield self._outcome(clip, attempt, Status.FAILED if last else Status.RETRIED, times, error=error)
                if last:
                    self._patience.give_up(error)
                    return
                wait_s = pause_s(error, borne or counted)
                if error.kind in REFUSALS and (error.after_s is not None or error.kind != "too_many_at_once"):
                    self._gate.cool(wait_s)
                await self._sleep(wait_s)
            except ChunkError as error:
                self._patience.answered()
                yield self._outcome(clip, attempt, Status.FAILED, times, error=error)
                return
            except AccountRefused as error:
                yield self._outcome(clip, attempt, Status.RETRIED, times, error=error)
                raise
            else:
                self._has_spoken = True
                self._patience.answered()
                yield self._outcome(clip, attempt, Status.SPOKEN, times, sound=sound, receipt=receipt)
                return

    async def prepare(self) -> None:
        """Load what speaking takes, before any clip is borrowed for it."""
        try:
            await self._provider.prepare()
        except CTTSError:
            raise
        except Exception as error:
            raise JobError(f"the provider cannot be prepared: {type(error).__name__}: {error}") from error

    def stop(self) -> None:
        """Begin no attempt any more."""
        self._stopped = True

    def is_asking(self, clip_id: str) -> bool:
        """Whether a request for the clip has left, and what came of it is not settled."""
        return clip_id in self._asking

    async def aclose(self) -> None:
        await self._provider.aclose()

    def _find(self, clip: Clip) -> Sound | None:
        """The sound of a clip that is there already; a damaged one is removed, to be spoken again."""
        path = self._clips.path(clip.id)
        if not path.exists():
            return None
        try:
            return probe(path)
        except RetryLater as error:
            log.warning("clip %s is damaged and will be spoken again: %s", clip.id, error)
            self._clips.remove(clip.id)
            return None

    async def _attempt(self, clip: Clip, times: _Times) -> tuple[Sound, Receipt]:
        try:
            with self._clips.temporary(clip.id) as part:
                receipt = await self._ask(clip, part, times)
                pace = self._provider.characters_per_second
                try:
                    sound = await asyncio.to_thread(
                        believe, part, receipt.wire, clip.text, self._band, receipt.speed, pace
                    )
                except RetryLater as error:  # an answer that is not believed is charged all the same
                    raise RetryLater(str(error), error.kind, error.after_s, receipt) from None
                self._clips.publish(part, clip.id)
        except OSError as error:
            raise Interrupted(
                f"cannot write clips to '{self._clips.folder}': {error.strerror or error}; "
                "make room or mend the permissions, then run the same command again"
            ) from None
        finally:
            self._asking.discard(clip.id)
        return sound, receipt

    async def _ask(self, clip: Clip, part: Path, times: _Times) -> Receipt:
        async with AsyncExitStack() as places:
            try:
                await places.enter_async_context(self._gate.place(self._cost(clip.text)))
            except Exception as error:
                raise RetryLater(f"the gate failed: {type(error).__name__}: {error}", kind="gate") from error
            times.left = self._clock()
            self._asking.add(clip.id)
            try:
                return await self._speak(clip, part)
            finally:
                times.answered = self._clock()

    async def _speak(self, clip: Clip, part: Path) -> Receipt:
        try:
            utterance = Utterance(clip.text, clip.before, clip.after)
            return await ask(self._provider, utterance, part, self._timeout_s)
        except (AccountRefused, Interrupted):
            raise
        except JobError as error:
            if not self._has_spoken:
                raise
            # What was right until now is not wrong for all that follow: a proxy, a deployment, a page to log in.
            raise RetryLater(str(error), "wrong_request") from None

    def _outcome(
        self,
        clip: Clip,
        attempt: int,
        status: Status,
        times: _Times,
        *,
        sound: Sound | None = None,
        receipt: Receipt | None = None,
        error: ChunkError | RetryLater | AccountRefused | None = None,
    ) -> Outcome:
        receipt = receipt or (error.receipt if error else None) or Receipt()
        left = times.left or self._clock()
        answered = times.answered or left
        return Outcome(
            clip_id=clip.id,
            document=clip.document,
            chunk_index=clip.chunk_index,
            attempt=attempt,
            status=status,
            characters=len(clip.text),
            sound=sound,
            error_kind=error.kind if error else None,
            error_message=keys.redact(str(error)) if error else None,  # whoever wrote it, and whatever it quotes
            http_status=receipt.http_status,
            request_id=keys.redact(receipt.request_id) if receipt.request_id else None,
            billed_characters=self._billed(receipt, clip.text),
            cost_usd=self._paid(receipt, clip.text, sound),
            gate_wait_s=left - times.begun,
            latency_s=answered - left,
            started_at=times.begun,
            finished_at=self._clock(),
        )

    def _billed(self, receipt: Receipt, text: str) -> int | None:
        """What the provider says that it charged for, else all that was asked of it, if it answered."""
        if receipt.billed_characters is None and _answered(receipt):
            return len(text)
        return receipt.billed_characters

    def _paid(self, receipt: Receipt, text: str, sound: Sound | None) -> float | None:
        """What an attempt cost: as the provider says, else by its prices. What was refused cost nothing."""
        if receipt.cost_usd is not None or not (_answered(receipt) or receipt.billed_characters):
            return receipt.cost_usd
        seconds = sound.seconds if sound else len(text) / self._provider.characters_per_second
        return self._price.charged(receipt, self._cost(text), seconds)


def _answered(receipt: Receipt) -> bool:
    return receipt.http_status is not None and 200 <= receipt.http_status < 300
