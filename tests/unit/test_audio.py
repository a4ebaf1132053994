"""Arithmetic on samples."""

import numpy as np
import pytest

from cluster_tts.audio import Edges, largest_step, scaled, to_int16, to_mono, trim_edges

RATE = 24_000


def tone(seconds: float, peak: int = 10_000) -> np.ndarray:
    return np.full(round(RATE * seconds), peak, np.int16)


def silence(seconds: float) -> np.ndarray:
    return tone(seconds, 0)


def test_full_scale_becomes_full_scale_and_louder_is_clipped() -> None:
    assert to_int16(np.array([0.0, 1.0, -1.0, 3.5, -3.5])).tolist() == [0, 32767, -32767, 32767, -32767]


def test_nan_becomes_silence_and_infinity_is_clipped() -> None:
    assert to_int16(np.array([np.nan, np.inf, -np.inf])).tolist() == [0, 32767, -32767]


def test_floats_are_rounded_to_the_nearest_step() -> None:
    assert to_int16(np.array([0.6, 1.4, -0.6]) / 32767).tolist() == [1, 1, -1]


def test_mono_passes_through_untouched() -> None:
    samples = np.array([1, -2, 3], np.int16)
    assert to_mono(samples) is samples
    assert to_mono(samples[:, np.newaxis]).tolist() == [1, -2, 3]


def test_channels_are_averaged_without_overflow() -> None:
    stereo = np.array([[32767, 32767], [-32768, -32768], [100, 200], [32767, -32768]], np.int16)
    assert to_mono(stereo).tolist() == [32767, -32768, 150, 0]


def test_silence_at_the_edges_goes_but_for_30_ms() -> None:
    trimmed = trim_edges(np.concatenate([silence(0.31), tone(1), silence(0.47)]), RATE)
    assert len(trimmed) == round(RATE * 1.06)
    assert np.count_nonzero(trimmed) == RATE


def test_silence_inside_stays() -> None:
    speech = np.concatenate([tone(0.5), silence(2), tone(0.5)])
    assert np.array_equal(trim_edges(speech, RATE), speech)


@pytest.mark.parametrize("seconds", [0.001, 0.5])
def test_nothing_but_silence_leaves_nothing(seconds: float) -> None:
    assert len(trim_edges(silence(seconds), RATE)) == 0
    assert len(trim_edges(tone(seconds, 20), RATE)) == 0  # about -64 dBFS: still silence


def test_sound_in_the_last_incomplete_step_is_kept() -> None:
    samples = np.concatenate([silence(0.2), tone(0.004)])
    assert np.count_nonzero(trim_edges(samples, RATE)) == round(RATE * 0.004)


def test_the_loudest_negative_sample_counts_as_loud() -> None:
    assert len(trim_edges(np.array([-32768], np.int16), RATE)) == 1


def edges(*blocks: np.ndarray) -> tuple[int, int]:
    found = Edges(RATE)
    for block in blocks:
        found.add(block)
    return found.head, found.tail


@pytest.mark.parametrize("size", [1, 7, 240, 1_000, 100_000])
def test_silence_at_the_edges_is_the_same_however_a_sound_is_cut_into_blocks(size: int) -> None:
    sound = np.concatenate([silence(0.123), tone(0.2), silence(0.1), tone(0.2), silence(0.057)])
    found = edges(*(sound[start : start + size] for start in range(0, len(sound), size)))
    assert found == (round(0.12 * RATE), len(sound) - round(0.63 * RATE))


def test_of_nothing_but_silence_all_is_head() -> None:
    assert edges(silence(0.5), silence(0.5)) == (RATE, 0)
    assert edges() == (0, 0)


def test_what_is_scaled_is_rounded_and_clipped() -> None:
    assert scaled(np.array([3, -3, 30_000, -30_000], np.int16), 1.5).tolist() == [4, -4, 32_767, -32_768]


def test_the_largest_step_is_over_the_whole_range() -> None:
    assert largest_step(np.array([5, -32_768, 32_767], np.int16)) == 65_535
    assert largest_step(np.array([5], np.int16)) == 0
