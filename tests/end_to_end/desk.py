"""Where documented commands are run: a folder with what they name, and emulators for the servers that they ask.

What cannot be run here stands in ``ELSEWHERE`` with the reason, and is read as far as it goes: options, targets, paths,
and what comes behind ``--``. A command that nobody knows fails.
"""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from cluster_tts import config, storage
from cluster_tts.cli import SETTING
from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.server import running
from cluster_tts.emulator.settings import Settings
from tests.storage.faulty import ENVIRONMENT, FaultyServer
from tests.unit.media import videos

from .conftest import ClusterTts
from .documented import BLOCKS, ROOT, SHELL, TEXT, Block, prepare
from .emulating import KEY, Emulator, environment

LOCAL = re.compile(r"http://127\.0\.0\.1:(\d+)")
SELF_HOSTED = "8880"  # the port of a server of one's own
BUCKETS = ("texts", "audio", "my-bucket")
SLOWNESS = ("--latency", "--jitter")  # of emulators: what a rehearsal waits for proves nothing
PLACES = {"/etc/cluster-tts/job.yaml": "k8s/overlays/standing/job.yaml", "/shared/": "shared/", "/data/": "data/"}
OUR_JOBS = {"synthesize": "run", "stitch": "stitch", "report": "report"}
ELSEWHERE = (  # how a command begins, why it is not run here, and what is read of it
    (r"make ", "sets up a .venv from the package index, or needs Docker", "target"),
    (r"pip install ", "changes the environment of these tests", "extras"),
    (r"docker ", "needs a Docker engine", ""),
    (r"kubectl (apply|delete) -k ", "needs a Kubernetes cluster; rendered in tests/manifests", "kustomization"),
    (r"kubectl ", "needs a Kubernetes cluster", "inner"),
    (r"ray start ", "listens on every interface; run in a network of its own in tests/cluster/test_hosts.py", "ray"),
    (r"ray job (submit|logs|stop) ", "needs a cluster; run in tests/cluster/test_job_submit.py", "ray"),
    (r"export RAY_ADDRESS=", "names a cluster that is not here", ""),
    (r"cat /tmp/ray/", "reads the logs of a cluster's node", ""),
    (r"PROVIDER=mymodule:MyVoice pytest ", "is run by tests/provider/test_our_providers.py", "tests"),
)


class Desk:
    """A prepared folder in which the commands of one block are run, one after the other."""

    def __init__(self, folder: Path, block: Block, call: ClusterTts, servers: "Servers") -> None:
        self.folder = folder
        self._block = block
        self._call = call
        self._servers = servers
        self._here = dict[str, str]()  # address by the port that the block names
        self._own: list[Emulator] = []
        prepare(folder)
        if "dub" in block.text:
            videos.make(folder / "videos" / "film.mp4", videos.Recipe(seconds=4))
        for each in BLOCKS:
            if each.page == block.page and each.file:
                (folder / each.file).write_text(each.text, encoding="utf-8")
        for name, text in _tables(block.page):
            (folder / name).write_text(text, encoding="utf-8")

    def run(self, command: str) -> None:
        if elsewhere := next((each for each in ELSEWHERE if re.match(each[0], command)), None):
            self._read(command, elsewhere[2])
            return
        words = shlex.split(command)
        if words[0] == "export":
            assert all(
                "=" in word and word.partition("=")[0] in {*ENVIRONMENT, "AWS_ENDPOINT_URL"} for word in words[1:]
            )
        elif words[0] == "curl":
            with build_opener(ProxyHandler({})).open(self._placed(words[-1]), timeout=10) as answer:
                assert {"refused", "in_flight"} <= set(json.loads(answer.read()))
        elif words[:3] == ["aws", "s3", "cp"]:
            folder, _, name = words[3].rpartition("/")
            self.finished(folder)
            assert json.loads(storage.at(folder).read(name))["exit_code"] == 0
        elif words[:2] == ["cluster-tts", "emulate"]:
            self._emulate(words[2:])
        else:
            self._program([word for word in words if not word.startswith("RAY_ADDRESS=")])

    def _program(self, words: list[str]) -> None:
        assert words[0] == "cluster-tts", f"{self._block}: nobody knows how to run {shlex.join(words)}"
        words = [self._placed(word) for word in words[1:]]
        if words[0] in ("status", "stitch", "report"):
            self.finished(words[1])
        else:
            words += self._provided(words)
        if "--retry-failed" in words:
            self._done([word for word in words if word != "--retry-failed"])
        self._done(words)

    def _done(self, words: list[str]) -> None:
        if any("mymodule" in word for word in words):  # what Python has imported once it keeps
            command = [sys.executable, "-m", "cluster_tts", *words]
            ended = subprocess.run(command, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, check=False)
            assert ended.returncode == 0, ended.stderr
            return
        ended_here = self._call(*words)
        assert ended_here.exit_code == 0, f"{self._block}: {shlex.join(words)}\n{ended_here.err}{ended_here.out}"

    def _provided(self, words: list[str]) -> list[str]:
        """What turns a command that asks a provider into one that asks its emulator."""
        files = [words[place + 1] for place, word in enumerate(words) if word == "-c"]
        settings = [word for word in words if SETTING.match(word)]
        job = config.load(files, settings)
        if job.provider.name in EMULATORS and job.provider.base_url is None:
            return [f"provider.base_url={self._servers.emulator(job.provider.name)}"]
        return ["provider.name=tone", "provider.options.latency_s=0"] if job.provider.name == "hibari" else []

    def _placed(self, word: str) -> str:
        """``word`` with what it names where that is here."""
        if "s3://" in word:
            self._servers.buckets()
        for place, here in PLACES.items():
            word = re.sub(rf"^{place}", f"{self.folder}/{here}", word)
        word = word.replace("$PWD", str(self.folder))
        return LOCAL.sub(lambda found: self._here.get(found[1]) or self._servers.self_hosted(found[1]), word)

    def _emulate(self, words: list[str]) -> None:
        options = list(words[1:])
        for name in SLOWNESS:
            if name in options:
                options[options.index(name) + 1] = "0.01"
        port = options[options.index("--port") + 1]
        options[options.index("--port") + 1] = "0"
        emulator = Emulator(words[0], *options)
        self._own.append(emulator)
        self._here[port] = emulator.url.removesuffix("/v1")

    def finished(self, out: str) -> None:
        """Have a run in ``out``: the one of this page that names it, else any."""
        out = self._placed(out)
        if storage.at(out).size("report.json") is not None:
            return
        for block in BLOCKS:
            for command in block.commands if block.page == self._block.page and block.language in SHELL else ():
                words = shlex.split(command)
                if words[:2] == ["cluster-tts", "run"] and ["--out", out] in (
                    words[i : i + 2] for i in range(len(words))
                ):
                    self._program(words)
                    return
        self._program(["cluster-tts", "run", "texts/", "--out", out])

    def _read(self, command: str, what: str) -> None:
        if what == "target":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{shlex.split(command)[1]}:", makefile, re.MULTILINE), command
        elif what == "extras":
            extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert all(
                f"\n{name} = [" in extras for found in re.findall(r"\[(.*?)\]", command) for name in found.split(",")
            )
        elif what == "kustomization":
            assert (ROOT / shlex.split(command)[3] / "kustomization.yaml").is_file(), command
        elif what == "tests":
            assert (ROOT / shlex.split(command)[2]).is_file()
        elif what == "ray":
            read_by_ray(shlex.split(command)[1:])
        syntax = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
        assert syntax.returncode == 0, syntax.stderr
        if " -- " in command and what in ("ray", "inner"):
            self._inner(command.partition(" -- ")[2])

    def _inner(self, command: str) -> None:
        """What a command has done on another machine is done here."""
        words = shlex.split(command.replace("/app/", ""))
        if words[0] == "python" and (job := re.fullmatch(r"jobs/(\w+)\.py", words[1])):
            words[:2] = ["cluster-tts", OUR_JOBS[job[1]]]
        elif words[:3] == ["python", "-m", "cluster_tts"]:
            words[:3] = ["cluster-tts"]
        self.run(shlex.join(words).replace("'$PWD/out/job'", "$PWD/out/job"))

    def close(self) -> None:
        for emulator in self._own:
            emulator.stop()


class Servers:
    """What stands for the providers themselves, for a server of one's own, and for buckets; all blocks share it."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._s3: FaultyServer | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="emulators")
        self._thread.start()
        assert self._ready.wait(30), "the emulators have not begun"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        wanted = {name: Settings(provider=name, api_key=KEY) for name in EMULATORS}
        wanted[SELF_HOSTED] = Settings(provider="openai", self_hosted=True)
        async with AsyncExitStack() as stack:
            for name, settings in wanted.items():
                self._urls[name] = (await stack.enter_async_context(running(settings))).url
            self._ready.set()
            await self._stop.wait()

    def emulator(self, provider: str) -> str:
        """The address of a provider: another host than that of rehearsals, whose clips are others."""
        return self._urls[provider].replace("127.0.0.1", "localhost")

    def self_hosted(self, port: str) -> str:
        assert port == SELF_HOSTED, f"no emulator was started at port {port}"
        return self._urls[port].removesuffix("/v1")

    def buckets(self) -> None:
        if self._s3 is None:
            self._s3 = FaultyServer().start()
            for name in BUCKETS:
                self._s3.make_bucket(name)
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": self._s3.url}.items():
            os.environ[name] = value
        for folder in ("s3://texts/digests", "s3://my-bucket/texts"):
            storage.at(folder).write("a.txt", TEXT.encode())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._s3 is not None:
            self._s3.stop()


def _tables(page: str) -> Iterator[tuple[str, str]]:
    """Name and content of every table on the page: the next commands name it."""
    here = [block for block in BLOCKS if block.page == page]
    for number, block in enumerate(here):
        if block.language == "csv":
            after = "".join(each.text for each in here[number:] if each.language in SHELL)
            yield re.findall(r"\b[\w-]+\.csv\b", after)[0], block.text


def read_by_ray(words: list[str]) -> None:
    """Have Ray's own command line read the words, and do nothing."""
    pytest.importorskip("ray", reason="Ray is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.scripts.scripts import cli

        command: Any = cli
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        command.make_context("ray", list(words)).close()
