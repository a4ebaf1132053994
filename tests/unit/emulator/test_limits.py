"""Limits of an account, by arithmetic: what any way of counting lets through, and whether the named wait is true."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.emulator.limits import Account, Bucket, Count, Fixed, Sliding, count

HOWS = ("sliding", "fixed", "bucket")


def times(counted: Count, gaps: list[float], amount: int = 1) -> list[float]:
    """When what comes after each of ``gaps`` was let in."""
    let_in, now = [], 0.0
    for gap in gaps:
        now += gap
        if not counted.wait_s(amount, now):
            counted.add(amount, now)
            let_in.append(now)
    return let_in


def test_sliding_looks_back_one_window_from_now() -> None:
    counted = Sliding(2, 10.0)
    assert times(counted, [0, 4, 1, 4.9, 0.1, 3.9, 0.1]) == [0, 4, 10, 14]


def test_fixed_starts_anew_with_each_window_of_the_clock() -> None:
    counted = Fixed(2, 10.0)
    assert times(counted, [8, 1, 0.5, 0.5, 0.5, 0.5]) == [8, 9, 10, 10.5]  # four within 2.5 s


def test_a_bucket_fills_evenly_up_to_its_burst() -> None:
    counted = Bucket(10, 10.0, 3)
    assert times(counted, [0, 0, 0, 0, 0.5, 0.5, 0.9, 0.1]) == [0, 0, 0, 1.0, 2.0]
    assert times(Bucket(10, 10.0), [0] * 12) == [0] * 10  # without one: a whole window's


@pytest.mark.parametrize("how", HOWS)
def test_a_limit_of_0_refuses_everything(how: str) -> None:
    counted = count(how, 0, 60.0)
    assert counted is not None
    assert not times(counted, [0.0, 100.0, 1000.0])
    assert counted.standing(0.0) == (0, 0, 0, 0.0)


def test_no_limit_is_no_count() -> None:
    assert count("sliding", None, 60.0) is None
    account = Account()
    assert not any(account.admit(10**9, 0.0).refused for _ in range(100))


@given(
    st.sampled_from(HOWS),
    st.integers(1, 30),
    st.floats(0.5, 100),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 12)), min_size=1, max_size=60),
)
def test_the_named_wait_is_true_and_no_longer_than_needed(
    how: str, limit: int, window_s: float, asked: list[tuple[float, int]]
) -> None:
    counted = count(how, limit, window_s)
    assert counted is not None
    now = 0.0
    for gap, amount in asked:
        now += gap
        wait_s = counted.wait_s(amount, now)
        if math.isinf(wait_s):
            assert amount > limit
            continue
        if wait_s > 1e-3:
            assert counted.wait_s(amount, now + wait_s * 0.99) > 0
        assert counted.wait_s(amount, now + wait_s) <= 1e-6
        now += wait_s + 1e-6
        counted.add(amount, now)


@given(st.integers(1, 20), st.floats(0.5, 50), st.lists(st.floats(0, 5), max_size=100))
def test_no_window_has_more_than_the_limit_when_sliding(limit: int, window_s: float, gaps: list[float]) -> None:
    let_in = times(Sliding(limit, window_s), gaps)
    assert all(sum(start <= at < start + window_s - 1e-6 for at in let_in) <= limit for start in let_in)


@given(st.sampled_from(HOWS), st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_a_limit_that_was_reset_is_as_if_nothing_had_been_asked(how: str, gaps: list[float]) -> None:
    counted = count(how, 7, 10.0)
    assert counted is not None
    times(counted, gaps)
    now = sum(gaps)
    after = counted.standing(now + counted.standing(now).reset_s + 1e-6)
    assert (after.used, after.remaining) == (0, 7)


def test_a_verdict_says_which_limit_refused_and_takes_nothing() -> None:
    account = Account(Sliding(2, 60.0), Sliding(100, 60.0), 3)
    assert not account.admit(60, 0.0).refused
    verdict = account.admit(60, 1.0)
    assert verdict == ("characters", 59.0, 100, 60, 60)
    assert not account.admit(40, 2.0).refused  # the refused one has taken neither a request nor a place
    assert account.in_flight == 2
    assert account.admit(1, 3.0) == ("requests", 57.0, 2, 2, 1)


def test_concurrency_is_refused_until_a_place_is_given_back() -> None:
    account = Account(most_in_flight=1)
    assert not account.admit(1, 0.0).refused
    verdict = account.admit(1, 0.0)
    assert (verdict.refused, verdict.wait_s, verdict.limit, verdict.used) == ("concurrency", math.inf, 1, 1)
    account.leave()
    assert not account.admit(1, 0.0).refused


def test_where_refusals_count_they_prolong_the_wait() -> None:
    account = Account(Sliding(2, 60.0), refusals_count=True)
    account.admit(1, 0.0)
    account.admit(1, 10.0)
    assert account.admit(1, 20.0) == ("requests", 50.0, 2, 2, 1)  # three now count: two of them have to go
    assert account.admit(1, 30.0).wait_s == pytest.approx(50.0)
    assert account.admit(1, 79.0).refused
    assert not Account(Sliding(0, 60.0), refusals_count=False).admit(1, 0.0).used


def test_in_a_bucket_a_refused_request_takes_what_is_left() -> None:
    account = Account(Bucket(60, 60.0, 1), refusals_count=True)
    account.admit(1, 0.0)
    assert account.admit(1, 0.9).wait_s == pytest.approx(1.0)
    assert account.admit(1, 1.8).refused
    assert not account.admit(1, 2.8).refused


def test_a_text_longer_than_the_whole_limit_never_fits() -> None:
    account = Account(characters=Sliding(100, 60.0))
    assert math.isinf(account.admit(101, 0.0).wait_s)


def test_standing_tells_what_headers_tell() -> None:
    counted = Sliding(3, 60.0)
    counted.add(1, 0.0)
    counted.add(1, 20.0)
    assert counted.standing(30.0) == (3, 2, 1, 50.0)  # reset: until all are forgotten, not until one fits
    bucket = Bucket(60, 60.0, 10)
    bucket.add(4, 0.0)
    assert bucket.standing(0.0) == (60, 4, 6, 4.0)


def test_long_logs_are_searched_from_the_nearer_end() -> None:
    account = Account(Sliding(100, 60.0), refusals_count=True)
    for at in range(50_000):  # hammered: the wait ends when the 99 newest are left
        account.admit(1, at / 1000)
    assert account.admit(1, 50.0).wait_s == pytest.approx(60.0 - 0.099, abs=0.002)


@pytest.mark.parametrize("how", HOWS)
def test_a_changed_limit_keeps_what_was_counted(how: str) -> None:
    counted = count(how, 10, 10.0)
    assert counted is not None
    for _ in range(6):
        counted.add(1, 0.0)
    counted.change(5, 0.0)
    assert counted.wait_s(1, 0.0) > 0
    assert (counted.standing(0.0).limit, counted.standing(0.0).remaining) == (5, 0)
    counted.change(20, 0.0)
    assert counted.standing(0.0).remaining == (15 if how == "bucket" else 14)  # a bucket cannot be emptier than empty


def test_a_bucket_of_a_given_size_keeps_it_and_fills_at_the_new_rate() -> None:
    bucket = Bucket(10, 10.0, 4)
    bucket.add(4, 0.0)
    bucket.change(20, 1.0)
    assert bucket.standing(1.0).remaining == 1
    assert bucket.standing(2.0).remaining == 3
    assert bucket.standing(9.0).remaining == 4
