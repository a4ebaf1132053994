"""LocalCrew: all of it in one process, no Ray. Same parts, same bytes; for debugging and a handful of chunks."""

import asyncio
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder, join
from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.limiter.limiter import Limiter
from cluster_tts.limiter.state_file import state_folder
from cluster_tts.model import Clip, Outcome, Purse
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Standing
from cluster_tts.staffing import joins_on, staff
from cluster_tts.stitching import Joined
from cluster_tts.task_queue import TaskQueue
from cluster_tts.worker import LEASE_S, Hire, make_worker


class LocalTasks:
    """The queue's worker side for a worker in the same process."""

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue

    async def serve(
        self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int, first: int
    ) -> Loans:
        return self._queue.serve(worker, holding, outcomes, want, first)


class LocalCrew:
    """One worker with as many slots as embedded voices have cores; documents are joined in a thread."""

    def __init__(self, job: Job, purse: Purse = Purse()) -> None:
        self.joiners = joins_on(os.cpu_count() or 1)
        slots = staff(job, provider_class(job.provider.name).embedded, os.cpu_count() or 1).slots
        self.backlog = max(64, 4 * slots)
        self._queue = TaskQueue(LEASE_S)
        self._limiter = Limiter(state_folder())
        self._hire = Hire(secrets.token_hex(4), f"local-{os.getpid()}", slots, purse)
        self._worker = make_worker(job, self._hire, LocalTasks(self._queue), self._limiter)
        self._working: asyncio.Task[None] | None = None
        self._had: Mapping[str, int] = {}
        self._ended = threading.Event()  # a thread cannot be cancelled: it looks for itself

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        if self._working is None:
            self._working = asyncio.create_task(self._worker.run())
        if self._working.done():
            self._working.result()
        return self._ask_queue(Orders(clips, last=last, had=self._had))

    async def standing(self) -> Standing | None:
        return self._limiter.standing(self._hire.run)

    async def join(self, order: JoinOrder) -> Joined | None:
        return await asyncio.to_thread(join, order, self._ended.is_set)

    async def wind_up(self) -> Ledger:
        ledger = self._ask_queue(Orders(close=True, had=self._had))
        self._worker.nudge()
        nobody_works = self._working is None or self._working.done()
        return replace(ledger, lent=0) if nobody_works else ledger

    def _ask_queue(self, orders: Orders) -> Ledger:
        ledger = self._queue.exchange(orders)
        self._had = ledger.had
        return ledger

    async def aclose(self) -> None:
        self._ended.set()
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        await self._limiter.aclose()
