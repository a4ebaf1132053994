"""Rows on Ray: two jobs on three nodes of ``cluster_utils.Cluster``, in a network namespace of their own.

A head listens on every interface, so it is started where there is none but loopback.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from quota_figures import Figure, between, first_s, in_flight, longest_pause_s, refused, shares
from quota_rows import TRAVEL, Way, whole_windows
from quota_runs import Emulator, Job, texts

NODES = 3


def can_unshare() -> bool:
    """Whether this machine lets us make a network namespace."""
    if not all(map(shutil.which, ("unshare", "ip"))):
        return False
    return not subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True).returncode


def inside_namespace(command: list[str], within_s: float) -> subprocess.CompletedProcess[str]:
    """A command where there is nothing but loopback; all that it starts ends with it."""
    shell = 'ip link set lo up && exec "$@"'
    wrapped = [
        "unshare",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "bash",
        "-c",
        shell,
        "row",
        *command,
    ]
    return subprocess.run(wrapped, stdout=subprocess.PIPE, text=True, timeout=within_s)


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a cluster of three nodes on this machine."""
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_DISABLE_MEMORY_MONITOR="1")
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="qr")
    node: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": folder, "include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            made.add_node(**node)
        yield str(made.address)
    finally:
        made.shutdown()  # type: ignore[no-untyped-call]
        shutil.rmtree(folder, ignore_errors=True)


def _engine(address: str) -> tuple[str, ...]:
    return ("engine=ray", f"cluster.address={address}", f"workers.count={NODES}")


def rate(folder: Path, scale: float) -> list[Figure]:
    """Two jobs that share the limiter actor: requests in a sliding window."""
    with cluster() as address:
        return whole_windows(folder, Way("sliding"), 2, scale, *_engine(address))


def places(folder: Path, scale: float) -> list[Figure]:
    """Two jobs that share the limiter actor: ten requests in flight."""
    most, latency_s, measured_s = 10, 2.0, 100.0 * max(scale, 0.3)
    options = ("--max-concurrent", str(most), "--latency", f"{latency_s / math.exp(0.125):.4f}", "--sigma", "0.5")
    with cluster() as address, Emulator(folder, "elevenlabs", *options) as emulator:
        told = (f"quota.max_concurrent_requests={most}", *_engine(address))
        running = [Job(name, folder, texts(name, 900), emulator, *told) for name in "AB"]
        start_s = _both_at_work(emulator, running) + 10
        emulator.sleep_until(start_s + measured_s, running)
        log = emulator.log()
        for job in running:
            job.stop()
    windows = int(measured_s // 20)
    parts = shares(log, "A", lambda entry: 1, start_s, 20.0, windows)
    return [
        Figure("in flight / limit", in_flight(log, start_s, start_s + measured_s) / most, low=0.98),
        Figure("refused", len(refused(log)), high=0),
        Figure("least share", min(min(parts), 1 - max(parts)), low=0.45),
    ]


def limiter_killed(folder: Path, scale: float) -> list[Figure]:
    """The limiter's process is killed in mid-run: nobody is refused, and the pause is short."""
    window_s, limit = 2.0, 40
    options = ("--requests-per-minute", f"{limit * 60 / window_s:g}", "--window", f"{window_s:g}", *TRAVEL)
    told = (f"quota.requests_per_minute={limit * 60 / window_s:g}", f"quota.window_s={window_s:g}")
    with cluster() as address, Emulator(folder, "openai", *options) as emulator:
        job = Job("A", folder, texts("A", 3000), emulator, *told, *_engine(address))
        start_s = emulator.wait_for_first([job]) + 10
        emulator.sleep_until(start_s, [job])
        killed = [p for p in psutil.process_iter(["cmdline"]) if _is_limiter(p.info["cmdline"] or [])]
        for process in killed:
            process.send_signal(signal.SIGKILL)
        kill_s = emulator.now()
        emulator.sleep_until(kill_s + 25, [job])
        log = emulator.log()
        job.stop()
    return [
        Figure("limiters killed", len(killed), low=1, high=1),
        Figure("refused", len(refused(log)), high=0),
        Figure("longest pause, s", longest_pause_s(log, kill_s, kill_s + 25), high=5),
        Figure("served after", len(between(log, kill_s, math.inf)), low=5 * limit),
    ]


def _is_limiter(command: list[str]) -> bool:
    """Ray writes an actor's class into its process title."""
    return "limiter" in " ".join(command).lower() and "ray::" in " ".join(command)


def _both_at_work(emulator: Emulator, running: list[Job], within_s: float = 120.0) -> float:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        log = emulator.log()
        firsts = [first_s(mine) for name in "AB" if (mine := [e for e in log if e["text"].startswith(f"{name}-")])]
        if len(firsts) == 2:
            return max(firsts)
        for job in running:
            job.check()
        time.sleep(0.5)
    raise RuntimeError(f"{sys.argv[0]}: no two jobs at work within {within_s:g} s")
