"""Arithmetic on samples: 16-bit mono, as numpy arrays. No files."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

QUIET_DBFS = -50.0  # below this a stretch counts as silence; synthetic speech has no room noise above it
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


def trim_edges(samples: Samples, rate: int) -> Samples:
    """``samples`` without the silence before and after, but for 30 ms at each edge; all silence gives none.

    A stretch is silent where the peak of 10 ms stays below -50 dBFS. Nothing inside is touched.
    """
    step = max(1, int(rate * STEP_S))
    whole = len(samples) // step * step
    peaks = np.abs(samples[:whole].astype(np.int32)).reshape(-1, step).max(axis=1)
    if whole < len(samples):
        peaks = np.append(peaks, np.abs(samples[whole:].astype(np.int32)).max())
    loud = np.flatnonzero(peaks > 32768 * 10 ** (QUIET_DBFS / 20))
    if not len(loud):
        return samples[:0]
    kept = int(rate * KEPT_S)
    return samples[max(0, loud[0] * step - kept) : (loud[-1] + 1) * step + kept]
