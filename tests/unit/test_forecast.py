"""Forecasts: what the quota itself would make of the work, worked out in a moment."""

import heapq
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts import forecast
from cluster_tts.forecast import Account, Work, course, seconds
from cluster_tts.quota.counting import Quota
from cluster_tts.quota.limits import Limits


def limits(requests: int | None = None, characters: int | None = None, in_flight: int | None = None) -> Limits:
    return Limits(requests=requests, characters=characters, in_flight=in_flight, window_s=60.0, guard_s=0.0)


def even(requests: int, each: int = 50) -> Work:
    return Work([each] * requests, latency_s=2.0)


@pytest.mark.parametrize(
    ("work", "given_limits", "places", "expected"),
    [
        (even(0), limits(1, 1, 1), 1, 0.0),
        (even(10), None, 100, 2.0),
        (even(10), None, 5, 4.0),
        (even(11), None, 5, 6.0),
        (even(10), limits(in_flight=3), 100, 8.0),
        (even(10), limits(in_flight=100), 5, 4.0),
        (even(100), limits(requests=100), 200, 2.0),
        (even(101), limits(requests=100), 200, 62.0),
        (even(300), limits(requests=100), 200, 122.0),
        (even(10, 100), limits(characters=1_000), 100, 2.0),
        (even(11, 100), limits(characters=1_000), 100, 62.0),
        (even(10, 60), limits(characters=100), 100, 9 * 60 + 2.0),
        (Work([100] * 11, 0.5, 2.0), limits(characters=500), 100, 62.0),
        (Work([100, 300], 1.0, 2.0, 0.01), None, 1, 3.0 + 5.0),
        (even(3, 150), limits(characters=100), 100, 122.0),
        (even(7), Limits(requests=6, burst=1, window_s=60.0, guard_s=0.0), 100, 62.0),
        (even(6), Limits(requests=6, burst=1, window_s=60.0, guard_s=0.0), 100, 52.0),
        (even(6), Limits(requests=6, window_s=60.0, guard_s=0.5), 100, 2.0),
        (even(7), Limits(requests=6, window_s=60.0, guard_s=0.5), 100, 62.5),
    ],
)
def test_the_slowest_limit_decides(work: Work, given_limits: Limits | None, places: int, expected: float) -> None:
    assert seconds(work, Account(given_limits, places)) == pytest.approx(expected)


def played(work: Work, of_account: Limits, places: int) -> float:
    """How long the work takes by the quota itself."""
    quota, now, ends = Quota(of_account), 0.0, list[float]()
    latest = 0.0
    for size in work.sizes:
        while True:
            while ends and ends[0] <= now:
                heapq.heappop(ends)
                quota.give_back()
            wait = quota.wait_s(work.units(size), now) if len(ends) < places else math.inf
            if wait < 1e-9:
                break
            now = ends[0] if wait == math.inf else now + wait
        quota.take(work.units(size), now)
        heapq.heappush(ends, now + work.latency(size))
        latest = max(latest, now + work.latency(size))
    return latest


maybe = st.none() | st.integers(1, 40)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=120),
    st.builds(
        Limits,
        requests=maybe,
        characters=st.none() | st.integers(30, 1_000),
        in_flight=maybe,
        window_s=st.sampled_from([10.0, 60.0]),
        guard_s=st.sampled_from([0.0, 0.1, 1.0]),
        burst=st.none() | st.integers(1, 20),
        burst_characters=st.none() | st.integers(30, 400),
    ),
    st.integers(1, 50),
    st.floats(0.1, 30.0),
    st.sampled_from([0.0, 0.05]),
)
def test_a_forecast_is_what_the_quota_itself_makes_of_the_work(
    sizes: list[int], account: Limits, places: int, latency_s: float, per_character_s: float
) -> None:
    work = Work(sizes, 1.5, latency_s, per_character_s)
    assert seconds(work, Account(account, places)) == pytest.approx(played(work, account, places), abs=1e-4)


def test_the_course_tells_when_each_hundredth_is_answered() -> None:
    assert course(even(0), Account(None, 1)) == [0.0] * 101
    moments = course(even(200), Account(limits(requests=100), 500))
    assert moments == [0.0] + [2.0] * 50 + [62.0] * 50
    assert course(even(2), Account(None, 1)) == [0.0] * 50 + [2.0] * 50 + [4.0]


# -- what has to be found out first -----------------------------------------------------------------------------------


def test_an_unknown_burst_is_found_out_one_request_at_a_time_so_that_the_first_window_takes_longer() -> None:
    account = limits(requests=240)
    known, learnt = (seconds(even(200), Account(account, 500, learns)) for learns in (False, True))
    assert known == 2.0
    assert 20.0 < learnt < 40.0, "8 a second: 4 by the rate, 4 more to find out"
    declared = Limits(requests=240, burst=240, guard_s=0.0)
    assert seconds(even(200), Account(declared, 500, True)) == 2.0, "what is declared need not be found out"


def test_the_rate_is_used_in_full_all_the_same() -> None:
    account, work = limits(requests=240), even(240 * 10)
    known, learnt = (seconds(work, Account(account, 500, learns)) for learns in (False, True))
    assert known <= learnt <= known + 40.0


def test_where_no_limit_is_known_what_is_in_flight_doubles_up_to_what_is_tried() -> None:
    """3 rounds at 2, 4 and 8 are 42 requests, then 16 at once."""
    assert seconds(even(42 + 160), Account(None, 500, True, max_unknown=16)) == pytest.approx((3 * 3 + 10) * 2.0)
    assert seconds(even(160), Account(None, 500, True, max_unknown=1)) == pytest.approx(160 * 2.0)
    assert seconds(even(160), Account(None, 4, True, max_unknown=16)) < seconds(even(160), Account(None, 2))


# -- large works ------------------------------------------------------------------------------------------------------

UNEVEN: Sequence[int] = [60 + (7_919 * number) % 741 for number in range(30_000)]


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize(
    "account",
    [
        None,
        Limits(in_flight=15),
        Limits(requests=600, burst=10),
        Limits(requests=60),
        Limits(characters=100_000),
        Limits(requests=500, characters=50_000),
        Limits(requests=2_000, characters=600_000),
    ],
)
def test_of_a_large_work_a_part_is_simulated_and_tells_the_rest_to_the_hundredth(
    account: Limits | None, learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, of = Work(UNEVEN, 1.1, 1.0, 0.015), Account(account, 300, learns)
    entirely = {}
    for most in (5_000, 10**9):
        monkeypatch.setattr(forecast, "MOST", most)
        entirely[most] = seconds(work, of)
    assert entirely[5_000] == pytest.approx(entirely[10**9], rel=0.01)


def test_of_large_windows_some_whole_ones_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "MOST", 10)
    assert seconds(even(3_000), Account(limits(requests=300), 1_000)) == pytest.approx(9 * 60 + 2.0)
    assert seconds(even(3_050, 100), Account(limits(characters=10_000), 1_000)) == pytest.approx(30 * 60 + 2.0)
