"""Hosts that share nothing but a network, each a set of namespaces of its own, and one switch between them.

To be used inside ``unshare --net --mount --pid``, where all of it ends with the process that made it. Of this machine a
host can read what is installed; it can write only to memory of its own, and to ``MOUNT`` where that is given.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from quota_runs import environment

ROOT = Path(__file__).parents[1]
SWITCH = "10.77.0.254"  # where the provider and the bucket are: on the network, and nobody's host
MOUNT = "/mnt"  # where hosts see the shared folder
TEXTS = "/tmp/texts"  # of the host that drives
RAY = str(Path(sys.executable).with_name("ray"))
WITHIN_S = 60.0  # Ray may take so long to start

# The shared folder may itself lie below what is covered afterwards; so may this checkout, which is put back.
BOOT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs none {MOUNT}
[ -z "$SHARED" ] || mount --bind "$SHARED" {MOUNT}
mount -t tmpfs none /dev/shm
mkdir /dev/shm/checkout
mount --bind "$CHECKOUT" /dev/shm/checkout
for each in /tmp /var/tmp /run; do mount -t tmpfs none "$each"; done
[ -d "$CHECKOUT" ] || {{ mkdir -p "$CHECKOUT"; mount --bind /dev/shm/checkout "$CHECKOUT"; }}
umount /dev/shm/checkout
mkdir /tmp/home
echo "127.0.0.1 localhost" > /tmp/hosts
for number in 1 2 3 4 5 6 7 8 9; do echo "10.77.0.$number host-$number" >> /tmp/hosts; done
mount --bind /tmp/hosts /etc/hosts
: > /tmp/nameservers
[ ! -e /etc/resolv.conf ] || mount --bind /tmp/nameservers /etc/resolv.conf
mount -o remount,bind,ro /
echo "$NAME" > /proc/sys/kernel/hostname
ip link set lo up
echo up
while :; do sleep 3600 & wait $!; done
"""


def inside(command: list[str]) -> int:
    """The exit code of a command in a network of its own, with nobody in it yet; all that it starts ends with it."""
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
    return subprocess.run(apart, check=False).returncode


def make_switch() -> None:
    """What the hosts are plugged into. It has an address, at which this side of it can be reached by them."""
    for command in (
        "link set lo up",
        "link add switch type bridge",
        f"address add {SWITCH}/24 dev switch",
        "link set switch up",
    ):
        _ip(*command.split())


class Host:
    """One host: up from the start, with an address and a name; gone with all its processes once it is closed."""

    def __init__(self, number: int, shared: Path | None, **more: str) -> None:
        self.name, self.address = f"host-{number}", f"10.77.0.{number}"
        self._cable = f"cable{number}"
        kept = {name: value for name, value in environment().items() if not name.lower().endswith("_proxy")}
        self._environment = {
            **kept, "HOME": "/tmp/home", "CLUSTER_TTS_STATE_DIR": "/tmp/state", "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_MEMORY_MONITOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more,
        }  # fmt: skip
        apart = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._process = subprocess.Popen(
            [*apart, "bash", "-c", BOOT], stdout=subprocess.PIPE, text=True,
            env={**self._environment, "NAME": self.name, "SHARED": str(shared or ""), "CHECKOUT": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "up\n":
            raise RuntimeError(f"{self.name} does not come up: a mount is not allowed here, see above")
        self._pid = psutil.Process(self._process.pid).children()[0].pid
        self._plug_in()

    def _plug_in(self) -> None:
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid))
        _ip("link", "set", self._cable, "master", "switch", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", SWITCH)

    def path(self, there: str) -> Path:
        """What the host calls ``there``, to be read and written from here."""
        return Path(f"/proc/{self._pid}/root{there}")

    def start(self, *command: str, **more: Any) -> "subprocess.Popen[bytes]":
        """A process on this host, in its /tmp."""
        enter = ["nsenter", "--target", str(self._pid), "--net", "--mount", "--uts", "--ipc", "--pid"]
        there = [*enter, "bash", "-c", 'cd /tmp && exec "$@"', self.name, *command]
        return subprocess.Popen(there, env=self._environment, **more)

    def run(self, *command: str, within_s: float = WITHIN_S) -> str:
        """What a command says there on stdout.

        Raises:
            RuntimeError: it failed, or took longer.
        """
        process = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"on {self.name} '{' '.join(command[:4])}' takes over {within_s:g} s") from None
        if process.returncode:
            said = (errors or out).decode(errors="replace")[-600:]
            raise RuntimeError(f"on {self.name} '{' '.join(command[:4])}' ended with {process.returncode}: {said}")
        return out.decode(errors="replace")

    def cut(self) -> None:
        """Pull its cable: what was under way in either direction is never heard of."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self._cable, "up")

    def lose_sight(self) -> None:
        """From now on it has an empty disk of its own where it saw the shared folder."""
        self.run("umount", "--lazy", MOUNT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        subprocess.run(
            ["ip", "link", "delete", self._cable], check=False, capture_output=True
        )  # it may be gone already


@contextmanager
def hosts(count: int, shared: Path, **more: str) -> Iterator[list[Host]]:
    """So many, the first of which is to drive; whoever replaces one in the list leaves it to be closed here."""
    made: list[Host] = []
    try:
        for number in range(1, count + 1):
            made.append(Host(number, shared, **more))
        yield made
    finally:
        for host in made:
            host.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
