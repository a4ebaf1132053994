"""Borrow clips, make so many at once, keep the loans alive, report what ended."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from cluster_tts import keys, logs
from cluster_tts.catalogue import counted_as, quota_of_class
from cluster_tts.clips import Clips
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.lending import Loans
from cluster_tts.limiter.gates import CoreGate, LimiterGate, OpenGate, Passages
from cluster_tts.limiter.liveness import Process
from cluster_tts.model import Clip, Outcome, Purse
from cluster_tts.providers import make as make_provider
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.permits import Claim, LimiterPort
from cluster_tts.synthesis import Gate, Synthesis

LEASE_S = 60.0
BUSY_S = 1.0  # a full worker needs no work, but keeps its loans alive and must hear that the queue was closed
SHORTEST_IDLE_S, LONGEST_IDLE_S = 0.02, 0.5


class Tasks(Protocol):
    """Where work comes from."""

    async def serve(
        self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int, first: int
    ) -> Loans: ...


class Worker:
    """Keeps ``slots`` clips in the making until the queue is closed and everything borrowed has been reported.

    Work is pulled one slot at a time, so a slow worker holds nobody up. Waiting at the gate is not death: loans are
    renewed all the while. Once the queue is closed, or the worker retires, no request begins: only clips whose request
    has left are finished, the others are held no longer. Outcomes are kept until they are the driver's: whoever carries
    them may die.
    """

    def __init__(self, name: str, tasks: Tasks, synthesis: Synthesis, slots: int) -> None:
        self.name = name
        self._tasks = tasks
        self._synthesis = synthesis
        self._slots = slots
        self._running: dict[asyncio.Task[None], Clip] = {}
        self._outcomes: list[Outcome] = []  # those that are not the driver's yet, as far as it is known here
        self._first = 0  # the number of the first of them, counted from the beginning
        self._told = 0  # how many the queue has heard
        self._retired = False
        self._news = asyncio.Event()
        self._node = socket.gethostname()

    async def run(self) -> None:
        """Work until there is no more to come, or until it has retired.

        Raises:
            JobError: no clip can be made any more; what was in flight has ended and is reported, the rest given back.
        """
        idle_s = SHORTEST_IDLE_S
        try:
            await self._synthesis.prepare()
            while True:
                self._news.clear()
                holding = [clip.id for clip in self._running.values()]
                loans = await self._tell(holding, 0 if self._retired else self._slots - len(self._running))
                for clip in loans.clips:
                    self._running[asyncio.create_task(self._make(clip))] = clip
                if loans.closed or self._retired:
                    self._stop()
                    if not self._running and not holding and self._has_told_all:
                        return
                idle_s = SHORTEST_IDLE_S if loans.clips else min(2 * idle_s, LONGEST_IDLE_S)
                full = len(self._running) == self._slots
                with suppress(TimeoutError):
                    async with asyncio.timeout(BUSY_S if full else idle_s):
                        await self._news.wait()
                self._reap()
        except JobError:
            await self._end_requests()
            raise
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._synthesis.aclose()

    def retire(self) -> None:
        """Finish what has been asked for, give the rest back, and leave: its machine is about to go."""
        self._retired = True
        self._news.set()

    def nudge(self) -> None:
        """Have it ask for news at once, instead of in half a second."""
        self._news.set()

    async def _make(self, clip: Clip) -> None:
        logs.about(document=clip.document, chunk=clip.chunk_index, clip=clip.id)  # this task makes nothing else
        try:
            async for outcome in self._synthesis.make(clip):
                self._outcomes.append(replace(outcome, worker=self.name, node=self._node))
        finally:
            self._news.set()

    def _stop(self) -> None:
        self._synthesis.stop()
        for task, clip in self._running.items():
            if not self._synthesis.is_asking(clip.id):
                task.cancel()

    async def _tell(self, holding: Sequence[str], want: int) -> Loans:
        """Ask the queue, telling it what it has not heard; forget what is the driver's."""
        first = max(self._told, self._first)
        loans = await self._tasks.serve(self.name, holding, self._outcomes[first - self._first :], want, first)
        self._told = loans.next
        kept = max(0, loans.kept - self._first)
        self._outcomes, self._first = self._outcomes[kept:], self._first + kept
        return loans

    @property
    def _has_told_all(self) -> bool:
        return self._told == self._first + len(self._outcomes)

    async def _end_requests(self) -> None:
        """Nothing can be asked any more; what was asked before may be paid, so it is waited for and reported."""
        self._stop()
        while self._running:
            await self._tell([clip.id for clip in self._running.values()], 0)
            ended, _ = await asyncio.wait(self._running, timeout=BUSY_S)
            await asyncio.gather(*ended, return_exceptions=True)  # one error is enough, and is on its way
            for task in ended:
                del self._running[task]
        await self._tell((), 0)

    def _reap(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            if not task.cancelled():
                task.result()  # a JobError ends this worker, and with it the run


def needs_limiter(job: Job) -> bool:
    """Whether requests of this job count against somebody's quota, known or not."""
    has_budget = job.quota.budget_usd is not None or job.quota.budget_characters is not None
    return bool(Limits.of(job.quota) or job.provider.api_key_env or job.provider.base_url or has_budget)


@dataclass(frozen=True, slots=True)
class Hire:
    """For whom a worker works, as whom: the run, the worker's name in it, how many clips at once, the run's purse; the
    process that drives the run, where that is another; how its lines are written where it has a log of its own."""

    run: str
    name: str
    slots: int
    purse: Purse = field(default_factory=Purse)
    driver: Process | None = None
    style: logs.Style = logs.Style()

    def is_wanted(self) -> bool:
        """Whether the run is driven yet, as far as that can be told from here."""
        return self.driver is None or self.driver.is_alive() is not False


def make_worker(job: Job, hire: Hire, tasks: Tasks, limiter: LimiterPort | None) -> Worker:
    """A worker that makes clips of ``job``; with a ``limiter`` every request asks it first.

    An embedded voice borrows one clip ahead, so that its core does not idle for the way to the queue and back.

    Raises:
        JobError: the provider cannot be used with these settings.
    """
    provider = make_provider(job.provider)
    gate: Gate = CoreGate(hire.slots) if provider.embedded else OpenGate()
    if limiter is not None and needs_limiter(job):
        account = keys.account(job)
        gate = LimiterGate(limiter, counted_as(job, account), claim_of(job, hire), hire.name)
        if job.catalogue.classes:
            provider.passage = Passages(
                {
                    name: LimiterGate(
                        limiter, counted_as(job, account, name), claim_of_class(job, hire, name), hire.name
                    )
                    for name in job.catalogue.classes
                }
            )
    synthesis = Synthesis(provider, gate, Clips.of(job), job, is_wanted=hire.is_wanted)
    return Worker(hire.name, tasks, synthesis, hire.slots + 1 if provider.embedded else hire.slots)


def claim_of_class(job: Job, hire: Hire, name: str) -> Claim:
    """The same for a class of calls that count apart from speech, and cost nothing."""
    quota = quota_of_class(job, name)
    return replace(claim_of(replace(job, quota=quota), hire), run=f"{hire.run} {name}", purse=Purse())


def claim_of(job: Job, hire: Hire) -> Claim:
    """What a worker asks the limiter with."""
    quota = job.quota
    limits = Limits.of(quota) or Limits(window_s=quota.window_s, guard_s=quota.guard_ms / 1000.0)
    return Claim(hire.run, limits, quota.share, quota.weight, quota.adaptive, quota.max_unknown, hire.purse)
