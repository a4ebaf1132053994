"""The checks of ``benchmarks/jobs.py``: what proves the jobs has to be right itself."""

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
VERSES = ["In the beginning there was one stone.", "And the builder said: Let there be a line.", "And there was."]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look themselves up, and the next one finds it
    spec.loader.exec_module(module)
    return module


heard, _, checks = load("heard"), load("subtitle_check"), load("job_checks")


def entry(text: str, voice: str = "onyx", refused: str = "") -> dict[str, Any]:
    return {"said": [[heard.digest_of(text), voice]], "refused": refused}


class Chapter:
    """A table of three verses, and what the job scripture leaves of it, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.out, self.table = folder / "out", folder / "verses.csv"
        rows = "".join(f'one,{number},"{text}"\n' for number, text in enumerate(VERSES, 1))
        self.table.write_text(f"document,item,text\n{rows}", encoding="utf-8")
        self.log = [entry(text) for text in VERSES]

    def join(self, texts: list[str], gap_ms: int = 450) -> None:
        gap, at = gap_ms * RATE // 1000, 0
        samples, chunks = [], []
        for index, text in enumerate(texts):
            clip = speech(text, RATE)
            chunks.append({"index": index, "text": text, "start_frame": at, "end_frame": at + len(clip)})
            chunks[-1] |= {"gap_frames": gap if index < len(texts) - 1 else 0, "overlap_frames": 0, "paragraph": index}
            samples += [clip, np.zeros(chunks[-1]["gap_frames"], np.int16)]
            at += len(clip) + chunks[-1]["gap_frames"]
        (self.out / "documents").mkdir(parents=True, exist_ok=True)
        sf.write(self.out / "documents/one.mp3", np.concatenate(samples), RATE, format="MP3")
        told = {"audio": "one.mp3", "rate": RATE, "frames": at, "chunks": chunks}
        (self.out / "documents/one.json").write_text(json.dumps(told))

    def items(self, texts: list[str]) -> None:
        (self.out / "documents/one").mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts, 1):
            sf.write(self.out / f"documents/one/{number}.mp3", speech(text, RATE), RATE, format="MP3")

    def wrong(self) -> list[str]:
        found: list[str] = checks.scripture(self.table, self.out, self.log)
        return found


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    made = Chapter(tmp_path)
    made.join(VERSES)
    made.items(VERSES)
    return made


def test_a_chapter_as_it_should_be_is_right(chapter: Chapter) -> None:
    assert chapter.wrong() == []


def test_verses_in_another_order_are_noticed(chapter: Chapter) -> None:
    chapter.join([VERSES[1], VERSES[0], VERSES[2]])
    assert chapter.wrong() == ["'one': heard 3 texts, 3 expected in order, 0 not at all"]


def test_a_verse_that_is_missing_is_noticed(chapter: Chapter) -> None:
    chapter.join(VERSES[:2])
    assert chapter.wrong() == ["'one': heard 2 texts, 3 expected in order, 1 not at all"]


def test_items_that_are_missing_mixed_up_or_too_many_are_noticed(chapter: Chapter) -> None:
    chapter.items([VERSES[1], VERSES[0], VERSES[2], "And more."])
    (chapter.out / "documents/one/3.mp3").unlink()
    assert chapter.wrong() == [
        "'one' has no item '3.mp3'",
        "'one' has '4.mp3', which is no item",
        "item '1' of 'one' says something else",
        "item '2' of 'one' says something else",
    ]


def test_a_pause_that_is_not_the_configured_one_is_noticed(chapter: Chapter) -> None:
    chapter.join(VERSES, gap_ms=600)
    assert chapter.wrong() == ["'one': 600 ms after chunk 0", "'one': 600 ms after chunk 1"]


def test_a_pause_that_is_said_to_be_there_and_is_not_is_noticed(chapter: Chapter) -> None:
    path = chapter.out / "documents/one.json"
    told = json.loads(path.read_text())
    for chunk in told["chunks"]:
        chunk["end_frame"] -= RATE // 2
    path.write_text(json.dumps(told))
    assert chapter.wrong() == ["'one': no silence after chunk 0", "'one': no silence after chunk 1"]


def test_speech_that_is_not_where_the_times_have_it_is_noticed(chapter: Chapter) -> None:
    path = chapter.out / "documents/one.json"
    told = json.loads(path.read_text())
    told["chunks"][2]["start_frame"] -= RATE // 10
    path.write_text(json.dumps(told))
    (wrong,) = chapter.wrong()
    assert "chunk 2 is heard +10" in wrong


def test_refusals_and_texts_asked_for_twice_are_noticed(chapter: Chapter) -> None:
    chapter.log += [entry(VERSES[0]), entry("Another.", refused="requests")]
    assert chapter.wrong() == ["1 requests were refused", "1 texts were asked for twice"]


def test_a_script_is_read_without_directions() -> None:
    script = "ADA: [laughing] Well?\n\n[A door.]\n\nTOM: It is [he waits] late.\nVery late.\n"
    assert checks.dialogue(script, {"ADA", "TOM"}) == [("ADA", "Well?"), ("TOM", "It is late. Very late.")]


def test_a_text_in_another_voice_is_noticed() -> None:
    spoken = heard.voices_by_digest([entry("Well?", "nova"), entry("Late.", "echo"), entry("Late.", "onyx")])
    assert checks._voiced("Well?", "nova", spoken) == []
    assert checks._voiced("Late.", "echo", spoken) == ["'Late.' is spoken by ['echo', 'onyx'], not by echo"]
    assert checks._voiced("Never.", "echo", spoken) == ["'Never.' is spoken by nobody, not by echo"]
