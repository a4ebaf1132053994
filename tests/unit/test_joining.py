"""A joining that is told to stop does so at the next clip, and leaves nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.checking import probe
from cluster_tts.clips import Clips
from cluster_tts.completion import SOUND_DTYPE
from cluster_tts.errors import Interrupted
from cluster_tts.job import MediaSettings, StitchingSettings, TimelineSettings
from cluster_tts.joining import JoinOrder, join
from cluster_tts.manifest import Manifest
from cluster_tts.model import Chunk, Role, Slot, Speech
from cluster_tts.stitching.mux import mux
from cluster_tts.storage import LocalFolder
from tests.unit.media.videos import Recipe, make

NAMES = [f"{n:032x}" for n in range(5)]


@pytest.fixture
def order(tmp_path: Path) -> JoinOrder:
    clips = Clips(LocalFolder(tmp_path / "clips"), "wav")
    sounds = np.zeros(len(NAMES), SOUND_DTYPE)
    for number, name in enumerate(NAMES):
        path = Path(clips.address(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.full(100, number, np.int16), 8_000)
        sound = probe(path)
        sounds[number] = (sound.frames, sound.rate, sound.size_bytes, bytes.fromhex(sound.sha256))
    writer = Manifest(LocalFolder(tmp_path / "manifest"), "run").plan_writer()
    writer.write([(Chunk("d", n, 0, f"Text {n}."), name) for n, name in enumerate(NAMES)], 0)
    plan = writer.close()["d"]
    return JoinOrder("d", plan, sounds, LocalFolder(tmp_path), clips, StitchingSettings())


def test_it_is_joined_to_its_end(order: JoinOrder, tmp_path: Path) -> None:
    assert join(order).chunks == 5
    assert (tmp_path / "documents/d.wav").is_file()


@pytest.mark.parametrize("looks", [0, 7, 13])
def test_it_stops_at_the_next_clip_in_whichever_pass(order: JoinOrder, tmp_path: Path, looks: int) -> None:
    left = iter([False] * looks)
    with pytest.raises(Interrupted, match="'d' was not joined to its end"):
        join(order, lambda: next(left, True))
    assert not list((tmp_path / "documents").glob("*")) if (tmp_path / "documents").exists() else True


def test_one_that_may_not_publish_leaves_nothing(order: JoinOrder, tmp_path: Path) -> None:
    class Lost:
        def check(self) -> None:
            raise Interrupted("another run has taken over")

    with pytest.raises(Interrupted, match="taken over"):
        join(replace(order, fence=Lost()))
    assert not list((tmp_path / "documents").iterdir())


def test_pieces_know_what_their_chunks_are_and_how_fast_they_were_asked_for(order: JoinOrder, tmp_path: Path) -> None:
    role, speech = Role(cues=(Slot(1.0, 2.0),), speaker="A"), Speech(speed=1.15)
    writer = Manifest(LocalFolder(tmp_path / "other"), "run").plan_writer()
    writer.write([(Chunk("d", n, 0, f"Text {n}.", role, speech), name) for n, name in enumerate(NAMES)], 0)
    pieces = list(replace(order, plan=writer.close()["d"]).pieces())
    assert [(piece.role, piece.speed) for piece in pieces] == [(role, 1.15)] * len(NAMES)


def test_times_are_followed_unless_the_job_says_otherwise(order: JoinOrder, tmp_path: Path) -> None:
    role = Role(cues=(Slot(1.0, 2.0),))
    writer = Manifest(LocalFolder(tmp_path / "other"), "run").plan_writer()
    writer.write([(Chunk("d", n, 0, f"Text {n}.", role), name) for n, name in enumerate(NAMES)], 0)
    timed = replace(order, plan=writer.close()["d"])
    join(timed)
    assert "timeline" in json.loads((tmp_path / "documents/d.json").read_text())
    join(replace(timed, timeline=TimelineSettings(fit="none")))
    assert "timeline" not in json.loads((tmp_path / "documents/d.json").read_text())


@pytest.mark.parametrize("as_text", [False, True])
def test_a_video_becomes_one_with_speech(order: JoinOrder, tmp_path: Path, as_text: bool) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    film = make(tmp_path / "film.mp4", Recipe(seconds=1))
    joined = join(replace(order, video=str(film) if as_text else film))
    assert joined.video == "documents/d.mp4"
    assert (tmp_path / joined.video).is_file()


def test_it_stops_in_the_midst_of_silence(order: JoinOrder, tmp_path: Path) -> None:
    """Of one hour, after all clips have been read."""
    writer = Manifest(LocalFolder(tmp_path / "other"), "run").plan_writer()
    cues = [Slot(3600.0 * (n == 4), 3600.0 * (n == 4) + 1) for n in range(5)]
    writer.write([(Chunk("d", n, n, f"Text {n}.", Role(cues=(cues[n],))), name) for n, name in enumerate(NAMES)], 0)
    timed, looks = replace(order, plan=writer.close()["d"]), []
    assert join(timed, lambda: bool(looks.append(1))) is not None
    left = iter([False] * (len(looks) - 20))
    (tmp_path / "documents/d.wav").unlink()
    with pytest.raises(Interrupted, match="'d' was not joined to its end"):
        join(timed, lambda: next(left, True))
    assert not (tmp_path / "documents/d.wav").exists()
    assert len(looks) > 400


@pytest.mark.parametrize("media", [MediaSettings(), MediaSettings(duck_db=12.0)])
def test_it_stops_in_the_midst_of_a_video(
    order: JoinOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media: MediaSettings
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    film, begun = make(tmp_path / "film.mp4", Recipe(seconds=1)), []

    def begin(*arguments: Any) -> None:
        begun.append(1)
        mux(*arguments)

    monkeypatch.setattr("cluster_tts.stitching.join.mux", begin)
    with pytest.raises(Interrupted, match="'d' was not joined to its end"):
        join(replace(order, video=film, media=media), lambda: bool(begun))
    assert begun
    assert not list((tmp_path / "documents").iterdir())
