"""Every format: what is written can be read again, and is as long as it should be."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.audio import KEPT_S
from cluster_tts.errors import JobError
from cluster_tts.job import DOCUMENT_FORMATS, StitchingSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import encode, output_rate, require_format
from tests.unit.stitching.joined import RATE, MakePiece, join, loudest_hertz, measured, tone

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")


def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "find_spec", lambda name: None)


@pytest.mark.parametrize("by_soundfile", [False, True])
@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_ogg_keeps_length_and_order(
    suffix: str, by_soundfile: bool, make_piece: MakePiece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_soundfile:
        without_av(monkeypatch)
    joined = join([make_piece(0, tone(440, 4 * RATE)), make_piece(1, tone(1_000, 4 * RATE))], tmp_path, format=suffix)
    assert joined.path.suffix == f".{suffix}"
    info = sf.info(joined.path)
    assert (info.format, info.subtype) == ("OGG", "VORBIS" if suffix == "ogg" else "OPUS")
    samples, rate = sf.read(joined.path)
    assert len(samples) / rate == pytest.approx(joined.seconds, abs=0.03)
    assert loudest_hertz(samples[: 3 * rate], rate) == pytest.approx(440, abs=2)
    assert loudest_hertz(samples[-3 * rate :], rate) == pytest.approx(1_000, abs=2)


def test_vorbis_of_any_length_is_written_in_blocks(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join([make_piece(0, tone(440, 10)), make_piece(1, tone(440, 10))], tmp_path, format="ogg", gap_ms=60_000)
    assert sf.info(joined.path).frames == pytest.approx(joined.frames, abs=2_048)


@needs_av
def test_an_m4b_has_a_chapter_for_each_heading_and_one_for_what_stands_before(
    make_piece: MakePiece, tmp_path: Path
) -> None:
    import av

    pieces = [
        make_piece(n, tone(440, RATE), paragraph=n, text=f"Text {n}.", role=Role(heading=n in (1, 3))) for n in range(5)
    ]
    joined = join(pieces, tmp_path, format="m4b", heading_gap_ms=1_000)
    with av.open(str(joined.path)) as book:
        found = [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in book.chapters()]
        assert book.duration / 1e6 == pytest.approx(joined.seconds, abs=0.1)
    assert [(title, float(start)) for title, start in found] == [
        ("book", 0.0), ("Text 1.", pytest.approx(2.0, abs=0.002)), ("Text 3.", pytest.approx(6.0, abs=0.002)),
    ]  # fmt: skip


def test_a_format_that_needs_what_is_not_installed_is_refused_before_anything_is_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_av(monkeypatch)
    with pytest.raises(JobError, match=r"pip install 'cluster-tts\[media\]'"):
        require_format(StitchingSettings(format="m4b"))
    for suffix in ("wav", "flac", "mp3", "ogg", "opus"):
        require_format(StitchingSettings(format=suffix))


@pytest.mark.parametrize(
    ("highest", "asked", "suffix", "rate"),
    [
        (24_000, None, "opus", 24_000),
        (22_050, None, "opus", 24_000),
        (44_100, None, "opus", 48_000),
        (96_000, None, "opus", 48_000),
        (24_000, 9_000, "opus", 12_000),
        (22_050, None, "m4b", 22_050),
        (50_000, None, "m4b", 64_000),
        (192_000, None, "m4b", 96_000),
        (22_050, None, "ogg", 22_050),
    ],
)
def test_opus_and_m4b_take_the_next_rate_they_know(highest: int, asked: int | None, suffix: str, rate: int) -> None:
    assert output_rate(highest, StitchingSettings(format=suffix, sample_rate=asked)) == rate


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("suffix", ["ogg", "opus", pytest.param("m4b", marks=needs_av)])
def test_clips_of_any_rate_become_a_document_of_their_length(
    suffix: str, rate: int, make_piece: MakePiece, tmp_path: Path
) -> None:
    joined = join([make_piece(0, tone(440, rate, rate), rate=rate)], tmp_path, format=suffix)
    assert joined.seconds == pytest.approx(1, abs=1e-4)
    assert joined.size_bytes == joined.path.stat().st_size > 1_000
    if suffix != "m4b":
        samples, read_rate = sf.read(joined.path)
        assert np.abs(samples).max() == pytest.approx(12_000 / 32_768, rel=0.15)
        assert len(samples) / read_rate == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("suffix", DOCUMENT_FORMATS)
@pytest.mark.parametrize("role", [Role(), Role(cues=(Slot(0, 1),))])
def test_a_document_of_nothing_but_silence_is_a_short_silence(
    suffix: str, role: Role, make_piece: MakePiece, tmp_path: Path
) -> None:
    if suffix == "m4b":
        pytest.importorskip("av", reason="PyAV is not installed")
    piece = make_piece(0, np.zeros(RATE, np.int16), role=role)
    joined = join([piece], tmp_path, format=suffix, trim_silence=True, each_item=True)
    assert joined.frames == round(RATE * KEPT_S)
    item = tmp_path / measured(tmp_path)["items"][0]["path"]
    assert min(joined.path.stat().st_size, item.stat().st_size) > 0
