"""The ear of ``benchmarks/dubbing.py``: what proves that cues are on time has to be right itself."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.emulator.speech import speech

FOLDER = Path(__file__).parents[2] / "benchmarks"
RATE = 24_000


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look themselves up, and the next one finds it
    spec.loader.exec_module(module)
    return module


heard, checking, files = load("heard"), load("subtitle_check"), load("subtitle_files")

SRT = """1
00:00:01,000 --> 00:00:02,500
This is <i>said</i> at one

2
00:00:02,600 --> 00:00:04,000
and goes on.

3
00:00:05,000 --> 00:00:05,000
♪

4
00:00:06,000 --> 00:00:07,500
- Later?
- At six.
"""


class Dubbed:
    """A document as dubbing leaves it, made by hand: speech at its times, and the report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "film.srt"
        self.source.write_text(SRT, encoding="utf-8")
        self.chunks: list[dict[str, Any]] = []
        self.cues: list[dict[str, Any]] = []
        self._audio = np.zeros(10 * RATE, np.int16)

    def say(self, text: str, at_s: float, cues: list[tuple[float, float]], **more: Any) -> None:
        clip = speech(text, RATE)
        loud = np.flatnonzero(clip)
        sound = clip[loud[0] : loud[-1] + 1]
        start = round(at_s * RATE)
        self._audio[start : start + len(sound)] = sound
        row = {"start_frame": start, "end_frame": start + len(sound), "text": text, "did": [], "shift_s": 0.0}
        slot = {"start_s": cues[0][0], "end_s": cues[-1][1]}
        self.chunks.append({**row, "slot": slot, "over_s": 0.0, **more})
        for number, (start_s, end_s) in enumerate(cues):
            cue = {"start_s": start_s, "end_s": end_s, "chunk": len(self.chunks) - 1}
            self.cues.append({**cue, "start_frame": None if number else start, "did": self.chunks[-1]["did"]})

    def verdict(self) -> Any:
        sf.write(self.folder / "film.wav", self._audio, RATE)
        told = {"audio": "film.wav", "rate": RATE, "frames": len(self._audio), "chunks": self.chunks, "cues": self.cues}
        (self.folder / "film.json").write_text(json.dumps(told))
        return checking.check(self.source, heard.read(self.folder / "film.json"), 0.4)


@pytest.fixture
def dubbed(tmp_path: Path) -> Dubbed:
    return Dubbed(tmp_path)


JOINT = [(1.0, 2.5), (2.6, 4.0)]


def test_speech_on_time_keeps_the_promise(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT)
    dubbed.say("Later? At six.", 6.0, [(6.0, 7.5)])
    verdict = dubbed.verdict()
    assert verdict.wrong == []
    assert (verdict.cues, verdict.speeches, verdict.heard, verdict.unheard) == (3, 2, 2, 0)
    assert verdict.treated == {"as is": 3}
    assert abs(verdict.worst_s) < 0.005


def test_speech_that_is_late_without_saying_so_is_noticed_twice(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.05, JOINT)
    dubbed.say("Later? At six.", 6.0, [(6.0, 7.5)])
    told, noticed = dubbed.verdict().wrong
    assert "begins +50 ms from its cue" in told
    assert "is heard +50 ms" in noticed


def test_speech_that_says_how_late_it_is_keeps_the_promise_up_to_the_bound(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.3, JOINT, did=["space", "shift"], shift_s=0.3)
    dubbed.say("Later? At six.", 6.5, [(6.0, 7.5)], did=["shift"], shift_s=0.5)
    verdict = dubbed.verdict()
    assert len(verdict.wrong) == 1
    assert "chunk 1 is late by 0.500 s, more than 0.4 s" in verdict.wrong[0]
    assert verdict.treated == {"shift": 3}


def test_sound_that_is_not_where_the_report_has_it_is_noticed(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT)
    dubbed.say("Later? At six.", 6.1, [(6.0, 7.5)])
    dubbed.chunks[1]["start_frame"] = 6 * RATE
    assert dubbed.verdict().wrong == ["chunk 1 is heard +100 ms from where it should be"]


def test_another_text_in_its_place_is_noticed(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT)
    dubbed.say("Later? At five.", 6.0, [(6.0, 7.5)])
    dubbed.chunks[1]["text"] = "Later? At six."
    assert dubbed.verdict().wrong == ["chunk 1 is not heard at 6.000 s"]


def test_a_cue_that_is_left_out_is_noticed(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT)
    wrong = dubbed.verdict().wrong
    assert wrong == [
        "10 letters of the file are not spoken, 0 are spoken that are not in it",
        "the cue at 6.000 s is not reported",
    ]


def test_stretched_speech_is_heard_by_where_its_sound_begins(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT, did=["stretch"])
    dubbed.say("Later? At six.", 6.15, [(6.0, 7.5)], did=["stretch"])
    dubbed.chunks[1]["start_frame"] = 6 * RATE
    verdict = dubbed.verdict()
    assert len(verdict.wrong) == 1
    assert "chunk 1 is heard +15" in verdict.wrong[0]
    assert verdict.treated == {"stretch": 3}


def test_speech_that_begins_while_others_speak_is_counted_as_hidden(dubbed: Dubbed) -> None:
    dubbed.say("This is said at one and goes on.", 1.0, JOINT)
    dubbed.say("Later? At six.", 6.0, [(6.0, 7.5)])
    dubbed.chunks[0]["end_frame"] = 7 * RATE
    verdict = dubbed.verdict()
    assert (verdict.heard, verdict.unheard, verdict.wrong) == (1, 1, [])


def test_the_ten_files_are_the_same_for_the_same_seed_and_read_back_as_written(tmp_path: Path) -> None:
    first, second = files.write(tmp_path / "a", 0.05), files.write(tmp_path / "b", 0.05)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [len(checking.parse(path)) for path in first] == [100, 75, 40, 30, 25, 20, 20, 35, 50, 20]
    by_name = {path.name: checking.parse(path) for path in first}
    assert any(cue.end_s < cue.start_s for cue in by_name["broken.srt"])
    assert any(cue.end_s == cue.start_s for cue in by_name["broken.srt"])
    assert any(len(cue.lines) == 2 for cue in by_name["speakers.vtt"])
    assert not any("<" in line or "{" in line for path in first for cue in checking.parse(path) for line in cue.lines)
