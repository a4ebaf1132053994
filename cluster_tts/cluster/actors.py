"""Plain classes as actors. What each decides is decided, and tested, without Ray."""

import asyncio
import logging
from typing import Any, cast

import ray

from cluster_tts import keys, logs
from cluster_tts.cluster.ports import RemoteTasks
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.landmarks import Landmarks
from cluster_tts.limiter.limiter import Limiter
from cluster_tts.limiter.state_file import state_folder
from cluster_tts.quota.permits import PROTOCOL, Ask, Claim, Reply
from cluster_tts.task_queue import TaskQueue
from cluster_tts.worker import Hire, Worker, make_worker

log = logging.getLogger(__name__)

LIMITER_IDLE_S = 600.0
ANSWER_S = 60.0  # so long Ray may take to start one


class _WorkerShell:
    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._retired = False

    async def accept(self, api_keys: dict[str, str]) -> str:
        """Take keys that this node's environment may not hold (as arguments of a constructor Ray would keep them); the
        id of this node."""
        keys.hand_over(api_keys)
        return str(ray.get_runtime_context().get_node_id())

    async def see(self, landmarks: Landmarks) -> str:
        """The id of this node, once the run's folders were seen from it; ``JobError`` if they are not."""
        await asyncio.to_thread(landmarks.require)
        return str(ray.get_runtime_context().get_node_id())

    async def work(self, job: Job, hire: Hire, queue: Any, limiter: Any, node: str, seen: str | None = None) -> None:
        """Build the worker here, where its key and its voice are, and let it work until the queue is closed.

        ``seen`` is given as a reference to what ``see`` gives: before that Ray does not begin this call, and where it
        fails this fails in the same words.
        """
        logs.say_on_stderr(hire.style)
        log.info("begins to work, on as many as %d clips at once", hire.slots)
        port = RemoteLimiter(limiter, node) if limiter is not None else None
        self._worker = make_worker(job, hire, RemoteTasks(queue), port)
        if self._retired:
            self._worker.retire()
        await self._worker.run()

    async def retire(self) -> None:
        """Leave as soon as what was asked for is there."""
        self._retired = True
        if self._worker is not None:
            self._worker.retire()


class _LimiterShell(Limiter):
    def __init__(self) -> None:
        super().__init__(state_folder())

    async def leave_when_idle(self) -> None:
        """End the process for good once nobody has asked for long: the limiter outlives the job that made it."""
        while (left_s := LIMITER_IDLE_S - self.idle_s) > 0:  # noqa: ASYNC110 - it waits for nothing to happen
            await asyncio.sleep(left_s)
        await self.aclose()
        ray.actor.exit_actor()


def limiter_on(node: str) -> Any:
    """The limiter of the cluster: the one that is there, else a new one on ``node``."""
    return LimiterActor.options(
        name="limiter", namespace="cluster_tts", lifetime="detached", get_if_exists=True, num_cpus=0,
        max_restarts=-1, max_task_retries=-1, max_concurrency=10_000, enable_task_events=False,
        label_selector={"ray.io/node-id": node},
    ).remote()  # fmt: skip


def limiter_of_ours(node: str) -> Any:
    """The same, once it is known to understand this version: it may have been made by another, and outlived it.

    Raises:
        JobError: it does not.
    """
    limiter = limiter_on(node)
    try:
        theirs = ray.get(limiter.protocol.remote(), timeout=ANSWER_S)
    except ray.exceptions.RayActorError:  # it has just left
        limiter = limiter_on(node)
        theirs = ray.get(limiter.protocol.remote(), timeout=ANSWER_S)
    except (AttributeError, ray.exceptions.RayTaskError):
        theirs = 0
    if theirs != PROTOCOL:
        raise JobError(
            f"the limiter of this cluster was started by another version of cluster_tts (it speaks protocol "
            f"{theirs}, this one {PROTOCOL}): let the runs of that version end and try again ten minutes later, or "
            "use the same version"
        )
    limiter.leave_when_idle.remote()
    return limiter


class RemoteLimiter:
    """``permits.LimiterPort`` over the limiter actor, which leaves when nobody has asked for long."""

    def __init__(self, limiter: Any, node: str) -> None:
        self._limiter = limiter
        self._node = node

    async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply:
        try:
            return cast(Reply, await self._limiter.ask.remote(account, claim, ask))
        except ray.exceptions.ActorDiedError:
            self._limiter = limiter_on(self._node)
            self._limiter.leave_when_idle.remote()
            return cast(Reply, await self._limiter.ask.remote(account, claim, ask))


QueueActor: Any = ray.remote(TaskQueue)
WorkerActor: Any = ray.remote(_WorkerShell)
LimiterActor: Any = ray.remote(_LimiterShell)
