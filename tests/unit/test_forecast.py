"""Forecasts: never longer than the work takes where every answer comes as forecast, and not much shorter either."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.forecast import Work, seconds
from cluster_tts.quota import Limits, Quota


def limits(requests: int | None = None, characters: int | None = None, in_flight: int | None = None) -> Limits:
    return Limits(requests=requests, characters=characters, in_flight=in_flight, window_s=60.0, guard_s=0.0)


@pytest.mark.parametrize(
    ("work", "given_limits", "places", "expected"),
    [
        (Work(0, 0, 2.0), limits(1, 1, 1), 1, 0.0),
        (Work(10, 500, 2.0), None, 100, 2.0),
        (Work(10, 500, 2.0), None, 5, 4.0),
        (Work(11, 500, 2.0), None, 5, 6.0),
        (Work(10, 500, 2.0), limits(in_flight=3), 100, 8.0),
        (Work(10, 500, 2.0), limits(in_flight=100), 5, 4.0),
        (Work(100, 500, 2.0), limits(requests=100), 200, 2.0),
        (Work(101, 500, 2.0), limits(requests=100), 200, 62.0),
        (Work(300, 500, 2.0), limits(requests=100), 200, 122.0),
        (Work(10, 1_000, 2.0), limits(characters=1_000), 100, 2.0),
        (Work(10, 1_001, 2.0), limits(characters=1_000), 100, 62.0),
        (Work(7, 100, 2.0), Limits(requests=6, burst=1, window_s=60.0, guard_s=0.0), 100, 62.0),
        (Work(6, 100, 2.0), Limits(requests=6, burst=1, window_s=60.0, guard_s=0.0), 100, 52.0),
        (Work(6, 100, 2.0), Limits(requests=6, window_s=60.0, guard_s=0.5), 100, 2.0),
        (Work(7, 100, 2.0), Limits(requests=6, window_s=60.0, guard_s=0.5), 100, 62.5),
    ],
)
def test_the_slowest_limit_decides(work: Work, given_limits: Limits | None, places: int, expected: float) -> None:
    assert seconds(work, given_limits, places) == pytest.approx(expected)


def played(work: Work, of_account: Limits, places: int) -> float:
    """How long the work takes by the quota itself, every answer coming after ``latency_s``."""
    quota, now, ends = Quota(of_account), 0.0, list[float]()
    for _ in range(work.requests):
        while True:
            while ends and ends[0] <= now:
                heapq.heappop(ends)
                quota.give_back()
            wait = quota.wait_s(round(work.units / work.requests), now) if len(ends) < places else math.inf
            if wait == 0:
                break
            now = ends[0] if wait == math.inf else now + wait
        quota.take(round(work.units / work.requests), now)
        heapq.heappush(ends, now + work.latency_s)
    return max(ends)


maybe = st.none() | st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 120), st.integers(1, 30), st.integers(1, 300), maybe, maybe, maybe, st.integers(1, 50))
def test_no_run_is_faster_than_its_forecast(
    requests: int, each: int, tenths: int, rate: int | None, in_flight: int | None, texts: int | None, places: int
) -> None:
    """``texts`` of so many characters ``each`` fill a window, so that the character limit is never below a text."""
    work = Work(requests, requests * each, tenths / 10)
    account = limits(rate, texts and texts * each, in_flight)
    forecast, really = seconds(work, account, places), played(work, account, places)
    assert forecast <= really + 1e-6
    if [rate, in_flight, texts].count(None) >= 2 and places >= requests:
        assert forecast == pytest.approx(really), "with one limit the bound is what happens"
