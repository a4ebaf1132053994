"""The edges of a clip, such that no click is heard where it meets silence or its neighbour."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import Samples, largest_step
from cluster_tts.stitching.layout import Edge

FADE_S = 0.003
NEAR = 256  # frames that are looked at first: speech nearly always has a larger step there than at its edge


class Seams:
    """The blocks of one piece with its edges made fit: ``fade_in`` and ``fade_out`` then say over how many frames.

    Where pieces overlap, they are faded with equal power. Elsewhere an edge is only touched where the step from it to
    silence would be larger than any within the first (or last) block of the clip; where two clips touch, where it is
    larger than half of those, so that both steps together are not larger than one of the louder clip's own.

    Weakness: a clip shorter than two fades has half of it faded, and one of a single frame is left as it is.
    """

    def __init__(self, rate: int, head: Edge, tail: Edge) -> None:
        self.fade_in = self.fade_out = 0
        self._fade = max(1, round(rate * FADE_S))
        self._head = head
        self._tail = tail

    def of(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        least = max(NEAR, self._fade, self._head.overlap, self._tail.overlap)  # each edge within one block
        held: Samples | None = None
        is_first = True
        for block in blocks:
            if held is None:
                held = block
            elif min(len(held), len(block)) >= least:
                yield self._begun(held) if is_first else held
                held, is_first = block, False
            else:
                held = np.concatenate([held, block])
        if held is not None and len(held):
            last = self._ended(held)  # before its beginning is touched, lest that count as a step
            yield self._begun(last) if is_first else last

    def _begun(self, samples: Samples) -> Samples:
        if self._head.overlap:
            return _ramped(samples, equal_power(self._head.overlap))
        if _clicks(samples[:NEAR], int(samples[0]), self._head) and _clicks(samples, int(samples[0]), self._head):
            self.fade_in = min(self._fade, len(samples) // 2)
            return _ramped(samples, raised_cosine(self.fade_in))
        return samples

    def _ended(self, samples: Samples) -> Samples:
        if self._tail.overlap:
            return _ramped_down(samples, equal_power(self._tail.overlap))
        if _clicks(samples[-NEAR:], int(samples[-1]), self._tail) and _clicks(samples, int(samples[-1]), self._tail):
            self.fade_out = min(self._fade, len(samples) // 2)
            return _ramped_down(samples, raised_cosine(self.fade_out))
        return samples


def equal_power(frames: int) -> NDArray[np.float64]:
    """From silence to full: its square and that of the same backwards are 1 everywhere."""
    return np.sin(np.pi / 2 * (np.arange(frames) + 0.5) / frames)


def raised_cosine(frames: int) -> NDArray[np.float64]:
    """From silence to full without a bend at either end."""
    return (1 - np.cos(np.pi * (np.arange(frames) + 0.5) / max(1, frames))) / 2


def _clicks(samples: Samples, edge: int, how: Edge) -> bool:
    return edge != 0 and abs(edge) * (2 if how.touches else 1) > largest_step(samples)


def _ramped(samples: Samples, ramp: NDArray[np.float64]) -> Samples:
    """``samples`` with their beginning multiplied by ``ramp``; they themselves are not changed."""
    if not len(ramp):
        return samples
    return np.concatenate([np.rint(samples[: len(ramp)] * ramp).astype(np.int16), samples[len(ramp) :]])


def _ramped_down(samples: Samples, ramp: NDArray[np.float64]) -> Samples:
    """The same at their end."""
    if not len(ramp):
        return samples
    kept = len(samples) - len(ramp)
    return np.concatenate([samples[:kept], np.rint(samples[kept:] * ramp[::-1]).astype(np.int16)])
