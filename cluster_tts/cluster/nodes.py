"""The machines of a cluster: which are there, which are about to go, and who was on which.

Ray is imported when asked for: a run that has nothing to speak never pays for it.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

ASK_S = 0.25

log = logging.getLogger(__name__)


def cores() -> dict[str, int]:
    """The nodes that are there, by their ids, with the cores that each says to have."""
    import ray

    return {node["NodeID"]: int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"]}


def alive() -> frozenset[str]:
    """The ids of the nodes that are there."""
    return frozenset(cores())


def draining() -> frozenset[str]:
    """The ids of the nodes that are about to go; none where Ray does not tell."""
    try:
        from ray._private.state import state

        return frozenset(state.get_draining_nodes())
    except Exception as error:  # noqa: BLE001 - private to Ray: it may be gone, or be another, in any release
        log.debug("which nodes are being drained cannot be told: %s", error)
        return frozenset()


def of(where: Any) -> str | None:
    """The node id that the reference ``where`` stands for; None where it is not known, or not yet."""
    import ray

    try:
        return str(ray.get(where, timeout=0))
    except (ray.exceptions.RayError, TimeoutError):
        return None


def is_alive(where: Any) -> bool:
    """Whether the node that ``where`` stands for is there still; one that nobody has heard from is not."""
    return of(where) in alive()


async def has_ended(actor: Any, within_s: float) -> bool:
    """Whether Ray is sure, or becomes sure in so many seconds, that the actor's process has ended."""
    import ray

    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                try:
                    await actor.retire.remote()  # any call would do; this one does no harm
                    return False
                except ray.exceptions.ActorDiedError:
                    return True
                except ray.exceptions.RayActorError:
                    await asyncio.sleep(ASK_S)
    return False


def no_room(cpus_each: float) -> str:
    """What is said where no worker that asks for so much finds a place."""
    import ray

    return (
        f"each needs {cpus_each:g} CPU, and of the cluster's {ray.cluster_resources().get('CPU', 0):g} CPUs "
        f"{ray.available_resources().get('CPU', 0):g} are free; wait for others to end, add nodes, or set workers.count"
    )


def first_line(error: Exception) -> str:
    """What Ray says, without the page of advice below it."""
    return (str(error).splitlines() or [type(error).__name__])[0]
