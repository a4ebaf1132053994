"""Whether the process that wrote something still runs: pid, start time, and where that pid means anything."""

import hashlib
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process as another can recognise it: a pid alone is given to somebody else sooner or later.

    ``start`` and ``place`` are empty where the system does not tell (there ``is_alive`` is None more often).
    """

    pid: int
    start: str
    host: str
    place: str
    """The boot and the pid namespace in which ``pid`` counts."""

    @classmethod
    def here(cls) -> "Process":
        """This process."""
        pid = os.getpid()
        return cls(pid, (_status(pid) or ("", ""))[1], platform.node(), _place())

    @property
    def machine(self) -> str:
        """Where its number counts, as the name of a file can hold it: host, boot and pid namespace."""
        return hashlib.sha256(f"{self.host} {self.place}".encode()).hexdigest()[:8]

    def is_alive(self) -> bool | None:
        """Whether it runs; None where that cannot be told from here: another machine or container, another system."""
        if self.pid <= 0:
            return False  # nobody; to the system 0 and below mean groups of processes
        if (self.host, self.place) != (platform.node(), _place()):
            return None
        if status := _status(self.pid):
            state, start = status
            return start == self.start and state not in "ZX"  # a zombie has ended, and only waits to be noticed
        if os.name != "posix":
            return None  # signal 0 would be Ctrl-C there
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # somebody else's, hidden from us
        return None


def _status(pid: int) -> tuple[str, str] | None:
    """State letter and start time of a process, in ticks since the boot."""
    with suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return None


def _place() -> str:
    with suppress(OSError):
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    return ""


def has_died(pid: str, machine: str, start: str = "") -> bool:
    """Whether a process that said so of itself ran where this one does and runs no more. One whose number was given to
    another is told by its ``start``; without, it is taken for alive."""
    here = Process.here()
    if not pid.isdecimal() or machine != here.machine:
        return False
    there = _status(int(pid))
    return Process(int(pid), start or (there[1] if there else ""), here.host, here.place).is_alive() is False
