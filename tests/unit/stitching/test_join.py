"""Joining: what every document promises, whatever its clips are."""

import gc
import hashlib
import json
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.containers import wav
from cluster_tts.errors import DamagedClips
from cluster_tts.job import StitchingSettings
from cluster_tts.model import Role, Slot
from cluster_tts.resampling import resampled_frames
from cluster_tts.stitching import Piece, output_rate, stitch
from tests.unit.stitching.joined import (
    CLIPS,
    GAP,
    PARAGRAPH_GAP,
    RATE,
    MakePiece,
    files,
    files_in,
    join,
    loudest_hertz,
    noise,
    samples_of,
    tone,
)  # fmt: skip


def test_clips_follow_in_order_sample_by_sample_with_silence_between(make_piece: MakePiece, tmp_path: Path) -> None:
    clips = [noise(frames, seed)[:, 0] for seed, frames in enumerate((1, 70_000, 131_072, 999))]
    joined = join([make_piece(index, clip) for index, clip in enumerate(clips)], tmp_path)
    gap = np.zeros(GAP, np.int16)
    assert np.array_equal(samples_of(joined), np.concatenate([clips[0], gap, clips[1], gap, clips[2], gap, clips[3]]))
    assert (joined.chunks, joined.rate, joined.seconds) == (4, RATE, joined.frames / RATE)


def test_a_new_paragraph_has_the_longer_gap_and_the_end_has_none(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(index, noise(100, index), paragraph=p) for index, p in enumerate((0, 0, 1))]
    assert join(pieces, tmp_path).frames == 300 + GAP + PARAGRAPH_GAP
    assert join(pieces, tmp_path, gap_ms=0, paragraph_gap_ms=1).frames == 300 + 24


def test_a_gap_longer_than_a_block_is_whole(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(0, noise(10, 0)), make_piece(1, noise(10, 1))]
    assert join(pieces, tmp_path, gap_ms=60_000).frames == 20 + 60 * RATE


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_size_and_digest_are_those_of_the_file(suffix: str, make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join([make_piece(0, noise(5_000, 0)), make_piece(1, noise(7_000, 1))], tmp_path, format=suffix)
    content = joined.path.read_bytes()
    assert (joined.size_bytes, joined.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert joined.frames == sf.info(joined.path).frames == len(samples_of(joined))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_joining_again_gives_the_same_bytes(suffix: str, make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(0, noise(30_000, 0)), make_piece(1, noise(30_000, 1), rate=22_050)]
    assert join(pieces, tmp_path, format=suffix).sha256 == join(pieces, tmp_path, format=suffix).sha256


def test_flac_holds_exactly_what_wav_holds(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(0, noise(80_000, 0)), make_piece(1, noise(7_000, 1))]
    wav = samples_of(join(pieces, tmp_path))
    flac = join(pieces, tmp_path, format="flac")
    assert np.array_equal(samples_of(flac), wav)
    assert sf.info(flac.path).subtype == "PCM_16"


def test_mp3_keeps_length_and_order_at_64_kbit(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(0, tone(440, 5 * RATE)), make_piece(1, tone(1_000, 5 * RATE))]
    joined = join(pieces, tmp_path, format="mp3")
    samples = samples_of(joined)
    assert abs(len(samples) - joined.frames) < 2 * 1_152  # an encoder pads to whole frames
    assert loudest_hertz(samples[: 4 * RATE], RATE) == pytest.approx(440, abs=2)
    assert loudest_hertz(samples[-4 * RATE :], RATE) == pytest.approx(1_000, abs=2)
    assert joined.size_bytes * 8 / joined.seconds >= 63_000


def test_the_highest_rate_of_the_clips_is_that_of_the_document(make_piece: MakePiece, tmp_path: Path) -> None:
    low, high = make_piece(0, noise(22_050, 0), rate=22_050), make_piece(1, noise(3_000, 1)[:, 0], rate=24_000)
    joined = join([low, high], tmp_path)
    assert (joined.rate, joined.frames) == (24_000, 24_000 + GAP + 3_000)
    assert np.array_equal(samples_of(joined)[-3_000:], noise(3_000, 1)[:, 0])  # what fits already is not touched


@pytest.mark.parametrize(("source", "wanted"), [(22_050, 24_000), (48_000, 24_000), (8_000, 192_000), (44_100, 8_000)])
def test_resampling_gives_the_nearest_length(source: int, wanted: int, make_piece: MakePiece, tmp_path: Path) -> None:
    lengths = (1, 2, 5, 777, 70_001)
    pieces = [make_piece(index, noise(frames, 0), rate=source) for index, frames in enumerate(lengths)]
    joined = join(pieces, tmp_path, sample_rate=wanted, gap_ms=0)
    assert (
        joined.frames
        == sum(resampled_frames(piece.sound.frames, piece.sound.rate, wanted) for piece in pieces)
        == len(samples_of(joined))
    )
    for piece in pieces:
        assert (
            abs(resampled_frames(piece.sound.frames, piece.sound.rate, wanted) - piece.sound.frames * wanted / source)
            <= 0.5
        )


def test_resampling_keeps_pitch_and_loudness(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join([make_piece(0, tone(440, 44_100, 44_100), rate=44_100)], tmp_path, sample_rate=16_000)
    samples = samples_of(joined)
    assert loudest_hertz(samples, 16_000) == pytest.approx(440, abs=1)
    assert np.abs(samples).max() == pytest.approx(12_000, rel=0.02)


def test_stereo_clips_become_mono(make_piece: MakePiece, tmp_path: Path) -> None:
    stereo = noise(70_000, 0, channels=2)
    joined = join([make_piece(0, stereo)], tmp_path)
    assert sf.info(joined.path).channels == 1
    assert np.array_equal(samples_of(joined), np.rint(stereo.mean(axis=1)).astype(np.int16))


def test_float_clips_keep_their_loudness_and_loud_peaks_are_clipped(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join([make_piece(0, np.array([0.5, -0.25, 1.5, np.nan], np.float32))], tmp_path)
    assert samples_of(joined).tolist() == [16_384, -8_192, 32_767, 0]


def test_compressed_clips_are_decoded(make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, tone(440, RATE), kind="mp3")
    joined = join([piece, make_piece(1, noise(10, 1), kind="flac")], tmp_path)
    assert joined.frames == piece.sound.frames + GAP + 10


@pytest.mark.parametrize(
    ("highest", "asked", "suffix", "rate"),
    [
        (24_000, None, "mp3", 24_000),
        (96_000, None, "mp3", 48_000),
        (20_000, None, "mp3", 22_050),
        (24_000, 10_000, "mp3", 11_025),
        (96_000, None, "flac", 96_000),
        (24_000, 44_100, "wav", 44_100),
    ],
)
def test_mp3_takes_the_next_rate_it_knows(highest: int, asked: int | None, suffix: str, rate: int) -> None:
    assert output_rate(highest, StitchingSettings(format=suffix, sample_rate=asked)) == rate


def test_clips_above_48_khz_can_be_an_mp3(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join([make_piece(0, tone(440, 96_000, 96_000), rate=96_000)], tmp_path, format="mp3")
    assert (joined.rate, joined.frames) == (48_000, 48_000)
    assert loudest_hertz(samples_of(joined), 48_000) == pytest.approx(440, abs=2)


def test_a_wav_beyond_4_gib_is_an_rf64() -> None:
    last = (2**32 - 2 - 36) // 2
    assert wav.header(2 * last, RATE).startswith(b"RIFF")
    assert wav.header(2 * (last + 1), RATE).startswith(b"RF64")
    size = 2 * (last + 1)
    assert size.to_bytes(8, "little") in wav.header(2 * (last + 1), RATE)


def test_an_rf64_is_read_to_its_end(tmp_path: Path) -> None:
    frames, path = 2**31 + 1_000, tmp_path / "long.wav"
    with path.open("wb") as file:  # sparse: it takes no room on the disk
        file.write(wav.header(2 * frames, RATE))
        file.seek(2 * (frames - 3), 1)
        file.write(np.array([1, 2, 3], np.int16).data)
    with sf.SoundFile(path) as long:
        assert (long.format, long.samplerate, long.frames) == ("RF64", RATE, frames)
        long.seek(frames - 4)
        assert long.read(dtype="int16").tolist() == [0, 1, 2, 3]


def test_the_json_says_where_every_chunk_lies(make_piece: MakePiece, tmp_path: Path) -> None:
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-shared.wav")
    pieces = [
        make_piece(0, noise(500, 0), text='"Grüß Gott", sagte 猫.'),
        make_piece(1, noise(300, 1), paragraph=1),
    ]
    CLIPS.paths["clip-1"] = (tmp_path / "clips/c1.wav").rename(elsewhere)
    joined = join(pieces, tmp_path)
    text = (tmp_path / "documents/book.json").read_text(encoding="utf-8")
    common = {"overlap_frames": 0, "gain": 1.0}
    assert json.loads(text) == {
        "document": "book",
        "schema_version": 2,
        "audio": "book.wav",
        "rate": RATE,
        "frames": 800 + PARAGRAPH_GAP,
        "sha256": joined.sha256,
        "chunks": [
            {"index": 0, "paragraph": 0, "clip_id": "clip-0", "clip": "clips/c0.wav", "start_frame": 0,
             "end_frame": 500, "gap_frames": PARAGRAPH_GAP, "text": '"Grüß Gott", sagte 猫.', **common},
            {"index": 1, "paragraph": 1, "clip_id": "clip-1", "clip": elsewhere.as_posix(), "text": "Hello.",
             "start_frame": 500 + PARAGRAPH_GAP, "end_frame": 800 + PARAGRAPH_GAP, "gap_frames": 0, **common},
        ],
    }  # fmt: skip
    assert "Grüß" in text
    assert len(text.splitlines()) == 4  # a line for each chunk, for diff and grep


def test_cues_have_the_measured_times_and_no_blank_lines(make_piece: MakePiece, tmp_path: Path) -> None:
    long = make_piece(0, np.zeros(3_661 * 100 + 50, np.int16), rate=100, text="One.\n \n\nTwo.\n")
    join([long, make_piece(1, np.zeros(150, np.int16), rate=100, text="Three.")], tmp_path)
    assert (tmp_path / "documents/book.srt").read_text(encoding="utf-8") == (
        "1\n00:00:00,000 --> 01:01:01,500\nOne.\nTwo.\n\n2\n01:01:01,750 --> 01:01:03,250\nThree.\n\n"
    )


def test_all_damaged_clips_are_named_and_nothing_is_left(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(index, noise(2_000, index)) for index in range(7)]
    CLIPS.paths[pieces[1].clip_id].unlink()  # missing
    CLIPS.paths[pieces[2].clip_id].write_bytes(CLIPS.paths[pieces[2].clip_id].read_bytes()[:-10])  # cut
    CLIPS.paths[pieces[3].clip_id].write_bytes(CLIPS.paths[pieces[4].clip_id].read_bytes())  # swapped, of the same size
    pieces[5] = replace(pieces[5], sound=replace(pieces[5].sound, frames=2_001))  # not the frames it should have
    with pytest.raises(DamagedClips, match="4, the first is clip-1") as caught:
        join([*pieces, pieces[1]], tmp_path)
    assert caught.value.clip_ids == ("clip-1", "clip-2", "clip-3", "clip-5")
    assert files_in(tmp_path / "documents") == []


def test_a_clip_that_cannot_be_decoded_is_damaged(make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, noise(2_000, 0))
    CLIPS.paths[piece.clip_id].write_bytes(b"<html>busy</html>")
    sha256 = hashlib.sha256(b"<html>busy</html>").hexdigest()
    with pytest.raises(DamagedClips) as caught:
        join([replace(piece, sound=replace(piece.sound, sha256=sha256))], tmp_path)
    assert caught.value.clip_ids == ("clip-0",)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_damage_leaves_the_document_of_an_earlier_run_alone(suffix: str, make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, noise(2_000, 0))
    join([piece], tmp_path, format=suffix)
    before = {path: path.read_bytes() for path in (tmp_path / "documents").iterdir()}
    CLIPS.paths[piece.clip_id].unlink()
    with pytest.raises(DamagedClips):
        join([piece], tmp_path, format=suffix)
    assert {path: path.read_bytes() for path in (tmp_path / "documents").iterdir()} == before


@pytest.mark.parametrize(
    "suffix",
    [
        "wav",
        "flac",
        "mp3",
        "ogg",
        "opus",
        pytest.param("m4b", marks=pytest.mark.skipif(not find_spec("av"), reason="PyAV is not installed")),
    ],
)
def test_a_disk_that_takes_no_more_is_an_os_error_and_nothing_is_left(
    suffix: str, make_piece: MakePiece, tmp_path: Path
) -> None:
    piece = make_piece(0, noise(900_000, 0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            join([piece], tmp_path, format=suffix)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_in(tmp_path / "documents") == []


def test_a_folder_that_cannot_be_made_is_an_os_error(make_piece: MakePiece, tmp_path: Path) -> None:
    (tmp_path / "documents").write_text("in the way")
    with pytest.raises(FileExistsError):
        join([make_piece(0, noise(10, 0))], tmp_path)


def test_an_interruption_leaves_nothing(make_piece: MakePiece, tmp_path: Path) -> None:
    piece, passes = make_piece(0, noise(10, 0)), []

    def pieces() -> Iterator[Piece]:
        passes.append(1)
        for index in range(100):
            if len(passes) == 3 and index == 50:  # two passes of arithmetic, then the audio
                raise KeyboardInterrupt
            yield piece

    with pytest.raises(KeyboardInterrupt):
        stitch("book", pieces, files(tmp_path), StitchingSettings())
    assert files_in(tmp_path / "documents") == []


def test_the_audio_comes_last_and_beside_it_are_only_times_and_cues(
    make_piece: MakePiece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, rename = [], Path.replace

    def remember(path: Path, target: Path) -> Path:
        order.append(target.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", remember)
    join([make_piece(0, noise(10, 0))], tmp_path)
    assert order == ["book.json", "book.srt", "book.vtt", "book.wav"]
    assert files_in(tmp_path / "documents") == sorted(order)


def test_pieces_that_change_between_passes_are_refused(make_piece: MakePiece, tmp_path: Path) -> None:
    passes = iter([2, 2, 1])
    piece = make_piece(0, noise(10, 0))
    with pytest.raises(RuntimeError, match="frames where"):
        stitch("book", lambda: iter([piece] * next(passes)), files(tmp_path), StitchingSettings())
    assert files_in(tmp_path / "documents") == []


def peak_bytes(pieces: Callable[[], Iterator[Piece]], out: Path, **settings: object) -> int:
    """The most that joining held at once."""
    gc.collect()
    tracemalloc.start()
    try:
        stitch("book", pieces, files(out), StitchingSettings(**settings))  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_document(make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, noise(50, 0))

    def pieces(chunks: int) -> Iterator[Piece]:
        for index in range(chunks):
            yield replace(piece, index=index, text=f"{index:>5000}")

    peak_bytes(partial(pieces, 10), tmp_path, gap_ms=1)  # imports and caches
    few, many = (peak_bytes(partial(pieces, chunks), tmp_path, gap_ms=1) for chunks in (50, 700))
    assert many < few + 1_500_000  # the texts alone are 3.2 MB more; cffi has a table that grows at times


@pytest.mark.parametrize(
    "settings",
    [{}, {"crossfade_ms": 50}, {"loudness_lufs": -19.0, "trim_silence": True}, {"each_item": True}, {"format": "ogg"}],
    ids=str,
)
def test_memory_does_not_grow_with_the_audio(settings: dict[str, Any], make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, tone(440, 30 * 8_000, 8_000), rate=8_000, kind="flac")

    def pieces(chunks: int) -> Iterator[Piece]:
        for index in range(chunks):
            yield replace(piece, index=index, paragraph=index // 10)

    peak_bytes(partial(pieces, 1), tmp_path, **settings)  # imports and caches
    few, many = (peak_bytes(partial(pieces, chunks), tmp_path, **settings) for chunks in (2, 12))
    assert many < few + 1_000_000  # the audio is 4.8 MB more


def test_on_a_timeline_no_more_is_held_than_what_is_heard_at_once(make_piece: MakePiece, tmp_path: Path) -> None:
    piece = make_piece(0, tone(440, 60 * 8_000, 8_000), rate=8_000, kind="flac")

    def pieces(chunks: int) -> Iterator[Piece]:
        for index in range(chunks):
            cue = Slot(300.0 * index, 300.0 * index + 50)  # silence of minutes between them
            yield replace(piece, index=index, paragraph=index, role=Role(cues=(cue,)))

    peak_bytes(partial(pieces, 1), tmp_path)
    few, many = (peak_bytes(partial(pieces, chunks), tmp_path) for chunks in (2, 12))
    assert many < few + 1_000_000  # it would be 48 MB more
