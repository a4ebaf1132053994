"""Ray on hosts of their own: the first is the head, and any other may be cut off, and replaced by a new one."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.request import ProxyHandler, build_opener

from hosts_network import RAY, Host

GCS_PORT, DASHBOARD_PORT = 6379, 8265
STORE_BYTES = 80_000_000
UP_S = 90.0  # a host that goes is noticed after more than a minute
LOOK_S = 0.2


class Cluster:
    """One Ray over ``hosts``; ``anew`` makes a host of that number in place of one that is of no use any more."""

    def __init__(self, hosts: list[Host], anew: Callable[[int], Host]) -> None:
        self.hosts = hosts
        self._anew = anew
        self._spoilt: set[int] = set()
        self.address = f"{hosts[0].address}:{GCS_PORT}"
        self.dashboard = f"http://{hosts[0].address}:{DASHBOARD_PORT}"

    @property
    def head(self) -> Host:
        return self.hosts[0]

    def start(self) -> None:
        """Begin Ray on all of them; return once all are there."""
        self._begin(self.head, "--head", f"--port={GCS_PORT}", "--dashboard-host=0.0.0.0").wait(UP_S)
        for host in self.hosts[1:]:
            self._join(host)
        self.wait_until(len(self.hosts))

    def spoil(self, number: int) -> Host:
        """The host of that number, which nobody can use any more once the caller has done with it."""
        self._spoilt.add(number)
        return self.hosts[number - 1]

    def restore(self) -> None:
        """Put new hosts in the place of spoilt ones; return once all are there."""
        for number in self._spoilt:
            self.hosts[number - 1].close()
            self.hosts[number - 1] = self._anew(number)
        self.wait_until(len(self.hosts) - len(self._spoilt))
        for number in self._spoilt:
            self._join(self.hosts[number - 1])
        self._spoilt.clear()
        self.wait_until(len(self.hosts))

    def wait_until(self, count: int) -> None:
        """Until so many hosts are there, as the head sees it."""
        until = time.monotonic() + UP_S
        while (there := self.alive()) != count:
            if time.monotonic() > until:
                raise RuntimeError(f"Ray has {there} hosts instead of {count} after {UP_S:g} s")
            time.sleep(LOOK_S)

    def alive(self) -> int:
        """How many hosts the head believes to be there."""
        with suppress(OSError, ValueError, KeyError):  # it is just beginning
            asked = build_opener(ProxyHandler({})).open(f"{self.dashboard}/api/v0/nodes?limit=100", timeout=20)
            rows = json.load(asked)["data"]["result"]["result"]
            return sum(row["state"] == "ALIVE" for row in rows)
        return 0

    def _join(self, host: Host) -> None:
        self._begin(host, f"--address={self.address}")

    def _begin(self, host: Host, *options: str) -> "subprocess.Popen[bytes]":
        log = host.path("/tmp/ray.log").open("wb")
        return host.start(
            RAY, "start", f"--node-ip-address={host.address}", "--num-cpus=1", f"--object-store-memory={STORE_BYTES}",
            *options, stdout=log, stderr=log,
        )  # fmt: skip
