"""Pieces that begin one after the other, mixed where they overlap; only what may still be added to is held."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import Samples, clipped
from cluster_tts.decoding import BLOCK_FRAMES

Write = Callable[[Samples], object]

_SILENCE = np.zeros(BLOCK_FRAMES, np.int16)


class Mixer:
    """Writes what it is given in the order of time, silence where there is nothing, all of it in blocks.

    What lies alone passes through untouched.
    """

    def __init__(self, write: Write, origin: int = 0) -> None:
        """``origin`` is the frame that is written first."""
        self.position = origin  # all before is written
        self._write = write
        self._held: NDArray[np.int32] = np.zeros(0, np.int32)  # from there on

    def add(self, start: int, samples: Samples, until: int) -> None:
        """Mix ``samples`` in from the frame ``start`` on; nothing that is added later begins before ``until``."""
        self.settle(min(start, until))
        if not len(self._held) and start <= until:
            self._write_silence(start - self.position)
            alone = min(len(samples), until - start)
            self._write_blocks(samples[:alone])
            self._held = samples[alone:].astype(np.int32)
            return
        offset = start - self.position
        if (missing := offset + len(samples) - len(self._held)) > 0:
            self._held = np.concatenate([self._held, np.zeros(missing, np.int32)])
        self._held[offset : offset + len(samples)] += samples
        self.settle(min(start + len(samples), until))  # of what is held behind it, more of the same piece may follow

    def settle(self, until: int) -> None:
        """Write what is held before the frame ``until``; silence behind it is not."""
        ready = max(0, min(len(self._held), until - self.position))
        self._write_blocks(clipped(self._held[:ready]))
        self._held = self._held[ready:]

    def finish(self, end: int) -> None:
        """Write all there is, and silence up to the frame ``end``."""
        self.settle(self.position + len(self._held))
        self._write_silence(end - self.position)

    def _write_blocks(self, samples: Samples) -> None:
        for start in range(0, len(samples), BLOCK_FRAMES):
            self._write(samples[start : start + BLOCK_FRAMES])
        self.position += len(samples)

    def _write_silence(self, frames: int) -> None:
        for start in range(0, frames, BLOCK_FRAMES):
            self._write(_SILENCE[: min(BLOCK_FRAMES, frames - start)])
        self.position += max(0, frames)
