"""Whatever happens to a file of a manifest, the next run ends whole, says the same, and pays for nothing again."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tts import run
from cluster_tts.afterwards import status_of
from cluster_tts.errors import CTTSError
from tests.unit.test_damage import mutated

SETTINGS = {"engine": "local", "provider.name": "tone", "provider.options.latency_s": 0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with texts and a finished OUT, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "texts").mkdir()
    for name in "abc":
        (folder / f"texts/{name}.txt").write_text(f"Text {name} begins.\n\nIt has a second paragraph.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTER_TTS_STATE_DIR", str(folder / "state"))
        patch.chdir(folder)
        assert run("texts", "out", SETTINGS).exit_code == 0
        yield folder


def sounds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out/documents").iterdir()}


@pytest.mark.parametrize("seed", range(10))
def test_a_run_over_a_mutated_manifest_ends_whole_with_the_same_bytes_and_speaks_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    folder, chance = tmp_path / "copy", random.Random(seed)
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    # Not claims: a run waits 30 s before it takes over from one whose claim says nothing.
    files = [path for path in (folder / "out/manifest").rglob("*") if path.is_file() and "claims" not in path.parts]
    files.sort()
    files += [folder / "out/report.json", folder / "out/job.yaml"]
    for path in chance.sample(files, chance.choice([1, 1, 2, len(files)])):
        path.write_bytes(mutated(path.read_bytes(), chance))
    try:
        status_of("out")
    except CTTSError as error:
        pytest.fail(f"status: {error}")
    result = run("texts", "out", SETTINGS)
    assert (result.exit_code, result.report.as_dict()["totals"]["spoken"]) == (0, 0)
    assert sounds(folder) == sounds(finished)
    assert status_of("out").status == "whole"


def test_an_incomplete_run_that_has_lost_what_it_knew_of_its_clips_finds_them(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    for path in (folder / "out/manifest").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-9])
    (folder / "out/documents/a.wav").unlink()
    result = run("texts", "out", SETTINGS)
    totals = result.report.as_dict()["totals"]  # four texts: the second paragraph is the same everywhere
    assert (result.exit_code, totals["spoken"], totals["found"]) == (0, 0, 4)
    assert sounds(folder) == sounds(finished)
