"""Actor handles dressed as the ports that plain code declares."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, cast

import ray

from cluster_tts.cluster.nodes import first_line
from cluster_tts.errors import Interrupted
from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.model import Outcome

RETRY_S = 0.2
RESTART_S = 60.0  # so long Ray may take to start an actor anew


class RemoteTasks:
    """``worker.Tasks`` over the queue actor. While that is being restarted it is asked again: calls can be repeated."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def serve(
        self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int, first: int
    ) -> Loans:
        while True:
            try:
                return cast(Loans, await self._queue.serve.remote(worker, holding, outcomes, want, first))
            except ray.exceptions.ActorUnavailableError:
                await asyncio.sleep(RETRY_S)


class RemoteQueue:
    """``refilling.Queue`` over the same actor, for the driver."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def exchange(self, orders: Orders) -> Ledger:
        return await self._reach(lambda: self._actor.exchange.remote(orders))

    async def resume(self, orders: Orders, workers: Collection[str]) -> Ledger:
        return await self._reach(lambda: self._actor.resume.remote(orders, workers))

    async def _reach(self, call: Callable[[], Awaitable[Any]]) -> Ledger:
        deadline = time.monotonic() + RESTART_S
        while True:
            try:
                return cast(Ledger, await call())
            except ray.exceptions.RayActorError as error:
                is_back_soon = isinstance(error, ray.exceptions.ActorUnavailableError)
                if not is_back_soon or time.monotonic() > deadline:
                    raise Interrupted(
                        f"the task queue died and does not come back ({first_line(error)}); run the same command again "
                        "to continue"
                    ) from None
                await asyncio.sleep(RETRY_S)
