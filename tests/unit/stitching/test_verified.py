"""Documents as an independent program finds them, which knows their JSON and their clips only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.verify_document import check
from cluster_tts.job import TimelineSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import Piece
from tests.unit.stitching.joined import RATE, MakePiece, join, measured, noise, tone

SETTINGS: list[dict[str, Any]] = [
    {},
    {"format": "flac", "gap_ms": 0, "paragraph_gap_ms": 0},
    {"crossfade_ms": 40},
    {"crossfade_ms": 40, "trim_silence": True, "each_item": True},
    {"trim_silence": True, "loudness_lufs": -19.0},
    {"each_item": True, "joined": False, "format": "flac"},
]


def spoken(seconds: float, seed: int) -> np.ndarray:
    """Something with silence at its edges, of another length each time, that begins and ends in mid-wave."""
    quiet = np.rint(np.random.default_rng(seed).normal(0, 10, 400 + 701 * seed)).astype(np.int16)
    wave = np.roll(tone(200 + 10 * seed, round(RATE * seconds)), 17)
    return np.concatenate([quiet, wave, quiet[: 300 * seed]])


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_sample_is_where_the_json_says(settings: dict[str, Any], make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [
        make_piece(n, spoken(0.5 + 0.1 * n, n), paragraph=n // 3, role=Role(heading=n == 3, item=f"i{n // 3}"))
        for n in range(8)
    ]
    join(pieces, tmp_path, **settings)
    assert check(tmp_path, "book").startswith("8 chunks")


@pytest.mark.parametrize("fit", ["slots", "starts"])
def test_the_same_with_times(fit: str, make_piece: MakePiece, tmp_path: Path) -> None:
    starts = [0.4, 2.0, 2.1, 3.9, 4.0, 9.0]  # two at once, one that waits, one alone
    pieces = [
        make_piece(n, spoken(1.2, n), paragraph=n, role=Role(cues=(Slot(start, start + 1.5),)))
        for n, start in enumerate(starts)
    ]
    join(pieces, tmp_path, TimelineSettings(fit=fit), each_item=True)
    assert check(tmp_path, "book").startswith("6 chunks, 6 cues, 6 items")


@pytest.mark.parametrize("key", ["start_frame", "gap_frames", "overlap_frames", "gain", "skip_frames"])
def test_it_notices_what_is_not_so(key: str, make_piece: MakePiece, tmp_path: Path) -> None:
    pieces: list[Piece] = [make_piece(n, noise(9_000, n)[:, 0]) for n in range(3)]
    join(pieces, tmp_path)
    content = measured(tmp_path)
    content["chunks"][1][key] = content["chunks"][1].get(key, 0) + (1 if key != "gain" else 0.5)
    (tmp_path / "documents/book.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r" (is|has) "):
        check(tmp_path, "book")
