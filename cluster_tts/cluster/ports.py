"""Actor handles dressed as the ports that plain code declares."""

from collections.abc import Sequence
from typing import Any, cast

from cluster_tts.limiter import Ask
from cluster_tts.model import Outcome
from cluster_tts.quota import Limits
from cluster_tts.task_queue import Loans


class RemoteTasks:
    """``worker.Tasks`` over the queue actor."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def serve(self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int) -> Loans:
        return cast(Loans, await self._queue.serve.remote(worker, holding, outcomes, want))


class RemoteLimiter:
    """``limiter.LimiterPort`` over the limiter actor."""

    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    async def ask(self, account: str, limits: Limits, ask: Ask) -> tuple[int, ...]:
        return cast(tuple[int, ...], await self._limiter.ask.remote(account, limits, ask))
