"""Mixing: what is added comes out at its place, whatever the blocks are; only what may change is held."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.decoding import BLOCK_FRAMES
from cluster_tts.stitching.mixing import Mixer


class Sink:
    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []

    def write(self, samples: np.ndarray) -> None:
        assert samples.flags.c_contiguous
        assert samples.dtype == np.int16
        assert 0 < len(samples) <= BLOCK_FRAMES
        self.blocks.append(samples.copy())

    @property
    def samples(self) -> list[int]:
        return np.concatenate([np.zeros(0, np.int16), *self.blocks]).tolist()


PIECES = st.lists(
    st.tuples(st.integers(0, 60), st.lists(st.lists(st.integers(-32768, 32767), min_size=1, max_size=9), max_size=4)),
    max_size=8,
)


@given(PIECES, st.integers(0, 20))
def test_the_sum_of_all_pieces_comes_out_clipped(pieces: list[tuple[int, list[list[int]]]], silence: int) -> None:
    pieces = sorted(pieces, key=lambda piece: piece[0])
    end = max([0, *(start + sum(map(len, blocks)) for start, blocks in pieces)]) + silence
    wanted, sink = np.zeros(end, np.int64), Sink()
    mixer = Mixer(sink.write)
    for index, (start, blocks) in enumerate(pieces):
        until = pieces[index + 1][0] if index + 1 < len(pieces) else end
        for block in blocks:
            mixer.add(start, np.array(block, np.int16), until)
            wanted[start : start + len(block)] += block
            start += len(block)
            assert mixer.position <= max(until, 0)
    mixer.finish(end)
    assert sink.samples == np.clip(wanted, -32768, 32767).tolist()


def test_what_nobody_can_add_to_is_written_at_once_as_it_is() -> None:
    written: list[np.ndarray] = []
    samples = np.arange(100, dtype=np.int16)
    Mixer(written.append).add(0, samples, 100)
    assert np.shares_memory(written[0], samples)
    assert written[0].tolist() == samples.tolist()


def test_an_origin_is_where_the_file_begins() -> None:
    sink = Sink()
    mixer = Mixer(sink.write, 1_000)
    mixer.add(1_002, np.array([5], np.int16), 2_000)
    mixer.finish(1_004)
    assert sink.samples == [0, 0, 5, 0]
