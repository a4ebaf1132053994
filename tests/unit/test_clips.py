"""Clips: named by what decides their sound, there only when whole, believed only after they were decoded."""

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.clips import ID_LENGTH, Clips, clip_id, digest, probe, refuse_implausible
from cluster_tts.errors import RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Sound

RATE = 8_000
SETTINGS = ProviderSettings(name="tone", model="m", voice="v", format="wav", options={"speed": 1})
NAME = "ab" + "0" * (ID_LENGTH - 2)


def write(path: Path, frames: int, channels: int = 1) -> Path:
    samples = np.random.default_rng(1).integers(-9_000, 9_000, (frames, channels), np.int16)
    sf.write(path, samples, RATE)
    return path


def kind_of(path: Path) -> str:
    with pytest.raises(RetryLater) as caught:
        probe(path)
    return caught.value.kind


# -- identity ---------------------------------------------------------------------------------------------------------

DECIDING = {"name": "other", "model": "n", "voice": "w", "format": "flac", "options": {"speed": 2}}
INDIFFERENT = {"timeout_s": 5.0}


@pytest.mark.parametrize(("name", "value"), DECIDING.items())
def test_every_setting_that_decides_the_sound_changes_the_id(name: str, value: object) -> None:
    assert clip_id(replace(SETTINGS, **{name: value}), "1", "Hello.") != clip_id(SETTINGS, "1", "Hello.")


@pytest.mark.parametrize(("name", "value"), INDIFFERENT.items())
def test_no_other_setting_changes_the_id(name: str, value: object) -> None:
    assert clip_id(replace(SETTINGS, **{name: value}), "1", "Hello.") == clip_id(SETTINGS, "1", "Hello.")


def test_every_setting_of_a_provider_is_known_to_decide_or_not() -> None:
    """A new setting must be put on one of the two sides, or old clips would be met with it."""
    assert {field.name for field in fields(ProviderSettings)} == DECIDING.keys() | INDIFFERENT.keys()


def test_text_and_revision_change_the_id() -> None:
    ids = {clip_id(SETTINGS, revision, text) for revision in ("1", "2") for text in ("Hello.", "hello.", "Hello. ")}
    assert len(ids) == 6


def test_what_stands_where_matters() -> None:
    """Model "a" with voice "b" is not model "b" with voice "a"; absent is not empty."""
    ids = {
        clip_id(replace(SETTINGS, model=model, voice=voice), "1", "x")
        for model, voice in [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), (None, "ab"), ("None", "ab")]
    }
    assert len(ids) == 6


def test_the_order_of_options_does_not_matter() -> None:
    one, other = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    assert clip_id(replace(SETTINGS, options=one), "1", "x") == clip_id(replace(SETTINGS, options=other), "1", "x")


def test_an_id_is_the_same_for_ever() -> None:
    """Another digest would have everything paid for again: it may change only on purpose."""
    identity = json.dumps(["tone", "1", "m", "v", "wav", {"speed": 1}, "Hello."])
    expected = hashlib.sha256(identity.encode()).hexdigest()[:ID_LENGTH]
    assert clip_id(SETTINGS, "1", "Hello.") == expected
    assert len(expected) == ID_LENGTH


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_clip_is_there_only_once_it_is_published(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "clips", "wav")
    with clips.temporary(NAME) as part:
        part.write_bytes(b"half")
        assert not clips.path(NAME).exists()
        assert clips.listing() == {}
        part.write_bytes(b"whole")
        clips.publish(part, NAME)
        assert clips.path(NAME).read_bytes() == b"whole"
    assert clips.path(NAME) == tmp_path / "clips" / "ab" / f"{NAME}.wav"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [clips.path(NAME)]


def test_a_temporary_that_was_not_published_is_removed_also_after_an_error(tmp_path: Path) -> None:
    clips = Clips(tmp_path, "wav")

    def break_off() -> None:
        with clips.temporary(NAME) as part:
            part.write_bytes(b"half")
            raise RetryLater("cut")

    with pytest.raises(RetryLater):
        break_off()
    with clips.temporary(NAME):
        pass  # nothing written: nothing to remove
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_who_make_the_same_clip_do_not_meet(tmp_path: Path) -> None:
    clips = Clips(tmp_path, "wav")
    with clips.temporary(NAME) as one, clips.temporary(NAME) as other:
        assert one != other
        assert one.parent == other.parent == clips.path(NAME).parent, "a rename is atomic within one folder only"
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        clips.publish(one, NAME)
        clips.publish(other, NAME)
    assert clips.path(NAME).read_bytes() == b"other"


def test_removing_a_clip_twice_is_no_error(tmp_path: Path) -> None:
    clips = Clips(tmp_path, "wav")
    clips.remove(NAME)
    clips.path(NAME).parent.mkdir()
    clips.path(NAME).write_bytes(b"x")
    clips.remove(NAME)
    clips.remove(NAME)
    assert clips.listing() == {}


def test_the_listing_has_clips_with_their_sizes_and_nothing_else(tmp_path: Path) -> None:
    clips = Clips(tmp_path, "wav")
    other = "cd" + "1" * (ID_LENGTH - 2)
    for name, size in ((NAME, 3), (other, 5)):
        clips.path(name).parent.mkdir()
        clips.path(name).write_bytes(b"x" * size)
    shelf = tmp_path / "ab"
    (tmp_path / "README.wav").touch()
    (tmp_path / f"{NAME}.wav").touch()  # not on its shelf
    (shelf / f"ef{'2' * (ID_LENGTH - 2)}.wav").touch()  # on another's
    (shelf / f".{NAME}.1234abcd.part").touch()
    (shelf / f"{NAME}.flac").touch()
    (shelf / f"{NAME}.wav.bak").touch()
    (shelf / f"._{NAME}.wav").touch()
    (shelf / "abc.wav").touch()
    (shelf / NAME).touch()
    assert clips.listing() == {NAME: 3, other: 5}


def test_a_folder_that_is_not_there_lists_nothing(tmp_path: Path) -> None:
    assert Clips(tmp_path / "none", "wav").listing() == {}


def test_a_clip_that_vanishes_meanwhile_hides_no_other(tmp_path: Path) -> None:
    clips = Clips(tmp_path, "wav")
    names = [f"ab{n:0{ID_LENGTH - 2}}" for n in range(20)]
    clips.path(NAME).parent.mkdir()
    for name in names:
        clips.path(name).write_bytes(b"xyz")
    gone = clips.path("ab" + "f" * (ID_LENGTH - 2))
    gone.symlink_to(tmp_path / "nowhere")  # its name is listed, its size is not to be had
    assert clips.listing() == dict.fromkeys(names, 3)


# -- probing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_whole_file_is_measured(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", 4_321)
    content = path.read_bytes()
    assert probe(path) == Sound(4_321, RATE, len(content), hashlib.sha256(content).hexdigest())
    assert digest(path) == hashlib.sha256(content).hexdigest()


def test_frames_are_counted_not_samples(tmp_path: Path) -> None:
    sound = probe(write(tmp_path / "a.wav", RATE * 2, channels=2))
    assert (sound.frames, sound.seconds) == (RATE * 2, 2.0)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    """Also a WAV, whose length libsndfile mends silently."""
    path = write(tmp_path / f"a.{suffix}", 20_000)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert kind_of(path) in ("cut_audio", "not_audio", "empty_audio")


def test_a_wav_cut_by_one_frame_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 20_000)
    path.write_bytes(path.read_bytes()[:-2])
    assert kind_of(path) == "cut_audio"


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_whose_header_was_sent_before_its_length_was_known_is_whole(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "a.wav", 500)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = length.to_bytes(4, "little")
    path.write_bytes(content)
    assert probe(path).frames == 500


def test_a_wav_may_have_more_chunks_than_two(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 500)
    content = path.read_bytes()
    odd = b"LIST" + (5).to_bytes(4, "little") + b"hello\0"  # of odd length, hence padded
    whole = content[:36] + odd + content[36:] + odd
    whole = whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:]
    path.write_bytes(whole)
    assert probe(path).frames == 500
    path.write_bytes(whole[: -len(odd) - 2])
    assert kind_of(path) == "cut_audio"


@pytest.mark.parametrize("suffix", ["wav", "ogg", "flac", "mp3"])
def test_audio_without_a_sample_is_refused(tmp_path: Path, suffix: str) -> None:
    assert kind_of(write(tmp_path / f"a.{suffix}", 0)) == "empty_audio"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert kind_of(tmp_path / "a.wav") == "empty_audio"


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>Bad gateway</body></html>",
        b'{"error": "no"}',
        bytes(range(256)) * 40,
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert kind_of(tmp_path / "a.wav") == "not_audio"


# -- plausibility -----------------------------------------------------------------------------------------------------


def lasting(seconds: float) -> Sound:
    return Sound(round(seconds * 1000), 1000, 1, "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("x" * 400, 9.5),  # 400 / 40 less half a second
        ("x" * 400, 103.0),  # 400 / 4 and three more
        ("7", 0.1),
        ("7", 4.0),  # "seven", counted as four
        ("1234567890", 13.0),
        ("Yes.", 0.3),
    ],
)
def test_speech_within_the_band_is_believed(text: str, seconds: float) -> None:
    refuse_implausible(lasting(seconds), text, [4, 40])


@pytest.mark.parametrize(
    ("text", "seconds"), [("x" * 400, 9.4), ("x" * 400, 103.1), ("7", 4.1), ("1234567890", 13.1), ("Yes.", 4.1)]
)
def test_speech_outside_of_it_is_not(text: str, seconds: float) -> None:
    with pytest.raises(RetryLater, match=r"check\.characters_per_second") as caught:
        refuse_implausible(lasting(seconds), text, [4, 40])
    assert caught.value.kind == "implausible_length"


def test_without_a_band_everything_is_believed() -> None:
    refuse_implausible(lasting(10_000), "Yes.", None)
