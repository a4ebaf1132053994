"""Whose turn it is: first come, first served within a run, by weight between runs."""

import random
from collections import Counter

import pytest

from cluster_tts.model import Want
from cluster_tts.quota.turns import Key, Turns

ONE = Want(1)


def fill(turns: Turns, run: str, count: int, weight: float = 1.0, units: int = 1) -> None:
    for number in range(count):
        turns.add(run, weight, (run, number), Want(units))


def serve(turns: Turns, count: int, cost: float = 1.0) -> list[str]:
    served = []
    for _ in range(count):
        turn = turns.first()
        assert turn is not None
        run, key, want = turn
        turns.serve(key, cost * want.units)
        served.append(run)
    return served


def test_nobody_waits_at_first() -> None:
    assert Turns().first() is None
    assert len(Turns()) == 0


def test_within_a_run_it_is_first_come_first_served_whatever_the_worker_and_the_size() -> None:
    turns, order = Turns(), [("w2", 5), ("w1", 9), ("w2", 1), ("w1", 0)]
    for key in order:
        turns.add("run", 1.0, key, Want(random.Random(0).randint(1, 99)))
    turns.add("run", 1.0, order[2], ONE)  # told again: it keeps its place
    served: list[Key] = []
    while turn := turns.first():
        served.append(turn[1])
        turns.serve(turn[1], 1.0)
    assert served == order


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (1.0, 2.0, 4.0)])
def test_runs_that_wait_throughout_are_served_by_weight_at_any_time(weights: tuple[float, ...]) -> None:
    turns = Turns()
    for number, weight in enumerate(weights):
        fill(turns, str(number), 200, weight)
    served = serve(turns, 140)
    for upto in range(1, 140):
        so_far = Counter(served[:upto])
        for number, weight in enumerate(weights):
            assert abs(so_far[str(number)] - upto * weight / sum(weights)) <= len(weights)


def test_what_counts_is_what_was_served_and_not_how_often() -> None:
    turns = Turns()
    fill(turns, "dear", 100, units=10)
    fill(turns, "cheap", 200, units=1)
    assert Counter(serve(turns, 110))["dear"] == pytest.approx(10, abs=1)


def test_a_run_that_comes_late_is_served_like_the_others_from_then_on_and_makes_up_for_nothing() -> None:
    turns = Turns()
    fill(turns, "old", 500)
    serve(turns, 300)
    fill(turns, "new", 100)
    assert Counter(serve(turns, 100))["new"] == pytest.approx(50, abs=1)


def test_a_run_that_waited_for_nothing_for_a_while_has_saved_nothing_up() -> None:
    turns = Turns()
    fill(turns, "a", 300)
    fill(turns, "b", 1)
    serve(turns, 200)
    fill(turns, "b", 100)
    assert Counter(serve(turns, 40))["b"] == pytest.approx(20, abs=1)


def test_a_small_run_is_through_as_if_it_had_half_of_all_to_itself() -> None:
    turns = Turns()
    fill(turns, "large", 1000)
    serve(turns, 500)
    fill(turns, "small", 5)
    assert serve(turns, 11).count("small") == 5


def test_a_run_that_cannot_be_served_holds_nobody_up() -> None:
    turns = Turns()
    fill(turns, "a", 1)
    fill(turns, "b", 1)
    first, second = turns.first(), turns.first(without={"a"})
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == ("a", "b")
    assert turns.first(without={"a", "b"}) is None


def test_what_is_withdrawn_waits_no_longer() -> None:
    turns = Turns()
    fill(turns, "a", 3)
    turns.withdraw([("a", 0), ("a", 7)])
    assert (("a", 0) in turns, ("a", 1) in turns, len(turns)) == (False, True, 2)
    assert turns.of_worker("a") == turns.of_run("a") == [("a", 1), ("a", 2)]
    assert turns.of_worker("b") == turns.of_run("b") == []
    assert serve(turns, 1) == ["a"]


def test_a_run_is_forgotten_only_when_nothing_of_it_waits() -> None:
    turns = Turns()
    fill(turns, "a", 1)
    turns.forget("a")
    turns.forget("never heard of")
    assert serve(turns, 1) == ["a"]
    turns.forget("a")
    fill(turns, "a", 1)
    assert serve(turns, 1) == ["a"]
