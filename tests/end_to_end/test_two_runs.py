"""Two runs on one OUT, as two processes: one at a time writes, whatever happens to the other."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.manifest import Manifest
from cluster_tts.model import Status
from cluster_tts.storage import LocalFolder
from tests.end_to_end.conftest import TONE
from tests.end_to_end.emulating import environment

SILENT_S = 4.0
HASTY = f"""
from cluster_tts import claims
claims.SILENT_S, claims.TRUST_S, claims.BEAT_S = {SILENT_S}, {SILENT_S / 2}, 0.5
from cluster_tts.cli import main
main()
"""
"""The program with less patience for silence than people have."""

CHUNKS = 16
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts one more run of the same job: some seconds of work, one clip at a time."""
    source = tmp_path / "tides.txt"
    source.write_text("\n\n".join(f"Sentence {number} of a text that takes its time." for number in range(CHUNKS)))
    slow = (*TONE[:2], "provider.options.latency_s=0.25", "workers.slots=1", "chunking.max_characters=60")
    command = [sys.executable, "-c", HASTY, "run", str(source), "--out", "out", "--json", *slow]
    started: list[subprocess.Popen[str]] = []

    def one_more() -> "subprocess.Popen[str]":
        run = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(run)
        return run

    yield one_more
    for run in started:
        if run.poll() is None:
            run.kill()
        run.communicate()


def until(holds: Callable[[], object], within_s: float = 25.0) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def clips(out: Path) -> int:
    return len(list(out.glob("clips/*/*.wav")))


def claims(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (out / "manifest/claims").glob("*.json")]


def spoken(out: Path) -> int:
    return sum(outcome.status is Status.SPOKEN for outcome in Manifest(LocalFolder(out / "manifest")).read_outcomes())


def documents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "documents").iterdir()}


@pytest.mark.timeout(60)
def test_the_second_waits_and_then_finds_everything_whole(tmp_path: Path, start: Start) -> None:
    out = tmp_path / "out"
    first = start()
    until(lambda: clips(out))
    second = start()
    assert (first.wait(30), second.wait(30)) == (0, 0)
    told = second.stderr.read() if second.stderr else ""
    assert f"another run (pid {first.pid} on host" in told
    assert "waiting" in told
    assert spoken(out) == CHUNKS
    (claim,) = claims(out)
    assert (claim["owner"]["pid"], claim["ended"]) == (second.pid, True)


@pytest.mark.timeout(60)
def test_the_second_goes_on_at_once_where_the_first_is_killed(tmp_path: Path, start: Start) -> None:
    out = tmp_path / "out"
    first = start()
    until(lambda: clips(out) >= 2)
    second = start()
    until(lambda: len(claims(out)) == 2)
    first.kill()
    first.wait()
    began = time.monotonic()
    until(lambda: any(claim["owner"]["pid"] == second.pid and claim["taken"] for claim in claims(out)))
    assert time.monotonic() - began < SILENT_S - 1  # silence is not waited for
    assert second.wait(30) == 0
    assert spoken(out) <= CHUNKS
    assert clips(out) == CHUNKS


@pytest.mark.timeout(60)
def test_one_that_was_stopped_and_woken_finds_itself_taken_over_and_writes_nothing(
    tmp_path: Path, start: Start
) -> None:
    out = tmp_path / "out"
    first = start()
    until(lambda: clips(out) >= 2)
    first.send_signal(signal.SIGSTOP)
    second = start()
    assert second.wait(40) == 0
    left, report = documents(out), (out / "report.json").read_bytes()
    assert len(left) == 4
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == 75
    assert json.loads(first.stdout.read() if first.stdout else "")["message"].startswith(
        f"another run (pid {second.pid} on host"
    )
    assert documents(out) == left
    assert (out / "report.json").read_bytes() == report
    assert [claim["owner"]["pid"] for claim in claims(out)] == [second.pid]


@pytest.mark.timeout(60)
def test_one_that_is_interrupted_while_it_waits_leaves_nothing(tmp_path: Path, start: Start) -> None:
    out = tmp_path / "out"
    first = start()
    until(lambda: clips(out))
    second = start()
    until(lambda: len(claims(out)) == 2)
    second.send_signal(signal.SIGINT)
    assert second.wait(20) == 75
    assert [claim["owner"]["pid"] for claim in claims(out)] == [first.pid]
    assert first.wait(30) == 0
