"""Clips: named by what decides their sound, there only when whole."""

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from cluster_tts.clips import ID_LENGTH, Clips, clip_id, digest
from cluster_tts.errors import RetryLater
from cluster_tts.job import ClipsSettings, Job, ProviderSettings
from cluster_tts.storage import LocalFolder

SETTINGS = ProviderSettings(name="tone", model="m", voice="v", format="wav", options={"speed": 1})
NAME = "ab" + "0" * (ID_LENGTH - 2)


# -- identity ---------------------------------------------------------------------------------------------------------

DECIDING = {
    "name": "other",
    "model": "n",
    "voice": "w",
    "format": "flac",
    "options": {"speed": 2},
    "inputs": {"text": "prompt"},
}
INDIFFERENT = {
    "base_url": "http://127.0.0.1:1",  # where it does decide, the provider's revision says so
    "api_key_env": "OTHER_KEY",
    "timeout_s": 5.0,
    "connect_timeout_s": 5.0,
    "idle_timeout_s": 5.0,
}


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
    clips = Clips(LocalFolder(tmp_path / "clips"), "wav")
    with clips.temporary(NAME) as part:
        part.write_bytes(b"half")
        assert not Path(clips.address(NAME)).exists()
        assert clips.listing() == {}
        part.write_bytes(b"whole")
        clips.publish(part, NAME)
        assert Path(clips.address(NAME)).read_bytes() == b"whole"
    assert Path(clips.address(NAME)) == tmp_path / "clips" / "ab" / f"{NAME}.wav"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [Path(clips.address(NAME))]


def test_a_temporary_that_was_not_published_is_removed_also_after_an_error(tmp_path: Path) -> None:
    clips = Clips(LocalFolder(tmp_path), "wav")

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
    clips = Clips(LocalFolder(tmp_path), "wav")
    with clips.temporary(NAME) as one, clips.temporary(NAME) as other:
        assert one != other
        assert one.parent == other.parent == Path(clips.address(NAME)).parent, (
            "a rename is atomic within one folder only"
        )
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        clips.publish(one, NAME)
        clips.publish(other, NAME)
    assert Path(clips.address(NAME)).read_bytes() == b"other"


def test_removing_a_clip_twice_is_no_error(tmp_path: Path) -> None:
    clips = Clips(LocalFolder(tmp_path), "wav")
    clips.remove(NAME)
    Path(clips.address(NAME)).parent.mkdir()
    Path(clips.address(NAME)).write_bytes(b"x")
    clips.remove(NAME)
    clips.remove(NAME)
    assert clips.listing() == {}


def test_the_listing_has_clips_with_their_sizes_and_nothing_else(tmp_path: Path) -> None:
    clips = Clips(LocalFolder(tmp_path), "wav")
    other = "cd" + "1" * (ID_LENGTH - 2)
    for name, size in ((NAME, 3), (other, 5)):
        Path(clips.address(name)).parent.mkdir()
        Path(clips.address(name)).write_bytes(b"x" * size)
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
    assert Clips(LocalFolder(tmp_path / "none"), "wav").listing() == {}


def test_a_clip_that_vanishes_meanwhile_hides_no_other(tmp_path: Path) -> None:
    clips = Clips(LocalFolder(tmp_path), "wav")
    names = [f"ab{n:0{ID_LENGTH - 2}}" for n in range(20)]
    Path(clips.address(NAME)).parent.mkdir()
    for name in names:
        Path(clips.address(name)).write_bytes(b"xyz")
    gone = Path(clips.address("ab" + "f" * (ID_LENGTH - 2)))
    gone.symlink_to(tmp_path / "nowhere")  # its name is listed, its size is not to be had
    assert clips.listing() == dict.fromkeys(names, 3)


def test_the_digest_is_of_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 5_000)
    assert digest(tmp_path / "a") == hashlib.sha256(bytes(range(256)) * 5_000).hexdigest()


def test_clips_stand_below_out_unless_they_have_a_folder_of_their_own() -> None:
    assert str(Clips.of(Job(out="here")).folder) == "here/clips"
    assert str(Clips.of(Job(out="here", clips=ClipsSettings("shared"))).folder) == "shared"
    assert Clips.of(Job(out="s3://bucket/run?region=eu")).address(NAME) == f"s3://bucket/run/clips/ab/{NAME}.wav"
