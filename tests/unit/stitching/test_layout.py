"""Where pieces lie: arithmetic, over generated documents."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.stitching.layout import CLIP, PLACE, Kept, Layout, in_a_row, trimmed, with_neighbours


@st.composite
def documents(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Clips, the gaps after them, and which are near the next."""
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        head, speech, tail = (draw(st.integers(0, 50)) for _ in range(3))
        rows.append((head + speech + (tail if speech else 0), head, tail if speech else 0, 1.0))
    gaps = [draw(st.integers(0, 40)) for _ in rows]
    near = [draw(st.booleans()) for _ in rows]
    gaps[-1], near[-1] = 0, False
    return np.array(rows, CLIP), np.array(gaps, np.int64), np.array(near)


KEPT = st.one_of(st.none(), st.integers(0, 60))


@given(documents(), KEPT, KEPT)
def test_trimming_takes_silence_only_and_leaves_what_is_kept(
    document: Any, before: int | None, after: int | None
) -> None:
    clips = document[0]
    left, skipped = trimmed(clips, Kept(before, after))
    for clip, now, skip in zip(clips, left, skipped, strict=True):
        if clip["head"] == clip["frames"]:
            most = clip["frames"] if before is None else max(before, after or 0)
            assert (now["frames"], skip) == (min(clip["frames"], most), 0)
            continue
        assert now["head"] == (clip["head"] if before is None else min(before, clip["head"]))
        assert now["tail"] == (clip["tail"] if after is None else min(after, clip["tail"]))
        assert now["frames"] - now["head"] - now["tail"] == clip["frames"] - clip["head"] - clip["tail"]
        assert skip == clip["head"] - now["head"]


@given(documents(), st.integers(0, 60))
def test_pieces_follow_each_other_a_gap_apart_or_overlap_in_silence(document: Any, crossfade: int) -> None:
    clips, gaps, near = document
    places = in_a_row(clips, gaps, near, crossfade)
    assert places["start"][0] == places["overlap"][0] == 0
    assert (places["end"] - places["start"] == clips["frames"]).all()
    for index in range(len(clips) - 1):
        overlap = places["overlap"][index + 1]
        assert places["start"][index + 1] == places["end"][index] + places["gap"][index] - overlap
        if crossfade and near[index]:
            assert places["gap"][index] == 0
            assert overlap == min(clips["tail"][index], clips["head"][index + 1], crossfade)
        else:
            assert (places["gap"][index], overlap) == (gaps[index], 0)
    assert (np.diff(places["start"]) >= 0).all()


@given(documents(), st.integers(1, 60))
def test_speech_never_overlaps(document: Any, crossfade: int) -> None:
    clips, gaps, near = document
    places = in_a_row(clips, gaps, near, crossfade)
    begins, ends = places["start"] + clips["head"], places["end"] - clips["tail"]
    assert (begins[1:] >= ends[:-1]).all()


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int]]:
    return draw(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), min_size=1, max_size=10))


@given(spans())
def test_silence_and_overlap_of_neighbours_are_those_of_the_frames_themselves(found: list[tuple[int, int]]) -> None:
    places = np.zeros(len(found), PLACE)
    ordered = sorted(found, key=lambda span: span[0])
    places["start"], places["end"] = [s for s, _ in ordered], [s + n for s, n in ordered]
    frames = int(places["end"].max()) + 5
    known = with_neighbours(places, frames)
    spoken: set[int] = set()
    for index, place in enumerate(known):
        own = set(range(place["start"], place["end"]))
        assert place["overlap"] == len([f for f in own if spoken and f < max(spoken) + 1])
        spoken |= own
        following = known["start"][index + 1] if index + 1 < len(known) else frames
        heard_until = max([0, *(int(end) for end in known["end"][: index + 1])])
        assert place["gap"] == max(0, following - heard_until)


@given(spans())
def test_nothing_that_is_written_later_begins_before_what_was_promised(found: list[tuple[int, int]]) -> None:
    places = np.zeros(len(found), PLACE)
    places["start"], places["end"] = [s for s, _ in found], [s + n for s, n in found]
    layout = Layout(10, places, 200, times=True)
    turns = layout.sequence.tolist()
    assert sorted(turns) == list(range(len(found)))
    for turn, number in enumerate(turns):
        assert places["start"][number] <= layout.until(number)
        assert all(places["start"][later] >= layout.until(number) for later in turns[turn + 1 :])


def test_a_run_of_pieces_spans_from_its_earliest_to_its_latest_frame() -> None:
    places = np.zeros(4, PLACE)
    places["start"], places["end"] = [0, 20, 10, 50], [9, 45, 15, 60]
    assert Layout(10, places, 60).spans([0, 1, 3]) == [(0, 9), (10, 45), (50, 60)]


@pytest.mark.parametrize(("gap", "touches"), [(0, True), (1, False)])
def test_pieces_touch_where_nothing_is_between_them(gap: int, touches: bool) -> None:
    clips = np.array([(10, 0, 0, 1.0)] * 2, CLIP)
    layout = Layout(10, in_a_row(clips, np.array([gap, 0]), np.array([True, False])), 20 + gap)
    assert [edge.touches for number in (0, 1) for edge in layout.edges(number)] == [False, touches, touches, False]
