"""Runs of the program over each provider's emulator, a process of its own, with the faults and limits it is told.

The order of a joined document is read back from its samples, what was paid from the emulator's books.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pyarrow.parquet as pq
import pytest

from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.faults import CHARGED
from cluster_tts.emulator.predictions import ONCE_ONLY
from cluster_tts.emulator.speech import digest_of, read_back_file
from cluster_tts.manifest import Manifest
from cluster_tts.model import Status
from cluster_tts.providers import PROVIDERS

from .conftest import ClusterTts

SAMPLES = Path(__file__).parents[2] / "samples"
KEYS = {
    "cartesia": "CARTESIA_API_KEY",
    "elevenlabs": "ELEVENLABS_API_KEY",
    "openai": "OPENAI_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
}
KEY = "the-key-of-an-emulated-account"
AT_ONCE = 3
PACE, LEAST_S = 15, 0.456  # of the emulators' speech
SMALL = "chunking.max_characters=80"

ERRORS = ("busy", "500", "502", "504")
STREAMS = ("reset", "hang", "stall", "cut", "cut_length", "cut_quietly", "empty", "header_only", "json", "html",
           "wrong_format")  # fmt: skip
FAULTS = {  # that another attempt may not meet
    "cartesia": (*ERRORS, *STREAMS, "concurrency_limited"),
    "elevenlabs": (*ERRORS, *STREAMS, "503", "rate_limit_exceeded", "too_many_concurrent_requests"),
    "openai": (*ERRORS, *STREAMS, "rate_limit_exceeded", "slow_down"),
    "replicate": (*ERRORS, *STREAMS, "throttled", "failed", "canceled", "aborted", "expired", "file_404", "processing",
                  "starting", "poll_429", "list_output", "data_output", "object_output"),
}  # fmt: skip
UNANSWERED = ("hang", "stall")  # after which our place is free again a little earlier than the server's

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


@pytest.fixture(scope="module")
def plain() -> Iterator[dict[str, Emulator]]:
    with emulators(lambda name: []) as started:
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


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for variable in KEYS.values():
        monkeypatch.delenv(variable, raising=False)


# -- rehearsals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rehearsal:
    """A run that has ended, and what the emulator says of it."""

    out: Path
    ended: subprocess.CompletedProcess[str]
    stats: dict[str, Any]

    def texts(self) -> dict[str, list[str]]:
        """The chunks of each document in reading order, as planned."""
        plans = Manifest(self.out / "manifest").plans()
        return {name: [planned.text for planned in location] for name, location in plans.items()}


def rehearse(folder: Path, sources: list[str], emulated: dict[str, Emulator], *settings: str) -> dict[str, Rehearsal]:
    """The same documents over each emulator, all four runs at the same time."""

    def run(provider: str) -> Rehearsal:
        emulator = emulated[provider]
        arguments = (*sources, *over(provider, emulator), "engine=local", *settings)
        ended = run_aside(folder / provider, *arguments, **{KEYS[provider]: KEY})
        return Rehearsal(folder / provider / "out", ended, emulator.stats())

    with ThreadPoolExecutor(len(emulated)) as pool:
        return dict(zip(emulated, pool.map(run, emulated), strict=True))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rehearsal]]:
    """About 200 chunks with 5 % faults."""

    def options(provider: str) -> list[str]:
        rate = 0.05 / len(FAULTS[provider])
        return ["--seed", "4", *(word for fault in FAULTS[provider] for word in ("--fault", f"{fault}={rate:.6f}"))]

    folder = tmp_path_factory.mktemp("faulty")
    book = (SAMPLES / "alice-in-wonderland-i-v.txt").read_text(encoding="utf-8")[:9_000]
    (folder / "book.txt").write_text(book.rpartition("\n\n")[0], encoding="utf-8")
    sources = [str(folder / "book.txt"), *(str(path) for path in sorted(SAMPLES.iterdir()) if "alice" not in path.name)]
    patient = ("retry.max_attempts=12", "provider.idle_timeout_s=1", "provider.timeout_s=5")
    with emulators(options) as emulated:
        yield rehearse(folder, sources, emulated, SMALL, *patient)


@everywhere
def test_with_faults_of_every_kind_all_documents_are_whole_and_in_order(
    faulty: dict[str, Rehearsal], provider: str
) -> None:
    done = faulty[provider]
    assert done.ended.returncode == 0, done.ended.stderr
    texts = done.texts()
    assert sum(map(len, texts.values())) >= 190
    assert len(texts) == 6
    for document, chunks in texts.items():
        heard = [found.digest for found in read_back_file(done.out / f"documents/{document}.wav")]
        assert heard == [digest_of(text) for text in chunks], document


@everywhere
def test_with_faults_of_every_kind_nothing_is_paid_twice_but_what_a_fault_has_spoilt(
    faulty: dict[str, Rehearsal], provider: str
) -> None:
    done = faulty[provider]
    spoilt = CHARGED if provider != "replicate" else {*CHARGED, "canceled", "expired", "file_404"} - {*ONCE_ONLY}
    clips = {text for chunks in done.texts().values() for text in chunks}
    paid_in_vain = sum(count for fault, count in done.stats["faults"].items() if fault in spoilt)
    assert sum(done.stats["faults"].values()) >= 5, "there were faults"
    assert done.stats["texts_charged"] == len(clips)
    assert done.stats["charged"] == len(clips) + paid_in_vain
    assert sum(times - 1 for times in done.stats["repeats"].values()) == paid_in_vain
    outcomes = list(Manifest(done.out / "manifest").read_outcomes())
    spoken = Counter(outcome.clip_id for outcome in outcomes if outcome.status is Status.SPOKEN)
    assert (len(spoken), set(spoken.values())) == (len(clips), {1})
    assert all(outcome.error_kind for outcome in outcomes if outcome.status is Status.RETRIED)
    for outcome in outcomes:
        if outcome.sound:
            assert outcome.sound.seconds == pytest.approx(max(LEAST_S, outcome.characters / PACE), abs=0.01), "whole"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rehearsal]]:
    """Accounts that allow three requests at once, and jobs that know it."""
    folder = tmp_path_factory.mktemp("limited")
    slow = ["--max-concurrent", str(AT_ONCE), "--latency", "0.02", "--jitter", "0.5", "--seed", "5"]
    with emulators(lambda provider: [*slow, "--fault", "500=0.02", "--fault", "cut=0.02"]) as emulated:
        settings = (SMALL, f"quota.max_concurrent_requests={AT_ONCE}", "retry.max_attempts=9")
        sources = [str(SAMPLES / name) for name in ("letter.txt", "verses.txt", "digest.md")]
        yield rehearse(folder, sources, emulated, *settings)


@everywhere
def test_who_knows_the_limit_is_never_refused_and_uses_all_of_it(limited: dict[str, Rehearsal], provider: str) -> None:
    done = limited[provider]
    assert done.ended.returncode == 0, done.ended.stderr
    assert done.stats["refused"] == {}
    assert done.stats["in_flight"]["peak"] == AT_ONCE


# -- keys and credit --------------------------------------------------------------------------------------------------


@pytest.fixture
def letter(tmp_path: Path) -> str:
    (tmp_path / "letter.txt").write_text("The tide is out. The boats lie in the mud.\n\nNobody is on the pier.\n")
    return "letter.txt"


@everywhere
def test_a_wrong_key_is_exit_78_and_says_so(
    cluster_tts: ClusterTts, letter: str, plain: dict[str, Emulator], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS[provider], "the-key-of-somebody-else")
    ended = cluster_tts("run", letter, *over(provider, plain[provider]), "engine=local")
    assert ended.exit_code == 78
    assert f"{provider} answered 401" in ended.err
    assert "check the API key" in ended.err
    assert "the-key-of-somebody-else" not in ended.err
    assert json.loads(Path("out/report.json").read_text())["status"] == "refused"


@everywhere
def test_no_key_is_exit_2_and_names_the_variable_and_nothing_is_made(
    cluster_tts: ClusterTts, letter: str, provider: str
) -> None:
    ended = cluster_tts("run", letter, f"provider.name={provider}", "engine=local")
    assert ended.exit_code == 2
    assert f"set {KEYS[provider]} in the environment or in a file .env in this folder" in ended.err
    assert not Path("out").exists()


def test_each_provider_with_an_emulator_is_in_the_tables_here() -> None:
    assert set(KEYS) == set(FAULTS) == set(EMULATORS)
    assert set(EMULATORS) < set(PROVIDERS)


@everywhere
def test_a_key_in_a_file_beside_the_command_is_enough(
    cluster_tts: ClusterTts, letter: str, plain: dict[str, Emulator], provider: str
) -> None:
    Path(".env").write_text(f"# mine\nexport {KEYS[provider]}='{KEY}'\n")
    ended = cluster_tts("run", letter, *over(provider, plain[provider]), "engine=local")
    assert ended.exit_code == 0, ended.err
    assert KEYS[provider] not in os.environ


@pytest.fixture(scope="module")
def purse() -> Iterator[dict[str, Emulator]]:
    """Accounts with credit for some of what is to be spoken."""
    with emulators(lambda provider: ["--out-of-credit-after", "600", "--latency", "0.01"]) as started:
        yield started


@everywhere
def test_an_empty_purse_is_exit_78_and_the_run_continues_once_it_is_filled(
    cluster_tts: ClusterTts, purse: dict[str, Emulator], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS[provider], KEY)
    emulator, text = purse[provider], str(SAMPLES / "letter.txt")
    command = ("run", text, *over(provider, emulator), "engine=local", SMALL, "workers.slots=3", "--json")
    first = cluster_tts(*command)
    assert first.exit_code == 78
    assert "add credit or raise the limit, then run the same command again" in first.err
    paid = emulator.stats()
    clips = sorted(Path("out/clips").rglob("*.wav"))
    assert len(clips) == paid["charged"] == paid["texts_charged"] > 3, "all that was paid is kept"
    assert paid["arrivals"] <= paid["charged"] + 3, "who was in flight may be refused too, and nobody after that"
    made = {path: path.stat().st_mtime_ns for path in clips}

    emulator.reset()
    second = cluster_tts(*command)
    assert (second.exit_code, second.json["status"]) == (0, "whole")
    assert {path: path.stat().st_mtime_ns for path in clips} == made
    assert second.json["totals"]["spoken"] == emulator.stats()["charged"] == emulator.stats()["arrivals"]
    plan = next(iter(Manifest(Path("out/manifest")).plans().values()))
    assert paid["charged"] + second.json["totals"]["spoken"] == len({planned.text for planned in plan})


# -- where a key is not to be found -----------------------------------------------------------------------------------

KEEPING = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from cluster_tts import keys
from cluster_tts.cli import main
from cluster_tts.cluster import session

def keep(folder, **how):
    if Path(folder).name.startswith(f"ctts-{os.getpid()}-"):
        os.rename(folder, os.environ["KEPT"])

session.shutil = SimpleNamespace(rmtree=keep)
if Path(".env").exists():  # workers must be handed what they cannot find, as on other nodes
    assert keys.find("OPENAI_API_KEY")
    Path(".env").unlink()
sys.argv[0] = "cluster-tts"
main()
"""


@dataclass
class Watch:
    """Every command line that was seen while it lasted."""

    seen: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self.over.wait(0.2):
            listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
            self.seen.update(listed.stdout.splitlines())


@pytest.fixture
def kept() -> Iterator[Path]:
    """Where Ray's session folder goes instead of away; beside it, for sockets have short names."""
    folder = Path("/tmp", f"ctts-kept-{secrets.token_hex(4)}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def content_of(path: Path) -> str:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist())
    return path.read_bytes().decode("latin-1")


def files_in(folder: Path) -> dict[Path, str]:
    return {path: content_of(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.ray
@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_on_ray_a_key_is_used_and_written_nowhere(
    letter: str, plain: dict[str, Emulator], tmp_path: Path, kept: Path, place: str
) -> None:
    pytest.importorskip("ray")
    canary = f"canary-{secrets.token_hex(12)}"
    emulator = Emulator("openai", "--api-key", canary)
    held = {"OPENAI_API_KEY": canary} if place == "environment" else {}
    if place == "dotenv":
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY={canary}\n")
    command = [sys.executable, "-c", KEEPING, "run", letter, *over("openai", emulator), "workers.count=2", "--verbose"]
    watch = Watch()
    watching = threading.Thread(target=watch.look)
    watching.start()
    try:
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment(KEPT=str(kept), **held), capture_output=True, text=True, timeout=100,
            check=False,
        )  # fmt: skip
    finally:
        watch.over.set()
        watching.join()
        stats = emulator.stats()
        emulator.stop()
    assert ended.returncode == 0, ended.stderr
    assert stats["charged"] > 1
    assert stats["refused"] == {}, "the key was used, on every worker"
    written = files_in(tmp_path / "out")
    of_ray = files_in(kept)
    assert any("OPENAI_API_KEY" in content for content in written.values()), "the search finds what is there"
    assert any("gcs_server" in path.name for path in of_ray)
    assert any("raylet" in line for line in watch.seen)
    assert [path for path, content in {**written, **of_ray}.items() if canary in content] == []
    assert canary not in ended.stdout + ended.stderr
    assert [line for line in watch.seen if canary in line and " emulate " not in line] == []
