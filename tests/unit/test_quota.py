"""The quota's promise against every way a provider can count, with travelling times that differ."""

import math
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.job import QuotaSettings
from cluster_tts.quota import Limits, Quota

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


def test_the_least_of_two_limits_keeps_both() -> None:
    one = Limits(requests=10, in_flight=4, window_s=60, guard_s=0.1, burst=2)
    other = Limits(requests=20, characters=100, window_s=30, guard_s=0.2)
    both = Limits(requests=10, characters=100, in_flight=4, window_s=60, guard_s=0.2, burst=2)
    assert one.least(other) == other.least(one) == both
