"""The machines of a shared cluster that may work for a run: each has looked for its folders, and sees them."""

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ray

from cluster_tts.cluster import nodes
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.landmarks import Landmarks, left_in

log = logging.getLogger(__name__)

SURVEY_S = 60.0  # a machine that has not answered by then is not waited for: its workers look for themselves


@ray.remote
def _look(landmarks: Landmarks) -> None:
    landmarks.require()


class Hosts:
    """Promise: nothing is paid before every machine that is there has looked, nor by a machine that comes later before
    it has; and documents are joined only on machines that see where they go."""

    def __init__(self, job: Job, here: str, videos: Iterable[Path] = ()) -> None:
        """``here`` is the id of this node; ``videos`` are those that documents become the sound of."""
        self._stack = ExitStack()
        self._landmarks = self._stack.enter_context(left_in(job, videos))
        self._see = {here}  # it has left them
        self._looks: list[Any] = []  # references to the nodes of workers that have looked, or are about to

    def survey(self) -> None:
        """Have every machine look that could have a worker.

        Raises:
            JobError: one of them does not see the run's folders; it is named.
        """
        asked: dict[Any, str] = {}
        for node in ray.nodes():
            name = node["NodeID"]
            if node["Alive"] and node["Resources"].get("CPU") and name not in self._see:
                options = {"num_cpus": 0, "label_selector": {"ray.io/node-id": name}, "enable_task_events": False}
                asked[_look.options(**options).remote(self._landmarks)] = name
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=SURVEY_S) if asked else ([], [])
        for reference in answered:
            try:
                ray.get(reference)
            except JobError as error:  # a wrapper that is an instance of it
                raise getattr(error, "cause", error) from None
            except ray.exceptions.RayError as error:
                log.warning("node %s went before it had looked: %s", asked[reference], nodes.first_line(error))
            else:
                self._see.add(asked[reference])
        for reference in silent:
            ray.cancel(reference)
            log.warning("node %s has not looked for the run's folders within %.0f s", asked[reference], SURVEY_S)

    def look_from(self, worker: Any) -> Any:
        """Have a new worker look where it is; the reference to its node, which its work has to be given."""
        self._landmarks.refresh()
        self._looks.append(worker.see.remote(self._landmarks))
        return self._looks[-1]

    def that_see(self) -> frozenset[str]:
        """The ids of the nodes that are known to see the folders; some may be gone by now."""
        waiting = []
        for look in self._looks:
            if (node := nodes.of(look)) is None:
                waiting.append(look)
            else:
                self._see.add(node)
        self._looks = waiting
        return frozenset(self._see)

    def close(self) -> None:
        """Take the landmarks away."""
        self._stack.close()
