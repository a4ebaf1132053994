"""Emulators as processes of their own, and the program over them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from cluster_tts.emulator import EMULATORS

SAMPLES = Path(__file__).parents[2] / "samples"
KEYS = {
    "cartesia": "CARTESIA_API_KEY",
    "elevenlabs": "ELEVENLABS_API_KEY",
    "openai": "OPENAI_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
}
KEY = "the-key-of-an-emulated-account"
SMALL = "chunking.max_characters=80"

everywhere = pytest.mark.parametrize("provider", EMULATORS)


class Emulator:
    """``cluster-tts emulate`` as a process."""

    def __init__(self, provider: str, *options: str) -> None:
        command = [sys.executable, "-m", "cluster_tts", "emulate", provider, "--api-key", KEY, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        self._url = ""

    @property
    def url(self) -> str:
        self._url = self._url or self._stdout.readline().strip()
        return self._url

    def stats(self) -> dict[str, Any]:
        return json.loads(self._ask("GET", "stats"))

    def log(self) -> list[dict[str, Any]]:
        """The last requests in the order of arrival; needs the option --log."""
        return list(json.loads(self._ask("GET", "log"))["requests"])

    def reset(self) -> None:
        """Forget what was asked; also what was paid of the credit."""
        self._ask("POST", "reset")

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def _ask(self, method: str, what: str) -> bytes:
        request = Request(f"{self.url}/_emulator/{what}", method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def emulators(options: Callable[[str], list[str]]) -> Iterator[dict[str, Emulator]]:
    """One of each, started at the same time."""
    with ExitStack() as stack:
        started = {name: Emulator(name, *options(name)) for name in EMULATORS}
        for emulator in started.values():
            stack.callback(emulator.stop)
        yield started


def over(provider: str, emulator: Emulator) -> list[str]:
    return [f"provider.name={provider}", f"provider.base_url={emulator.url}"]


def environment(**more: str) -> dict[str, str]:
    """Ours without settings of ours and without keys."""
    ours = (*KEYS.values(), "RAY_ADDRESS", "PROVIDER")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTER_TTS_")}
    return {**{name: value for name, value in kept.items() if name not in ours}, "no_proxy": "127.0.0.1", **more}


def run_aside(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "cluster_tts", "run", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=100, check=False
    )
