"""Arithmetic of a sound that steps back while somebody speaks, and of sums that never clip. No files."""

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import QUIET_DBFS

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

STEP_S = 0.01
ATTACK, RELEASE = 5, 30  # steps: before speech the sound goes down, after it comes back
LOOK_AHEAD = 20  # steps: the sound stays down in shorter pauses, it would pump between words
MARGIN = LOOK_AHEAD + RELEASE  # steps before and after a stretch that its gain depends on
KNEE = 0.8  # of full scale: sums above are bent, those below are left as they are
CEILING = 0.89  # what no sum exceeds: 1 dB is left for what AAC and Opus add to peaks


def active(samples: Floats, step: int) -> Flags:
    """Whether anything is heard, for every ``step`` samples; what is left over counts as one more."""
    padded = np.pad(np.abs(samples), (0, -len(samples) % step))
    loud: Flags = padded.reshape(-1, step).max(axis=1) > 10 ** (QUIET_DBFS / 20)
    return loud


def depth(speech: Flags) -> Floats:
    """How far the sound is down at each step, from 0 (as it is) to 1 (by all of ``duck_db``).

    It is all the way down from the step before speech to the step after it, on its way down in the 50 ms before that,
    and on its way back in the 300 ms after.
    """
    steps = np.arange(len(speech))
    never = len(speech) + MARGIN
    since = steps - np.maximum.accumulate(np.where(speech, steps, -never))
    until = np.minimum.accumulate(np.where(speech, steps, 2 * never)[::-1])[::-1] - steps
    down = np.maximum(1 - (since - 1) / RELEASE, 1 - (until - 1) / ATTACK)
    down[since + until <= LOOK_AHEAD] = 1.0
    return np.clip(down, 0, 1).astype(np.float32)


def gain(depths: Floats, duck_db: float, step: int, first: int, frames: int) -> Floats:
    """The factor of each of ``frames`` samples from ``first`` on; ``depths[0]`` belongs to sample 0.

    Decibels go evenly from the middle of one step to that of the next.
    """
    position = (np.arange(first, first + frames) + 0.5) / step - 0.5
    down_db = duck_db * np.interp(position, np.arange(len(depths)), depths)
    return (10 ** (-down_db / 20)).astype(np.float32)


def soft_clip(samples: Floats) -> Floats:
    """``samples`` with everything above the knee bent so that nothing reaches the ceiling."""
    size = np.abs(samples)
    if size.max(initial=0) <= KNEE:
        return samples
    room = CEILING - KNEE
    bent = np.sign(samples) * (KNEE + room * np.tanh((size - KNEE) / room))
    return np.where(size > KNEE, bent, samples).astype(np.float32)
