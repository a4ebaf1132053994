"""Time stretch: exact lengths, the same pitch and level, no clicks; on tones, on any length, and on speech."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.audio import Samples
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers.hibari import Hibari
from cluster_tts.stretch import stretched

RATE = 24_000
SPEEDS = [0.5, 0.8, 0.97, 1.05, 1.2, 1.35, 2.0]


def tone(hertz: float, seconds: float = 2.0, rate: int = RATE, peak: float = 9_000) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return np.rint(peak * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def pitch(samples: Samples, rate: int) -> float:
    """The strongest frequency, read between the bins of the spectrum."""
    size = 8 * len(samples)
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))) * rate / size)


def level_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def largest_step(samples: Samples) -> int:
    return int(np.abs(np.diff(samples.astype(np.int32))).max())


def centroid_hz(samples: Samples) -> float:
    """Where the middle of the spectrum is, by the mean power of windows of 40 ms."""
    windows = samples[: len(samples) // 960 * 960].reshape(-1, 960) * np.hanning(960)
    power = np.square(np.abs(np.fft.rfft(windows))).sum(axis=0)
    return float((power * np.arange(len(power))).sum() / power.sum() * RATE / 960)


def envelope(samples: Samples, parts: int) -> np.ndarray:
    """How loud each of so many parts is."""
    return np.array([np.sqrt(np.mean(np.square(part, dtype=np.float64))) for part in np.array_split(samples, parts)])


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize(("hertz", "rate"), [(440, RATE), (100, RATE), (440, 8_000), (440, 48_000)])
def test_tone_keeps_its_pitch_and_level_without_a_click(hertz: float, rate: int, speed: float) -> None:
    samples = tone(hertz, rate=rate)
    frames = round(len(samples) / speed)
    out = stretched(samples, rate, frames)
    assert (len(out), out.dtype) == (frames, np.int16)
    assert pitch(out, rate) == pytest.approx(hertz, rel=0.002)
    assert level_db(out) == pytest.approx(level_db(samples), abs=0.2)
    assert largest_step(out) <= 1.1 * largest_step(samples)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    pytest.importorskip("hibari")
    target: Path = tmp_path_factory.mktemp("speech") / "clip.part"
    text = "Six thick thistle sticks, said she, softly; and then it stopped."
    asyncio.run(Hibari(ProviderSettings("hibari")).speak(Utterance(text), target))
    samples, rate = sf.read(target, dtype="int16")
    assert rate == RATE
    return samples


@pytest.mark.parametrize("speed", [0.8, 1.1, 1.35])
def test_speech_keeps_its_sound_its_level_and_its_course(speech: Samples, speed: float) -> None:
    out = stretched(speech, RATE, round(len(speech) / speed))
    assert centroid_hz(out) == pytest.approx(centroid_hz(speech), rel=0.06)
    assert level_db(out) == pytest.approx(level_db(speech), abs=0.5)
    assert largest_step(out) <= 1.2 * largest_step(speech)
    parts = len(speech) // (RATE // 10)
    assert np.corrcoef(envelope(out, parts), envelope(speech, parts))[0, 1] > 0.95, "what is loud is loud at its time"


def test_voiced_speech_keeps_its_pitch_where_resampling_would_not() -> None:
    """A pulse train of 120 Hz: what speech is made of."""
    samples = np.zeros(2 * RATE, np.int16)
    samples[:: RATE // 120] = 20_000
    out = stretched(samples, RATE, round(len(samples) / 1.3))
    pulses = np.diff(np.flatnonzero(out > 10_000))
    assert np.mean(pulses == RATE // 120) > 0.97


def test_nothing_to_do_is_a_copy() -> None:
    samples = tone(440, 0.1)
    out = stretched(samples, RATE, len(samples))
    assert np.array_equal(out, samples)
    assert not np.shares_memory(out, samples)


def test_it_begins_and_ends_as_it_did() -> None:
    samples = np.concatenate([np.zeros(720, np.int16), tone(440, 1.0), np.zeros(720, np.int16)])
    for speed in SPEEDS:
        out = stretched(samples, RATE, round(len(samples) / speed))
        assert not out[:240].any()
        assert not out[-240:].any()
    assert np.array_equal(stretched(samples, RATE, 22_000)[:900], samples[:900]), "the beginning is not touched"


def test_one_sample_less_is_left_out_in_the_quietest_place() -> None:
    samples = np.concatenate([tone(440, 0.5), np.zeros(1_200, np.int16), tone(440, 0.3)])
    out = stretched(samples, RATE, len(samples) - 1)
    assert np.array_equal(out[:12_000], samples[:12_000])
    assert np.array_equal(out[-7_200:], samples[-7_200:])


def test_silence_stays_silence() -> None:
    assert not stretched(np.zeros(RATE, np.int16), RATE, 20_000).any()


def test_same_input_same_output() -> None:
    noise = np.random.default_rng(1).integers(-9_000, 9_000, RATE).astype(np.int16)
    assert np.array_equal(stretched(noise, RATE, 18_000), stretched(noise, RATE, 18_000))


def test_full_scale_does_not_wrap_around() -> None:
    square = np.where(np.arange(RATE) // 100 % 2, 32_767, -32_768).astype(np.int16)
    out = stretched(square, RATE, 17_000).astype(int)
    assert largest_step(square) == 65_535
    assert np.abs(out[np.flatnonzero(np.abs(np.diff(out)) < 100)]).mean() > 30_000


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 6_000), st.floats(0, 1), st.sampled_from([8_000, 24_000]))
def test_any_length_becomes_any_length_from_half_to_twice_as_fast(length: int, where: float, rate: int) -> None:
    slowest, fastest = 2 * length, -(-length // 2)
    frames = fastest + round(where * (slowest - fastest))
    bump = np.sin(np.pi * (np.arange(length) + 0.5) / length)
    samples = np.rint(9_000 * bump * np.sin(np.arange(length) / 9)).astype(np.int16)
    out = stretched(samples, rate, frames)
    assert (len(out), out.dtype) == (frames, np.int16)
    assert np.abs(out).max() <= np.abs(samples).max()


@pytest.mark.parametrize(("length", "frames"), [(1_000, 499), (1_000, 2_001), (0, 1), (1, 0)])
def test_other_ratios_are_refused(length: int, frames: int) -> None:
    with pytest.raises(ValueError, match=f"{length} samples cannot be stretched to {frames}"):
        stretched(np.zeros(length, np.int16), RATE, frames)


def test_nothing_stays_nothing() -> None:
    assert len(stretched(np.zeros(0, np.int16), RATE, 0)) == 0
