"""A worker pulls what it has room for, keeps its loans alive, and reports everything before it leaves."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.clips import Clips
from cluster_tts.errors import AccountRefused, JobError, RetryLater
from cluster_tts.job import Job, ProviderSettings, QuotaSettings
from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.limiter.gates import LimiterGate
from cluster_tts.limiter.limiter import Limiter
from cluster_tts.model import Clip, Outcome, Purse, Receipt, Status, Utterance
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.permits import Claim
from cluster_tts.storage import LocalFolder
from cluster_tts.synthesis import Synthesis
from cluster_tts.task_queue import TaskQueue
from cluster_tts.worker import LEASE_S, Hire, Worker, claim_of, needs_limiter
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

    def stop(self) -> None:
        pass

    def is_asking(self, clip_id: str) -> bool:
        return True

    async def aclose(self) -> None:
        self.closed = True


class Tasks:
    def __init__(self, queue: TaskQueue) -> None:
        self.queue = queue
        self.asked: list[tuple[int, int]] = []

    async def serve(
        self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int, first: int
    ) -> Loans:
        self.asked.append((len(holding), want))
        return self.queue.serve(worker, holding, outcomes, want, first)


class Driver:
    """Takes each outcome once, and says so with the next orders."""

    def __init__(self, queue: TaskQueue) -> None:
        self.queue = queue
        self.had: Mapping[str, int] = {}

    def __call__(self, clips: Sequence[Clip] = (), **orders: Any) -> Ledger:
        ledger = self.queue.exchange(Orders(clips, had=self.had, **orders))
        self.had = ledger.had
        return ledger


def work(clips: int, slots: int, synthesis: SlowSynthesis) -> tuple[Tasks, list[Outcome], float]:
    async def main() -> tuple[Tasks, list[Outcome], float]:
        tasks = Tasks(TaskQueue(LEASE_S, clock=asyncio.get_running_loop().time))
        tell = Driver(tasks.queue)
        tell([Clip(str(n), "text", "document", n) for n in range(clips)])
        working = asyncio.create_task(Worker("w", tasks, cast(Any, synthesis), slots).run())
        outcomes: list[Outcome] = []
        while len(outcomes) < clips and not working.done():
            await asyncio.sleep(0.1)
            outcomes += tell().outcomes
        took = now() - 1000.0
        tell(close=True)
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


class SlowVoice:
    """Speaks for 10 s, and counts how often it was asked."""

    characters_per_second = 15.0

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    async def prepare(self) -> None:
        pass

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        self.asked += 1
        await asyncio.sleep(10)
        if self.error:
            raise self.error
        sf.write(target, np.full(16_000, 1000, np.int16), 8000, format="WAV")
        return Receipt()

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "close_after_s", "expected"),
    [
        (None, 5, [Status.SPOKEN]),
        (RetryLater("busy", after_s=0.01), 5, [Status.RETRIED]),
        (RetryLater("busy"), 10.2, [Status.RETRIED]),
    ],
)
def test_once_the_queue_is_closed_no_request_begins_and_the_one_that_has_left_is_finished(
    tmp_path: Path, error: Exception | None, close_after_s: float, expected: list[Status]
) -> None:
    """Clips that wait at the gate or pause before another attempt are held no longer."""
    voice = SlowVoice(error)
    clips = 3 if close_after_s < 10 else 1

    async def main() -> tuple[list[Outcome], float]:
        clock = asyncio.get_running_loop().time
        tasks = Tasks(TaskQueue(LEASE_S, clock=clock))
        tell = Driver(tasks.queue)
        tell([Clip(f"{n:032x}", "Thirty characters are enough. ", "d", n) for n in range(clips)])
        gate = LimiterGate(Limiter(clock=clock), "a", Claim("run", Limits(in_flight=1), adaptive=False), "w")
        synthesis = Synthesis(cast(Any, voice), gate, Clips(LocalFolder(tmp_path), "wav"), Job())
        working = asyncio.create_task(Worker("w", tasks, synthesis, 3).run())
        await asyncio.sleep(close_after_s)
        before = tell(close=True).outcomes
        await working
        return [*before, *tell().outcomes], now() - 1000.0

    outcomes, took = simulate(main())
    assert voice.asked == 1
    assert [outcome.status for outcome in outcomes] == expected
    assert took < 12


def test_when_the_account_refuses_no_request_begins_and_those_in_flight_are_finished_and_reported(
    tmp_path: Path,
) -> None:
    class Purse(SlowVoice):
        async def speak(self, utterance: Utterance, target: Path) -> Receipt:
            if self.asked == 1:
                self.asked += 1
                await asyncio.sleep(3)
                raise AccountRefused("no credit left", "no_credit", Receipt(http_status=402))
            return await super().speak(utterance, target)

    voice = Purse()

    async def main() -> list[Outcome]:
        clock = asyncio.get_running_loop().time
        queue = TaskQueue(LEASE_S, clock=clock)
        queue.exchange(Orders([Clip(f"{n:032x}", "Thirty characters are enough. ", "d", n) for n in range(9)]))
        gate = LimiterGate(Limiter(clock=clock), "a", Claim("run", Limits(in_flight=2), adaptive=False), "w")
        synthesis = Synthesis(cast(Any, voice), gate, Clips(LocalFolder(tmp_path), "wav"), Job())
        with pytest.raises(AccountRefused, match="no credit left"):
            await Worker("w", Tasks(queue), synthesis, 4).run()
        ledger = queue.exchange()
        assert (ledger.waiting, ledger.lent) == (8, 0), "what was not made is free for others"
        return list(ledger.outcomes)

    outcomes = simulate(main())
    assert [(outcome.status, outcome.error_kind) for outcome in outcomes] == [
        (Status.RETRIED, "no_credit"),
        (Status.SPOKEN, None),
    ]
    assert voice.asked == 2


def test_an_empty_purse_ends_the_worker_once_what_was_asked_is_reported(tmp_path: Path) -> None:
    """Nothing is asked that could cost more than is left; what is in flight has first to tell what it did cost."""
    voice = SlowVoice()

    async def main() -> list[Outcome]:
        clock = asyncio.get_running_loop().time
        queue = TaskQueue(LEASE_S, clock=clock)
        queue.exchange(Orders([Clip(f"{n:032x}", "Thirty characters are enough. ", "d", n) for n in range(9)]))
        claim = Claim("run", Limits(in_flight=9), purse=Purse(characters=100))
        gate = LimiterGate(Limiter(clock=clock), "a", claim, "w")
        synthesis = Synthesis(cast(Any, voice), gate, Clips(LocalFolder(tmp_path), "wav"), Job())
        with pytest.raises(AccountRefused, match=r"budget is used up: 10 characters are left of quota\.budget_char"):
            await Worker("w", Tasks(queue), synthesis, 4).run()
        ledger = queue.exchange()
        assert (ledger.waiting, ledger.lent) == (6, 0), "what was not made is free for others"
        return list(ledger.outcomes)

    outcomes = simulate(main())
    assert [outcome.status for outcome in outcomes] == [Status.SPOKEN] * 3, (
        "and nobody is told of attempts that never were"
    )
    assert voice.asked == 3


def test_a_worker_asks_with_what_the_job_says_of_the_account() -> None:
    quota = QuotaSettings(requests_per_minute=60, share=0.5, weight=2.0, adaptive=False, max_unknown=7, guard_ms=50)
    purse = Purse(usd=3.0)
    claim = claim_of(Job(quota=quota), Hire("run", "w", 4, purse))
    assert claim == Claim("run", Limits(requests=30, guard_s=0.05), 0.5, 2.0, False, 7, purse)


def test_where_no_limit_is_known_the_window_and_the_guard_are_those_of_the_job() -> None:
    claim = claim_of(Job(quota=QuotaSettings(window_s=10, guard_ms=300)), Hire("run", "w", 4))
    assert claim == Claim("run", Limits(window_s=10, guard_s=0.3))


@pytest.mark.parametrize(
    ("job", "needed"),
    [
        (Job(), False),
        (Job(quota=QuotaSettings(max_concurrent_requests=2)), True),
        (Job(provider=ProviderSettings(api_key_env="SOME_KEY")), True),
        (Job(provider=ProviderSettings(base_url="http://here:8000/v1")), True),
    ],
)
def test_whoever_asks_somebodys_account_or_server_asks_the_limiter_first(job: Job, needed: bool) -> None:
    assert needs_limiter(job) == needed
