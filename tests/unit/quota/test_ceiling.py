"""Going a little farther than is known to be safe: one step at a time, and stopping at the first refusal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.quota.ceiling import FIRST_REFUSAL_S, LONGEST_PAUSE_S, MOST_REFUSAL_S, Ceiling, Growth, RoundTrip

TRIP_S = 0.25


def climb(ceiling: Ceiling, refused_from: float, tries: int, now: float = 0.0, trip_s: float = TRIP_S) -> list[float]:
    """How far each of ``tries`` went, one a round trip; those from ``refused_from`` on are refused a trip later."""
    went = []
    for _ in range(tries):
        level = math.floor(ceiling.allowed(1, now, trip_s))
        ceiling.took(level, now)
        went.append(level)
        if level >= refused_from:
            ceiling.refused(level, now + trip_s)
        now += trip_s
    return went


def test_up_to_what_is_proven_all_may_go_and_beyond_it_one_until_a_refusal_would_have_come_back() -> None:
    ceiling = Ceiling(3)
    assert ceiling.allowed(1, 0.0, TRIP_S) == 4
    ceiling.took(3, 0.0)
    assert ceiling.allowed(1, 0.0, TRIP_S) == 4, "what is proven proves nothing new"
    ceiling.took(4, 1.0)
    assert ceiling.allowed(1, 1.2, TRIP_S) == 4
    assert ceiling.wait_s(1.2, TRIP_S) == pytest.approx(0.05)
    assert ceiling.allowed(1, 1.25, TRIP_S) == 5


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_burst_is_found_with_a_single_refusal_and_never_exceeded_again(size: int, proven: int) -> None:
    ceiling = Ceiling(min(proven, size))
    went = climb(ceiling, size + 1, 60)
    assert sum(level > size for level in went) == 1
    assert went[-1] == ceiling.proven == size
    assert ceiling.is_final


def test_what_is_known_to_be_the_most_is_never_gone_beyond() -> None:
    ceiling = Ceiling(9, most=5)
    assert (ceiling.proven, ceiling.is_final) == (5, True)
    assert climb(Ceiling(3, most=5), math.inf, 5) == [4, 5, 5, 5, 5]


def test_after_a_refusal_more_is_tried_again_after_a_pause_that_doubles_with_each_try_in_vain() -> None:
    ceiling, now, pauses = Ceiling(4, pause_s=60.0), 0.0, []
    for _ in range(6):
        assert ceiling.allowed(1, now, TRIP_S) == 5
        ceiling.took(5, now)
        ceiling.refused(5, now + 0.1)
        assert ceiling.allowed(1, now + 0.1, TRIP_S) == 4
        pauses.append(ceiling.wait_s(now + 0.1, TRIP_S))
        now += 0.1 + pauses[-1]
    assert pauses[1:] == pytest.approx(
        [2 * pause if 2 * pause < LONGEST_PAUSE_S else LONGEST_PAUSE_S for pause in pauses[:-1]]
    )
    assert ceiling.refusals == 6


def test_without_a_pause_a_refusal_ends_it_for_ever() -> None:
    ceiling = Ceiling(4)
    ceiling.took(5, 0.0)
    ceiling.refused(5, 0.1)
    assert ceiling.allowed(1, 1e9, TRIP_S) == 4
    assert ceiling.wait_s(1e9, TRIP_S) == math.inf


def test_what_was_refused_is_not_proved_by_a_late_answer_to_something_else() -> None:
    ceiling = Ceiling(10, pause_s=60.0)
    ceiling.refused(8, 0.0)
    ceiling.proved(10)
    assert ceiling.proven == 7
    ceiling.told(9)
    assert ceiling.proven == 9, "but whoever knows may say so"


def test_nothing_is_lowered_below_one_nor_by_a_refusal_of_more_than_is_asked_anyway() -> None:
    ceiling = Ceiling(5, pause_s=60.0)
    ceiling.refused(9, 0.0)
    assert ceiling.proven == 5
    ceiling.refused(1, 0.0)
    assert ceiling.proven == 1


def test_strides_grow_as_long_as_they_go_well_and_are_small_again_after_a_refusal() -> None:
    ceiling, now, steps = Ceiling(100, pause_s=60.0, strides=True), 0.0, []
    for _ in range(5):
        before = ceiling.proven
        ceiling.took(ceiling.allowed(1, now, TRIP_S), now)
        now += TRIP_S
        ceiling.allowed(1, now, TRIP_S)
        steps.append(ceiling.proven - before)
    assert steps == sorted(steps)
    assert steps[0] == 1
    assert 4 <= steps[-1] <= 0.06 * ceiling.proven
    ceiling.took(ceiling.allowed(1, now, TRIP_S), now)
    ceiling.refused(ceiling.proven + 1, now)
    assert ceiling.allowed(1, now + 1000, TRIP_S) == ceiling.proven + 1


def test_a_round_trip_is_taken_for_longer_than_it_was_and_forgets_slowly() -> None:
    trip = RoundTrip()
    assert trip.seconds == FIRST_REFUSAL_S
    trip.measured(0.5)
    assert trip.seconds == 1.0
    trip.measured(0.1)
    assert trip.seconds == pytest.approx(0.6)
    trip.measured(60.0)
    assert trip.seconds == MOST_REFUSAL_S
    for _ in range(50):
        trip.measured(0.0)
    assert trip.seconds == pytest.approx(0.1)


def grow(growth: Growth, machines: float, seconds: float = 300.0) -> float:
    """The time at which it is settled, when no more than ``machines`` speak a unit a second each."""
    now = 0.0
    while not growth.is_settled and now < seconds:
        growth.reached(growth.level, now)
        now += 1 / min(growth.level, machines)
        growth.spoken(1, now)
    return now


@pytest.mark.parametrize(("machines", "settled"), [(1, 2), (2, 2), (4, 4), (5, 8), (16, 16), (1000, 64)])
def test_growth_stops_where_twice_as_many_in_flight_bring_no_tenth_more_speech(machines: int, settled: int) -> None:
    growth = Growth(64)
    grow(growth, machines)
    assert (growth.level, growth.is_settled) == (settled, True)


def test_growth_is_not_measured_before_so_many_are_in_flight() -> None:
    growth = Growth(32)
    for now in range(100):
        growth.reached(1, now)
        growth.spoken(1, now)
    assert (growth.level, growth.is_settled) == (2, False)


@given(st.integers(1, 50))
def test_growth_never_goes_beyond_the_most(most: int) -> None:
    growth = Growth(most)
    grow(growth, 1e9)
    assert (growth.level, growth.is_settled) == (most, True)
