"""Less is asked of an account that fares badly: half, and half again; and doubled back once it fares well."""

import pytest

from cluster_tts.quota.health import Health


def fill(health: Health, outcomes: str, in_flight: int = 16) -> list[int | None]:
    """The caps after each of ``outcomes``, where ``x`` failed."""
    caps = []
    for outcome in outcomes:
        health.ended(outcome == "x", in_flight)
        caps.append(health.cap)
    return caps


def test_nine_failures_say_nothing_and_ten_do() -> None:
    assert fill(Health(), "x" * 10) == [None] * 9 + [8]


@pytest.mark.parametrize(
    ("outcomes", "cap"),
    [
        ("xxx.......", None),  # 30 % is not more than 30 %
        ("xxxx......", 8),
        ("." * 14 + "x" * 6, None),
        ("." * 13 + "x" * 7, 8),
        ("." * 100 + "x" * 6, None),  # only the last twenty count
        ("." * 100 + "x" * 7, 8),
    ],
)
def test_more_than_three_in_ten_of_the_last_twenty_halve_what_is_in_flight(outcomes: str, cap: int | None) -> None:
    assert fill(Health(), outcomes)[-1] == cap


def test_it_is_halved_again_after_twenty_more_and_never_below_one() -> None:
    caps = fill(Health(), "x" * 100)
    assert [caps.index(cap) + 1 for cap in (8, 4, 2, 1)] == [10, 30, 50, 70]
    assert caps[-1] == 1


def test_it_is_doubled_back_while_fewer_than_one_in_ten_fail_until_all_is_as_before() -> None:
    health = Health()
    fill(health, "x" * 50)
    caps = fill(health, "." * 60, in_flight=2)
    assert [caps.index(cap) + 1 for cap in (2, 4, 8, None)] == [1, 20, 40, 60]


@pytest.mark.parametrize(("outcomes", "cap"), [("xx" + "." * 18, 8), ("x" + "." * 19, None)])
def test_one_in_ten_is_not_yet_well(outcomes: str, cap: int | None) -> None:
    health = Health()
    fill(health, "x" * 10)
    assert fill(health, outcomes)[-1] == cap


def test_what_was_in_flight_when_all_was_well_is_what_is_halved() -> None:
    health = Health()
    fill(health, "." * 30, in_flight=5)
    fill(health, "x" * 10, in_flight=5)
    assert health.cap == 2


def test_whoever_asks_one_at_a_time_is_not_told_that_it_asks_less() -> None:
    health = Health()
    assert not any(health.ended(True, 1) for _ in range(40))
