"""Runs over subtitles with videos beside them: what is told before anything is paid, and what is made anew."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_tts import config
from cluster_tts.afterwards import status_of, stitch_out
from cluster_tts.commands import plan_job, run_job
from cluster_tts.endings import Result
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.stitching import BESIDE
from tests.unit.media.videos import Recipe, make

av = pytest.importorskip("av", reason="PyAV is not installed")

CUES = "1\n00:00:00,100 --> 00:00:00,900\nHello.\n"
ALL = {"film.wav", "film.json", "film.srt", "film.vtt", "film.mp4"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: a subtitle file and its video in ``in``, to be named as seen from there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/film.srt").write_text(CUES)
    make(tmp_path / "in/film.mp4", Recipe(seconds=1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(*settings: str) -> Job:
    base = ("provider.name=tone", "engine=local", "check.characters_per_second=null", "out=out")
    return config.load(overrides=[*base, *settings], environ={})


def run(*settings: str, sources: str = "in") -> Result:
    return asyncio.run(run_job(job(*settings), [sources], asyncio.Event()))


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out/documents").iterdir() if path.is_file()}


def error_of(folder: Path) -> str | None:
    return status_of(str(folder / "out")).documents[0].error


def test_a_run_can_be_joined_again_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run().exit_code == 0
    before = made(folder)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert stitch_out(str(folder / "out"), ()).exit_code == 0
    assert made(folder).keys() == before.keys() == ALL


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda film: film.rename(film.with_suffix(".avi")), r"film\.avi' is none of \.mp4, .*convert it to mkv"),
        (lambda film: film.write_bytes(b"<html>"), r"film\.mp4' is no video that can be read"),
        (lambda film: film.write_bytes(film.read_bytes()[: film.stat().st_size // 2]), r"film\.mp4' is"),
    ],
)
def test_a_video_that_takes_no_track_is_named_before_anything_is_paid(
    folder: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(folder / "in/film.mp4")
    for command in (lambda: plan_job(job(), ["in"]), run):
        with pytest.raises(JobError, match=said + r".*; or set media\.video=none$") as caught:
            command()
        assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()
    assert run("media.video=none").exit_code == 0
    assert made(folder).keys() == ALL - {"film.mp4"}


def test_a_name_that_is_no_text_is_told_before_anything_is_paid(folder: Path) -> None:
    for suffix in (b"srt", b"mp4"):
        os.rename(b"in/film." + suffix, b"in/caf\xe9." + suffix)  # noqa: PTH104 - a path of bytes
    with pytest.raises(JobError, match=r"'.*caf\?\.mp4' has a name that is not UTF-8: rename it; or set media"):
        run()
    assert run("media.video=none").exit_code == 0


def test_a_video_that_is_gone_when_speech_is_paid_leaves_the_audio(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = folder / "in/film.mp4"
    monkeypatch.setattr("cluster_tts.commands.refuse_unready", lambda job, found: film.rename(folder / "kept"))
    result = run()
    assert (result.exit_code, result.report.status) == (3, "incomplete")
    assert result.report.message == "1 of 1 documents have their audio, but no video"
    assert made(folder).keys() == ALL - {"film.mp4"}
    assert error_of(folder) == f"the video '{film}' cannot be read: No such file or directory; bring it back"
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    (folder / "kept").rename(film)
    assert run().exit_code == 0
    assert made(folder).keys() == ALL
    assert error_of(folder) is None


def test_of_several_documents_joined_again_one_that_lacks_its_video_stops_no_other(folder: Path) -> None:
    (folder / "in/other.srt").write_text(CUES)
    assert run().exit_code == 0
    (folder / "in/film.mp4").write_bytes(b"no video")
    result = stitch_out("out", ["stitching.format=flac"])
    assert result.exit_code == 3
    names = {f"{name}.{suffix}" for name in ("film", "other") for suffix in ("flac", *BESIDE)}
    assert made(folder).keys() == names
    assert [line.status for line in result.report.documents] == ["whole", "whole"]
    assert "is no video that can be read" in (error_of(folder) or "")


def test_without_videos_the_copy_goes_and_stays_away(folder: Path) -> None:
    assert run().exit_code == 0
    assert stitch_out("out", ["media.video=none"]).exit_code == 0
    assert made(folder).keys() == ALL - {"film.mp4"}
    assert run().exit_code == 0
    assert made(folder).keys() == ALL
    assert run("media.video=none").exit_code == 0
    assert made(folder).keys() == ALL - {"film.mp4"}


def test_another_video_at_the_same_place_gets_the_speech(folder: Path) -> None:
    assert run().exit_code == 0
    before = made(folder)
    make(folder / "in/film.mp4", Recipe(seconds=2))
    assert run().exit_code == 0
    assert made(folder)["film.mp4"] != before["film.mp4"]
    assert len(made(folder)["film.wav"]) > len(before["film.wav"]), "the audio is as long as the video"


def test_a_copy_that_was_cut_is_made_again(folder: Path) -> None:
    assert run("stitching.each_item=true").exit_code == 0
    copy, item = folder / "out/documents/film.mp4", folder / "out/documents/film/0001.wav"
    for path in copy, item:
        size = path.stat().st_size
        os.truncate(path, 100)
        assert run("stitching.each_item=true").exit_code == 0
        assert path.stat().st_size == pytest.approx(size, abs=100)
