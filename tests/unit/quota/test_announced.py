"""What a provider itself says of an account, and what that gives away of others on it."""

import pytest

from cluster_tts.emulator.limits import count
from cluster_tts.model import Told
from cluster_tts.quota.announced import Announced, Sent, per_window, whole
from cluster_tts.quota.ceiling import Ceiling
from cluster_tts.quota.counting import Quota
from cluster_tts.quota.limits import Limits

W = 20.0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def announced(said: list[str]) -> Announced:
    return Announced(said.append)


def sent(left: float = 0.0, requests: int = 1, in_flight: int = 1) -> Sent:
    return Sent(left, 1, in_flight, requests, requests, float(requests), float(requests))


def test_limits_a_minute_are_told_for_the_window_that_is_counted() -> None:
    told = per_window(Told(limit_requests=600, remaining_requests=70, limit_characters=90), W)
    assert (told.limit_requests, told.remaining_requests, told.limit_characters) == (200, 70, 30)
    assert per_window(Told(limit_requests=1), W).limit_requests == 1, "never none"
    assert per_window(Told(), W) == Told()


def test_what_is_told_is_believed_at_once_and_said_once(announced: Announced, said: list[str]) -> None:
    assert not announced.is_rate
    for _ in range(2):
        announced.hear(
            sent(),
            Told(limit_requests=200, limit_characters=5000, most_in_flight=10),
            Quota(Limits()),
            Limits(window_s=W),
        )
    assert announced.is_rate
    assert (announced.requests(1.0), announced.characters(1.0), announced.in_flight(1.0)) == (200, 5000, 10)
    assert said == [
        "the provider tells its limit: 200 requests in 20 s",
        "the provider tells its limit: 5,000 units of text in 20 s",
        "the provider tells its limit: 10 requests in flight",
    ]
    assert announced.settings(W) == {
        "requests_per_minute": 600, "characters_per_minute": 15_000, "max_concurrent_requests": 10,
    }  # fmt: skip


def test_what_the_run_names_itself_is_nothing_to_tell(announced: Announced, said: list[str]) -> None:
    announced.hear(sent(), Told(limit_requests=200), Quota(Limits()), Limits(requests=150, window_s=W))
    assert said == []
    announced.hear(sent(), Told(limit_requests=100), Quota(Limits()), Limits(requests=150, window_s=W))
    assert said == ["the provider tells its limit: 100 requests in 20 s"], "but what is less is"


def test_of_what_is_told_a_share_is_ours_and_never_nothing(announced: Announced) -> None:
    announced.hear(sent(), Told(limit_requests=200, most_in_flight=3), Quota(Limits()), Limits(window_s=W))
    assert (announced.requests(0.25), announced.in_flight(0.25), announced.characters(0.25)) == (50, 1, None)


@pytest.mark.parametrize(("used", "pause_s"), [(1, 0.0), (10, 0.0), (10, 3.7), (25, 11.0)])
@pytest.mark.parametrize(
    ("how", "size"), [("sliding", 200), ("fixed", 200), ("bucket", 10), ("bucket", 30), ("bucket", 200)]
)
def test_the_size_of_a_bucket_is_what_remains_and_what_fills_it(
    announced: Announced, how: str, size: int, used: int, pause_s: float
) -> None:
    provider = count(how, 200, W, size)
    assert provider is not None
    for _ in range(used):
        if not provider.wait_s(1, 0.001):
            provider.add(1, 0.001)
    standing = provider.standing(0.001 + pause_s)
    told = Told(limit_requests=200, remaining_requests=standing.remaining, reset_requests_s=standing.reset_s)
    found = announced.burst(told, W)
    assert found is not None
    assert found[1], "that is all that ever may"
    if how == "bucket":
        assert found[0] == pytest.approx(size, abs=1.0 if pause_s else 1e-6)
    elif not pause_s:
        assert found[0] == 200


def test_where_no_reset_is_told_as_much_as_remains_may_leave_and_perhaps_more(announced: Announced) -> None:
    assert announced.burst(Told(limit_requests=200, remaining_requests=120), W) == (120, False)
    assert announced.burst(Told(limit_requests=200), W) is None
    assert announced.burst(Told(remaining_requests=3), W) is None


def answer(announced: Announced, quota: Quota, now: float, remaining: int, limit: int = 200) -> int:
    """How much of the window is taken for used by somebody unknown once an answer has told what remains."""
    told = Told(limit_requests=limit, remaining_requests=remaining)
    announced.notice_others(sent(now - 0.5, quota.mine.requests), told, quota, now)
    return quota.noticed.requests


def test_what_somebody_else_has_used_counts_and_a_little_more_beside_one_who_keeps_to_no_clock(
    announced: Announced,
) -> None:
    quota = Quota(Limits(requests=200, window_s=W))
    for _ in range(50):
        quota.take(1, 0.0)
    assert answer(announced, quota, 1.0, 150) == 0
    assert answer(announced, quota, 1.1, 147) == 0, "answers travel: three are no neighbour"
    assert answer(announced, quota, 1.2, 130) == 24
    assert answer(announced, quota, 1.3, 130) == 24, "told again it is not somebody else again"
    assert answer(announced, quota, 1.4, 120) == 34
    assert quota.used(1.5) == (84, 50)


def test_what_was_noticed_is_forgotten_with_the_window(announced: Announced) -> None:
    quota = Quota(Limits(requests=200, window_s=W, guard_s=0.1))
    assert answer(announced, quota, 1.0, 100) == 104
    assert quota.used(20.0)[0] == 104
    assert quota.used(22.0)[0] == 0


def test_answers_to_what_left_before_do_not_make_our_own_requests_somebody_elses(announced: Announced) -> None:
    quota = Quota(Limits(requests=200, window_s=W))
    for _ in range(80):
        quota.take(1, 0.0)
    announced.notice_others(sent(0.0, 30), Told(limit_requests=200, remaining_requests=120), quota, 1.0)
    assert quota.noticed.requests == 0


def test_places_that_others_hold_are_not_ours_but_one_always_is(announced: Announced) -> None:
    quota = Quota(Limits())
    quota.in_flight = 3  # and the one that has just ended
    announced.hear(sent(in_flight=4), Told(most_in_flight=10, in_flight=4), quota, Limits())
    assert announced.in_flight(1.0) == 10
    announced.hear(sent(in_flight=4), Told(most_in_flight=10, in_flight=7), quota, Limits())
    assert announced.in_flight(1.0) == 7
    announced.hear(sent(in_flight=4), Told(most_in_flight=10, in_flight=60), quota, Limits())
    assert announced.in_flight(1.0) == 1
    announced.hear(sent(in_flight=4), Told(most_in_flight=10, in_flight=2), quota, Limits())
    assert announced.in_flight(1.0) == 10


def test_nearly_a_whole_window_at_once_is_a_whole_one() -> None:
    """What headers say is rounded."""
    assert not whole(None)
    assert whole(Ceiling(98, most=100))
    assert not whole(Ceiling(97, most=100))
