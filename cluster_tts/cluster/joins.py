"""Joining as Ray tasks. Apart from the actors, so that a worker need not import Arrow and the encoders for it."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import ray

from cluster_tts.cluster import nodes
from cluster_tts.errors import DamagedClips, DocumentError, JobError
from cluster_tts.joining import JoinOrder, join
from cluster_tts.staffing import joins_on
from cluster_tts.stitching import Joined

log = logging.getLogger(__name__)

MOST_DEATHS = 3  # of one document's joining
LOOK_S = 2.0  # between two looks at which machines are there
PAUSE_S = 0.5  # before another machine is asked where Ray would not have the one that was chosen

join_remotely: Any = ray.remote(join)


class Joiners:
    """Joins documents on the machines of a cluster, each on the one that has the least to do for its size.

    The machine is chosen here and not by Ray, so that it is known which joinings go with a machine that goes. Of one
    whose network is gone Ray says so after a minute, and of the task it was to run only when a connection times out:
    two more, measured with Ray 2.60. All others that Ray would have put there wait as long.
    """

    def __init__(self, machines: Callable[[], Collection[str]] | None = None) -> None:
        """``machines`` gives the ids of the nodes that will do; left out: all."""
        self._machines = machines
        self._busy: Counter[str] = Counter()  # how many are being joined, by node,
        self._begun: Counter[str] = Counter()  # and how many ever were
        self._there: Mapping[str, int] = {}
        self._looked = float("-inf")

    async def join(self, order: JoinOrder) -> Joined | None:
        """Join a document, or only items of it. When this is cancelled, so is the joining.

        A joining that dies is begun anew. Machines that go are not counted.

        Raises:
            DocumentError: it cannot be joined, or has ended the process it ran in too often.
        """
        deaths = 0
        while True:
            node = self._choose()
            self._busy[node] += 1
            self._begun[node] += 1
            try:
                return await self._join_on(node, order)
            except (DamagedClips, DocumentError, JobError, OSError) as error:  # a wrapper that is an instance of it
                raise getattr(error, "cause", error) from None
            except ray.exceptions.TaskUnschedulableError:  # it went, or is about to, just as it was chosen
                log.info("the machine that was to join '%s' is not there any more; another is asked", order.document)
                await asyncio.sleep(PAUSE_S)
            except (
                ray.exceptions.WorkerCrashedError,
                ray.exceptions.NodeDiedError,
                ray.exceptions.OutOfMemoryError,
            ) as error:
                what = nodes.first_line(error)
                deaths += not isinstance(error, ray.exceptions.NodeDiedError) and node in self._look()
                if deaths > MOST_DEATHS:
                    raise DocumentError(
                        f"joining '{order.document}' ended its process {deaths} times, at last so: {what}; its clips "
                        "are there, so `cluster-tts stitch` can join it on another machine"
                    ) from None
                log.warning("joining '%s' died (%s) and is begun anew", order.document, what)
            finally:
                self._busy[node] -= 1

    async def _join_on(self, node: str, order: JoinOrder) -> Joined | None:
        # num_cpus=0: with every core promised to a voice, a task that asks for one would never start.
        here = {"ray.io/node-id": node}
        reference = join_remotely.options(
            num_cpus=0, max_retries=0, label_selector=here, enable_task_events=False
        ).remote(order)
        result = asyncio.ensure_future(reference)
        try:
            while not (await asyncio.wait([result], timeout=LOOK_S))[0]:
                if node not in self._there_now():
                    raise ray.exceptions.NodeDiedError("its machine is gone")
            return cast(Joined | None, await result)
        finally:
            if not result.done():
                result.cancel()
                ray.cancel(reference, force=True)

    def _choose(self) -> str:
        """The node with the least to do; one that is about to go, or not known to do, only where there is no other."""
        there = self._look()
        will_do = there.keys() if self._machines is None else there.keys() & set(self._machines())
        stay = (will_do or there.keys()) - nodes.draining()
        return min(
            stay or will_do or there,
            key=lambda node: (self._busy[node] / joins_on(there[node]), self._begun[node], node),
        )

    def _there_now(self) -> Mapping[str, int]:
        """The nodes that are there, looked at every few seconds, however many joinings ask."""
        return self._there if time.monotonic() < self._looked + LOOK_S else self._look()

    def _look(self) -> Mapping[str, int]:
        self._there, self._looked = nodes.cores(), time.monotonic()
        return self._there
