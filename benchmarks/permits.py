"""How many permits a second one limiter actor grants to 4 workers of 16 waiting slots, and whether it keeps to a limit.

Nothing is done with a permit. What was granted is held against the limit afterwards, in every window, by a count of
its own.

    python benchmarks/permits.py [seconds]
"""

import asyncio
import os
import sys
import tempfile
import time
from bisect import bisect_left
from typing import Any

WORKERS, SLOTS = 4, 16
WANTED = 10_000
LIMIT, WINDOW_S = 150_000, 10.0


class Asker:
    """A worker without work: passes through the gate, and again."""

    async def run(self, limiter: Any, name: str, seconds: float) -> list[float]:
        from cluster_tts.cluster.actors import RemoteLimiter
        from cluster_tts.limiter.gates import LimiterGate
        from cluster_tts.model import News, Want
        from cluster_tts.quota.limits import Limits
        from cluster_tts.quota.permits import Claim

        claim = Claim("bench", Limits(requests=LIMIT, window_s=WINDOW_S, burst=LIMIT), adaptive=False)
        gate = LimiterGate(RemoteLimiter(limiter, ""), "bench", claim, name)
        left: list[float] = []
        until = time.time() + seconds

        async def slot() -> None:
            while time.time() < until:
                async with gate.place(Want(30, 30)) as request:
                    left.append(time.time())
                gate.report(News(request, units=30, billed_characters=30, cost_usd=0.0))

        await asyncio.gather(*(slot() for _ in range(SLOTS)))
        return left


def largest_window(times: list[float]) -> int:
    """The most that any window holds."""
    return max(bisect_left(times, time + WINDOW_S) - index for index, time in enumerate(times))


def main(seconds: float) -> None:
    os.environ["CLUSTER_TTS_STATE_DIR"] = tempfile.mkdtemp()
    from cluster_tts.cluster.session import Session

    session = Session(None)
    session.open()
    try:
        import ray

        from cluster_tts.cluster.actors import LimiterActor

        limiter = LimiterActor.options(num_cpus=0, max_concurrency=1000).remote()
        askers = [ray.remote(Asker).options(num_cpus=0).remote() for _ in range(WORKERS)]  # type: ignore[attr-defined]
        ray.get([asker.run.remote(limiter, f"warm-{n}", 1.0) for n, asker in enumerate(askers)])
        found = ray.get([asker.run.remote(limiter, f"w{n}", seconds) for n, asker in enumerate(askers)])
        times = sorted(time for each in found for time in each)
        whole = [time for time in times if times[0] + 1 <= time < times[-1] - 1]
        rate = len(whole) / (whole[-1] - whole[0])
        shares = " ".join(f"{len(each) / len(times):.2f}" for each in found)
        print(f"permits/s {rate:,.0f} (wanted {WANTED:,}), by worker {shares}")
        print(f"largest window {largest_window(times):,} of {LIMIT:,} allowed")
    finally:
        session.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
