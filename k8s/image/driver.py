"""Ends the runs of a pod in good order, or says whether they are alive; for Kubernetes and Docker, without the package.

    python driver.py stop --within 45    ask every run to stop, and wait until it has: for a preStop hook
    python driver.py healthy             0 while a run is there and has given a sign of life, where that can be seen

On the head of a Ray cluster the run is a child of Ray's own processes: a pod's SIGTERM never reaches it. What is found
is what can be seen: in a pod its own processes, on a machine all of this user's.
"""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

LOOK_S = 0.1
SILENT_S = 300.0  # a run writes every few seconds; storage may be slow
TAIL_BYTES = 65_536
STOPPING = b"stopping: what is in flight may end"  # what a run says once it has heard a signal
ENTRIES = {"cluster-tts": ["run"], "cluster_tts": ["run"], "synthesize.py": []}  # and the word that follows


class Run:
    """A process that speaks documents, by its folder below /proc."""

    def __init__(self, folder: Path) -> None:
        self.pid = int(folder.name)
        self._folder = folder
        self.words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        self._began = self._stat()[19]

    @property
    def is_run(self) -> bool:
        """Whether it is Python with one of our entry points; not a shell or an init that only names it."""
        if not self.words or not Path(self.words[0]).name.startswith("python"):
            return False
        rest = self.words[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[1:]
        return bool(rest) and ENTRIES.get(Path(rest[0]).name) in ([], rest[1:2])

    @property
    def is_alive(self) -> bool:
        """Whether it is there still, and not another with its number, or dead and not yet buried."""
        try:
            stat = self._stat()
        except OSError:
            return False
        return stat[0] not in "ZX" and stat[19] == self._began

    @property
    def is_stopped(self) -> bool:
        return self._stat()[0] in "Tt"

    @property
    def has_heard(self) -> bool:
        """Whether it is stopping already, as after ``ray job stop``: there is nothing to tell it then.

        Only where it writes to a file can this be known, as a Ray job does.
        """
        try:
            with (self._folder / "fd" / "2").open("rb") as log:
                if not log.seekable():
                    return False
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
                return STOPPING in log.read()
        except OSError:
            return False

    @property
    def out(self) -> str:
        """Its OUT, as it was given; empty where it was not."""
        for word, following in zip(self.words, [*self.words[1:], ""], strict=True):
            if word == "--out":
                return following
            for name in "--out=", "out=":
                if word.startswith(name):
                    return word.removeprefix(name)
        return ""

    def _stat(self) -> list[str]:
        # The second field is a name in brackets, with whatever in it; the third, the state, is the first here.
        return (self._folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def runs(proc: Path) -> Iterator[Run]:
    """The runs that can be seen below ``proc``."""
    for folder in sorted(proc.iterdir()):
        if not folder.name.isdecimal():
            continue
        try:
            run = Run(folder)
        except (OSError, IndexError):  # it has just ended, or is another user's
            continue
        if run.is_run and run.is_alive:
            yield run


def stop(proc: Path, within_s: float) -> int:
    """Ask every run to stop, and wait until the last has; 1 where one has not in so many seconds."""
    until = time.monotonic() + within_s
    asked = list(runs(proc))
    for run in asked:
        if run.has_heard:
            continue
        try:
            os.kill(run.pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    while left := [run.pid for run in asked if run.is_alive]:
        if time.monotonic() >= until:
            sys.stderr.write(f"driver.py: {left} did not end within {within_s:g} s; the same command continues them\n")
            return 1
        time.sleep(LOOK_S)
    return 0


def healthy(proc: Path) -> int:
    """0 while a run is there, and OUT, if it is a folder, has heard from it; else 1, and why."""
    found = list(runs(proc))
    why = "" if found else "there is no run"
    for run in found:
        report = Path(run.out or "out", "report.json")
        if run.is_stopped:
            why = f"{run.pid} is stopped"
        elif "://" not in run.out and report.is_file() and (silent_s := silence(report)) > SILENT_S:
            why = f"'{report}' has not heard from {run.pid} for {silent_s:.0f} s"
    if why:
        sys.stderr.write(f"driver.py: {why}\n")
    return int(bool(why))


def silence(report: Path) -> float:
    """How many seconds ago the last sign of life was."""
    heartbeat = json.loads(report.read_text(encoding="utf-8"))["heartbeat"]
    return (datetime.now(UTC) - datetime.fromisoformat(heartbeat)).total_seconds()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["stop", "healthy"])
    parser.add_argument("--within", type=float, default=45.0, metavar="SECONDS")
    parser.add_argument("--proc", type=Path, default=Path("/proc"), help="where processes are looked for")
    given = parser.parse_args()
    sys.exit(stop(given.proc, given.within) if given.what == "stop" else healthy(given.proc))
