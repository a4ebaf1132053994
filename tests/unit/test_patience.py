"""How soon a clip is asked for again, which answers count, and when there is no use in going on. Time is handed in."""

import pytest

from cluster_tts.errors import REFUSALS, Interrupted, RetryLater
from cluster_tts.patience import LEAST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_WAIT_FOR_A_PLACE_S, Patience, pause_s

REFUSED = RetryLater("too many", "rate_limited")
UNREACHABLE = RetryLater("cannot reach the server", "unreachable")
FAULT = RetryLater("it broke", "server_error")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    return Patience(100.0, clock)


# How soon


def test_pauses_double_up_to_a_minute() -> None:
    assert [pause_s("server_error", None, tries) for tries in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_s("server_error", None, 100_000) == LONGEST_PAUSE_S


def test_a_busy_server_is_given_four_times_as_long() -> None:
    assert [pause_s("busy", None, tries) for tries in range(1, 7)] == [4, 8, 16, 32, 60, 60]


def test_a_place_is_waited_for_a_few_seconds_at_most() -> None:
    assert [pause_s("too_many_at_once", None, tries) for tries in range(1, 6)] == [1, 2, 4, 4, 4]
    assert LONGEST_WAIT_FOR_A_PLACE_S == 4


@pytest.mark.parametrize("kind", ["rate_limited", "too_many_at_once", "busy", "server_error"])
@pytest.mark.parametrize(("named", "waited"), [(7.5, 7.5), (600.0, 600.0), (0.25, 0.25), (0.1, 0.25), (0.0, 0.25)])
def test_a_pause_that_the_server_names_is_kept_but_never_none(kind: str, named: float, waited: float) -> None:
    assert pause_s(kind, named, 5) == waited
    assert LEAST_PAUSE_S == 0.25


# Which answers count


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_refusals_by_the_accounts_limits_are_not_counted(patience: Patience, kind: str) -> None:
    assert patience.bears(RetryLater("no", kind))


@pytest.mark.parametrize("kind", ["server_error", "busy", "timeout", "reset", "cut_audio", "not_audio", "gate"])
def test_everything_else_is_counted(patience: Patience, kind: str) -> None:
    patience.answered()
    assert not patience.bears(RetryLater("no", kind))


def test_a_server_that_was_never_reached_is_counted_for_its_address_may_be_wrong(
    patience: Patience, clock: Clock
) -> None:
    for _ in range(5):
        assert not patience.bears(UNREACHABLE)
        clock.now += 1000.0
    with pytest.raises(
        Interrupted, match=r"cannot reach the server; check provider.base_url and the network, then run"
    ):
        patience.give_up(UNREACHABLE)


@pytest.mark.parametrize("first", [None, REFUSED, FAULT])
def test_a_server_that_has_answered_and_is_gone_is_borne(patience: Patience, first: RetryLater | None) -> None:
    if first is None:
        patience.answered()
    else:
        patience.bears(first)
    assert patience.bears(UNREACHABLE)
    patience.give_up(UNREACHABLE)


@pytest.mark.parametrize("error", [FAULT, REFUSED])
def test_only_an_unreachable_server_dooms_the_other_clips_too(patience: Patience, error: RetryLater) -> None:
    patience.give_up(error)


# When there is no use


@pytest.mark.parametrize("error", [REFUSED, UNREACHABLE])
def test_nothing_but_refusals_is_borne_for_so_long_and_no_longer(
    patience: Patience, clock: Clock, error: RetryLater
) -> None:
    patience.answered()
    clock.now += 1_000_000.0  # since the last answer: quiet is not refusal
    assert patience.bears(error)
    clock.now += 100.0
    assert patience.bears(error)
    clock.now += 0.1
    with pytest.raises(Interrupted) as given_up:
        patience.bears(error)
    assert str(given_up.value) == (
        "out of patience after 100 s without any other answer (quota.patience_s is 100): "
        f"{error}; run the same command again to continue"
    )


@pytest.mark.parametrize("other", [None, FAULT])
def test_any_other_answer_renews_patience(patience: Patience, clock: Clock, other: RetryLater | None) -> None:
    for _ in range(5):
        assert patience.bears(REFUSED)
        clock.now += 90.0
        if other is None:
            patience.answered()
        else:
            patience.bears(other)
    clock.now += 90.0
    assert patience.bears(REFUSED)


def test_refusals_of_different_kinds_add_up(patience: Patience, clock: Clock) -> None:
    patience.bears(REFUSED)
    clock.now += 60.0
    patience.bears(UNREACHABLE)
    clock.now += 60.0
    with pytest.raises(Interrupted, match="after 120 s"):
        patience.bears(RetryLater("full", "too_many_at_once"))


def test_a_named_pause_longer_than_patience_ends_it_at_once(patience: Patience, clock: Clock) -> None:
    assert patience.bears(RetryLater("later", "rate_limited", 100.0))
    clock.now += 40.0
    assert patience.bears(RetryLater("later", "rate_limited", 60.0))
    with pytest.raises(Interrupted, match=r"after 40 s without any other answer and a pause of 61 s to come \(quota"):
        patience.bears(RetryLater("later", "rate_limited", 61.0))


def test_no_patience_bears_one_refusal_for_no_time_has_passed() -> None:
    patience = Patience(0.0, lambda: 5.0)
    assert patience.bears(REFUSED)
    with pytest.raises(Interrupted, match=r"quota\.patience_s is 0"):
        patience.bears(RetryLater("later", "rate_limited", 0.5))
