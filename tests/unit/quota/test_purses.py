"""What runs may still spend: every request reserves the most that it can cost, and its answer settles that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.model import News, Purse, Want
from cluster_tts.quota.purses import Purses


def purses(usd: float | None = None, characters: int | None = None) -> Purses:
    found = Purses()
    found.open("run", Purse(usd, characters))
    return found


def test_a_run_without_bounds_affords_everything() -> None:
    bounds = purses()
    assert bounds.affords("run", Want(1, 10**12, 1e9))
    assert bounds.affords("never heard of", Want(1, 10**12, 1e9))
    assert bounds.is_settled("run")
    bounds.reserve("run", ("w", 0), Want(1, 1, 1.0))
    bounds.settle("run", ("w", 0))
    assert bounds.spent() == {}


def test_what_is_under_way_counts_as_spent_until_its_answer_settles_it() -> None:
    held, want = purses(characters=25), Want(10, 10)
    for number in range(2):
        assert held.affords("run", want)
        held.reserve("run", ("w", number), want)
    assert not held.affords("run", want)
    assert not held.is_settled("run")
    held.settle("run", ("w", 0), News(0, billed_characters=5))
    assert held.affords("run", want)
    held.settle("run", ("w", 1), News(1))
    assert held.is_settled("run")
    assert held.spent() == {"run": {"w": (0.0, 15)}}


@pytest.mark.parametrize(
    ("news", "spent"),
    [
        (None, (2.0, 10)),  # its worker is dead: nobody will ever know
        (News(0, "reset"), (2.0, 10)),
        (News(0, cost_usd=0.5), (0.5, 10)),
        (News(0, billed_characters=3), (2.0, 3)),
        (News(0, "rate_limited", cost_usd=0.0, billed_characters=0), (0.0, 0)),
        (News(0, cost_usd=3.0, billed_characters=30), (3.0, 30)),  # dearer than was believed possible: it is spent
    ],
)
def test_an_answer_settles_what_it_knows_and_the_rest_stays_spent(news: News | None, spent: tuple[float, int]) -> None:
    held = purses(usd=10.0)
    held.reserve("run", ("w", 0), Want(10, 10, 2.0))
    held.settle("run", ("w", 0), news)
    assert held.spent() == {"run": {"w": spent}}


def test_settling_twice_or_what_was_never_reserved_changes_nothing() -> None:
    held = purses(usd=10.0)
    held.reserve("run", ("w", 0), Want(10, 10, 2.0))
    for _ in range(3):
        held.settle("run", ("w", 0), News(0, cost_usd=1.0))
    held.settle("run", ("w", 9), News(9, cost_usd=5.0))
    held.settle("another", ("w", 0))
    assert held.spent()["run"]["w"][0] == pytest.approx(1.0)


def test_dollars_and_characters_both_bound_and_cents_that_add_up_are_not_too_much() -> None:
    held = purses(usd=0.3, characters=100)
    for number in range(3):
        assert held.affords("run", Want(1, 10, 0.1))
        held.reserve("run", ("w", number), Want(1, 10, 0.1))
    assert not held.affords("run", Want(1, 1, 0.01))
    assert held.affords("run", Want(1, 70, 0.0))
    assert not held.affords("run", Want(1, 71, 0.0))


def test_a_run_is_opened_once_with_what_an_earlier_limiter_saw_spent() -> None:
    held = Purses()
    held.open("run", Purse(characters=100), {"w": (0.0, 60), "v": (0.0, 30)})
    held.open("run", Purse(characters=1000), {})
    assert not held.affords("run", Want(1, 11))
    assert held.affords("run", Want(1, 10))


def test_what_a_later_limiter_has_to_know_has_all_that_is_under_way_in_it() -> None:
    held = purses(usd=10.0)
    held.reserve("run", ("w", 0), Want(10, 10, 2.0))
    held.settle("run", ("w", 0), News(0, cost_usd=1.0, billed_characters=8))
    held.reserve("run", ("w", 1), Want(10, 10, 2.0))
    held.reserve("run", ("v", 0), Want(10, 10, 2.0))
    assert held.spent() == {"run": {"w": (3.0, 18), "v": (2.0, 10)}}


def test_why_a_purse_does_not_cover_a_request_is_said_in_the_unit_that_is_short() -> None:
    held = purses(usd=1.0, characters=1500)
    assert (
        held.why("run", Want(1, 1, 1.5)) == "$1.0000 is left of quota.budget_usd, and the next request may cost $1.5000"
    )
    assert held.why("run", Want(1, 2000, 0.5)) == (
        "1,500 characters are left of quota.budget_characters, and the next request may be charged 2,000"
    )


@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 20), st.none() | st.floats(0, 1), st.integers(0, 3)), max_size=40),
)
def test_whatever_is_asked_and_settled_in_whatever_order_no_more_is_spent_than_there_was(
    purse: int, asks: list[tuple[int, float | None, int]]
) -> None:
    held = purses(characters=purse)
    flying: list[tuple[int, int, float | None]] = []
    for number, (most, part, settle) in enumerate(asks):
        if held.affords("run", Want(1, most)):
            held.reserve("run", ("w", number), Want(1, most))
            flying.append((number, most, part))
        for _ in range(min(settle, len(flying))):
            request, most, part = flying.pop()
            news = News(request, billed_characters=None if part is None else int(part * most))
            held.settle("run", ("w", request), news)
        assert sum(each[1] for each in held.spent()["run"].values()) <= purse
