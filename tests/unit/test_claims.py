"""Claims: who owns an OUT. The stories are random; in none do two write at a time, and somebody always goes on."""

import pytest

from cluster_tts.claims import NOBODY, SILENT_S, Claim, Contender, Owner, Reading, State
from tests.claims_simulation import contend

HERE = Owner(7, "1", "host", "boot")


def contender(name: str, dead: frozenset[Owner] = frozenset()) -> Contender:
    return Contender(Claim(name, HERE, "noon"), lambda owner: owner in dead)


def reading(at: float, *claims: Claim) -> Reading:
    return Reading({claim.name: claim for claim in claims}, at, at)


def step(run: Contender, at: float, *others: Claim) -> State:
    run.next()
    return run.judge(reading(at, *others), at)


def test_alone_a_run_owns_with_its_second_step() -> None:
    run = contender("a")
    run.choose(reading(0))
    assert step(run, 0) is State.STEPS
    assert run.claim.taken
    assert step(run, 1) is State.OWNS
    assert run.confirmed_at == 1


def test_a_number_is_above_all_that_were_ever_seen_and_all_terms_in_out() -> None:
    run = contender("a")
    run.floor = 7
    run.choose(reading(0, Claim("b", HERE, "noon", number=3)))
    assert run.claim.number == 8
    run.choose(reading(0, Claim("b", HERE, "noon", number=30, ended=True)))
    assert run.claim.number == 31


def test_a_live_claim_below_is_waited_for_until_it_has_been_silent_by_the_waiters_own_clock() -> None:
    run, other = contender("b"), Claim("a", Owner(1, "", "elsewhere", ""), "noon", number=1, taken=True)
    run.choose(reading(100, other))
    for at in (100, 101, 100 + SILENT_S - 0.1):
        assert step(run, at, other) is State.WAITS
    assert run.rival == other
    assert step(run, 100 + SILENT_S, other) is State.STEPS
    assert step(run, 100 + SILENT_S, other) is State.OWNS


def test_a_beat_between_taking_and_the_look_after_it_is_life() -> None:
    run, other = contender("b"), Claim("a", HERE, "noon", number=1, taken=True)
    run.choose(reading(0, other))
    assert step(run, SILENT_S, other) is State.STEPS
    assert step(run, SILENT_S, Claim("a", HERE, "noon", number=1, taken=True, beat=1)) is State.WAITS


def test_a_dead_or_ended_owner_is_not_waited_for() -> None:
    gone = Owner(9, "", "host", "boot")
    for other in Claim("a", gone, "noon", number=1, taken=True), Claim("a", HERE, "noon", 1, taken=True, ended=True):
        run = contender("b", frozenset([gone]))
        run.choose(reading(0, other))
        assert [step(run, 0, other), step(run, 0, other)] == [State.STEPS, State.OWNS]
        assert run.left_behind(reading(0, other)) == ["a.000001"]


def test_an_owner_below_a_taken_claim_has_lost_for_good_also_when_that_has_ended() -> None:
    for ended in False, True:
        run = contender("a")
        run.choose(reading(0))
        assert [step(run, 0), step(run, 0)] == [State.STEPS, State.OWNS]
        above = Claim("b", HERE, "noon", number=2, taken=True, ended=ended)
        assert step(run, 5, above) is State.LOST
        assert run.rival == above
        assert step(run, 6) is State.LOST
        assert run.confirmed_at == 0


def test_who_waits_below_a_taken_claim_takes_a_new_number() -> None:
    run = contender("a")
    run.choose(reading(0))
    assert step(run, 0, Claim("b", HERE, "noon", number=1, taken=True)) is State.STEPS
    assert (run.claim.number, run.claim.taken) == (2, False)


def test_a_number_that_two_chose_at_once_is_kept_by_one() -> None:
    first, second = contender("a"), contender("b")
    first.choose(reading(0))
    second.choose(reading(0))
    step(first, 0, second.claim)
    step(second, 0, first.claim)
    assert (first.claim.number, second.claim.number) == (1, 2)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 99, "run_id": "a"}', "[" * 100_000]
)
def test_a_claim_that_cannot_be_read_is_somebodys_of_whom_only_silence_is_known(text: str) -> None:
    claim = Claim.from_text("a", text)
    assert (claim.owner, claim.number, claim.taken) == (NOBODY, 0, False)
    assert claim != Claim.from_text("a", text + " ")  # life shows


def test_a_claim_comes_back_from_its_text() -> None:
    claim = Claim("a", HERE, "noon", number=3, beat=9, taken=True)
    assert Claim.from_text("a.000003", claim.to_text()) == claim
    assert Claim.from_text("b", claim.to_text()).owner == NOBODY  # copied by somebody


@pytest.mark.parametrize("seed", range(150))
def test_in_no_story_do_two_own_and_in_every_one_somebody_goes_on(seed: int) -> None:
    world = contend(seed)
    try:
        assert world.told == []
        assert [run.fault for run in world.runs if run.fault] == []
        left = [run for run in world.runs if not run.killed and run.wakes_at < float("inf")]
        assert all(run.ended in ("done", "lost") for run in left)
        # Of those that lost, somebody else had taken OUT; who took it last either had it to the end or is no more.
        assert not left or any(run.ended == "done" for run in left) or len(left) < len(world.runs)
    finally:
        world.close()
