"""One clip's way: gate, provider, check, clip, outcome. The only place that tries again."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from cluster_tts.attempts import Attempt, Failure, Telling
from cluster_tts.checking import believe, probe
from cluster_tts.clips import Clips
from cluster_tts.errors import REFUSALS, AccountRefused, ChunkError, CTTSError, Interrupted, JobError, RetryLater
from cluster_tts.job import Job
from cluster_tts.model import Clip, News, Outcome, Receipt, Sound, Status, Utterance, Want
from cluster_tts.patience import Patience, pause_s
from cluster_tts.providers.asking import ask
from cluster_tts.providers.base import Provider
from cluster_tts.providers.voices import Voices
from cluster_tts.timeouts import Timeouts

log = logging.getLogger(__name__)


class Gate(Protocol):
    """Permission to ask: a place is held from leaving to the last byte, and never while waiting for anything else.

    What came of each request that left is reported, by the number that its place was given.
    """

    def place(self, want: Want) -> AbstractAsyncContextManager[int]: ...

    def report(self, news: News) -> None: ...


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
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """``is_wanted`` is asked before each request leaves: whether there is anybody still to take its speech."""
        self._provider = provider
        self._voices = Voices(provider, job.provider)
        self._gate = gate
        self._clips = clips
        self._max_attempts = job.retry.max_attempts
        self._timeouts = Timeouts(job.provider.timeout_s)
        self._band = job.check.characters_per_second
        self._sleep = sleep
        self._clock = clock
        self._is_wanted = is_wanted
        self._telling = Telling(job, provider.characters_per_second)
        self._patience = Patience(job.quota.patience_s, clock)
        self._asking: set[str] = set()  # the clips whose request has left and whose attempt has not ended
        self._stopped = False
        self._has_spoken = False

    async def make(self, clip: Clip) -> AsyncIterator[Outcome]:
        """Every attempt at ``clip`` as it ends; the last outcome is final, unless ``stop`` was called.

        Raises:
            JobError: nothing can be spoken or stored any more; the clip is neither made nor given up.
        """
        # On a disk a look at the name keeps clips in their order on the way to the gate; all else goes to a thread.
        may_be_there = self._clips.has(clip.id) if self._clips.is_local else True
        if may_be_there and (found := await asyncio.to_thread(self._find, clip)):
            now = self._clock()
            yield self._telling.outcome(Attempt(clip, 0, now, now, now), Status.FOUND, now, (found, Receipt()))
            return
        counted = borne = 0
        for number in itertools.count(1):
            if self._stopped:
                return
            attempt = Attempt(clip, number, self._clock())
            try:
                ended = await self._attempt(attempt)
            except RetryLater as error:
                if self._patience.bears(error):
                    borne += 1
                else:
                    counted, borne = counted + 1, 0
                last = counted == self._max_attempts
                yield self._told(attempt, Status.FAILED if last else Status.RETRIED, error)
                if last:
                    self._patience.give_up(error)
                    return
                if error.kind not in REFUSALS:  # after which the gate knows when it is time again, for everybody
                    await self._sleep(pause_s(error.kind, error.after_s, borne or counted))
            except ChunkError as error:
                self._patience.answered()
                yield self._told(attempt, Status.FAILED, error)
                return
            except AccountRefused as error:
                if attempt.request is not None:  # else the budget is used up, and nobody was asked
                    yield self._told(attempt, Status.RETRIED, error)
                raise
            except JobError as error:
                if attempt.receipt is not None:  # it is paid, and could not be stored
                    yield self._told(attempt, Status.RETRIED, RetryLater(str(error), "storage", None, attempt.receipt))
                elif attempt.request is not None:
                    self._gate.report(News(attempt.request, "wrong_request"))
                raise
            else:
                self._has_spoken = True
                self._patience.answered()
                yield self._told(attempt, Status.SPOKEN, ended)
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
        await self._voices.aclose()

    def _find(self, clip: Clip) -> Sound | None:
        """The sound of a clip that is there already; a damaged one is removed, to be spoken again."""
        try:
            with self._clips.local(clip.id) as path:
                return probe(path)
        except FileNotFoundError:
            return None
        except RetryLater as error:
            log.warning("clip %s is damaged and will be spoken again: %s", clip.id, error)
            self._clips.remove(clip.id)
            return None
        except OSError as error:
            raise self._cannot("read clips in", error) from None

    async def _attempt(self, attempt: Attempt) -> tuple[Sound, Receipt]:
        clip = attempt.clip
        try:
            with self._clips.temporary(clip.id) as part:
                receipt = attempt.receipt = await self._ask(attempt, part)
                try:
                    sound = await asyncio.to_thread(self._keep, clip, part, receipt)
                except RetryLater as error:  # an answer that is not believed is charged all the same
                    raise RetryLater(str(error), error.kind, error.after_s, receipt) from None
        except OSError as error:
            raise self._cannot("write clips to", error) from None
        finally:
            self._asking.discard(clip.id)
        return sound, receipt

    def _keep(self, clip: Clip, part: Path, receipt: Receipt) -> Sound:
        """Give what was received its name if it is believed; what it measures."""
        pace = self._provider.characters_per_second
        sound = believe(part, receipt.wire, clip.text, self._band, receipt.speed, pace)
        self._clips.publish(part, clip.id)
        return sound

    def _cannot(self, what: str, error: OSError) -> Interrupted:
        return Interrupted(
            f"cannot {what} '{self._clips.folder}': {error.strerror or error}; "
            "make room or mend the permissions, then run the same command again"
        )

    async def _ask(self, attempt: Attempt, part: Path) -> Receipt:
        async with AsyncExitStack() as places:
            try:
                place = await places.enter_async_context(self._gate.place(self._telling.want(attempt.clip)))
            except JobError:
                raise
            except Exception as error:
                raise RetryLater(f"the gate failed: {type(error).__name__}: {error}", kind="gate") from error
            if not self._is_wanted():  # whoever is about to be ended with the run's driver pays for nothing more
                raise Interrupted("the run's driver has died: run the same command again to continue")
            attempt.request, attempt.left = place, self._clock()
            self._asking.add(attempt.clip.id)
            try:
                return await self._speak(attempt.clip, part)
            finally:
                attempt.answered = self._clock()

    async def _speak(self, clip: Clip, part: Path) -> Receipt:
        try:
            utterance = Utterance(clip.text, clip.before, clip.after, clip.speech.turns)
            provider = self._voices.of(clip.speech)
            limit_s, begun = self._timeouts.of(len(clip.text)), self._clock()
            receipt = await ask(provider, utterance, part, limit_s)
            self._timeouts.answered(len(clip.text), self._clock() - begun)
            return receipt
        except RetryLater as error:
            if error.kind == "timeout":
                self._timeouts.timed_out(len(clip.text), limit_s)
            raise
        except (AccountRefused, Interrupted):
            raise
        except JobError as error:
            if not self._has_spoken:
                raise
            # What was right until now is not wrong for all that follow: a proxy, a deployment, a page to log in.
            raise RetryLater(str(error), "wrong_request") from None

    def _told(self, attempt: Attempt, status: Status, ended: tuple[Sound, Receipt] | Failure) -> Outcome:
        """The attempt as an outcome; the gate hears of it too."""
        outcome = self._telling.outcome(attempt, status, self._clock(), ended)
        if attempt.request is not None:
            self._gate.report(self._telling.news(attempt, attempt.request, outcome, ended))
        return outcome
