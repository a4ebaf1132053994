"""Mutated inputs, a few of each kind: errors in words only, nothing written outside. `make fuzz` has 10,000."""

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import fuzz

    yield fuzz
    for name in ("fuzz", "fuzz_targets", "mutations"):
        sys.modules.pop(name, None)
    while BENCHMARKS in sys.path:
        sys.path.remove(BENCHMARKS)


@pytest.mark.parametrize(
    ("kind", "inputs"), [("text", 60), ("markdown", 25), ("settings", 60), ("env", 40), ("clip", 60), ("out", 3)]
)
def test_mutated_inputs_do_no_harm(fuzz, tmp_path: Path, kind: str, inputs: int) -> None:
    assert fuzz.fuzz(kind, range(inputs), 7, tmp_path).findings == []


def test_harm_is_found_kept_and_can_be_tried_again(fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Harmful:
        last = b"the input"

        def attempt(self, random: Random, place: Path) -> None:
            (place.parent / "HARM.txt").write_text("written outside")
            raise KeyError(random.random())

    monkeypatch.setattr(fuzz.targets, "Env", Harmful)
    (finding,) = fuzz.fuzz("env", range(3, 4), 7, tmp_path).findings
    assert "KeyError" in finding.what
    assert "written outside" in finding.what
    assert finding.command.endswith("--seed 7 --kind env --number 3")
    assert (tmp_path / "env-3" / "input").read_bytes() == b"the input"
