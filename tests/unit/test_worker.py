"""A worker pulls what it has room for, keeps its loans alive, and reports everything before it leaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from cluster_tts.errors import JobError
from cluster_tts.model import Clip, Outcome, Status
from cluster_tts.task_queue import Loans, TaskQueue
from cluster_tts.worker import LEASE_S, Worker
from tests.simulated import now, simulate


class SlowSynthesis:
    """Takes ``seconds`` for a clip."""

    def __init__(self, seconds: float = 1.0, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.running = self.peak = 0
        self.closed = False

    async def prepare(self) -> None:
        assert not self.running, "nothing is begun before the voice is ready"

    async def make(self, clip: Clip) -> AsyncIterator[Outcome]:
        self.running += 1
        self.peak = max(self.peak, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        if self.error:
            raise self.error
        yield Outcome(
            clip_id=clip.id, document=clip.document, chunk_index=clip.chunk_index,
            attempt=1, status=Status.FAILED, characters=1,
        )  # fmt: skip

    async def aclose(self) -> None:
        self.closed = True


class Tasks:
    def __init__(self, queue: TaskQueue) -> None:
        self.queue = queue
        self.asked: list[tuple[int, int]] = []

    async def serve(self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int) -> Loans:
        self.asked.append((len(holding), want))
        return self.queue.serve(worker, holding, outcomes, want)


def work(clips: int, slots: int, synthesis: SlowSynthesis) -> tuple[Tasks, list[Outcome], float]:
    async def main() -> tuple[Tasks, list[Outcome], float]:
        tasks = Tasks(TaskQueue(LEASE_S, clock=asyncio.get_running_loop().time))
        tasks.queue.exchange([Clip(str(n), "text", "document", n) for n in range(clips)])
        working = asyncio.create_task(Worker("w", tasks, cast(Any, synthesis), slots).run())
        outcomes: list[Outcome] = []
        while len(outcomes) < clips and not working.done():
            await asyncio.sleep(0.1)
            outcomes += tasks.queue.exchange().outcomes
        took = now() - 1000.0
        tasks.queue.close()
        await working
        return tasks, outcomes, took

    return simulate(main())


def test_slots_are_kept_full_and_never_overfull() -> None:
    synthesis = SlowSynthesis()
    tasks, outcomes, took = work(12, 4, synthesis)
    assert synthesis.peak == 4
    assert took == pytest.approx(3.1, abs=0.15)
    assert all(holding + want == 4 for holding, want in tasks.asked)
    assert sorted(int(outcome.clip_id) for outcome in outcomes) == list(range(12))
    assert {outcome.worker for outcome in outcomes} == {"w"}


def test_loans_are_renewed_while_a_clip_takes_longer_than_its_lease() -> None:
    _, outcomes, took = work(1, 1, SlowSynthesis(seconds=10 * LEASE_S))
    assert len(outcomes) == 1
    assert took == pytest.approx(10 * LEASE_S, abs=1)


def test_a_worker_leaves_when_the_queue_is_closed_and_closes_its_provider() -> None:
    synthesis = SlowSynthesis()
    work(0, 2, synthesis)
    assert synthesis.closed


def test_a_job_error_ends_the_worker() -> None:
    synthesis = SlowSynthesis(error=JobError("the key was refused"))
    with pytest.raises(JobError, match="key was refused"):
        work(5, 2, synthesis)
    assert synthesis.closed
