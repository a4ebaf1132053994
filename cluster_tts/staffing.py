"""How many workers a run has, and how many clips each makes at once. Arithmetic only."""

import math
import os
from dataclasses import dataclass

from cluster_tts.job import Job

REMOTE_SLOTS = 64  # of one worker that waits for a server, where no limit in flight is known: a burst leaves at once
LEAST_SLOTS, MOST_SLOTS = 16, 256
MOST_JOINS = 4  # of one machine: each reads and writes as fast as disks do
MOST_REMOTE_WORKERS = 8  # processes that only wait for a server: one is enough for hundreds of requests a second


@dataclass(frozen=True, slots=True)
class Staff:
    """So many workers with so many slots each."""

    count: int
    slots: int

    @property
    def places(self) -> int:
        return self.count * self.slots


def staff(job: Job, embedded: bool, cores: int) -> Staff:
    """What ``workers.count`` and ``workers.slots`` say; by themselves, one worker a core.

    An embedded voice speaks one clip a core. Of a server's answers each slot waits for one; there are twice as many
    as may be in flight, so that the next request waits at the gate while the last answer is being checked.
    """
    local = job.engine == "local"
    automatic = cores if embedded else min(MOST_REMOTE_WORKERS, cores)
    count = 1 if local else job.workers.count if isinstance(job.workers.count, int) else max(1, automatic)
    if isinstance(job.workers.slots, int):
        return Staff(count, job.workers.slots)
    if embedded:
        return Staff(count, cores if local else 1)
    most = job.quota.max_concurrent_requests
    slots = REMOTE_SLOTS if most is None else math.ceil((2 * most + 8) / count)
    return Staff(count, min(MOST_SLOTS, max(LEAST_SLOTS, slots)))


def joins_on(cores: int) -> int:
    """How many documents a machine of so many cores joins side by side: MP3 takes a core four times as long as FLAC."""
    return max(1, min(MOST_JOINS, cores))


def expected(job: Job) -> Staff:
    """What a run with a provider's server will have, before it has seen its cluster: at most so much."""
    here = job.engine == "local" or not (job.cluster.address or os.environ.get("RAY_ADDRESS"))
    return staff(job, False, (os.cpu_count() or 1) if here else MOST_REMOTE_WORKERS)
