"""Arithmetic on samples: 16-bit mono, as numpy arrays. No files."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

QUIET_DBFS = -50.0  # below this a stretch counts as silence; synthetic speech has no room noise above it
QUIET = int(32768 * 10 ** (QUIET_DBFS / 20))  # the largest sample of silence
STEP_S = 0.01
KEPT_S = 0.03  # left standing at each edge, so that soft onsets and endings survive


def to_int16(samples: NDArray[np.floating]) -> Samples:
    """Floats in [-1, 1] as 16-bit samples; NaN becomes silence, for it would be a full-scale click."""
    scaled: NDArray[np.floating] = np.rint(np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767.0)
    return scaled.astype(np.int16)


def to_mono(samples: Samples) -> Samples:
    """The mean of the channels of ``samples`` shaped (frames, channels); mono is passed through."""
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean: NDArray[np.floating] = np.rint(samples.mean(axis=1))
    return mean.astype(np.int16)


class Edges:
    """How much silence a sound begins and ends with, in frames; it may be told of it in blocks.

    A stretch is silent where the peak of 10 ms stays below -50 dBFS.
    """

    def __init__(self, rate: int) -> None:
        self._step = max(1, int(rate * STEP_S))
        self._frames = 0
        self._first: int | None = None  # of the samples that are loud
        self._last = 0

    def add(self, samples: Samples) -> None:
        loud = (samples > QUIET) | (samples < -QUIET)
        if loud.any():
            if self._first is None:
                self._first = self._frames + int(loud.argmax())
            self._last = self._frames + len(samples) - 1 - int(loud[::-1].argmax())
        self._frames += len(samples)

    @property
    def head(self) -> int:
        """Frames of silence at the beginning: all there are, where nothing is loud."""
        return self._frames if self._first is None else self._first // self._step * self._step

    @property
    def tail(self) -> int:
        """Frames of silence at the end, none of which belong to ``head``."""
        if self._first is None:
            return 0
        return self._frames - min(self._frames, (self._last // self._step + 1) * self._step)


def trim_edges(samples: Samples, rate: int) -> Samples:
    """``samples`` without the silence before and after, but for 30 ms at each edge; all silence gives none.

    Nothing inside is touched.
    """
    edges, kept = Edges(rate), int(rate * KEPT_S)
    edges.add(samples)
    if edges.head == len(samples):
        return samples[:0]
    return samples[max(0, edges.head - kept) : len(samples) - max(0, edges.tail - kept)]


def scaled(samples: Samples, gain: float) -> Samples:
    """``samples`` times ``gain``, each to the nearest step; what would be beyond full scale is clipped."""
    return clipped(np.rint(samples * gain))


def clipped(samples: NDArray[np.floating] | NDArray[np.signedinteger]) -> Samples:
    """Whole numbers of any size as samples."""
    within: NDArray[np.number] = np.clip(samples, -32768, 32767)
    return within.astype(np.int16)


def largest_step(samples: Samples) -> int:
    """The largest difference between two samples that follow each other."""
    return int(np.abs(np.diff(samples.astype(np.int32))).max(initial=0))
