"""A Ray of two nodes in a network namespace of its own, and the death of the second with everything on it.

A head listens on every interface, so it is started where there is none but loopback.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import chaos_victims as victims
from chaos_places import Place
from quota_on_ray import can_unshare
from quota_runs import environment

__all__ = ["can_unshare", "cluster", "inside_namespace"]

HEAD_PORT = 6479
CPUS = 1  # of each node: at a quarter each, four workers find room on what is left
UP_S = 60.0
RAY = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}


def inside_namespace(command: list[str], within_s: float) -> Iterator[str]:
    """The lines that a command prints where there is nothing but loopback; all that it starts ends with it."""
    wrapped = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
               'ip link set lo up && "$@"', "chaos", *command]  # fmt: skip
    with subprocess.Popen(wrapped, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        deadline = threading.Timer(within_s, process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            yield from process.stdout
        finally:
            deadline.cancel()


class Cluster:
    """A head that stays and a second node that is there whenever a run begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._ray = str(Path(sys.executable).with_name("ray"))
        self._temporary = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))  # short: unix sockets are put below it
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{HEAD_PORT}"

    def place(self, place: Place) -> Place:
        """``place`` on this cluster, with both nodes up."""
        if len(self._nodes) < 2 or self._nodes[1].poll() is not None:
            self._start_second()
        return replace(
            place,
            settings=("engine=ray", f"cluster.address={self.address}"),
            variables={**place.variables, **RAY, "CLUSTER_TTS_STATE_DIR": str(self._state)},
            sessions=tuple(node.pid for node in self._nodes),
        )

    def start(self) -> None:
        self._nodes = [
            self._node(
                "--head", f"--port={HEAD_PORT}", "--node-ip-address=127.0.0.1", "--include-dashboard=false",
                f"--temp-dir={self._temporary}",
            )
        ]  # fmt: skip
        self._wait_for(1)

    def stop(self) -> None:
        victims.strike_all([node.pid for node in self._nodes])
        for node in self._nodes:
            node.wait()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _start_second(self) -> None:
        if len(self._nodes) > 1:
            self._nodes.pop().wait()
        # Ray ports of a node would collide with the head's on the same address; it finds free ones by itself.
        self._nodes.append(self._node(f"--address={self.address}", "--node-ip-address=127.0.0.1"))
        self._wait_for(2)

    def _node(self, *options: str) -> "subprocess.Popen[bytes]":
        command = [self._ray, "start", "--block", f"--num-cpus={CPUS}", "--object-store-memory=80000000", *options]
        more = {**RAY, "CLUSTER_TTS_STATE_DIR": str(self._state)}
        with (self._folder / "ray.log").open("ab") as log:
            return subprocess.Popen(
                command, env=environment(**more), stdout=log, stderr=log, start_new_session=True, cwd=self._folder
            )

    def _wait_for(self, count: int) -> None:
        """Until so many nodes are alive, by asking the head as a user would."""
        until = time.monotonic() + UP_S
        code = (
            f"import ray; ray.init(address={self.address!r}, log_to_driver=False, logging_level='ERROR'); "
            "print(sum(n['Alive'] for n in ray.nodes()))"
        )
        while time.monotonic() < until:
            with suppress(ValueError):
                asked = subprocess.run(
                    [sys.executable, "-c", code], env=environment(**RAY), capture_output=True, text=True, timeout=UP_S
                )
                if int(asked.stdout or 0) == count:
                    return
        raise RuntimeError(f"Ray has not {count} nodes after {UP_S:g} s: see {self._folder / 'ray.log'}")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Two nodes, gone at the end."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
