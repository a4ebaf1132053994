"""Budgets over each provider's emulator: never exceeded, whatever happens; what is missing is told with its price."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.manifest import Manifest
from cluster_tts.prices import Bounds
from cluster_tts.spending import spent
from cluster_tts.storage import LocalFolder

from .conftest import ClusterTts
from .emulating import KEY, KEYS, SAMPLES, SMALL, Emulator, emulators, environment, everywhere, over

LETTER = str(SAMPLES / "letter.txt")
BUDGET = 500  # characters, of about a thousand
TTS = ("provider.model=tts-1", SMALL)  # 15 dollars a million characters
A_CHARACTER = 15e-6


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, Emulator]]:
    with emulators(lambda provider: ["--latency", "0.05", "--jitter", "0.3"]) as started:
        yield started


@pytest.fixture
def emulated(running: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Emulator]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CLUSTER_TTS_STATE_DIR", str(tmp_path / "state"))
    for provider, emulator in running.items():
        monkeypatch.setenv(KEYS[provider], KEY)
        emulator.reset()
    return running


def report_of(out: Path = Path("out")) -> dict[str, Any]:
    content = json.loads((out / "report.json").read_text())
    assert isinstance(content, dict)
    return content


@everywhere
def test_a_budget_in_characters_is_never_exceeded_over_all_runs_of_an_out(
    cluster_tts: ClusterTts, emulated: dict[str, Emulator], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_TTS_STATE_DIR", str(Path("state").absolute()))
    emulator = emulated[provider]
    command = ("run", LETTER, *over(provider, emulator), "engine=local", SMALL)
    first = cluster_tts(*command, f"quota.budget_characters={BUDGET}")
    paid = emulator.stats()
    assert first.exit_code == 78, first.err
    assert "quota.budget_characters" in first.err
    assert BUDGET - 80 < paid["charged_characters"] <= BUDGET, "what was left was less than a request"
    assert len(list(Path("out/clips").rglob("*.wav"))) == paid["charged"], "all that was paid is kept"

    second = cluster_tts(*command, f"quota.budget_characters={BUDGET}")
    assert second.exit_code == 78
    assert emulator.stats()["charged_characters"] <= BUDGET

    third = cluster_tts(*command, "quota.budget_characters=2000")
    assert third.exit_code == 0, third.err
    plan = next(iter(Manifest(LocalFolder(Path("out/manifest"))).plans().values()))
    assert emulator.stats()["charged"] == len({planned.text for planned in plan}), "nothing was paid twice"


def test_a_budget_in_dollars_is_never_exceeded_and_what_is_missing_is_told_with_its_price(
    cluster_tts: ClusterTts, emulated: dict[str, Emulator]
) -> None:
    emulator = emulated["openai"]
    command = (LETTER, *over("openai", emulator), "engine=local", *TTS, "quota.budget_usd=0.0075")
    planned = cluster_tts("plan", *command)
    assert "budget: <$0.01 left, covers about 5" in planned.out
    ended = cluster_tts("run", *command)
    assert ended.exit_code == 78
    paid = emulator.stats()
    assert 400 < paid["charged_characters"] <= 500
    report = report_of()
    assert (report["status"], report["exit_code"]) == ("refused", 78)
    missing = report["missing"]
    assert missing["clips"] > 3
    assert missing["documents"] == 1
    assert missing["cost_usd"] == pytest.approx(missing["characters"] * A_CHARACTER, abs=1e-6)
    assert report["message"].endswith(f"{missing['clips']} clips of 1 document are missing, <$0.01 more")
    assert report["message"] in ended.err
    assert report["totals"]["chunks_missing"] == missing["clips"]
    assert "of <$0.01 left, covers about" in cluster_tts("plan", *command).out


def test_a_budget_that_is_used_up_is_told_before_anybody_is_asked(
    cluster_tts: ClusterTts, emulated: dict[str, Emulator]
) -> None:
    emulator = emulated["openai"]
    command = ("run", LETTER, *over("openai", emulator), "engine=local", *TTS)
    assert cluster_tts(*command, "quota.budget_characters=500").exit_code == 78
    before = emulator.stats()["arrivals"]
    ended = cluster_tts(*command, "quota.budget_characters=300")
    assert ended.exit_code == 78
    assert "the budget of 300 characters (quota.budget_characters) is used up by what 'out' has cost" in ended.err
    assert "clips of 1 document are missing, <$0.01 more" in ended.err
    assert emulator.stats()["arrivals"] == before


def test_what_is_whole_when_the_budget_ends_is_joined(
    cluster_tts: ClusterTts, emulated: dict[str, Emulator], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("The tide is out. The boats lie in the mud.")
    (tmp_path / "b.txt").write_text(" ".join(f"On day {day} nobody came to the pier at all." for day in range(30)))
    ended = cluster_tts(
        "run", "a.txt", "b.txt", *over("openai", emulated["openai"]), "engine=local", *TTS, "workers.slots=2",
        "quota.budget_characters=150",
    )  # fmt: skip
    assert ended.exit_code == 78
    assert Path("out/documents/a.wav").exists()
    assert {line["name"]: line["status"] for line in report_of()["documents"]} == {"a": "whole", "b": "planned"}


def test_an_account_without_credit_names_what_is_missing_and_what_it_will_cost(
    cluster_tts: ClusterTts, emulated: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS["openai"], "the-key-of-somebody-else")
    ended = cluster_tts("run", LETTER, *over("openai", emulated["openai"]), "engine=local", *TTS)
    assert ended.exit_code == 78
    missing = report_of()["missing"]
    assert "check the API key" in ended.err
    assert f"; {missing['clips']} clips of 1 document are missing, about $0.01 more" in ended.err
    assert missing["clips"] == report_of()["totals"]["chunks_missing"] > 10


@pytest.mark.parametrize("settings", [("provider.name=hibari",), ("provider.name=openai", "provider.model=kokoro")])
def test_a_budget_that_cannot_be_kept_is_exit_2_and_nothing_is_made(
    cluster_tts: ClusterTts, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for command in ("run", "plan"):
        ended = cluster_tts(command, LETTER, *settings, "engine=local", "quota.budget_usd=5")
        assert ended.exit_code == 2
        assert "quota.budget_usd" in ended.err
    assert not Path("out").exists()


def killed(folder: Path, emulator: Emulator, charged: int, *settings: str) -> None:
    """A run that is killed once so many requests have been charged."""
    command = [sys.executable, "-m", "cluster_tts", "run", LETTER, *over("openai", emulator), *settings]
    more = {"OPENAI_API_KEY": KEY, "CLUSTER_TTS_STATE_DIR": str(folder / "state")}
    run = subprocess.Popen(command, cwd=folder, env=environment(**more))
    deadline = time.monotonic() + 60
    while emulator.stats()["charged"] < charged:
        assert run.poll() is None, "it was to be killed before its end"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait(10)


def test_a_run_that_was_killed_has_spent_no_less_than_the_server_charged(tmp_path: Path) -> None:
    """Also what was under way, what was made but not written down, and what is charged after the kill."""
    from cluster_tts.config import load

    job = load(overrides=["provider.name=openai", "provider.model=tts-1"], environ={})
    emulator = Emulator("openai", "--latency", "0.4", "--jitter", "0.3", "--fault", "cut=0.1", "--seed", "3")
    try:
        folder, settings = tmp_path, ("engine=local", "workers.slots=4", *TTS, "quota.budget_characters=900")
        for charged in (3, 7):
            killed(folder, emulator, charged, *settings)
            time.sleep(1.0)  # the server ends what it has begun
            out = folder / "out"
            counted = spent(Manifest(LocalFolder(out / "manifest")), LocalFolder(out / "clips"), Bounds.of(job))
            assert counted.characters >= emulator.stats()["charged_characters"]
            assert counted.usd >= emulator.stats()["charged_characters"] * A_CHARACTER - 1e-9
        more = {"OPENAI_API_KEY": KEY, "CLUSTER_TTS_STATE_DIR": str(folder / "state")}
        command = [sys.executable, "-m", "cluster_tts", "run", LETTER, *over("openai", emulator), *settings]
        ended = subprocess.run(
            command, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 78, ended.stderr
        assert emulator.stats()["charged_characters"] <= 900
    finally:
        emulator.stop()


@pytest.mark.ray
def test_on_ray_all_workers_together_keep_the_budget(cluster_tts: ClusterTts, emulated: dict[str, Emulator]) -> None:
    pytest.importorskip("ray")
    emulator = emulated["openai"]
    ended = cluster_tts(
        "run", LETTER, *over("openai", emulator), *TTS, "workers.count=2", f"quota.budget_characters={BUDGET}"
    )
    assert ended.exit_code == 78, ended.err
    assert BUDGET - 80 < emulator.stats()["charged_characters"] <= BUDGET
    assert "clips of 1 document are missing" in report_of()["message"]
