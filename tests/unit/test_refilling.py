"""Queues die at any moment: no clip is lost, none is begun twice by those who live, every outcome comes once."""

import asyncio
import random
from collections import Counter
from collections.abc import Collection

import pytest

from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.model import Clip, Outcome, Status
from cluster_tts.refilling import RefilledQueue
from cluster_tts.task_queue import TaskQueue


class Mortal:
    """A queue that dies by chance: before a call, or after it was carried out and before its answer arrived."""

    def __init__(self, chance: random.Random, risk: float) -> None:
        self.now = 0.0
        self.queue = self.new()
        self.deaths = 0
        self._chance = chance
        self._risk = risk

    def new(self) -> TaskQueue:
        return TaskQueue(lease_s=60, max_deaths=10**9, clock=lambda: self.now)

    def perhaps_die(self) -> bool:
        dies = self._chance.random() < self._risk
        if dies:
            self.deaths += 1
            self.queue = self.new()
        return dies

    async def exchange(self, orders: Orders) -> Ledger:
        return await self._told(lambda: self.queue.exchange(orders))

    async def resume(self, orders: Orders, workers: Collection[str]) -> Ledger:
        return await self._told(lambda: self.queue.resume(orders, workers))

    async def _told(self, call) -> Ledger:  # type: ignore[no-untyped-def]
        while True:  # as the actor's port does
            self.perhaps_die()
            ledger: Ledger = call()
            if not self.perhaps_die():
                return ledger


class Speaker:
    """A worker as the queue sees it: it numbers its outcomes, and keeps them until they are the driver's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.holding: set[str] = set()
        self.outcomes: list[Outcome] = []
        self.first = self.told = 0

    def speak(self, clip_id: str, status: Status) -> None:
        self.holding.discard(clip_id)
        self.outcomes.append(
            Outcome(clip_id=clip_id, document="d", chunk_index=0, attempt=1, status=status, characters=1)
        )

    def ask(self, mortal: Mortal, want: int) -> list[str]:
        """What it is lent; its call may be carried out although the answer is lost."""
        mortal.perhaps_die()
        first = max(self.told, self.first)
        arguments = (self.name, sorted(self.holding), self.outcomes[first - self.first :], want, first)
        loans: Loans = mortal.queue.serve(*arguments)
        if mortal.perhaps_die():
            return []
        self.told = loans.next
        kept = max(0, loans.kept - self.first)
        self.outcomes, self.first = self.outcomes[kept:], self.first + kept
        self.holding |= {clip.id for clip in loans.clips}
        return [clip.id for clip in loans.clips]


@pytest.mark.parametrize("seed", range(60))
def test_however_often_the_queue_dies_every_clip_is_begun_once_and_every_outcome_comes_once(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        mortal = Mortal(chance, risk=0.05)
        driver = RefilledQueue(mortal)
        todo = [Clip(str(n), "text", "d", n) for n in range(60)]
        hopeless = {clip.id for clip in todo if chance.random() < 0.1}
        workers = [Speaker(f"w{n}") for n in range(3)]
        begun, ended = Counter[str](), Counter[tuple[str, Status]]()
        for _ in range(4000):
            mortal.now += 0.05
            worker = chance.choice(workers)
            for clip_id in sorted(worker.holding):
                if chance.random() < 0.3:
                    worker.speak(clip_id, Status.FAILED if clip_id in hopeless else Status.SPOKEN)
            begun.update(worker.ask(mortal, 4 - len(worker.holding)))
            if chance.random() < 0.3:
                more = [todo.pop() for _ in range(min(3, len(todo)))]
                ledger = await driver.exchange(Orders(more, last=not todo), lambda: [each.name for each in workers])
                ended.update((outcome.clip_id, outcome.status) for outcome in ledger.outcomes)
        assert mortal.deaths > 50
        assert set(begun.values()) == {1}, "nothing that somebody holds or has made is lent to another"
        expected = {(str(n), Status.FAILED if str(n) in hopeless else Status.SPOKEN): 1 for n in range(60)}
        assert dict(ended) == expected

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(30))
def test_when_workers_die_too_no_clip_is_lost(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        mortal = Mortal(chance, risk=0.02)
        driver = RefilledQueue(mortal)
        todo = [Clip(str(n), "text", "d", n) for n in range(60)]
        workers = [Speaker(f"w{n}") for n in range(3)]
        ended = Counter[str]()
        dead: list[str] = []
        for step in range(6000):
            mortal.now += 0.05
            if step < 3000 and chance.random() < 0.01:
                dying = workers.pop(chance.randrange(3))
                dead.append(dying.name)
                workers.append(Speaker(f"{dying.name}+"))
            worker = chance.choice(workers)
            for clip_id in sorted(worker.holding):
                if chance.random() < 0.3:
                    worker.speak(clip_id, Status.SPOKEN)
            worker.ask(mortal, 4 - len(worker.holding))
            if chance.random() < 0.3:
                more = [todo.pop() for _ in range(min(3, len(todo)))]
                orders = Orders(more, dead=tuple(dead), last=not todo)
                ledger = await driver.exchange(orders, lambda: [each.name for each in workers])
                dead.clear()
                ended.update(outcome.clip_id for outcome in ledger.outcomes if outcome.is_final)
        assert set(ended) == {str(n) for n in range(60)}

    asyncio.run(main())
