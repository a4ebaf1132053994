"""Keys and credit: what a run without them says, what it keeps, and that a key is written nowhere."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from cluster_tts.limiter.state_file import state_folder
from cluster_tts.manifest import Manifest
from cluster_tts.storage import LocalFolder

from .conftest import ClusterTts
from .emulating import KEY, KEYS, SAMPLES, SMALL, Emulator, emulators, environment, everywhere, over


@pytest.fixture(scope="module")
def plain() -> Iterator[dict[str, Emulator]]:
    with emulators(lambda name: []) as started:
        yield started


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for variable in KEYS.values():
        monkeypatch.delenv(variable, raising=False)


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


@everywhere
def test_a_key_in_a_file_beside_the_command_is_enough(
    cluster_tts: ClusterTts, letter: str, plain: dict[str, Emulator], provider: str
) -> None:
    Path(".env").write_text(f"# mine\nexport {KEYS[provider]}='{KEY}'\n")
    ended = cluster_tts("run", letter, *over(provider, plain[provider]), "engine=local")
    assert ended.exit_code == 0, ended.err
    assert KEYS[provider] not in os.environ


LEAKY = """
import base64, os
from urllib.parse import quote
from cluster_tts import keys
from cluster_tts.providers.tone import Tone

class Leaky(Tone):
    async def speak(self, *arguments, **more):
        key = keys.find("LEAKY_KEY")
        told = f"{key} {quote(key, safe='')} {base64.b64encode(key.encode()).decode()} {key!r}"
        raise (ValueError if os.environ["HOW"] == "defect" else OSError)(told)
"""


@pytest.mark.parametrize("how", ["defect", "storage"])
def test_a_provider_that_quotes_the_key_in_what_it_raises_puts_it_nowhere(
    cluster_tts: ClusterTts, letter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Neither plain, nor as an address or a header spells it: not in OUT, the state, temporary files, nor on screen."""
    key = "sk/secret+key==of somebody"
    (tmp_path / "leaky.py").write_text(LEAKY)
    for name, value in (("LEAKY_KEY", key), ("HOW", how), ("TMPDIR", str(tmp_path)), ("PYTHONPATH", str(tmp_path))):
        monkeypatch.setenv(name, value)
    ended = cluster_tts(
        "run", letter, "provider.name=leaky:Leaky", "provider.api_key_env=LEAKY_KEY", "engine=local", "-v", "--json",
        "retry.max_attempts=1",
    )  # fmt: skip
    assert ended.exit_code in (1, 3, 75)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "leaky.py"]
    written += [path.read_bytes() for path in state_folder().rglob("*") if path.is_file()]
    assert len(written) > 5
    everything = b"".join([*written, ended.err.encode(), ended.out.encode()])
    for spelling in (key, quote(key, safe=""), base64.b64encode(key.encode()).decode(), repr(key)[1:-1]):
        assert spelling.encode() not in everything
    assert b"***" in everything


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
    plan = next(iter(Manifest(LocalFolder(Path("out/manifest"))).plans().values()))
    assert paid["charged"] + second.json["totals"]["spoken"] == len({planned.text for planned in plan})


# -- where a key is not to be found -----------------------------------------------------------------------------------

KEEPING = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from cluster_tts import keys
from cluster_tts.cli import main
from cluster_tts.storage import LocalFolder
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
