"""RayCrew: start a pool of workers around one queue and one limiter, feed them, replace the dead, stop them."""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

from cluster_tts import keys
from cluster_tts.cluster.session import Session
from cluster_tts.errors import DamagedClips, Interrupted, JobError
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder
from cluster_tts.model import Clip, Outcome, Purse
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Standing
from cluster_tts.quota.permits import PROTOCOL
from cluster_tts.staffing import staff
from cluster_tts.stitching import Joined
from cluster_tts.task_queue import Ledger
from cluster_tts.worker import LEASE_S, Hire, needs_limiter

log = logging.getLogger(__name__)

WAITING_CPUS = 0.25  # of a worker that mostly waits for a server
MOST_DEATHS_IN_A_ROW = 5  # workers that die one after another while nothing gets done: something is wrong with all
DISMISS_TICK_S = 0.05
FORGET_S = 5.0
ROOM_S = 60.0  # a cluster in which no worker got a place for so long has no room, and says so


class RayCrew:
    """The pool. ``hire`` connects and starts it, so that this can go on while documents are still being read."""

    def __init__(self, job: Job, purse: Purse = Purse()) -> None:
        self._job = job
        self._purse = purse
        self._session = Session(job.cluster.address)
        # Ray is started on a thread that lives as long as the crew: see Session.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        # Unique on the cluster, for a limiter serves many runs, and process ids repeat from pod to pod.
        self._run = secrets.token_hex(4)
        self._names = (f"worker-{number}-{self._run}" for number in itertools.count())
        self._work: dict[Any, str] = {}  # the worker's name by the reference to its work
        self._actors: dict[str, Any] = {}
        self._hired = False
        self._hired_names: list[str] = []
        self._deaths_in_a_row = 0
        self._dead: list[str] = []
        self._placed = False
        self._told = time.monotonic()
        self._queue: Any = None
        self._limiter: Any = None
        self._node = ""
        self.backlog = 64
        self.joiners = 1

    async def hire(self) -> None:
        """Connect to Ray and start the pool.

        Raises:
            JobError: no Ray, or no room in the cluster.
        """
        self._hired = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._start)

    def _start(self) -> None:
        self._session.open()
        import ray

        from cluster_tts.cluster.actors import QueueActor, limiter_on

        self._node = node = ray.get_runtime_context().get_node_id()
        here = {"ray.io/node-id": node}
        self._queue = QueueActor.options(num_cpus=0, enable_task_events=False, label_selector=here).remote(LEASE_S)
        if needs_limiter(self._job):
            self._limiter = limiter_on(node)
            self._refuse_other_protocol()
            self._limiter.leave_when_idle.remote()
        embedded = provider_class(self._job.provider.name).embedded
        self._cpus_each = 1.0 if embedded else WAITING_CPUS
        self._staff = staff(self._job, embedded, int(ray.cluster_resources().get("CPU", 1.0)))
        self.backlog = max(64, 4 * self._staff.places)
        self.joiners = sum(node["Alive"] for node in ray.nodes())
        for _ in range(self._staff.count):
            self._start_worker()

    def _refuse_other_protocol(self) -> None:
        """The limiter may have been made by a run of another version, and outlived it."""
        import ray

        from cluster_tts.cluster.actors import limiter_on

        try:
            theirs = ray.get(self._limiter.protocol.remote(), timeout=ROOM_S)
        except ray.exceptions.RayActorError:  # it has just left
            self._limiter = limiter_on(self._node)
            theirs = ray.get(self._limiter.protocol.remote(), timeout=ROOM_S)
        except (AttributeError, ray.exceptions.RayTaskError):
            theirs = 0
        if theirs != PROTOCOL:
            raise JobError(
                f"the limiter of this cluster was started by another version of cluster_tts (it speaks protocol "
                f"{theirs}, this one {PROTOCOL}): let the runs of that version end and try again ten minutes later, or "
                "use the same version"
            )

    def _start_worker(self) -> None:
        from cluster_tts.cluster.actors import WorkerActor

        name = next(self._names)
        actor = WorkerActor.options(num_cpus=self._cpus_each, enable_task_events=False).remote()
        self._actors[name] = actor
        self._hired_names.append(name)
        actor.accept.remote(keys.to_hand_over(self._job.provider))  # calls to an actor begin in order
        hire = Hire(self._run, name, self._staff.slots, self._purse)
        self._work[actor.work.remote(self._job, hire, self._queue, self._limiter, self._node)] = name

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        await self._replace_dead()
        dead, self._dead = self._dead, []
        ledger = await self._ask_queue(clips, dead, last)
        if ledger.outcomes:
            self._deaths_in_a_row = 0
        if not self._placed:
            self._placed = bool(ledger.lent or ledger.outcomes)
            self._tell_if_no_room()
        return ledger

    def _tell_if_no_room(self) -> None:
        if not self._placed and time.monotonic() - self._told > ROOM_S:
            import ray

            self._told = time.monotonic()
            log.warning(
                "no worker got a place for %.0f s: each needs %g CPU, and of the cluster's %g CPUs %g are free; "
                "wait for others to end, add nodes, or set workers.count",
                ROOM_S,
                self._cpus_each,
                ray.cluster_resources().get("CPU", 0),
                ray.available_resources().get("CPU", 0),
            )

    async def _replace_dead(self) -> None:
        import ray

        if not self._work:
            return
        ended, _ = ray.wait(list(self._work), num_returns=len(self._work), timeout=0)
        for reference in ended:
            name = self._work.pop(reference)
            del self._actors[name]
            try:
                await reference
            except JobError as error:  # raised in the worker; what Ray hands on is a wrapper that is an instance of it
                raise getattr(error, "cause", error) from None
            except ray.exceptions.RayActorError as error:
                log.warning("worker %s died and is replaced: %s", name, _first_line(error))
                self._dead.append(name)
                if self._limiter is not None:
                    self._limiter.forget.remote([name])
                self._deaths_in_a_row += 1
                if self._deaths_in_a_row > MOST_DEATHS_IN_A_ROW:
                    raise JobError(
                        f"{self._deaths_in_a_row} workers died in a row, the last one so: {_first_line(error)}"
                    ) from None
                self._start_worker()

    async def standing(self) -> Standing | None:
        import ray

        if self._limiter is None:
            return None
        try:
            return cast(Standing | None, await self._limiter.standing.remote(self._run))
        except ray.exceptions.RayActorError:
            return None  # it is being restarted

    async def join(self, order: JoinOrder) -> Joined:
        from cluster_tts.cluster.joins import join_remotely

        # num_cpus=0: with every core promised to a voice, a task that asks for one would never start.
        task = join_remotely.options(num_cpus=0, max_retries=3, enable_task_events=False)
        try:
            return cast(Joined, await task.remote(order))
        except (DamagedClips, OSError) as error:  # as for a worker's errors: a wrapper that is an instance of it
            raise getattr(error, "cause", error) from None

    async def dismiss(self, grace_s: float) -> Ledger:
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + grace_s
        with _death_interrupts():
            await self._queue.close.remote()
        while True:
            dead, self._dead = self._dead, []
            ledger = await self._ask_queue((), dead)
            outcomes += ledger.outcomes
            if not ledger.lent or time.monotonic() >= deadline:
                return Ledger(tuple(outcomes), ledger.waiting, ledger.lent)
            await asyncio.sleep(DISMISS_TICK_S)

    async def _ask_queue(self, clips: Sequence[Clip], dead_workers: Sequence[str], last: bool = False) -> Ledger:
        with _death_interrupts():
            return cast(Ledger, await self._queue.exchange.remote(clips, dead_workers, last))

    async def aclose(self) -> None:
        """Let the pool go and disconnect; on a shared cluster nothing of this run stays."""
        if not self._hired:
            return
        await asyncio.get_running_loop().run_in_executor(self._thread, self._stop)
        self._thread.shutdown()

    def _stop(self) -> None:
        import ray

        try:
            if ray.is_initialized():
                for actor in [*self._actors.values(), self._queue]:
                    if actor is not None:
                        ray.kill(actor)
                if self._limiter is not None:  # it stays, for other runs; the places of our workers must not
                    ray.get(self._limiter.forget.remote(self._hired_names), timeout=FORGET_S)
                    if self._session.is_private:
                        ray.get(self._limiter.aclose.remote(), timeout=FORGET_S)
        except ray.exceptions.RayError as error:
            log.warning("could not part in good order from Ray: %s", _first_line(error))
        finally:
            self._session.close()


@contextmanager
def _death_interrupts() -> Iterator[None]:
    """The queue lives as long as its run does: should it die, the next run continues."""
    import ray

    try:
        yield
    except ray.exceptions.RayActorError as error:
        raise Interrupted(f"the task queue died ({_first_line(error)}); run the same command again") from None


def _first_line(error: Exception) -> str:
    """What Ray says, without the page of advice below it."""
    return (str(error).splitlines() or [type(error).__name__])[0]
