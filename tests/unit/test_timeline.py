"""Speech fitted to the times of a file: each means by example, and what holds for any file."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.job import TimelineSettings
from cluster_tts.model import Slot
from cluster_tts.timeline import Bounds, Fitted, fit, rooms, speed_for

BOUNDS = Bounds(pause_s=0.1, max_stretch=1.25, max_shift_s=0.4)
CLOSE = 1e-5


def slots(*times: tuple[float, float]) -> list[Slot]:
    return [Slot(start, end) for start, end in times]


def fitted(cues: list[Slot], *spoken: float, bounds: Bounds = BOUNDS) -> list[Fitted]:
    return fit(cues, spoken, [1.0] * len(cues), bounds)


def heard(cues: list[Fitted], spoken: list[float]) -> list[tuple[float, float]]:
    """From when to when each speech is heard."""
    return [(cue.start_s, cue.start_s + length / cue.stretch) for cue, length in zip(cues, spoken, strict=True)]


def test_settings_become_seconds() -> None:
    usual = TimelineSettings(pause_ms=80, max_stretch=1.35, max_shift_ms=400)
    assert Bounds.of(usual) == Bounds(0.08, 1.35, 0.4)


def test_where_only_starts_count_every_cue_is_on_time_as_it_was_spoken() -> None:
    bounds = Bounds.of(TimelineSettings(fit="starts"))
    first, second = fitted(slots((0, 1), (1, 2)), 1.5, 1.0, bounds=bounds)
    assert (first.stretch, second.start_s) == (1.0, 1.0)
    assert first.did == ("over",)
    assert first.over_s == pytest.approx(0.5)


def test_room_ends_a_pause_before_the_next_start_and_is_endless_behind_the_last() -> None:
    assert rooms(slots((1, 2), (4, 5), (5, 6)), 0.1) == pytest.approx([2.9, 0.9, math.inf])


def test_next_start_within_the_pause_leaves_no_room() -> None:
    assert rooms(slots((1, 1.05), (1.05, 2), (3, 4)), 0.1)[:2] == pytest.approx([0.0, 1.85])


def test_slot_of_no_length_has_the_space_up_to_the_next_start() -> None:
    cues = slots((1, 1), (3, 3), (3, 3), (4, 3.5), (5, 6))
    assert rooms(cues, 0.1) == pytest.approx([1.9, 0.9, 0.9, 0.9, math.inf])
    assert [cue.did for cue in fitted(cues, 1.0, 0.5, 0.5, 0.5, 0.5)] == [("space",)] * 4 + [()]


def test_slight_overlap_is_a_sloppy_end() -> None:
    cues = slots((0, 2), (1.8, 4))
    assert rooms(cues, 0.1)[0] == pytest.approx(1.7)
    first, second = fitted(cues, 2.0, 1.0)
    assert first.did == ("stretch",)
    assert second == Fitted(1.8, 1.0, (), 0.0, 0.0)


@pytest.mark.parametrize("second", [(0.0, 2.0), (0.9, 2.5), (0.5, 1.0)])
def test_speakers_of_the_same_time_both_begin_on_time_and_are_heard_together(second: tuple[float, float]) -> None:
    cues = slots((0, 2), second, (3, 4))
    assert rooms(cues, 0.1)[:2] == pytest.approx([2.9, 2.9 - second[0]])
    assert [(cue.start_s, cue.did, cue.over_s) for cue in fitted(cues, 2.0, 0.5, 1.0)] == [
        (0.0, (), 0.0),
        (second[0], (), 0.0),
        (3.0, (), 0.0),
    ]


def test_who_follows_two_speakers_ends_the_room_of_both_also_with_a_sloppy_end() -> None:
    assert rooms(slots((0, 2), (0, 2), (1.999, 4), (4, 5)), 0.1)[:2] == pytest.approx([1.899, 1.899])


def test_what_two_people_say_while_a_third_speaks_does_not_end_the_room_of_the_third() -> None:
    assert rooms(slots((0, 10), (1, 3), (4, 6), (7, 9), (12, 13)), 0.1) == pytest.approx(
        [11.9, 2.9, 2.9, 4.9, math.inf]
    )


def test_all_cues_in_one_millisecond_are_heard_together() -> None:
    assert fitted(slots(*[(0.0, 0.0)] * 5), *[1.0] * 5) == [Fitted(0.0, 1.0, ("space",), 0.0, 0.0)] * 5


def test_speech_that_fits_is_left_as_it_is() -> None:
    assert fitted(slots((1, 2), (2.1, 3)), 1.0, 0.2) == [Fitted(1, 1.0, (), 0, 0), Fitted(2.1, 1.0, (), 0, 0)]


def test_free_space_comes_first() -> None:
    assert fitted(slots((0, 1), (3, 4)), 2.9, 1.0)[0] == Fitted(0.0, 1.0, ("space",), 0.0, 0.0)


def test_stretch_is_only_as_much_as_is_needed() -> None:
    cue, last = fitted(slots((0, 1), (1.1, 2)), 1.2, 0.9)
    assert cue.did == ("stretch",)
    assert cue.stretch == pytest.approx(1.2)
    assert last.did == ()


def test_space_and_stretch_are_both_told() -> None:
    assert fitted(slots((0, 1), (2.1, 3)), 2.2, 0.9)[0].did == ("space", "stretch")


def test_speed_that_was_asked_for_is_told_before_stretch() -> None:
    cues = slots((0, 1), (1.1, 2))
    assert [cue.did for cue in fit(cues, [1.2, 0.5], [1.15, 1.05], BOUNDS)] == [("speed", "stretch"), ("speed",)]


def test_what_stretch_does_not_do_shifts_the_next_which_makes_up_for_it() -> None:
    first, second, third = fitted(slots((0, 1), (1, 2), (2, 3)), 1.5, 0.8, 0.5)
    assert first.did == ("stretch",)
    assert first.stretch == 1.25
    assert second.did == ("stretch", "shift")
    assert second.shift_s == pytest.approx(0.2)
    assert second.start_s + 0.8 / second.stretch == pytest.approx(1.9)
    assert third == Fitted(2.0, 1.0, (), 0.0, 0.0)


def test_pause_is_given_up_before_the_next_is_shifted() -> None:
    first, second = fitted(slots((0, 1), (1, 2)), 1.2, 0.5)
    assert first.did == ("stretch",)
    assert 0.9 < 1.2 / first.stretch < 1.0
    assert second.did == ()


def test_what_is_still_too_long_is_heard_together_with_the_next() -> None:
    first, second, third = fitted(slots((0, 1), (1, 2), (3, 4)), 2.5, 0.5, 0.5)
    assert first.did == ("stretch", "over")
    assert first.over_s == pytest.approx(0.6)
    assert second.did == ("shift",)
    assert second.start_s == pytest.approx(1.4)
    assert third == Fitted(3.0, 1.0, (), 0.0, 0.0)


def test_only_the_next_waits_for_speech_that_never_ends() -> None:
    cues = slots(*[(second, second + 1.0) for second in range(20)])
    placed = fitted(cues, 60.0, *[0.5] * 19)
    assert placed[1].shift_s == pytest.approx(0.4)
    assert {cue.shift_s for cue in placed[2:]} == {0.0}


def test_both_speakers_wait_for_the_one_before_them() -> None:
    for second in (1.0, 1.2):
        _, *both = fitted(slots((0, 1), (1, 3), (second, 3)), 1.75, 1.0, 1.0)
        assert [cue.start_s for cue in both] == pytest.approx([1.4, 1.4])


@pytest.mark.parametrize(
    ("expected_s", "room_s", "speed"),
    [
        (1.0, 1.0, 1.0),
        (1.0, math.inf, 1.0),
        (0.0, 0.0, 1.0),
        (1.0, 0.999, 1.05),
        (1.05, 1.0, 1.05),
        (1.1, 1.0, 1.1),
        (1.101, 1.0, 1.15),
        (1.12, 1.0, 1.15),
        (9.0, 1.0, 1.2),
        (9.0, 0.0, 1.2),
    ],
)
def test_speed_goes_in_steps_rounded_up(expected_s: float, room_s: float, speed: float) -> None:
    assert speed_for(expected_s, room_s, 1.2) == speed


def test_speed_never_exceeds_the_most_that_may_be_asked() -> None:
    assert speed_for(1.17, 1.0, 1.17) == 1.17
    assert speed_for(2.0, 1.0, 1.0) == 1.0


def test_fast_speech_without_a_break_is_never_late_beyond_the_bound() -> None:
    cues = slots(*[(number / 2, number / 2 + 0.5) for number in range(2_000)])
    placed = fitted(cues, *[0.9] * 2_000)
    assert max(cue.shift_s for cue in placed) == pytest.approx(0.4)
    assert all("over" in cue.did for cue in placed[10:-1])
    assert max(cue.over_s for cue in placed) < 0.3


def test_hundred_thousand_cues_within_one_another_are_fitted() -> None:
    """Linear or nearly so: quadratic, they would outlast the time limit of the test by far."""
    many = 50_000
    onion = [Slot(number, 2 * many - number / 2) for number in range(many)]
    tiny = [Slot(1.5 * many + number / many, 1.5 * many + number / many) for number in range(many)]
    assert len(fitted(onion + tiny, *[1.0] * (2 * many))) == 2 * many


times = st.floats(0, 20).map(lambda second: round(second, 3))
lengths = st.one_of(st.just(0.0), st.floats(0, 4).map(lambda second: round(second, 3)))
any_bounds = st.builds(Bounds, st.sampled_from([0.0, 0.08, 0.5]), st.floats(1, 2), st.sampled_from([0.0, 0.4, 2.0]))


@st.composite
def worlds(draw: st.DrawFn, overlaps: bool = True) -> tuple[list[Slot], list[float]]:
    """A file's cues, sorted, and how long the speech of each is; without overlaps also without equal starts."""
    drawn = sorted(draw(st.lists(st.tuples(times, lengths), max_size=20)))
    cues = [Slot(start, start + length) for start, length in drawn]
    if not overlaps:
        cues, sloppy = [], cues
        for cue in sloppy:
            start = max(cue.start_s, cues[-1].end_s) if cues else cue.start_s
            start += 0.001 if cues and cues[-1].start_s >= start else 0.0
            cues.append(Slot(start, start + cue.end_s - cue.start_s))
    return cues, draw(st.lists(st.floats(0, 6), min_size=len(cues), max_size=len(cues)))


@settings(deadline=None)
@given(worlds(), any_bounds)
def test_nothing_begins_early_nor_later_or_faster_than_allowed(
    world: tuple[list[Slot], list[float]], bounds: Bounds
) -> None:
    cues, spoken = world
    placed = fitted(cues, *spoken, bounds=bounds)
    for cue, slot in zip(placed, cues, strict=True):
        assert slot.start_s <= cue.start_s == slot.start_s + cue.shift_s
        assert 0.0 <= cue.shift_s <= bounds.max_shift_s
        assert 1.0 <= cue.stretch <= bounds.max_stretch
        assert cue.over_s >= 0.0
        assert ("stretch" in cue.did, "shift" in cue.did, "over" in cue.did) == (
            cue.stretch > 1,
            cue.shift_s > 0,
            cue.over_s > 0,
        )
    assert all(later.start_s >= earlier.start_s for earlier, later in pairwise(placed)), "order is kept"


@settings(deadline=None)
@given(worlds(), any_bounds)
def test_speech_with_room_is_neither_stretched_nor_over(world: tuple[list[Slot], list[float]], bounds: Bounds) -> None:
    cues, spoken = world
    placed = fitted(cues, *spoken, bounds=bounds)
    for cue, length, room_s in zip(placed, spoken, rooms(cues, bounds.pause_s), strict=True):
        if length <= room_s:
            assert cue.over_s == 0.0
        if length <= room_s - cue.shift_s:
            assert cue.stretch == 1.0
        elif cue.stretch < bounds.max_stretch:
            assert cue.shift_s + length / cue.stretch == pytest.approx(room_s), "not more than is needed"


@settings(deadline=None)
@given(worlds(overlaps=False), any_bounds)
def test_where_the_file_has_no_overlap_only_what_is_told_is_heard_together(
    world: tuple[list[Slot], list[float]], bounds: Bounds
) -> None:
    cues, spoken = world
    placed = fitted(cues, *spoken, bounds=bounds)
    for (cue, (_, end)), (_, (start, _)) in pairwise(zip(placed, heard(placed, spoken), strict=True)):
        assert end - start <= cue.over_s + CLOSE


@settings(deadline=None)
@given(worlds(overlaps=False), any_bounds)
def test_drift_does_not_accumulate(world: tuple[list[Slot], list[float]], bounds: Bounds) -> None:
    cues, spoken = world
    placed = fitted(cues, *spoken, bounds=bounds)
    assert not placed or placed[0].shift_s == 0.0
    for (_, end), earlier, cue, slot in zip(heard(placed, spoken), placed, placed[1:], cues[1:], strict=False):
        if max(end, earlier.start_s) <= slot.start_s:
            assert cue.start_s == slot.start_s
        else:
            assert cue.shift_s <= max(end, earlier.start_s) - slot.start_s + CLOSE, "no later than it has to be"


@settings(deadline=None)
@given(worlds())
def test_without_any_means_everything_begins_on_time(world: tuple[list[Slot], list[float]]) -> None:
    cues, spoken = world
    placed = fitted(cues, *spoken, bounds=Bounds(0.0, 1.0, 0.0))
    assert [(cue.start_s, cue.stretch) for cue in placed] == [(slot.start_s, 1.0) for slot in cues]
