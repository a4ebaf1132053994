"""Loudness: the values that BS.1770 and EBU Tech 3341 name, and what ffmpeg measures of the same file."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.loudness import Meter, gain_for, k_weighting

RATE = 24_000
RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def sine(dbfs: float, seconds: float, rate: int = RATE, hertz: float = 997.0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def two_speakers(parts: Iterable[tuple[float, float]]) -> np.ndarray:
    """Stretches of (dBFS, seconds) as EBU Tech 3341 has them, on two channels; one carries as much 3 dB louder."""
    return np.concatenate([sine(dbfs + 20 * np.log10(np.sqrt(2)), seconds, 48_000) for dbfs, seconds in parts])


def measured(samples: np.ndarray, rate: int = RATE, pieces: int = 1) -> float | None:
    meter = Meter(rate)
    for piece in np.array_split(samples, pieces):
        meter.add(piece)
    return meter.integrated()


def speechlike(rate: int, seconds: float = 12.0) -> np.ndarray:
    """Noise with syllables and pauses, so that both gates have something to do."""
    noise = np.random.default_rng(3).standard_normal(round(rate * seconds))
    time = np.arange(len(noise)) / rate
    loud = np.abs(np.sin(2 * np.pi * 2.3 * time)) * (np.sin(2 * np.pi * 0.2 * time) > -0.5)
    return np.rint((noise * loud * 3_000).clip(-32_768, 32_767)).astype(np.int16)


def test_weighting_is_that_of_the_standard_at_48_khz() -> None:
    z = np.exp(-2j * np.pi * np.arange(2**15 + 1) / 2**16)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    assert k_weighting(48_000, 2**16) == pytest.approx(shelf * high_pass, rel=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_full_scale_sine_on_one_channel_is_3_lu_below_zero_at_any_rate(rate: int) -> None:
    assert measured(sine(0.0, 5.0, rate), rate) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
)
def test_signals_of_ebu_tech_3341(parts: list[tuple[float, float]], lufs: float) -> None:
    assert measured(two_speakers(parts), 48_000) == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_ffmpeg_measures_the_same(rate: int, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    samples = speechlike(rate)
    sf.write(tmp_path / "speech.wav", samples, rate)
    filters = "ebur128=metadata=1,ametadata=print:key=lavfi.r128.I:file=-"
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "speech.wav"), "-af", filters, "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert measured(samples, rate) == pytest.approx(float(told.rsplit("=", 1)[1]), abs=0.011)  # its own steps are 0.01


@pytest.mark.parametrize("pieces", [2, 7, 500])
def test_pieces_of_any_size_measure_as_one(pieces: int) -> None:
    samples = speechlike(RATE)
    assert measured(samples, pieces=pieces) == pytest.approx(measured(samples), abs=1e-4)


def test_it_can_be_asked_at_any_time_and_goes_on() -> None:
    samples = speechlike(RATE)
    meter = Meter(RATE)
    for number, piece in enumerate(np.array_split(samples, 9), 1):
        meter.add(piece)
        here = np.concatenate(np.array_split(samples, 9)[:number])
        assert meter.integrated() == pytest.approx(measured(here), abs=1e-4)
        assert meter.peak == np.abs(here.astype(int)).max() / 32_768


def test_sixteen_bits_and_floats_measure_the_same() -> None:
    samples = speechlike(RATE)
    assert measured(samples / 32_768) == pytest.approx(measured(samples), abs=1e-4)


def test_deep_hum_counts_less_than_it_weighs() -> None:
    hum, tone = measured(sine(-20, 5, hertz=20)), measured(sine(-20, 5))
    assert hum is not None
    assert tone is not None
    assert tone - hum > 13


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.35, 0.39])
def test_of_less_than_a_gating_block_the_plain_mean_is_told(seconds: float) -> None:
    assert measured(sine(-20, seconds)) == pytest.approx(measured(sine(-20, 5.0)), abs=0.4)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 5.0])
def test_nothing_and_what_is_below_the_gate_have_no_loudness(seconds: float) -> None:
    assert measured(np.zeros(round(RATE * seconds), np.int16)) is None
    assert measured(sine(-70, seconds)) is None
    assert seconds == 0 or measured(sine(-60, seconds)) is not None


def test_nan_counts_as_silence() -> None:
    samples = np.concatenate([sine(-20, 5.0), np.full(100, np.nan, np.float32)])
    assert measured(samples) == pytest.approx(measured(sine(-20, 5.0)), abs=0.01)


def test_peak_is_the_largest_sample_of_either_sign() -> None:
    meter = Meter(RATE)
    assert meter.peak == 0.0
    meter.add(np.array([100, -32_768], np.int16))
    meter.add(np.array([5], np.int16))
    assert meter.peak == 1.0


@pytest.mark.parametrize(
    ("loudness", "peak", "target", "db"),
    [
        (-25.0, 0.1, -19.0, 6.0),
        (-15.0, 0.9, -19.0, -4.0),
        (-15.0, 1.0, -15.5, -0.5),
        (-25.0, 10 ** (-4 / 20), -19.0, 3.0),
        (-25.0, 1.0, -19.0, 0.0),
        (-60.0, 0.001, -19.0, 20.0),
        (-25.0, 0.0, -19.0, 6.0),
        (None, 0.5, -19.0, 0.0),
    ],
)
def test_gain_brings_to_the_target_within_the_peak_and_20_db(
    loudness: float | None, peak: float, target: float, db: float
) -> None:
    assert 20 * np.log10(gain_for(loudness, peak, target)) == pytest.approx(db, abs=1e-9)


def test_gained_samples_have_the_loudness_that_was_wanted() -> None:
    samples = speechlike(RATE).astype(np.float32) / 32_768 / 4
    meter = Meter(RATE)
    meter.add(samples)
    assert measured(samples * gain_for(meter.integrated(), meter.peak, -27.0)) == pytest.approx(-27.0, abs=0.01)
