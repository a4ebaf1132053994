"""Videos with a new sound track: pictures as they were, sounds in order, in time, and as loud as was asked for."""

import errno
import json
import logging
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import MediaSettings
from cluster_tts.media import Dub, add_track, duration_s
from tests.unit.media.videos import (
    FPS,
    SPEECH_HZ,
    TONE_HZ,
    Recipe,
    heard,
    level_db,
    make,
    make_speech,
    shown,
    tracks,
)

av = pytest.importorskip("av")

BESIDE, INSTEAD = MediaSettings(language="deu"), MediaSettings(track="instead", language="deu")
KINDS = {"mp4": "mpeg4", "mov": "mpeg4", "mkv": "mpeg4", "m4v": "libx264", "webm": "libvpx-vp9"}


def needs(encoder: str) -> None:
    if encoder not in av.codecs_available:
        pytest.skip(f"this PyAV has no {encoder}")


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two seconds, spoken from 0.5 to 1.0."""
    return make_speech(tmp_path / "speech.wav", 2.0, (0.5, 1.0))


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("start_s", [0.0, 1.4])
def test_pictures_stay_bit_by_bit_and_speech_begins_with_the_first(
    tmp_path: Path, speech: Path, suffix: str, start_s: float
) -> None:
    """In every container, B-frames and a video that begins late among them."""
    needs(KINDS[suffix])
    video = make(tmp_path / f"video.{suffix}", Recipe(picture=KINDS[suffix], start_s=start_s))
    target = tmp_path / f"out.{suffix}"
    add_track(video, speech, target, Dub(BESIDE, "Deutsch"))
    assert shown(target) == shown(video)
    assert len(shown(target)) == 2 * FPS
    language = "ger" if suffix == "mov" else "deu"
    assert tracks(target)[1:] == [("audio", language, True), ("audio", tracks(video)[1][1], False)]
    samples, rate = heard(target)
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.1) / rate
    assert loud[0] == pytest.approx(0.5, abs=0.003)
    assert loud[-1] == pytest.approx(1.0, abs=0.003)
    assert samples.shape[1] == 1
    assert level_db(samples[:, 0], rate, SPEECH_HZ, 0.55, 0.95) == pytest.approx(20 * np.log10(0.2), abs=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("seconds", [0.7, 2.0])
def test_the_new_track_is_as_long_as_the_pictures(tmp_path: Path, suffix: str, seconds: float) -> None:
    needs(KINDS[suffix])
    video = make(tmp_path / f"video.{suffix}", Recipe(picture=KINDS[suffix], sounds=0))
    target = tmp_path / f"out.{suffix}"
    add_track(video, make_speech(tmp_path / "speech.wav", seconds, (0.1, 0.5)), target, Dub(INSTEAD, ""))
    samples, rate = heard(target)
    assert 0 <= len(samples) / rate - 2.0 < 0.045  # AAC ends with a whole packet of 1,024 frames
    assert duration_s(target) == duration_s(video) == 2.0


def test_the_index_of_an_mp4_knows_the_exact_length_and_stands_in_front(tmp_path: Path, speech: Path) -> None:
    add_track(make(tmp_path / "video.mp4"), speech, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert float(file.streams.audio[0].duration * file.streams.audio[0].time_base) == pytest.approx(2.0, abs=0.001)
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_beside_keeps_every_other_sound_track_behind_and_instead_none(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "video.mkv", Recipe(sounds=2))
    add_track(video, speech, tmp_path / "beside.mkv", Dub(BESIDE, "Deutsch"))
    add_track(video, speech, tmp_path / "instead.mkv", Dub(INSTEAD, "Deutsch"))
    assert [kind for kind, _, _ in tracks(tmp_path / "beside.mkv")] == ["video", "audio", "audio", "audio"]
    assert [is_default for _, _, is_default in tracks(tmp_path / "beside.mkv")][1:] == [True, False, False]
    assert [kind for kind, _, _ in tracks(tmp_path / "instead.mkv")] == ["video", "audio"]
    for number in (1, 2):
        theirs, rate = heard(tmp_path / "beside.mkv", number)
        assert np.array_equal(theirs, heard(video, number - 1)[0])
        assert level_db(theirs[:, 0], rate, TONE_HZ, 0.5, 1.5) == pytest.approx(20 * np.log10(0.2), abs=1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("duck_db", [0.0, 12.0])
def test_the_videos_own_sound_is_quieter_while_somebody_speaks_and_only_then(
    tmp_path: Path, speech: Path, channels: int, duck_db: float
) -> None:
    video = make(tmp_path / "video.mp4", Recipe(channels=channels))
    settings = MediaSettings(track="instead", duck_db=duck_db)
    add_track(video, speech, tmp_path / "out.mp4", Dub(settings, "Deutsch"))
    samples, rate = heard(tmp_path / "out.mp4")
    assert (samples.shape[1], rate) == (channels, 48_000)
    for channel in samples.T:
        before, during, after = (
            level_db(channel, rate, TONE_HZ, *part) for part in ((0.1, 0.4), (0.55, 0.95), (1.4, 1.9))
        )
        assert before == pytest.approx(20 * np.log10(0.2), abs=1)
        assert during == pytest.approx(before - duck_db, abs=1)
        assert after == pytest.approx(before, abs=0.5)
        assert level_db(channel, rate, SPEECH_HZ, 0.55, 0.95) == pytest.approx(20 * np.log10(0.2), abs=1)


def test_what_is_ducked_stays_in_time_where_the_sound_has_a_gap(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "video.mkv", Recipe(gap_s=(1.2, 1.6), start_s=0.6))
    add_track(video, speech, tmp_path / "out.mkv", Dub(MediaSettings(track="instead", duck_db=6.0), "Deutsch"))
    samples, rate = heard(tmp_path / "out.mkv")
    assert level_db(samples[:, 0], rate, TONE_HZ, 1.3, 1.5) < -50
    assert level_db(samples[:, 0], rate, TONE_HZ, 1.7, 1.95) == pytest.approx(20 * np.log10(0.2), abs=1)


def test_a_loud_sum_does_not_clip(tmp_path: Path) -> None:
    video = make(tmp_path / "video.mp4")
    loud = make_speech(tmp_path / "speech.wav", 2.0, (0.0, 2.0), level=0.95)
    add_track(video, loud, tmp_path / "out.mp4", Dub(MediaSettings(track="instead", duck_db=0.0), "Deutsch"))
    assert np.abs(heard(tmp_path / "out.mp4")[0]).max() < 1.0


def test_without_a_sound_to_duck_the_speech_is_alone(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "video.mp4", Recipe(sounds=0))
    add_track(video, speech, tmp_path / "out.mp4", Dub(MediaSettings(duck_db=12.0), "Deutsch"))
    assert [kind for kind, _, _ in tracks(tmp_path / "out.mp4")] == ["video", "audio"]
    assert heard(tmp_path / "out.mp4")[0].shape[1] == 1


def test_speech_longer_than_the_video_is_kept_whole_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = make(tmp_path / "video.mp4")
    longer = make_speech(tmp_path / "speech.wav", 2.5, (2.2, 2.5))
    with caplog.at_level(logging.WARNING):
        add_track(video, longer, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))
    samples, rate = heard(tmp_path / "out.mp4")
    assert level_db(samples[:, 0], rate, SPEECH_HZ, 2.25, 2.45) == pytest.approx(20 * np.log10(0.2), abs=1)
    assert f"'{video}' is 0.50 s shorter than its speech" in caplog.text
    assert duration_s(tmp_path / "out.mp4") == 2.0


def test_a_little_too_much_of_speech_is_cut_off_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    longer = make_speech(tmp_path / "speech.wav", 2.08, (0.2, 2.08))
    add_track(make(tmp_path / "video.mp4"), longer, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))
    assert "0.0800 s shorter than its speech, which is cut off" in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert float(file.streams.audio[0].duration * file.streams.audio[0].time_base) == pytest.approx(2.0, abs=0.001)


def test_rotation_and_time_codes_are_kept(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "video.mov", Recipe(rotation=90, timecode="01:00:00:00"))
    assert [kind for kind, _, _ in tracks(video)] == ["video", "audio", "data"]
    add_track(video, speech, tmp_path / "out.mov", Dub(BESIDE, "Deutsch"))
    with av.open(str(tmp_path / "out.mov")) as file:
        assert file.streams.video[0].metadata["timecode"] == "01:00:00:00"
        assert next(file.decode(video=0)).rotation == 90


def test_the_name_that_apples_players_know_hevc_by_is_kept(tmp_path: Path, speech: Path) -> None:
    needs("libx265")
    with av.open(str(tmp_path / "video.mp4"), "w") as file:
        stream: Any = file.add_stream("libx265", rate=FPS, width=64, height=64, pix_fmt="yuv420p")
        stream.options, stream.codec_context.codec_tag = {"x265-params": "log-level=none"}, "hvc1"
        for number in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((96, 64), number, np.uint8), format="yuv420p")
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    add_track(tmp_path / "video.mp4", speech, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].codec_context.codec_tag == "hvc1"


def with_extras(path: Path) -> Path:
    """A video with a cover, two chapters and a subtitle, and in Matroska a font."""
    milliseconds = Fraction(1, 1000)
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream("mpeg4", rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        words = file.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
        words.time_base = milliseconds
        words.metadata["language"] = "fra"
        file.metadata["title"] = "Film"
        chapter = {"time_base": milliseconds, "end": 1000}
        file.set_chapters([{**chapter, "id": n, "start": n * 500, "metadata": {"title": f"{n}"}} for n in (0, 1)])
        if path.suffix == ".mkv":
            file.add_attachment("cover.jpg", "image/jpeg", jpeg())
            file.add_attachment("font.ttf", "font/ttf", bytes(100))
        else:
            cover: Any = file.add_stream("mjpeg", rate=1, width=16, height=16, pix_fmt="yuvj420p")
            cover.disposition = av.stream.Disposition.attached_pic
            file.start_encoding()
            file.mux(timed(av.Packet(jpeg()), cover, 0, 0))
        for number in range(FPS):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), number, np.uint8), format="yuv420p")
            file.mux(video.encode(picture))
        text = b"Bonjour" if path.suffix == ".mkv" else b"\0\7Bonjour"
        file.mux(timed(av.Packet(text), words, 200, 500))
        file.mux(video.encode(None))
    return path


def timed(packet: Any, stream: Any, at_ms: int, for_ms: int) -> Any:
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts, packet.dts, packet.duration = at_ms, at_ms, for_ms
    return packet


def jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 16, 16, "yuvj420p", Fraction(1)
    picture = av.VideoFrame.from_ndarray(np.full((24, 16), 99, np.uint8), format="yuvj420p")
    return b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_covers_subtitles_chapters_fonts_and_tags_come_along(tmp_path: Path, speech: Path, suffix: str) -> None:
    video = with_extras(tmp_path / f"video.{suffix}")
    target = tmp_path / f"out.{suffix}"
    add_track(video, speech, target, Dub(BESIDE, "Deutsch"))
    assert shown(target) == shown(video)
    with av.open(str(target)) as file:
        assert file.metadata["title"] == "Film"
        assert [each["metadata"]["title"] for each in file.chapters()] == ["0", "1"]
        assert file.streams.subtitles[0].language == "fra"
        assert [each.name for each in file.streams if each.type == "attachment"] == ["font.ttf"] * (suffix == "mkv")
        assert file.streams.video[1].disposition & av.stream.Disposition.attached_pic
        packets = [packet for packet in file.demux() if packet.size > 2]
        of_words = [packet for packet in packets if packet.stream.type == "subtitle"]
        assert [float(each.pts * each.time_base) for each in of_words] == pytest.approx([0.2])
        assert bytes(of_words[0]).endswith(b"Bonjour")
        assert [bytes(each) for each in packets if each.stream is file.streams.video[1]] == [jpeg()]


def test_subtitles_that_the_container_does_not_take_are_left_out_and_told(
    tmp_path: Path, speech: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = with_extras(tmp_path / "video.mkv")
    add_track(video, speech, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))
    assert [kind for kind, _, _ in tracks(tmp_path / "out.mp4")][:2] == ["video", "audio"]
    assert "track 2 (subtitle) has no place in the copy" in caplog.text


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_ffprobe_sees_the_same(tmp_path: Path, speech: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    add_track(make(tmp_path / f"video.{suffix}"), speech, target, Dub(BESIDE, "Deutsche Fassung"))
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(target)]
    video, new, old = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    assert (video["codec_name"], video["r_frame_rate"]) == ("mpeg4", "25/1")
    assert (new["codec_name"], new["channels"], new["disposition"]["default"]) == ("aac", 1, 1)
    assert new["tags"]["language"] == "deu"
    assert "Deutsche Fassung" in new["tags"].values()
    assert (old["channels"], old["disposition"]["default"]) == (2, 0)


def test_duration_is_that_of_the_pictures(tmp_path: Path) -> None:
    """Not of the file, nor counted from zero."""
    make(tmp_path / "video.mkv", Recipe(start_s=1.4, seconds=1.2))
    assert duration_s(tmp_path / "video.mkv") == pytest.approx(1.2)
    longer = make_speech(tmp_path / "speech.wav", 3.0, (0.5, 1.0))
    add_track(make(tmp_path / "video.mp4"), longer, tmp_path / "out.mp4", Dub(BESIDE, ""))
    assert duration_s(tmp_path / "out.mp4") == 2.0


@pytest.mark.parametrize("name", ["out.avi", "out.ts", "out"])
def test_what_takes_no_second_track_is_refused_with_what_to_do(tmp_path: Path, speech: Path, name: str) -> None:
    video = make(tmp_path / "video.mp4")
    with pytest.raises(DocumentError, match=rf"^'{video}' is none of .*: convert it to mkv$"):
        add_track(video, speech, tmp_path / name, Dub(BESIDE, "Deutsch"))


def test_pictures_that_the_container_cannot_hold_are_refused(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "video.mp4")
    with pytest.raises(DocumentError, match=rf"'{video}'"):
        add_track(video, speech, tmp_path / "out.webm", Dub(BESIDE, "Deutsch"))
    assert not (tmp_path / "out.webm").exists()


def test_what_is_no_video_is_told_in_one_line_with_its_name(tmp_path: Path, speech: Path) -> None:
    text, sound = tmp_path / "text.mp4", speech.rename(tmp_path / "sound.mp4")
    text.write_text("This is no video.\n" * 100)
    (tmp_path / "empty.mp4").touch()
    make(tmp_path / "none.mkv", Recipe(seconds=0))
    for path in (text, sound, tmp_path / "empty.mp4", tmp_path / "none.mkv"):
        for work in (lambda path=path: duration_s(path), lambda path=path: _spoil(path, sound)):
            with pytest.raises(DocumentError, match=f"^'{path}' [^\n]+$"):
                work()
    assert not (tmp_path / "out.mp4").exists()


def _spoil(video: Path, speech: Path) -> None:
    add_track(video, speech, video.with_name("out.mp4"), Dub(BESIDE, "Deutsch"))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize("share", [0.1, 0.45])
def test_a_cut_video_is_refused_and_nothing_is_left(tmp_path: Path, speech: Path, suffix: str, share: float) -> None:
    """Also one that has its index in front, and reads well up to where it is cut."""
    whole = make(tmp_path / f"whole.{suffix}", Recipe(seconds=4))
    add_track(whole, speech, tmp_path / f"cut.{suffix}", Dub(BESIDE, "Deutsch"))
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(cut.read_bytes()[: round(cut.stat().st_size * share)])
    for work in (lambda: duration_s(cut), lambda: _spoil(cut, speech)):
        with pytest.raises(DocumentError, match=f"^'{cut}' "):
            work()
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_that_is_not_there_is_an_os_error(tmp_path: Path, speech: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        add_track(tmp_path / "none.mp4", speech, tmp_path / "out.mp4", Dub(BESIDE, "Deutsch"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk_is_an_os_error_that_names_the_target(tmp_path: Path, speech: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    target.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(target)) as raised:
        add_track(make(tmp_path / "video.mp4"), speech, target, Dub(BESIDE, "Deutsch"))
    assert raised.value.errno == errno.ENOSPC
    assert not target.is_symlink()


def test_without_pyav_the_run_stops_and_says_what_to_install(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(tmp_path / "video.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    for work in (lambda: duration_s(video), lambda: _spoil(video, speech)):
        with pytest.raises(JobError, match=r"pip install 'cluster-tts\[media\]'"):
            work()
