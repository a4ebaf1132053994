"""No click at any seam, and nothing touched where there would be none."""

from itertools import pairwise, product

import numpy as np
import pytest

from cluster_tts.audio import largest_step
from cluster_tts.job import TimelineSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import Piece
from cluster_tts.stitching.layout import Edge
from cluster_tts.stitching.seams import Seams, equal_power, raised_cosine
from tests.unit.stitching.joined import RATE, MakePiece, join, measured, samples_of, tone

FADE = 72  # 3 ms
AWAY, MEETS = Edge(), Edge(touches=True)


def through(samples: np.ndarray, head: Edge = AWAY, tail: Edge = AWAY, block: int = 10_000) -> tuple[np.ndarray, Seams]:
    seams = Seams(RATE, head, tail)
    blocks = (samples[start : start + block] for start in range(0, len(samples), block))
    return np.concatenate([np.zeros(0, np.int16), *seams.of(blocks)]), seams


def cut(hertz: float, frames: int, phase: float = np.pi / 2) -> np.ndarray:
    """A tone that begins and ends in mid-wave."""
    return np.rint(12_000 * np.sin(phase + 2 * np.pi * hertz * np.arange(frames) / RATE)).astype(np.int16)


@pytest.mark.parametrize("block", [50, 999, 10_000])
def test_an_edge_that_is_no_louder_than_the_clip_is_steep_stays_as_it_is(block: int) -> None:
    samples = np.concatenate([tone(300, 30_000), [0]]).astype(np.int16)
    found, seams = through(samples, block=block)
    assert np.array_equal(found, samples)
    assert (seams.fade_in, seams.fade_out) == (0, 0)


@pytest.mark.parametrize("block", [50, 999, 10_000, 100_000])
def test_an_edge_in_mid_wave_is_faded_over_3_ms(block: int) -> None:
    samples = cut(300, 30_000)
    found, seams = through(samples, block=block)
    assert (seams.fade_in, seams.fade_out) == (FADE, FADE)
    assert np.array_equal(found[FADE:-FADE], samples[FADE:-FADE])
    assert largest_step(np.concatenate([[0], found, [0]]).astype(np.int16)) <= largest_step(samples)


def test_each_edge_is_judged_by_itself() -> None:
    samples = np.concatenate([np.zeros(2_000, np.int16), tone(300, 3_000), cut(300, 3_000, 0)[:2_980]])
    _, seams = through(samples)
    assert (seams.fade_in, seams.fade_out) == (0, FADE)


def test_where_clips_touch_both_steps_together_count() -> None:
    samples = np.tile(np.array([300, 700], np.int16), 2_000)  # steps of 400
    assert through(samples)[1].fade_in == 0
    assert through(samples, MEETS)[1].fade_in == FADE


@pytest.mark.parametrize(("frames", "fade"), [(1, 0), (2, 1), (20, 10), (143, 71), (144, 72)])
def test_of_a_short_clip_half_is_faded_at_most(frames: int, fade: int) -> None:
    samples = np.full(frames, 9_000, np.int16)
    found, seams = through(samples)
    assert (len(found), seams.fade_in, seams.fade_out) == (frames, fade, fade)


def test_nothing_stays_nothing() -> None:
    assert len(through(np.zeros(0, np.int16))[0]) == 0


@pytest.mark.parametrize("frames", [1, 2, 481])
def test_a_crossfade_has_equal_power_everywhere(frames: int) -> None:
    ramp = equal_power(frames)
    assert ramp**2 + ramp[::-1] ** 2 == pytest.approx(np.ones(frames))
    assert np.all(np.diff(ramp) > 0)


def test_a_fade_has_no_bend_at_either_end() -> None:
    ramp = raised_cosine(72)
    assert ramp[0] < 0.001
    assert ramp[-1] > 0.999
    assert np.all(np.diff(ramp) > 0)


SETTINGS = [
    dict(zip(("gap_ms", "crossfade_ms", "trim_silence", "loudness_lufs"), values, strict=True))
    for values in product((0, 100), (0, 15), (False, True), (None, -23.0))
]


@pytest.fixture
def speech(make_piece: MakePiece) -> list[Piece]:
    """Clips in mid-wave and with soft edges, with silence at edges and without, one at another rate."""
    quiet = np.rint(np.random.default_rng(0).normal(0, 8, 1_440)).astype(np.int16)
    clips = [
        cut(300, 30_000),
        np.concatenate([quiet, cut(500, 20_000), quiet]),
        np.concatenate([quiet, tone(700, 9_000)]),
        cut(250, 12_345, 1.0),
        np.concatenate([cut(900, 5_000), quiet]),
        quiet,
    ]
    pieces = [make_piece(index, clip, paragraph=index // 4) for index, clip in enumerate(clips)]
    return [*pieces, make_piece(6, cut(300, 16_000)[:10_000], rate=16_000, paragraph=1)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_no_step_at_a_seam_is_larger_than_the_largest_within_the_clips(
    settings: dict[str, object], speech: list[Piece], tmp_path
) -> None:
    samples = samples_of(join(speech, tmp_path, **settings))
    chunks = measured(tmp_path)["chunks"]
    around = [0, *(chunk["start_frame"] for chunk in chunks), *(chunk["end_frame"] for chunk in chunks)]
    padded = np.concatenate([[0], samples, [0]]).astype(np.int16)
    inside = []
    for chunk in chunks:
        deep = samples[chunk["start_frame"] + 800 : chunk["end_frame"] - 800]
        inside.append(largest_step(deep) if len(deep) > 1_000 else 0)
    for seam in around:
        near = [
            step
            for chunk, step in zip(chunks, inside, strict=True)
            if chunk["start_frame"] - 5 <= seam <= chunk["end_frame"] + 5
        ]
        step = largest_step(padded[max(0, seam - 3) : seam + 5])
        assert step <= max([*near, 120]), f"at {seam}"  # -50 dBFS is silence


@pytest.mark.parametrize("fit", ["slots", "starts"])
def test_the_same_holds_on_a_timeline(fit: str, make_piece: MakePiece, tmp_path) -> None:
    pieces = [
        make_piece(n, cut(300, 30_000), paragraph=n, role=Role(cues=(Slot(1.1 * n, 1.1 * n + 1),))) for n in range(6)
    ]
    samples = samples_of(join(pieces, tmp_path, TimelineSettings(fit=fit)))
    own = largest_step(cut(300, 30_000))
    starts = [chunk["start_frame"] for chunk in measured(tmp_path)["chunks"]]
    assert all(a < b for a, b in pairwise(starts))
    # Where two are heard at once, each has steps of its own.
    allowed = own * (2 if fit == "starts" else 1.2)
    assert largest_step(np.concatenate([[0], samples, [0]]).astype(np.int16)) <= allowed
