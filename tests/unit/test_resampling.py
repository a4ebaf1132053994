"""Another rate: as many samples as was told, and which rate it is."""

import numpy as np
import pytest

from cluster_tts.resampling import rate_for, resampled, resampled_frames


@pytest.mark.parametrize(("rate", "wanted"), [(22_050, 24_000), (48_000, 44_100), (8_000, 8_000)])
@pytest.mark.parametrize("frames", [1, 999, 30_001])
@pytest.mark.parametrize("block", [700, 10**6])
def test_as_many_come_out_as_was_told(rate: int, wanted: int, frames: int, block: int) -> None:
    samples = np.ones(frames, np.float32)
    blocks = (samples[start : start + block] for start in range(0, frames, block))
    assert sum(map(len, resampled(blocks, rate, wanted))) == resampled_frames(frames, rate, wanted)


@pytest.mark.parametrize(("wanted", "rate"), [(1, 8_000), (8_000, 8_000), (8_001, 16_000), (96_000, 48_000)])
def test_no_rate_that_would_do_is_passed_over_for_a_higher_one(wanted: int, rate: int) -> None:
    assert rate_for(wanted, (8_000, 16_000, 48_000)) == rate
