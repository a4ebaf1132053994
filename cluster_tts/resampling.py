"""Samples at another rate, a block at a time: the same in every run, and exactly as many as is told before."""

from collections.abc import Iterator, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def resampled(blocks: Iterator[Floats], rate: int, wanted: int) -> Iterator[Floats]:
    """Mono ``blocks`` of ``rate`` at the rate ``wanted``.

    They are floats, for soxr dithers 16-bit samples with a seed taken from the clock.
    """
    if rate == wanted:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def resampled_frames(frames: int, rate: int, wanted: int) -> int:
    """How many become of ``frames``: to the nearest, halves up, exactly as soxr counts."""
    return (2 * frames * wanted + rate) // (2 * rate)


def rate_for(wanted: int, known: Sequence[int]) -> int:
    """The lowest of the rates ``known``, which ascend, that loses nothing of ``wanted``; the highest, where all do."""
    return min((rate for rate in known if rate >= wanted), default=known[-1])
