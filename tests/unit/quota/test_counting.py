"""The quota's promise against every way a provider can count, with travelling times that differ."""

import math
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.job import QuotaSettings
from cluster_tts.quota.counting import Others, Quota
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.logs import Log

WINDOW, GUARD = 10.0, 0.5


def drain(quota: Quota, costs: list[int], clock: float = 0.0) -> list[float]:
    """When each of ``costs`` leaves if all wait from the start and none holds a place."""
    left = []
    for cost in costs:
        while wait := quota.wait_s(cost, clock):
            clock += wait
        quota.take(cost, clock)
        quota.give_back()
        left.append(clock)
    return left


def sliding(arrivals: list[tuple[float, int]], weigh: Callable[[int], int]) -> int:
    """The most that any window of WINDOW seconds holds."""
    times = [time for time, _ in arrivals]
    return max(
        sum(weigh(cost) for _, cost in arrivals[i : bisect_left(times, times[i] + WINDOW)]) for i in range(len(times))
    )


def fixed(arrivals: list[tuple[float, int]], weigh: Callable[[int], int], phase: float) -> int:
    """The most that any window of a clock that started at ``phase`` holds."""
    counts: dict[int, int] = {}
    for time, cost in arrivals:
        key = math.floor((time - phase) / WINDOW)
        counts[key] = counts.get(key, 0) + weigh(cost)
    return max(counts.values())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, GUARD * 0.999)), min_size=1, max_size=60),
    st.floats(0, WINDOW),
)
def test_no_window_holds_more_requests_than_the_limit_however_it_is_counted(
    limit: int, requests: list[tuple[int, float]], phase: float
) -> None:
    quota = Quota(Limits(requests=limit, window_s=WINDOW, guard_s=GUARD))
    left = drain(quota, [cost for cost, _ in requests])
    arrivals = sorted((time + delay, cost) for time, (cost, delay) in zip(left, requests, strict=True))
    assert sliding(arrivals, lambda cost: 1) <= limit
    assert fixed(arrivals, lambda cost: 1, phase) <= limit


@settings(max_examples=60, deadline=None)
@given(
    st.integers(40, 200),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, GUARD * 0.999)), min_size=1, max_size=60),
    st.floats(0, WINDOW),
)
def test_no_window_holds_more_characters_than_the_limit_however_it_is_counted(
    limit: int, requests: list[tuple[int, float]], phase: float
) -> None:
    quota = Quota(Limits(characters=limit, window_s=WINDOW, guard_s=GUARD))
    left = drain(quota, [cost for cost, _ in requests])
    arrivals = sorted((time + delay, cost) for time, (cost, delay) in zip(left, requests, strict=True))
    assert sliding(arrivals, lambda cost: cost) <= limit
    assert fixed(arrivals, lambda cost: cost, phase) <= limit


@given(st.integers(1, 20), st.integers(1, 5))
def test_with_work_waiting_the_whole_quota_is_used_in_every_window(limit: int, windows: int) -> None:
    left = drain(Quota(Limits(requests=limit, window_s=WINDOW, guard_s=GUARD)), [1] * limit * windows)
    for window in range(windows):
        begin = window * (WINDOW + GUARD)
        assert left[window * limit : (window + 1) * limit] == pytest.approx([begin] * limit)


def test_a_request_dearer_than_the_limit_leaves_alone_in_a_window_of_its_own() -> None:
    assert drain(Quota(Limits(characters=100, window_s=WINDOW, guard_s=GUARD)), [50, 500, 50]) == [0.0, 10.5, 21.0]


def test_places_in_flight_come_back_only_by_being_given_back() -> None:
    quota = Quota(Limits(in_flight=2))
    quota.take(1, 0.0)
    quota.take(1, 0.0)
    assert quota.wait_s(1, 1e9) == math.inf
    quota.give_back()
    assert quota.wait_s(1, 0.0) == 0.0


def test_nothing_leaves_while_the_account_cools_and_a_shorter_pause_does_not_shorten_a_longer() -> None:
    quota = Quota(Limits(requests=5))
    quota.cool(7.0)
    quota.cool(3.0)
    assert quota.wait_s(1, 1.0) == 6.0
    assert quota.wait_s(1, 7.0) == 0.0


@pytest.mark.parametrize(
    ("given_settings", "expected"),
    [
        (QuotaSettings(), None),
        (QuotaSettings(requests_per_minute=60, window_s=20), Limits(requests=20, window_s=20)),
        (QuotaSettings(requests_per_minute=60, share=0.5), Limits(requests=30)),
        (QuotaSettings(requests_per_minute=10, window_s=1), Limits(requests=1, window_s=6)),
        (QuotaSettings(requests_per_minute=1, share=0.25), Limits(requests=1, window_s=240)),
        (
            QuotaSettings(requests_per_minute=60, characters_per_minute=20, window_s=1),
            Limits(requests=3, characters=1, window_s=3),
        ),
        (QuotaSettings(max_concurrent_requests=5, share=0.1), Limits(in_flight=1)),
        (QuotaSettings(characters_per_minute=1000, guard_ms=50), Limits(characters=1000, guard_s=0.05)),
    ],
)
def test_limits_are_those_of_one_window_and_of_the_share(
    given_settings: QuotaSettings, expected: Limits | None
) -> None:
    assert Limits.of(given_settings) == expected


@given(
    st.floats(1e-3, 1e6),
    st.none() | st.floats(1e-3, 1e9),
    st.floats(1e-3, 1e4),
    st.floats(1e-3, 1.0),
)
def test_no_rate_is_ever_above_the_share_that_was_asked_for_and_none_is_zero(
    requests: float, characters: float | None, window_s: float, share: float
) -> None:
    asked = QuotaSettings(
        requests_per_minute=requests, characters_per_minute=characters, window_s=window_s, share=share
    )
    limits = Limits.of(asked)
    assert limits is not None
    assert limits.window_s >= window_s
    for limit, rate in ((limits.requests, requests), (limits.characters, characters)):
        if rate is not None:
            assert limit is not None
            assert limit >= 1
            assert limit * 60 / limits.window_s <= rate * share * (1 + 1e-6)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (
            Limits(requests=10, in_flight=4, guard_s=0.1, burst=2),
            Limits(requests=20, characters=100, guard_s=0.2),
            Limits(requests=10, characters=100, in_flight=4, guard_s=0.2, burst=2),
        ),
        # Ten in any minute, and twenty in any half: what is allowed in ten seconds is not spread over sixty.
        (Limits(requests=10), Limits(requests=20, window_s=30), Limits(requests=10)),
        # Sixty in any minute keeps less than thirty in any half: as many leave in the worst one.
        (Limits(requests=60), Limits(requests=30, window_s=30), Limits(requests=30, window_s=30)),
        # One a second is narrower in the second; what may leave in a minute is then kept as well.
        (Limits(requests=60), Limits(requests=1, window_s=1), Limits(requests=1, window_s=1)),
        (Limits(in_flight=3, burst=4), Limits(in_flight=5, burst=2), Limits(in_flight=3, burst=2)),
        (Limits(), Limits(requests=5, window_s=10), Limits(requests=5, window_s=10)),
    ],
)
def test_the_least_of_two_limits_keeps_both(one: Limits, other: Limits, both: Limits) -> None:
    assert one.least(other) == other.least(one) == both


LIMITS = st.builds(
    Limits,
    requests=st.none() | st.integers(1, 60),
    in_flight=st.none() | st.integers(1, 9),
    window_s=st.sampled_from([1.0, 6.0, 10.0, 30.0, 60.0, 90.0]),
)


@given(LIMITS, LIMITS, st.lists(st.tuples(st.floats(0, 30), st.booleans()), min_size=1, max_size=60))
def test_whatever_keeps_the_least_of_two_limits_keeps_each_in_its_own_window(
    one: Limits, other: Limits, asks: list[tuple[float, bool]]
) -> None:
    both, quota, now, left = one.least(other), Quota(one.least(other)), 0.0, []
    for pause_s, burst in asks:
        now += 0.0 if burst else pause_s
        while wait := quota.wait_s(1, now):
            now += wait
        quota.take(1, now)
        quota.give_back()
        left.append(now)
    for limits in (one, other):
        assert limits.in_flight is None or both.in_flight is not None
        assert limits.in_flight is None or (both.in_flight or 0) <= limits.in_flight
        if limits.requests is not None:
            most = max(bisect_left(left, at + limits.window_s) - n for n, at in enumerate(left))
            assert most <= limits.requests


# Bursts


def bucket_arrivals(size: float, rate: float, arrivals: list[tuple[float, int]]) -> float:
    """How much the fullest moment lacked: 0 where a bucket of ``size`` refilled at ``rate`` takes all."""
    level, at, lacked = size, 0.0, 0.0
    for when, amount in sorted(arrivals):
        level, at = min(size, level + (when - at) * rate), when
        lacked, level = max(lacked, amount - level), level - amount
    return lacked


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 40), st.integers(1, 12),
    st.lists(st.floats(0, GUARD * 0.999), min_size=1, max_size=60),
    st.floats(0, 3 * WINDOW),
)  # fmt: skip
def test_a_declared_burst_is_never_too_much_for_the_bucket(
    limit: int, burst: int, delays: list[float], pause_s: float
) -> None:
    quota = Quota(Limits(requests=limit, window_s=WINDOW, guard_s=GUARD, burst=burst))
    left = drain(quota, [1] * len(delays))
    left += drain(quota, [1] * len(delays), left[-1] + pause_s)
    arrivals = [(time + delay, 1) for time, delay in zip(left, delays * 2, strict=True)]
    assert bucket_arrivals(burst, limit / WINDOW, arrivals) <= 1e-6


@settings(max_examples=60, deadline=None)
@given(
    st.integers(100, 400), st.integers(40, 100),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, GUARD * 0.999)), min_size=1, max_size=60),
)  # fmt: skip
def test_a_declared_burst_of_text_is_never_too_much_for_the_bucket(
    limit: int, burst: int, requests: list[tuple[int, float]]
) -> None:
    quota = Quota(Limits(characters=limit, window_s=WINDOW, guard_s=GUARD, burst_characters=burst))
    # What is more than the bucket may hold once the guard is kept leaves when it is full.
    costs = [min(cost, int(burst - GUARD * limit / WINDOW)) for cost, _ in requests]
    left = drain(quota, costs)
    arrivals = [(time + delay, cost) for time, cost, (_, delay) in zip(left, costs, requests, strict=True)]
    assert bucket_arrivals(burst, limit / WINDOW, arrivals) <= 1e-6


def test_a_burst_leaves_at_once_and_then_as_fast_as_it_is_refilled_less_what_travelling_takes() -> None:
    limits = Limits(requests=60, window_s=60, guard_s=0.1, burst=5)  # one a second; 0.1 of one stays in hand
    left = drain(Quota(limits), [1] * 8)
    assert left == pytest.approx([0, 0, 0, 0, 0.1, 1.1, 2.1, 3.1])


def test_a_bucket_of_one_is_asked_once_it_is_full_whatever_travelling_takes() -> None:
    limits = Limits(requests=60, window_s=60, guard_s=0.1, burst=1)
    assert drain(Quota(limits), [1] * 4) == pytest.approx([0, 1.1, 2.2, 3.3])


def test_a_burst_as_large_as_the_window_is_the_windows_affair() -> None:
    limits = Limits(requests=4, window_s=10, guard_s=0.5, burst=4)
    assert drain(Quota(limits), [1] * 8) == pytest.approx([0] * 4 + [10.5] * 4)


# What was not sent here


def test_what_an_earlier_limiter_sent_is_in_the_window_and_out_of_the_bucket() -> None:
    quota = Quota(Limits(requests=10, window_s=10, guard_s=0, burst=4))
    quota.recall([(-1.0, 2, 20), (-9.5, 1, 5)])
    assert quota.used(0.0) == (3, 25)
    assert drain(quota, [1] * 8) == pytest.approx([0, 0, 0, 1, 2, 3, 4, 5])


def test_what_is_recalled_later_is_in_order_with_what_has_left_since() -> None:
    quota = Quota(Limits(requests=3, window_s=10, guard_s=0))
    quota.take(1, 5.0)
    quota.give_back()
    quota.recall([(1.0, 2, 2)])
    assert quota.wait_s(1, 6.0) == pytest.approx(5.0)
    assert quota.used(11.5) == (1, 1)


def test_what_others_have_of_a_window_is_left_to_them() -> None:
    quota = Quota(Limits(requests=10, characters=100, in_flight=4, window_s=10, guard_s=0))
    quota.share(Others(Log([(0.0, 2, 0)]), requests=5, units=50, places=2, part=0.5))
    assert quota.places == 2
    assert quota.used(1.0) == (2, 0)
    left = []
    for _ in range(4):
        left.append(quota.wait_s(10, 1.0))
        if not left[-1]:
            quota.take(10, 1.0)
            quota.give_back()
    assert left == pytest.approx([0, 0, 0, 9]), "their five, and the two that are in the window"


def test_others_take_their_part_of_a_burst_and_of_what_refills_it() -> None:
    quota = Quota(Limits(requests=60, window_s=60, guard_s=0, burst=4))
    quota.share(Others(part=0.5))
    assert drain(quota, [1] * 5) == pytest.approx([0, 0, 2, 4, 6])
    quota.share(Others())
    assert drain(quota, [1] * 3, 100.0) == pytest.approx([100, 100, 100])


def test_where_all_is_somebody_elses_nothing_leaves_until_they_give_way() -> None:
    quota = Quota(Limits(requests=10, in_flight=2, window_s=10))
    quota.share(Others(places=2, part=1.0))
    assert quota.wait_s(1, 0.0) == math.inf
    quota.share(Others())
    assert quota.wait_s(1, 0.0) == 0.0


def test_other_limits_from_now_on_do_not_forget_what_was_sent() -> None:
    quota = Quota(Limits(requests=4, window_s=10, guard_s=0, burst=2))
    assert drain(quota, [1, 1]) == [0, 0]
    quota.set(Limits(requests=2, window_s=10, guard_s=0))
    assert quota.wait_s(1, 1.0) == pytest.approx(9.0)
    quota.set(Limits(requests=9, window_s=10, guard_s=0))
    assert quota.wait_s(1, 1.0) == 0.0


@pytest.mark.parametrize(
    ("asked", "burst", "characters"),
    [
        (QuotaSettings(requests_per_minute=60, burst=7), 7, None),
        (QuotaSettings(requests_per_minute=60, burst=7, share=0.5), 3, None),
        (QuotaSettings(requests_per_minute=60, burst=1, share=0.1), 1, None),
        (QuotaSettings(characters_per_minute=600, burst_characters=90, share=0.5), None, 45),
    ],
)
def test_a_burst_is_shared_as_the_rates_are(asked: QuotaSettings, burst: int | None, characters: int | None) -> None:
    limits = Limits.of(asked)
    assert limits is not None
    assert (limits.burst, limits.burst_characters) == (burst, characters)


def test_what_left_late_makes_the_guard_longer_for_a_window() -> None:
    quota = Quota(Limits(requests=1, window_s=10, guard_s=0.1))
    quota.note_late(0.04, 0.0)
    assert quota.span_s(0.0) == pytest.approx(10.1), "half of the guard is for that"
    quota.note_late(0.25, 0.0)
    quota.take(1, 0.0)
    assert quota.wait_s(1, 0.0) == pytest.approx(10.3)
    quota.note_late(0.15, 1.0)
    assert quota.span_s(1.0) == pytest.approx(10.3), "a smaller one does not shorten it"
    assert quota.span_s(10.4) == pytest.approx(10.1)


def test_a_request_lets_another_leave_first_only_as_far_as_its_window_has_room_for_both() -> None:
    quota = Quota(Limits(characters=100, window_s=10, guard_s=0))
    quota.take(70, 0.0)
    quota.take(20, 4.0)
    assert quota.wait_s(60, 5.0) == pytest.approx(5.0)
    assert quota.wait_behind_s(60, 10, 5.0) == pytest.approx(5.0), "70 leave the window together"
    assert quota.wait_behind_s(60, 30, 5.0) == pytest.approx(9.0), "20 more have to"


def test_a_burst_as_large_as_the_window_is_not_paced() -> None:
    quota = Quota(Limits(characters=100, window_s=10, guard_s=1, burst_characters=100))
    quota.take(95, 0.0)
    assert quota.wait_s(5, 0.0) == 0.0
