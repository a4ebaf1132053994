"""RayCrew: start a pool of workers around one queue and one limiter, feed them, replace the dead, stop them."""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cluster_tts import keys
from cluster_tts.cluster import nodes
from cluster_tts.cluster.nodes import first_line
from cluster_tts.cluster.session import Session, take_back_signals
from cluster_tts.errors import Interrupted, JobError
from cluster_tts.figures import Snapshot
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder
from cluster_tts.lending import Ledger, Orders
from cluster_tts.limiter.liveness import Process
from cluster_tts.logs import Style
from cluster_tts.model import Clip, Purse
from cluster_tts.providers import provider_class
from cluster_tts.quota.limits import Standing
from cluster_tts.refilling import RefilledQueue
from cluster_tts.staffing import joins_on, staff
from cluster_tts.stitching import Joined
from cluster_tts.worker import LEASE_S, Hire, needs_limiter

if TYPE_CHECKING:
    from cluster_tts.cluster.hosts import Hosts
    from cluster_tts.cluster.joins import Joiners
    from cluster_tts.cluster.metrics import Metrics

log = logging.getLogger(__name__)

WAITING_CPUS = 0.25  # of a worker that mostly waits for a server
MOST_DEATHS_IN_A_ROW = 5  # workers that die before they got anything done, nor anybody else: something is wrong
SURE_S = 3.0  # so long it may take until Ray is sure that a process has ended; of a machine it takes much longer
LOOK_S = 2.0  # between two looks at which machines are about to go
FORGET_S = 5.0
ROOM_S = 60.0  # a cluster in which no worker got a place for so long has no room, and says so


class RayCrew:
    """The pool. ``hire`` connects and starts it, so that this can go on while documents are still being read."""

    def __init__(self, job: Job, purse: Purse = Purse(), run_id: str = "", videos: Sequence[Path] = ()) -> None:
        self._job = job
        self._videos = videos  # which joiners have to see
        self._purse = purse
        self._run_id = run_id  # by which a log tells whose lines are whose
        self._session = Session(job.cluster.address)
        # Ray is started on a thread that lives as long as the crew: see Session.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        # Unique on the cluster, for a limiter serves many runs, and process ids repeat from pod to pod.
        self._run = secrets.token_hex(4)
        self._names = (f"worker-{number}-{self._run}" for number in itertools.count())
        self._work: dict[Any, str] = {}  # the worker's name by the reference to its work
        self._actors: dict[str, tuple[Any, Any]] = {}  # by name: its handle, and the reference to the node it is on
        self._retired: set[str] = set()
        self._mourning: set[asyncio.Task[None]] = set()
        self._hired = False
        self._hired_names: list[str] = []
        self._deaths_in_a_row = 0
        self._dead: list[str] = []  # workers the queue has to hear of
        self._lost: list[str] = []  # those that went with their machine
        self._winding_up = False
        self._next_look = 0.0
        self._placed = False
        self._told = time.monotonic()
        self._queue_actor: Any = None
        self._queue: RefilledQueue
        self._limiter: Any = None
        self._node = ""
        self._driver = Process.here()
        self._hosts: Hosts | None = None  # of a cluster that is not ours alone
        self._metrics: Metrics | None = None
        self._joins: Joiners
        self.backlog = 64
        self.joiners = 1

    async def hire(self) -> None:
        """Connect to Ray and start the pool.

        Raises:
            JobError: no Ray, or a machine that does not see where the run writes to.
        """
        self._hired = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._session.open)
        take_back_signals()
        await loop.run_in_executor(self._thread, self._start)

    def _start(self) -> None:
        import ray

        from cluster_tts.cluster.actors import QueueActor, limiter_of_ours
        from cluster_tts.cluster.hosts import Hosts
        from cluster_tts.cluster.joins import Joiners
        from cluster_tts.cluster.ports import RemoteQueue

        self._node = node = ray.get_runtime_context().get_node_id()
        if not self._session.is_private:
            self._hosts = Hosts(self._job, node, self._videos)
            self._hosts.survey()
        here = {"ray.io/node-id": node}
        options = {"num_cpus": 0, "max_restarts": -1, "enable_task_events": False, "label_selector": here}
        self._queue_actor = QueueActor.options(**options).remote(LEASE_S)
        self._queue = RefilledQueue(RemoteQueue(self._queue_actor))
        if needs_limiter(self._job):
            self._limiter = limiter_of_ours(node)
        embedded = provider_class(self._job.provider.name).embedded
        self._cpus_each = 1.0 if embedded else WAITING_CPUS
        self._staff = staff(self._job, embedded, int(ray.cluster_resources().get("CPU", 1.0)))
        self.backlog = max(64, 4 * self._staff.places)
        self.joiners = sum(map(joins_on, nodes.cores().values()))
        self._joins = Joiners(None if self._hosts is None else self._hosts.that_see)
        for _ in range(self._staff.count):
            self._start_worker()

    def _start_worker(self) -> None:
        from cluster_tts.cluster.actors import WorkerActor

        name = next(self._names)
        # What a pending actor asks for by name is all that an autoscaler sees, and all it needs: `request_resources`
        # would hold machines that nobody uses any more, until somebody takes it back.
        actor = WorkerActor.options(
            num_cpus=self._cpus_each, scheduling_strategy="SPREAD", enable_task_events=False
        ).remote()
        self._hired_names.append(name)
        where = actor.accept.remote(keys.to_hand_over(self._job.provider))  # calls to an actor begin in order
        self._actors[name] = actor, where
        seen = self._hosts.look_from(actor) if self._hosts is not None else None
        style = Style(self._job.logging.format, self._run_id, name)
        hire = Hire(self._run, name, self._staff.slots, self._purse, self._driver, style)
        self._work[actor.work.remote(self._job, hire, self._queue_actor, self._limiter, self._node, seen)] = name

    def publish(self, figures: Callable[[], Snapshot]) -> None:
        """Show the run's figures to whoever scrapes the cluster; a private Ray has nobody."""
        from cluster_tts.cluster.metrics import Metrics

        if not self._session.is_private:
            self._metrics = Metrics(self._job.provider.name, figures)

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        if self._metrics is not None:
            self._metrics.beat()
        self._refuse_draining()
        await self._replace_dead()
        ledger = await self._ask_queue(clips, last)
        if ledger.outcomes:
            self._deaths_in_a_row = 0
        if not self._placed:
            self._placed = bool(ledger.lent or ledger.outcomes)
            self._tell_if_no_room()
        return ledger

    def _tell_if_no_room(self) -> None:
        if not self._placed and time.monotonic() - self._told > ROOM_S:
            self._told = time.monotonic()
            log.warning("no worker got a place for %.0f s: %s", ROOM_S, nodes.no_room(self._cpus_each))

    async def _replace_dead(self) -> None:
        """Take note of workers that ended, and start others in their place."""
        import ray

        ended, _ = ray.wait(list(self._work), num_returns=len(self._work), timeout=0) if self._work else ((), ())
        for reference in ended:
            name = self._work.pop(reference)
            actor, where = self._actors.pop(name)
            try:
                await reference
            except JobError as error:  # raised in the worker; what Ray hands on is a wrapper that is an instance of it
                raise getattr(error, "cause", error) from None
            except ray.exceptions.RayActorError as error:
                self._mourning.add(asyncio.create_task(self._mourn(name, actor, where, error)))
                continue
            if not self._winding_up:  # it has retired
                self._start_worker()
        for task in [task for task in self._mourning if task.done()]:
            self._mourning.discard(task)
            task.result()

    async def _mourn(self, name: str, actor: Any, where: Any, error: Exception) -> None:
        """Tell the queue and the limiter that a worker died, and whether a clip may be to blame; hire another.

        Raises:
            JobError: too many have died in a row.
        """
        import ray

        try:
            blame = await nodes.has_ended(actor, SURE_S) and nodes.is_alive(where)
        finally:
            ray.kill(actor)  # it may only have been out of reach
        if blame:
            log.warning("worker %s died and is replaced: %s", name, first_line(error))
            self._dead.append(name)
            self._deaths_in_a_row += not self._queue.has_told(name)  # all may be killed at once that worked well
        else:
            log.warning("the machine of worker %s is gone; another takes its place: %s", name, first_line(error))
            self._lost.append(name)
        if self._limiter is not None:
            self._limiter.forget.remote([name])
        if self._deaths_in_a_row > max(MOST_DEATHS_IN_A_ROW, 2 * self._staff.count):
            raise JobError(f"{self._deaths_in_a_row} workers died in a row, the last one so: {first_line(error)}")
        if not self._winding_up:
            self._start_worker()

    def _refuse_draining(self) -> None:
        """Have workers leave machines that are about to go; raise ``Interrupted`` where this is one of them."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_S
        draining = nodes.draining()
        if self._node in draining:
            raise Interrupted(
                "this machine is about to be taken away (its node is being drained); run the same command again to "
                "continue, on another"
            )
        for name, (actor, where) in self._actors.items():
            if name not in self._retired and nodes.of(where) in draining:
                log.warning(
                    "the machine of worker %s is about to be taken away: it finishes what it has asked for", name
                )
                self._retired.add(name)
                actor.retire.remote()

    async def standing(self) -> Standing | None:
        import ray

        if self._limiter is None:
            return None
        try:
            return cast(Standing | None, await self._limiter.standing.remote(self._run))
        except ray.exceptions.RayActorError:
            return None  # it is being restarted

    async def join(self, order: JoinOrder) -> Joined | None:
        return await self._joins.join(order)

    async def wind_up(self) -> Ledger:
        self._winding_up = True
        with suppress(JobError):  # what ends the run is known; the others say the same
            await self._replace_dead()
        return await self._ask_queue()

    async def _ask_queue(self, clips: Sequence[Clip] = (), last: bool = True) -> Ledger:
        # Whoever is found dead while the queue is being asked is told of the next time.
        (dead, self._dead), (lost, self._lost) = (self._dead, []), (self._lost, [])
        orders = Orders(clips, dead, lost, last, self._winding_up)
        return await self._queue.exchange(orders, self._placed_workers)

    def _placed_workers(self) -> list[str]:
        """Those that have a place on some machine: the others hold nothing."""
        return [name for name, (_, where) in self._actors.items() if nodes.of(where) is not None]

    async def aclose(self) -> None:
        """Let the pool go and disconnect; on a shared cluster nothing of this run stays."""
        if not self._hired:
            return
        for task in self._mourning:
            task.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._stop)
        self._thread.shutdown()

    def _to_kill(self) -> list[Any]:
        """The actors that do not end by themselves when we disconnect, or should not wait for it."""
        if self._session.is_ours and self._node in nodes.draining():
            # Nothing but these keeps the raylet of a drained node alive, and Ray ends a process whose raylet is gone
            # with 1, in the middle of what it does. They end with our job, once we are disconnected.
            return []
        return [actor for actor in (*(actor for actor, _ in self._actors.values()), self._queue_actor) if actor]

    def _stop(self) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            return  # which has been said

        try:
            if ray.is_initialized():
                if self._metrics is not None:
                    self._metrics.push()  # which leaves when we disconnect
                for actor in self._to_kill():
                    ray.kill(actor)
                if self._limiter is not None:  # it stays, for other runs; the places of our workers must not
                    ray.get(self._limiter.forget.remote(self._hired_names), timeout=FORGET_S)
                    if self._session.is_private:
                        ray.get(self._limiter.aclose.remote(), timeout=FORGET_S)
        except ray.exceptions.RayError as error:
            log.warning("could not part in good order from Ray: %s", first_line(error))
        finally:
            if self._hosts is not None:
                self._hosts.close()
            self._session.close()
