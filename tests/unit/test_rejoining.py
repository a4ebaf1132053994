"""Documents that are joined again: whatever stops it, what is there is of one set of settings or is joined anew."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from cluster_tts import config
from cluster_tts.afterwards import stitch_out
from cluster_tts.commands import run_job
from cluster_tts.endings import Result
from cluster_tts.errors import DocumentError
from cluster_tts.joining import JoinOrder, join
from cluster_tts.stitching import Joined
from cluster_tts.storage import LocalFolder

TONE = ("provider.name=tone", "engine=local", "check.characters_per_second=null", "stitching.each_item=true")
QUIETER = ["stitching.loudness_lufs=-40"]  # as many bytes of audio as before
DIED = 9


def run(folder: Path, *settings: str) -> Result:
    job = config.load(overrides=[*TONE, f"out={folder / 'out'}", *settings], environ={})
    return asyncio.run(run_job(job, [str(folder / "texts")], asyncio.Event()))


def made(folder: Path) -> dict[str, bytes]:
    documents = folder / "out" / "documents"
    return {str(path.relative_to(documents)): path.read_bytes() for path in documents.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("One sentence.\n\nAnother sentence.")
    return tmp_path


def killed_after(folder: Path, steps: int) -> bool:
    """Join again in another process, which dies before it publishes one file more; whether it did."""
    if (child := os.fork()) == 0:
        publish, left = LocalFolder.publish, iter(range(steps))

        def fatal(self: LocalFolder, path: Path, name: str) -> None:
            if "documents" in str(self) and next(left, None) is None:
                os._exit(DIED)
            publish(self, path, name)

        LocalFolder.publish = fatal  # type: ignore[method-assign]
        try:
            stitch_out(str(folder / "out"), QUIETER)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_at_any_file_leaves_what_the_next_run_makes_good(folder: Path, steps: int) -> None:
    assert run(folder).exit_code == 0
    before = made(folder)
    assert killed_after(folder, steps)
    assert "a.wav" not in made(folder) or made(folder) == before, "where the audio is, all is whole"
    assert run(folder).exit_code == 0
    assert made(folder) == before


def test_a_kill_before_the_rows_are_written_is_made_good_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(folder).exit_code == 0
    before = made(folder)
    monkeypatch.setattr("cluster_tts.afterwards.finish", lambda *_: os._exit(DIED))
    assert killed_after(folder, 10**6)
    quieter = made(folder)
    assert {name: len(content) for name, content in quieter.items() if name.endswith("wav")} == {
        name: len(content) for name, content in before.items() if name.endswith("wav")
    }
    assert quieter != before
    assert run(folder).exit_code == 0
    assert made(folder) == before


def test_one_that_ends_well_is_whole_with_its_settings(folder: Path) -> None:
    assert run(folder).exit_code == 0
    before = made(folder)
    assert stitch_out(str(folder / "out"), QUIETER).exit_code == 0
    quieter = made(folder)
    assert quieter.keys() == before.keys()
    assert quieter != before
    assert run(folder, *QUIETER).exit_code == 0
    assert made(folder) == quieter, "nothing to do"


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ((), {"a.json", "a.srt", "a.vtt", "a.wav", "a/0001.wav", "a/0002.wav"}),
        (("stitching.joined=false",), {"a.json", "a.srt", "a.vtt", "a/0001.wav", "a/0002.wav"}),
        (("stitching.format=flac",), {"a.json", "a.srt", "a.vtt", "a.flac", "a/0001.flac", "a/0002.flac"}),
        (("stitching.each_item=false",), {"a.json", "a.srt", "a.vtt", "a.wav"}),
    ],
)
@pytest.mark.parametrize("command", ["run", "stitch"])
def test_what_is_of_other_settings_goes(folder: Path, settings: tuple[str, ...], left: set[str], command: str) -> None:
    run(folder)
    result = run(folder, *settings) if command == "run" else stitch_out(str(folder / "out"), settings)
    assert result.exit_code == 0
    assert set(made(folder)) == left
    if settings[:1] != ("stitching.each_item=false",):
        assert len(json.loads(made(folder)["a.json"])["items"]) == 2


def test_one_that_cannot_be_joined_stops_no_other_and_leaves_no_audio(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "texts" / "b.txt").write_text("A third sentence.")
    assert run(folder).exit_code == 0

    def picky(order: JoinOrder) -> Joined | None:
        if order.document == "a":
            raise DocumentError("'a.opus' cannot be written as opus")
        return join(order)

    monkeypatch.setattr("cluster_tts.afterwards.join", picky)
    result = stitch_out(str(folder / "out"), ["stitching.each_item=false"])
    assert result.exit_code == 3
    assert [(line.status, line.error) for line in result.report.documents] == [
        ("incomplete", "'a.opus' cannot be written as opus"), ("whole", None),
    ]  # fmt: skip
    assert set(made(folder)) == {"b.json", "b.srt", "b.vtt", "b.wav"}
