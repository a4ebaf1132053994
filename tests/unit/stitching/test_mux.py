"""Documents that are the sound of a video: when they end, what is made of it, and in which order it appears."""

import wave
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.errors import DocumentError
from cluster_tts.job import MediaSettings, StitchingSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import Files, Joined, Piece, stitch
from cluster_tts.storage import LocalFolder
from tests.unit.media.videos import Recipe, make
from tests.unit.stitching.joined import CLIPS, RATE, MakePiece, files_in, measured, tone

av = pytest.importorskip("av", reason="PyAV is not installed")


def dub(video: Path, pieces: list[Piece], out: Path, **settings: object) -> Joined:
    files = Files(CLIPS, LocalFolder(out), video=video, media=MediaSettings(track="instead"))  # type: ignore[arg-type]
    return stitch("book", lambda: iter(pieces), files, StitchingSettings(**settings))  # type: ignore[arg-type]


def sound_of(video: Path) -> np.ndarray:
    with av.open(str(video)) as file:
        assert len(file.streams.audio) == 1
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    return cast(np.ndarray, np.concatenate(frames, axis=1)[0])


@pytest.fixture
def cue(make_piece: MakePiece) -> Piece:
    return make_piece(0, tone(440, RATE // 2), role=Role(cues=(Slot(0.5, 1.2),)))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("settings", [{}, {"format": "mp3"}, {"format": "flac"}, {"each_item": True, "joined": False}])
def test_the_video_has_the_speech_at_its_time_whatever_the_format(
    suffix: str, settings: dict[str, object], cue: Piece, tmp_path: Path
) -> None:
    joined = dub(make(tmp_path / f"film{suffix}", Recipe(seconds=2)), [cue], tmp_path, **settings)
    assert joined.video == measured(tmp_path)["video"] == f"documents/book{suffix}"
    sound = np.abs(sound_of(tmp_path / joined.video).astype(float))
    rate = RATE
    loud = np.flatnonzero(sound > sound.max() / 4)
    assert loud[0] / rate == pytest.approx(0.5, abs=0.05)
    assert loud[-1] / rate == pytest.approx(1.0, abs=0.05)
    suffixes = {Path(name).suffix for name in files_in(tmp_path / "documents")}
    kept = {f".{settings.get('format', 'wav')}"} if settings.get("joined", True) else {""}  # a folder of items
    assert suffixes == {".json", ".srt", ".vtt", suffix, *kept}


def test_the_audio_is_as_long_as_the_video(cue: Piece, tmp_path: Path) -> None:
    joined = dub(make(tmp_path / "film.mp4", Recipe(seconds=2)), [cue], tmp_path)
    assert joined.seconds == pytest.approx(2, abs=0.001)
    assert sf.info(tmp_path / joined.path).frames == joined.frames
    assert measured(tmp_path)["chunks"][0]["gap_frames"] == joined.frames - RATE


def test_speech_that_outlasts_the_video_is_not_cut(make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, tone(440, 2 * RATE), role=Role(cues=(Slot(1.5, 2),)))
    assert dub(make(tmp_path / "film.mp4", Recipe(seconds=2)), [piece], tmp_path).seconds == pytest.approx(3.5)


def test_a_document_without_times_is_as_long_as_its_video_too(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = dub(make(tmp_path / "film.mp4", Recipe(seconds=2)), [make_piece(0, tone(440, RATE))], tmp_path)
    with wave.open(str(tmp_path / joined.path)) as audio:
        assert audio.getnframes() == joined.frames == pytest.approx(2 * RATE, abs=24)


def test_the_video_comes_before_the_audio(cue: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order, rename = [], Path.replace

    def remember(path: Path, target: Path) -> Path:
        order.append(target.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", remember)
    dub(make(tmp_path / "film.mp4", Recipe(seconds=2)), [cue], tmp_path)
    assert order == ["book.json", "book.srt", "book.vtt", "book.mp4", "book.wav"]


def test_what_is_no_video_is_one_document_lost_and_leaves_nothing(cue: Piece, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"<html>")
    with pytest.raises(DocumentError, match=r"film\.mp4"):
        dub(film, [cue], tmp_path)
    assert files_in(tmp_path / "documents") == []
