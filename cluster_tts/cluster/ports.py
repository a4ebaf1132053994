"""Actor handles dressed as the ports that plain code declares."""

from collections.abc import Sequence
from typing import Any, cast

from cluster_tts.model import Outcome
from cluster_tts.task_queue import Loans


class RemoteTasks:
    """``worker.Tasks`` over the queue actor."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def serve(self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int) -> Loans:
        return cast(Loans, await self._queue.serve.remote(worker, holding, outcomes, want))
