"""One clip's way: gate, provider, check, clip, outcome. The only place that tries again."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cluster_tts.clips import Clips, probe, refuse_implausible
from cluster_tts.errors import ChunkError, Interrupted, JobError, RetryLater
from cluster_tts.job import Job
from cluster_tts.model import Clip, Outcome, Sound, Status
from cluster_tts.providers.base import Provider, Spoken

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 60.0


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
    is told as an ``Outcome``, the last one final.
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
        self._asking: set[str] = set()  # the clips whose request has left and whose attempt has not ended
        self._stopped = False

    async def make(self, clip: Clip) -> AsyncIterator[Outcome]:
        """Every attempt at ``clip`` as it ends; the last outcome is final, unless ``stop`` was called.

        Raises:
            JobError: nothing can be spoken or stored any more.
        """
        if found := await asyncio.to_thread(self._find, clip):
            now = self._clock()
            yield self._outcome(clip, 0, Status.FOUND, _Times(now, now, now), sound=found)
            return
        for attempt in range(1, self._max_attempts + 1):
            if self._stopped:
                return
            times = _Times(self._clock())
            try:
                sound, spoken = await self._attempt(clip, times)
            except RetryLater as error:
                last = attempt == self._max_attempts
                status = Status.FAILED if last else Status.RETRIED
                yield self._outcome(clip, attempt, status, times, error=error)
                if error.after_s is not None:
                    self._gate.cool(error.after_s)
                if not last:
                    await self._sleep(error.after_s or min(LONGEST_PAUSE_S, 2.0 ** (attempt - 1)))
            except ChunkError as error:
                yield self._outcome(clip, attempt, Status.FAILED, times, error=error)
                return
            else:
                yield self._outcome(clip, attempt, Status.SPOKEN, times, sound=sound, spoken=spoken)
                return

    async def prepare(self) -> None:
        """Load what speaking takes, before any clip is borrowed for it."""
        await self._provider.prepare()

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

    async def _attempt(self, clip: Clip, times: _Times) -> tuple[Sound, Spoken]:
        try:
            with self._clips.temporary(clip.id) as part:
                spoken = await self._ask(clip, part, times)
                sound = await asyncio.to_thread(probe, part)
                refuse_implausible(sound, clip.text, self._band)
                self._clips.publish(part, clip.id)
        except OSError as error:
            raise Interrupted(
                f"cannot write clips to '{self._clips.folder}': {error.strerror or error}; "
                "make room or mend the permissions, then run the same command again"
            ) from None
        finally:
            self._asking.discard(clip.id)
        return sound, spoken

    async def _ask(self, clip: Clip, part: Path, times: _Times) -> Spoken:
        async with AsyncExitStack() as places:
            try:
                await places.enter_async_context(self._gate.place(len(clip.text)))
            except Exception as error:
                raise RetryLater(f"the gate failed: {type(error).__name__}: {error}", kind="gate") from error
            times.left = self._clock()
            self._asking.add(clip.id)
            try:
                return await self._speak(clip, part)
            finally:
                times.answered = self._clock()

    async def _speak(self, clip: Clip, part: Path) -> Spoken:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._provider.speak(clip.text, part)
        except TimeoutError:
            raise RetryLater(f"no answer within {self._timeout_s:g} s (provider.timeout_s)", kind="timeout") from None
        except (ChunkError, RetryLater, JobError, OSError):
            raise
        except Exception as error:  # a defect of the provider must cost this clip, not the run; it is in the manifest
            log.exception("the provider failed on clip %s", clip.id)
            raise ChunkError(f"the provider failed: {type(error).__name__}: {error}", kind="provider_defect") from error

    def _outcome(
        self,
        clip: Clip,
        attempt: int,
        status: Status,
        times: _Times,
        *,
        sound: Sound | None = None,
        spoken: Spoken | None = None,
        error: ChunkError | RetryLater | None = None,
    ) -> Outcome:
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
            error_message=str(error) if error else None,
            http_status=spoken.http_status if spoken else None,
            request_id=spoken.request_id if spoken else None,
            billed_characters=spoken.billed_characters if spoken else None,
            cost_usd=spoken.cost_usd if spoken else None,
            gate_wait_s=left - times.begun,
            latency_s=answered - left,
            started_at=times.begun,
            finished_at=self._clock(),
        )
