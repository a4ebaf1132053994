"""Joining as a Ray task. Apart from the actors, so that a worker need not import Arrow and the encoders for it."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, cast

import ray

from cluster_tts.cluster import nodes
from cluster_tts.errors import DamagedClips, DocumentError, JobError
from cluster_tts.joining import JoinOrder, join
from cluster_tts.stitching import Joined

log = logging.getLogger(__name__)

MOST_DEATHS = 3  # of one document's joining

join_remotely: Any = ray.remote(join)


async def join_on(order: JoinOrder, machines: Callable[[], Collection[str]] | None = None) -> Joined | None:
    """Join a document wherever there is a machine for it; ``machines`` gives the ids of the nodes that will do.

    A joining that dies is begun anew. Machines that go are not counted. When this is cancelled, so is the joining.

    Raises:
        DocumentError: it cannot be joined, or has ended the process it ran in too often.
    """
    # num_cpus=0: with every core promised to a voice, a task that asks for one would never start. And asking for
    # nothing, all of them would be put on one machine but for SPREAD.
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": "SPREAD", "enable_task_events": False}
    deaths = 0
    while True:
        there = nodes.alive()
        if machines is not None:
            options["label_selector"] = {"ray.io/node-id": f"in({','.join(machines())})"}
        reference = join_remotely.options(**options).remote(order)
        try:
            return cast(Joined | None, await reference)
        except (DamagedClips, DocumentError, JobError, OSError) as error:  # a wrapper that is an instance of it
            raise getattr(error, "cause", error) from None
        except (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
        ) as error:
            what = nodes.first_line(error)
            deaths += not isinstance(error, ray.exceptions.NodeDiedError) and there <= nodes.alive()
            if deaths > MOST_DEATHS:
                raise DocumentError(
                    f"joining '{order.document}' ended its process {deaths} times, at last so: {what}; its clips are "
                    "there, so `cluster-tts stitch` can join it on another machine"
                ) from None
            log.warning("joining '%s' died (%s) and is begun anew", order.document, what)
        except asyncio.CancelledError:
            ray.cancel(reference, force=True)
            raise
