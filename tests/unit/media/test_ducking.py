"""A sound steps back for speech and comes back after it; sums never clip."""

import numpy as np
import pytest

from cluster_tts.media.ducking import (
    ATTACK,
    CEILING,
    KNEE,
    LOOK_AHEAD,
    MARGIN,
    RELEASE,
    Flags,
    active,
    depth,
    gain,
    soft_clip,
)


def flags(steps: int, *spoken: range) -> Flags:
    speech = np.zeros(steps, np.bool_)
    for each in spoken:
        speech[each.start : each.stop] = True
    return speech


def test_a_step_is_active_where_its_peak_is_above_silence() -> None:
    samples = np.zeros(250, np.float32)
    samples[120], samples[249] = -0.1, 0.001
    assert active(samples, 100).tolist() == [False, True, False]


def test_the_sound_is_down_from_before_speech_until_after_it() -> None:
    depths = depth(flags(200, range(100, 120)))
    assert (depths[99:121] == 1).all()
    assert np.allclose(depths[99 - ATTACK : 100], np.linspace(0, 1, ATTACK + 1))
    assert np.allclose(depths[120 : 121 + RELEASE], np.linspace(1, 0, RELEASE + 1))
    assert not depths[: 99 - ATTACK].any()
    assert not depths[120 + RELEASE :].any()


@pytest.mark.parametrize("pause", [1, LOOK_AHEAD - 1])
def test_it_stays_down_in_a_pause_between_words(pause: int) -> None:
    assert (depth(flags(200, range(100, 110), range(110 + pause, 150)))[100:150] == 1).all()


def test_it_comes_back_in_a_long_pause() -> None:
    assert depth(flags(300, range(100, 110), range(200, 210)))[145:190].max() == 0


def test_without_speech_nothing_is_changed() -> None:
    assert not depth(flags(100)).any()


def test_a_stretch_with_its_margins_is_as_deep_as_in_the_whole() -> None:
    speech = np.random.default_rng(0).random(2_000) < 0.02
    whole = depth(speech)
    for first in range(MARGIN, 1_900 - MARGIN, 97):
        part = depth(speech[first - MARGIN : first + 100 + MARGIN])
        assert np.array_equal(part[MARGIN : MARGIN + 100], whole[first : first + 100])


def test_the_gain_is_what_was_asked_for_and_has_no_steps() -> None:
    factors = gain(depth(flags(200, range(100, 120))), 12.0, 240, 0, 200 * 240)
    decibels = 20 * np.log10(factors)
    assert np.allclose(decibels[100 * 240 : 120 * 240], -12, atol=1e-4)
    assert np.abs(np.diff(decibels)).max() <= 12 / ATTACK / 240 * 1.01
    assert np.array_equal(gain(depth(flags(200, range(100, 120))), 12.0, 240, 5_000, 30_000), factors[5_000:35_000])


def test_what_is_not_loud_is_left_as_it_is_and_nothing_clips() -> None:
    quiet = np.linspace(-KNEE, KNEE, 1_001, dtype=np.float32)
    assert np.array_equal(soft_clip(quiet), quiet)
    bent = soft_clip(np.linspace(-3, 3, 1_001, dtype=np.float32))
    assert np.abs(bent).max() <= CEILING
    assert (np.diff(bent) >= 0).all()
    assert np.allclose(bent, -bent[::-1])
