"""Emulators and runs as processes of their own, each row in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import ProxyHandler, Request, build_opener

from quota_figures import Entry

HERE = Path(__file__).parent
TIDY_S = 40.0  # what a run told to stop may take for its grace period and its record
WORDS = ("harbour", "lies", "still", "and", "boats", "wait", "for", "the", "tide", "while", "gulls", "turn", "above")
OURS = (
    "engine=local", "provider.api_key_env=null", "check.characters_per_second=null", "stitching.gap_ms=0",
    "stitching.paragraph_gap_ms=0",
)  # fmt: skip


def texts(job: str, count: int, length: tuple[int, int] = (60, 180)) -> list[str]:
    """Distinct texts of so many characters, evenly spread, each one sentence that begins with its job and number."""
    shortest, longest = length
    found = []
    for number in range(count):
        wanted = shortest + (number * 7919) % (longest - shortest + 1)
        text, at = f"{job}-{number:04}", number
        while len(text) < wanted:
            text, at = f"{text} {WORDS[at % len(WORDS)]}", at + 1
        found.append(text[: wanted - 1].rstrip() + ".")
    return found


class Emulator:
    """``cluster-tts emulate`` as a process. Answers are short, so that two cores suffice; its log stays in ``folder``.

    Whatever was started to ask it ends with it at the latest.
    """

    def __init__(self, folder: Path, provider: str, *options: str) -> None:
        self.provider, self._folder = provider, folder
        self.children: list[subprocess.Popen[Any]] = []
        small = ("--characters-per-second", "2000", "--log", "20000")
        command = [sys.executable, "-m", "cluster_tts", "emulate", provider, *small, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the emulator did not start: {' '.join(command)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        (self._folder / "log.json").write_text(json.dumps(self._ask("log")))
        self._process.terminate()
        self._process.communicate(timeout=10)

    def log(self) -> list[Entry]:
        """All requests that asked for speech, in the order of arrival."""
        return [entry for entry in self._ask("log")["requests"] if entry["text"]]

    def now(self) -> float:
        return float(self._ask("log")["now_s"])

    def change(self, **limits: float | None) -> None:
        self._ask("limits", json.dumps(limits).encode())

    def arrivals(self) -> int:
        return int(self._ask("stats")["arrivals"])

    def wait_for_first(self, jobs: Sequence["Job"], within_s: float = 120.0) -> float:
        """When the first request came, by the emulator's clock; returns as soon as it is there."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if log := self.log():
                return float(log[0]["arrival_s"])
            for job in jobs:
                job.check()
            time.sleep(0.2)
        raise RuntimeError(f"no request within {within_s:g} s")

    def sleep_until(self, at_s: float, jobs: Sequence["Job"] = ()) -> None:
        """Sleep until its clock says ``at_s``, or until all jobs have ended."""
        until = time.monotonic() + at_s - self.now()
        while time.monotonic() < until and not (jobs and all(job.ended for job in jobs)):
            time.sleep(0.1)

    def _ask(self, what: str, body: bytes | None = None) -> Any:
        request = Request(f"{self.url}/_emulator/{what}", data=body)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
            return json.loads(answer.read())


class Job:
    """``cluster-tts run`` as a process: speaks ``texts`` into ``folder/<name>``."""

    def __init__(
        self, name: str, folder: Path, spoken: Sequence[str], emulator: Emulator, *settings: str, **more: str
    ) -> None:
        self.name, self.folder, self._emulator = name, folder, emulator
        self.source = folder / f"{name}.txt"
        self.source.write_text("\n\n".join(spoken) + "\n")
        self._command = [
            *(sys.executable, "-m", "cluster_tts", "run", str(self.source), "--out", str(folder / f"out-{name}")),
            *(f"provider.name={emulator.provider}", f"provider.base_url={emulator.url}", *OURS, *settings),
        ]
        self._more = {"CLUSTER_TTS_STATE_DIR": str(folder / "state"), **more}
        self._log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, env=environment(**self._more), stdout=log, stderr=log
            )
        self._emulator.children.append(self._process)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise what a run that ended before its time said last."""
        if self.ended and self._process.returncode:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {self.said()}")

    def said(self) -> str:
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-6:])

    def finish(self, within_s: float) -> None:
        """Wait until it has ended, and raise what it said if not well."""
        self._process.wait(within_s)
        self.check()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Interrupt it, as whoever has seen enough."""
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(TIDY_S)
            except subprocess.TimeoutExpired:
                self.kill()


def script(emulator: Emulator, name: str, *arguments: str) -> subprocess.Popen[str]:
    """One of the scripts beside this one over an emulator, as a process whose stdout can be read."""
    command = [sys.executable, str(HERE / name), emulator.url, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    emulator.children.append(process)
    return process


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings of the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTER_TTS_")}
    kept.pop("RAY_ADDRESS", None)
    return {**kept, "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1", **more}
