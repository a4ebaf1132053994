"""What ``make chaos`` sees of a run: lost and misplaced chunks, other bytes, what stays behind, whom it hits."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import chaos_left as left
import chaos_results as results
import chaos_victims as victims

from cluster_tts.emulator.speech import speech

RATE = 8_000
TEXTS = {"a": ["The first sentence.", "The second one.", "And a third."]}


def document(out: Path, name: str, texts: list[str]) -> None:
    (out / "documents").mkdir(parents=True, exist_ok=True)
    sound = np.concatenate([speech(text, RATE) for text in texts])
    sf.write(out / "documents" / f"{name}.wav", sound, RATE, subtype="PCM_16")


@pytest.mark.parametrize(
    ("spoken", "lost"),
    [
        (TEXTS["a"], 0),
        (TEXTS["a"][:2], 1),
        ([TEXTS["a"][0], "Something else.", TEXTS["a"][2]], 1),
        ([TEXTS["a"][1], TEXTS["a"][0], TEXTS["a"][2]], 1),
        ([*TEXTS["a"], TEXTS["a"][2]], 1),
    ],
    ids=["whole", "one lacks", "another in its place", "out of order", "one twice"],
)
def test_chunks_that_are_not_heard_once_and_in_their_place_are_lost(
    tmp_path: Path, spoken: list[str], lost: int
) -> None:
    document(tmp_path, "a", spoken)
    assert results.lost_chunks(str(tmp_path), TEXTS, ["a.wav"]) == lost


def test_a_document_that_lacks_has_lost_all_its_chunks(tmp_path: Path) -> None:
    assert results.lost_chunks(str(tmp_path), TEXTS, ["a.wav"]) == 3


def test_documents_differ_by_bytes_by_lacking_and_by_being_too_many(tmp_path: Path) -> None:
    document(tmp_path, "a", TEXTS["a"])
    found = results.digests(str(tmp_path))
    assert results.different(found, found) == ()
    assert results.different(found, {"a.wav": "another", "b.wav": "x"}) == ("a.wav", "b.wav")
    assert results.different(found, {}) == ("a.wav",)


def test_what_stays_behind_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest" / "claims").mkdir(parents=True)
    (tmp_path / "manifest" / "spending").mkdir()
    (tmp_path / "manifest" / "claims" / "run-1.json").write_text(json.dumps({"ended": False}))
    (tmp_path / "manifest" / "claims" / "run-2.json").write_text(json.dumps({"ended": True}))
    (tmp_path / "manifest" / "spending" / "run-1.json").write_text(json.dumps({"open": {"clip": [1.0, 5]}}))
    (tmp_path / "manifest" / "spending" / "run-2.json").write_text(json.dumps({"open": {}}))
    (tmp_path / ".half.part").mkdir()
    assert left.half_written(tmp_path) == [".half.part"]
    assert left.claims(str(tmp_path)) == ["claim run-1.json", "2 claims"]
    assert left.reservations(str(tmp_path)) == ["1 reservations in run-1.json"]


def test_a_place_that_a_live_limiter_holds_is_left_behind_and_that_of_a_dead_or_closed_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left, "WRITTEN_S", 0.0)
    (tmp_path / "accounts").mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    live, dead = {"pid": os.getpid()}, {"pid": ended.pid}
    parties = {
        "one": {"process": live, "closed": False, "held": {"worker-0": 2}},
        "closed": {"process": live, "closed": True, "held": {"worker-0": 2}},
        "empty": {"process": live, "closed": False, "held": {"worker-0": 0}},
        "dead": {"process": dead, "closed": False, "held": {"worker-0": 2}},
    }
    (tmp_path / "accounts" / "a.json").write_text(json.dumps({"parties": parties}))
    assert left.permits(tmp_path) == ["permits of limiter one: {'worker-0': 2}"]


@pytest.fixture
def session() -> Iterator["subprocess.Popen[bytes]"]:
    """A driver with one child whose title is a worker's, and one whose title is not."""
    command = 'bash -c "exec -a ray::_WorkerShell.work sleep 60" & bash -c "exec -a ray::IDLE sleep 60" & echo; wait'
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, start_new_session=True) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        while not victims.titled("worker", [driver.pid]) or len(victims.of_sessions([driver.pid])) < 3:
            pass
        yield driver
        victims.strike_all([driver.pid])


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_one_process_is_hit_by_its_title_and_a_power_cut_hits_all(session: "subprocess.Popen[bytes]") -> None:
    (worker,) = victims.titled("worker", [session.pid])
    assert victims.strike_one("worker", [session.pid], random.Random(1), 10.0, lambda: False) == [worker]
    victims.wait_dead([worker])
    assert victims.titled("worker", [session.pid]) == []
    assert victims.strike_one("worker", [session.pid], random.Random(1), 10.0, lambda: True) == []
    hit = victims.strike_all([session.pid])
    assert session.pid in hit
    assert len(hit) == 2
    session.wait()
    victims.wait_dead(hit)
    assert victims.of_sessions([session.pid]) == []
