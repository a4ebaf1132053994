"""The pass over all clips that comes first where their edges or their loudness decide how they are joined."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import Edges, Samples
from cluster_tts.clips import Clips
from cluster_tts.loudness import Meter, gain_for
from cluster_tts.stitching.layout import CLIP
from cluster_tts.stitching.order import Order, Piece
from cluster_tts.stitching.reading import read_each


def measure(pieces: Iterator[Piece], clips: Clips, order: Order, loudness_lufs: float | None) -> NDArray[np.void]:
    """The clips of ``order`` with the silence at their edges, and what brings each to ``loudness_lufs``.

    Raises:
        DamagedClips: as joining would.
    """
    measured = np.zeros(len(order.clips), CLIP)

    def work(number: int, piece: Piece, blocks: Iterator[Samples]) -> None:
        edges, level = Edges(order.rate), _Level(order.rate) if loudness_lufs is not None else None
        frames = 0
        for block in blocks:
            frames += len(block)
            edges.add(block)
            if level is not None:
                level.add(block)
        gain = level.gain(loudness_lufs) if level is not None and loudness_lufs is not None else 1.0
        measured[number] = (frames, edges.head, edges.tail, gain)

    read_each(enumerate(pieces), clips, order.rate, work)
    return measured


class _Level:
    """The loudness of one clip without the silence at its edges, told block by block."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._meter = Meter(rate)
        self._waiting: list[Samples] = []  # silence, which does not count unless something follows
        self._begun = False

    def add(self, block: Samples) -> None:
        edges = Edges(self._rate)
        edges.add(block)
        if edges.head == len(block):
            if self._begun:
                self._waiting.append(block)
            return
        for silence in self._waiting:
            self._meter.add(silence)
        end = len(block) - edges.tail
        self._meter.add(block[0 if self._begun else edges.head : end])
        self._waiting = [block[end:]] if edges.tail else []
        self._begun = True

    def gain(self, target: float) -> float:
        return gain_for(self._meter.integrated(), self._meter.peak, target)
