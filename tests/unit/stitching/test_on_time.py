"""Documents with times: when each piece is heard, and what is told of it."""

from pathlib import Path

import numpy as np
import pytest

from cluster_tts.audio import KEPT_S
from cluster_tts.job import TimelineSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import Piece
from cluster_tts.stitching.fit import units_of
from tests.unit.stitching.joined import RATE, MakePiece, join, measured, samples_of, tone

A, B, C = Slot(1.0, 2.0), Slot(3.0, 4.0), Slot(4.0, 5.0)


def speech(seconds: float, level: int = 10_000) -> np.ndarray:
    """A sound between silences, whose peaks are its level."""
    quiet = np.zeros(RATE // 5, np.int16)
    return np.concatenate([quiet, np.rint(tone(250, round(RATE * seconds)) * (level / 12_000)).astype(np.int16), quiet])


def onsets(samples: np.ndarray) -> list[float]:
    """When something begins after at least 50 ms of silence."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 200)
    return [float(loud[0]) / RATE, *(loud[1:][np.diff(loud) > 0.05 * RATE] / RATE)]


def at(*cues: Slot) -> Role:
    return Role(cues=cues)


def test_speech_begins_within_10_ms_of_its_cue_whatever_silence_its_clip_has(
    make_piece: MakePiece, tmp_path: Path
) -> None:
    pieces = [make_piece(n, speech(0.5), paragraph=n, role=at(slot)) for n, slot in enumerate((A, B, C))]
    joined = join(pieces, tmp_path)
    assert onsets(samples_of(joined)) == pytest.approx([1, 3, 4], abs=0.01)
    assert joined.seconds == pytest.approx(4.53, abs=0.011)  # 30 ms of silence are left behind the last


def test_times_that_are_to_be_ignored_are(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(n, speech(0.5), paragraph=n, role=at(slot)) for n, slot in enumerate((A, B))]
    assert join(pieces, tmp_path, TimelineSettings(fit="none")).frames == sum(p.sound.frames for p in pieces) + 14_400
    assert "timeline" not in measured(tmp_path)


def test_speech_that_is_too_long_is_sped_up_and_ends_before_the_next_cue(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(n, speech(1.2), paragraph=n, role=at(slot)) for n, slot in enumerate((B, C))]
    join(pieces, tmp_path)
    first, second = measured(tmp_path)["chunks"]
    assert first["did"] == ["stretch"]
    assert first["stretch"] == pytest.approx(1.23 / 0.92, abs=0.02)
    assert (first["end_frame"] - first["start_frame"]) == pytest.approx(0.92 * RATE, abs=2)
    assert (second["start_frame"], second["stretch"]) == (4 * RATE, 1.0)


def test_everything_begins_on_time_where_that_is_asked_for_and_overlapping_speech_is_mixed(
    make_piece: MakePiece, tmp_path: Path
) -> None:
    pieces = [make_piece(n, speech(2.0, 20_000), paragraph=n, role=at(slot)) for n, slot in enumerate((B, C))]
    samples = samples_of(join(pieces, tmp_path, TimelineSettings(fit="starts")))
    first, second = measured(tmp_path)["chunks"]
    assert [each["start_frame"] for each in (first, second)] == [3 * RATE, 4 * RATE]
    assert second["overlap_frames"] == first["end_frame"] - 4 * RATE
    assert (samples.min(), samples.max()) == (-32_768, 32_767)  # clipped
    assert np.abs(np.diff(samples.astype(int))).max() < 4_000  # and not wrapped
    assert first["over_s"] == pytest.approx(1.03, abs=0.011)


def test_a_long_cue_in_several_pieces_is_one_after_the_other_over_its_slot(
    make_piece: MakePiece, tmp_path: Path
) -> None:
    pieces = [
        make_piece(0, speech(0.5), paragraph=0, role=at(Slot(1, 3))),
        make_piece(1, speech(0.5), paragraph=0, role=at(Slot(1, 3))),
        make_piece(2, speech(0.5), paragraph=1, role=at(Slot(4, 5))),
    ]
    join(pieces, tmp_path, gap_ms=100)
    content = measured(tmp_path)
    first, second, third = content["chunks"]
    assert (first["start_frame"], third["start_frame"]) == (RATE, 4 * RATE)
    assert second["start_frame"] == first["end_frame"] + 2_400
    assert [(cue["chunk"], cue["start_frame"]) for cue in content["cues"]] == [(0, RATE), (2, 4 * RATE)]


def test_a_unit_that_is_sped_up_is_so_with_its_gaps(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(n, speech(0.6), role=at(Slot(1, 2))) for n in range(2)]
    pieces.append(make_piece(2, speech(0.1), paragraph=1, role=at(Slot(2.1, 3))))
    join(pieces, tmp_path, gap_ms=100)
    first, second, _ = measured(tmp_path)["chunks"]
    assert first["stretch"] == second["stretch"] > 1.3
    assert second["end_frame"] == pytest.approx(2.02 * RATE, abs=3)
    assert second["start_frame"] - first["end_frame"] == round(2_400 / first["stretch"])


def test_two_who_speak_at_the_same_time_are_two_units() -> None:
    def piece(paragraph: int, *cues: Slot, speed: float = 1.0) -> Piece:
        return Piece(0, paragraph, "", "", None, at(*cues), speed)  # type: ignore[arg-type]

    assert [(u.first, u.last) for u in units_of([piece(0, A), piece(1, A), piece(1, A)])] == [(0, 0), (1, 2)]
    assert [u.speed for u in units_of([piece(0, A), piece(0, A, speed=1.2)])] == [1.2]
    first, second = units_of([piece(0), piece(1), piece(2, A, B), piece(3)])  # those without a time
    assert (first.first, first.last, first.slot, first.cues) == (0, 1, Slot(0, 0), ())
    assert (second.first, second.last, second.slot) == (2, 3, Slot(1, 4))


def test_every_cue_of_a_sentence_is_told_of_and_shares_what_was_done(make_piece: MakePiece, tmp_path: Path) -> None:
    join([make_piece(0, speech(0.5), role=at(A, B)), make_piece(1, speech(2), paragraph=1, role=at(C))], tmp_path)
    content = measured(tmp_path)
    assert content["cues"] == [
        {"start_s": 1.0, "end_s": 2.0, "chunk": 0, "start_frame": RATE, "did": []},
        {"start_s": 3.0, "end_s": 4.0, "chunk": 0, "start_frame": None, "did": []},
        {"start_s": 4.0, "end_s": 5.0, "chunk": 1, "start_frame": 4 * RATE, "did": ["space"]},
    ]
    assert content["timeline"]["cues"] == 3
    assert content["timeline"]["needed"]["space"] == {"cues": 1, "share": 0.3333}
    assert content["timeline"]["needed"]["nothing"] == {"cues": 2, "share": 0.6667}
    assert content["chunks"][0]["slot"] == {"start_s": 1.0, "end_s": 4.0}


def test_a_speed_that_was_asked_for_is_told(make_piece: MakePiece, tmp_path: Path) -> None:
    join([make_piece(0, speech(0.5), role=at(A), speed=1.15)], tmp_path)
    content = measured(tmp_path)
    assert (content["chunks"][0]["speed"], content["chunks"][0]["did"]) == (1.15, ["speed"])


def test_cues_that_are_out_of_order_in_the_file_are_heard_when_it_says(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(n, speech(0.5), paragraph=n, text=f"Text {n}.", role=at(s)) for n, s in enumerate((C, A, B))]
    samples = samples_of(join(pieces, tmp_path, each_item=True))
    assert onsets(samples) == pytest.approx([1, 3, 4], abs=0.01)
    content = measured(tmp_path)
    assert [chunk["index"] for chunk in content["chunks"]] == [0, 1, 2]
    assert [chunk["start_frame"] for chunk in content["chunks"]] == [4 * RATE, RATE, 3 * RATE]
    srt = (tmp_path / "documents/book.srt").read_text()
    assert [line for line in srt.splitlines() if line.startswith("Text")] == ["Text 1.", "Text 2.", "Text 0."]


def test_nothing_but_silence_is_no_error(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(0, np.zeros(9_000, np.int16), role=at(A)), make_piece(1, speech(0.5), paragraph=1, role=at(B))]
    join(pieces, tmp_path)
    first, second = measured(tmp_path)["chunks"]
    assert (first["start_frame"], first["end_frame"]) == (RATE, RATE + round(RATE * KEPT_S))
    assert second["start_frame"] == 3 * RATE
