"""Whom to kill and how: the processes of a run are those of its driver's session, and Ray titles them by their work.

A process is stopped first and killed once it is certain who it is: what a title says may be over a moment later.
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

TITLES = {
    "worker": re.compile(r"ray::\w*Worker"),
    "queue": re.compile(r"ray::\w*Queue"),
    "limiter": re.compile(r"ray::\w*Limiter"),
    "join": re.compile(r"ray::join"),
}
LOOK_S = 0.005  # joining a document takes a tenth of a second
DIE_S = 10.0


def of_sessions(sessions: Iterable[int]) -> list[int]:
    """The processes that began in one of ``sessions``: a driver and its Ray, also once it has died."""
    wanted = set(sessions)
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - a thousand times a minute
        if name.isdecimal():
            with suppress(OSError):
                if os.getsid(int(name)) in wanted and not is_dead(int(name)):
                    found.append(int(name))
    return sorted(found)


def title(pid: int) -> str:
    """What Ray calls the process now; '' where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_dead(pid: int) -> bool:
    """Gone, or a zombie that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def titled(victim: str, sessions: Iterable[int]) -> list[int]:
    """The processes that are ``victim`` now."""
    return [pid for pid in of_sessions(sessions) if TITLES[victim].match(title(pid))]


def strike_one(
    victim: str, sessions: Iterable[int], chance: random.Random, within_s: float, over: Callable[[], bool]
) -> list[int]:
    """Kill one process that is ``victim``, as soon as there is one; empty where the run was ``over`` before."""
    until = time.monotonic() + within_s
    sessions = list(sessions)
    while time.monotonic() < until and not over():
        if found := titled(victim, sessions):
            pid = chance.choice(found)
            _send(pid, signal.SIGSTOP)
            if TITLES[victim].match(title(pid)):
                _send(pid, signal.SIGKILL)
                return [pid]
            _send(pid, signal.SIGCONT)
        time.sleep(LOOK_S)
    return []


def strike_all(sessions: Iterable[int]) -> list[int]:
    """Kill everything in ``sessions`` at one moment, as when the power fails: all stand still before the first dies."""
    sessions = list(sessions)
    stopped: set[int] = set()
    while more := set(of_sessions(sessions)) - stopped:
        for pid in more:
            _send(pid, signal.SIGSTOP)
        stopped |= more
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    return sorted(stopped)


def strike_children() -> None:
    """Kill whatever this process has started, and the sessions that began with it: nothing is left of a benchmark."""
    for pid in [int(name) for name in os.listdir("/proc") if name.isdecimal()]:  # noqa: PTH208
        with suppress(OSError):
            if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                leads = os.getsid(pid) == pid
                strike_all([pid]) if leads else _send(pid, signal.SIGKILL)


def wait_dead(pids: Iterable[int]) -> None:
    """Return when none of ``pids`` is at work any more."""
    until = time.monotonic() + DIE_S
    waiting = list(pids)
    while waiting := [pid for pid in waiting if not is_dead(pid)]:
        if time.monotonic() > until:
            raise RuntimeError(f"process {waiting[0]} does not die")
        time.sleep(LOOK_S)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
