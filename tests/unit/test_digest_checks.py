"""The check of ``benchmarks/digests.py``: what proves that digests never mix has to be right itself."""

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
RATE = 16_000


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look themselves up, and the next one finds it
    spec.loader.exec_module(module)
    return module


*_, digests = [load(name) for name in ("quota_figures", "quota_runs", "heard", "shown", "digests")]


def leave(out: Path, name: str, chunks: list[str], said: list[str]) -> None:
    """A document as a run leaves it: its chunks by the JSON, and what is heard."""
    folder = out / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    sf.write(folder / f"{name}.wav", np.concatenate([speech(text, RATE, 100) for text in said]), RATE)
    told = {"audio": f"{name}.wav", "rate": RATE, "frames": 0, "chunks": [{"text": text} for text in chunks]}
    (folder / f"{name}.json").write_text(json.dumps(told))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(digests, "CHARACTERS", 600)
    monkeypatch.setattr(digests, "TURNS", 4)
    found = [digests.make(number) for number in range(2)]
    for each in found:
        paragraphs = each.narrative.removeprefix("# ").split("\n\n")
        leave(tmp_path, each.name, paragraphs, paragraphs)
        turns = [words for _, words in each.turns]
        leave(tmp_path, f"{each.name}-talk", ["\n".join(turns)], turns)
    return found


def test_digests_that_keep_to_themselves_are_right(made: Any, tmp_path: Path) -> None:
    assert digests.check(made, tmp_path) == []


def test_a_turn_of_another_digest_is_noticed_and_whose_it_is(made: Any, tmp_path: Path) -> None:
    one, two = made
    leave(tmp_path, f"{one.name}-talk", ["all"], [two.turns[0][1], *(words for _, words in one.turns[1:])])
    assert digests.check(made, tmp_path) == [
        "'ashwick-talk' has something in it of brindle-talk",
        "'ashwick-talk': heard 4 texts, 4 expected in order",
    ]


def test_a_narrative_that_lacks_a_paragraph_is_noticed(made: Any, tmp_path: Path) -> None:
    paragraphs = made[1].narrative.removeprefix("# ").split("\n\n")[:-1]
    leave(tmp_path, made[1].name, paragraphs, paragraphs)
    assert digests.check(made, tmp_path) == ["'brindle' is not the text of its file"]


def test_a_digest_that_is_not_there_is_noticed(made: Any, tmp_path: Path) -> None:
    (tmp_path / "documents" / "brindle-talk.json").unlink()
    assert digests.check(made, tmp_path) == ["there is no document 'brindle-talk'"]
