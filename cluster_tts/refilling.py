"""The driver's side of a queue that may die: whatever takes its place is told what it has to know."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

from cluster_tts.lending import Ledger, Orders
from cluster_tts.model import Clip

log = logging.getLogger(__name__)


class Queue(Protocol):
    """A ``TaskQueue`` somewhere else. Each call may reach one that knows nothing of those before."""

    async def exchange(self, orders: Orders) -> Ledger: ...

    async def resume(self, orders: Orders, workers: Collection[str]) -> Ledger: ...


class RefilledQueue:
    """Carries the driver's orders to whatever queue there is.

    Promise: every clip that was handed in ends as one final outcome, and every outcome that a worker keeps until it is
    the driver's comes through once, however often the queue dies.

    Weakness: how many workers a clip has taken with it is forgotten with the queue.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._handed: dict[str, Clip] = {}  # in and not ended
        self._had: Mapping[str, int] = {}
        self._name = ""

    def has_told(self, worker: str) -> bool:
        """Whether the driver has any outcome of this worker."""
        return worker in self._had

    async def exchange(self, orders: Orders, workers: Callable[[], Collection[str]]) -> Ledger:
        """Carry out ``orders``; ``workers`` gives those whose word a new queue has to wait for.

        What the queue itself raises comes through; the same orders may then be given again.
        """
        self._handed.update((clip.id, clip) for clip in orders.clips)
        orders = replace(orders, had=self._had, queue=self._name)
        ledger = await self._queue.exchange(orders)
        while self._name and ledger.queue != self._name:
            log.warning("the task queue died; another takes its place, with %d clips", len(self._handed))
            self._name = ledger.queue
            refill = replace(orders, clips=tuple(self._handed.values()), queue=self._name)
            ledger = await self._queue.resume(refill, workers())
        self._name, self._had = ledger.queue, ledger.had
        for outcome in ledger.outcomes:
            if outcome.is_final:
                self._handed.pop(outcome.clip_id, None)
        return ledger
