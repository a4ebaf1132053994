"""One account in front of providers that count in every way: never refused, and never idle while work waits."""

import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.emulator.limits import Account as Provider
from cluster_tts.emulator.limits import count
from cluster_tts.model import News, Purse, Want
from cluster_tts.quota.account import Account
from cluster_tts.quota.counting import GRAIN
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.permits import Ask, Claim
from cluster_tts.quota.sharing import Shared
from tests.account_simulation import Seen, World, claim, simulate, windows

W = 10.0
HOW = ("sliding", "fixed", "bucket")
EDGE_S = 1e-5


# Declared limits: never refused, never idle


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A provider whose limits are declared, and up to three runs."""
    how, guard_s = draw(st.sampled_from(HOW)), draw(st.sampled_from([0.01, 0.1, 0.5]))
    characters = draw(st.none() | st.integers(40, 400))
    places = draw(st.none() | st.integers(1, 6))
    requests = draw(st.integers(1, 30) if characters is places is None else st.none() | st.integers(1, 30))
    bursts = {"burst": requests, "burst_characters": characters}
    if how == "bucket":
        least = {"burst": 1, "burst_characters": 20}
        bursts = {name: limit and draw(st.integers(least[name], limit)) for name, limit in bursts.items()}
    dearest = min(60, bursts["burst_characters"] or 60)
    names: dict[str, Any] = {"requests": requests, "characters": characters, "in_flight": places}
    runs = [
        claim(run, **names, **bursts, window_s=W, guard_s=guard_s, adaptive=draw(st.booleans()), weight=weight)
        for run, weight in zip(
            "abc", draw(st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=1, max_size=3)), strict=False
        )
    ]
    latency_s = draw(st.sampled_from([0.0, 0.3, 3.0]))
    return World(
        Provider(
            count(how, requests, W, bursts["burst"]), count(how, characters, W, bursts["burst_characters"]), places
        ),
        runs,
        costs=lambda rng: rng.randint(1, dearest),
        latency_s=lambda rng: latency_s * rng.uniform(0.5, 1.5),
        travel_s=0.999 * guard_s,
        count=60 // len(runs),
        slots=60,
        window_s=W,
        seed=draw(st.integers(0, 9)),
    )


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_declared_limits_are_never_refused_however_they_are_counted_and_nothing_waits_without_a_reason(
    world: World,
) -> None:
    account, seen = simulate(world)
    assert not seen.refused
    assert len(seen.admitted) == account.granted == sum(60 // len(world.claims) for _ in world.claims)
    limits = world.claims[0].limits
    for number, (when, _, units, _) in enumerate(seen.left):
        if number and when > seen.left[number - 1][0] and number not in seen.fillers:
            assert why_not_sooner(limits, seen, number, when, units), f"number {number} could have left before {when}"


def why_not_sooner(limits: Limits, seen: Seen, number: int, when: float, units: int) -> str:
    """What stood in the way just before a request left, by the log of all that had left; empty: nothing did."""
    before = [(at, amount) for at, _, amount, _ in seen.left[:number]]
    counts_from = when - limits.window_s - limits.guard_s * (1 + GRAIN) - EDGE_S
    recent = [each for each in before if each[0] >= counts_from]
    if limits.requests is not None and len(recent) + 1 > limits.requests:
        return "requests"
    if limits.characters is not None and sum(amount for _, amount in recent) + units > limits.characters:
        return "characters"
    if limits.in_flight is not None and seen.left[number][3] == limits.in_flight and when in seen.heard:
        return "places"
    for burst, limit, amounts in (
        (limits.burst, limits.requests, [(at, 1) for at, _ in before]),
        (limits.burst_characters, limits.characters, before),
    ):
        if burst is not None and limit is not None and is_drawn(burst, limit / W, limits.guard_s, amounts, when, units):
            return "burst"
    return ""


def is_drawn(
    burst: float, rate: float, guard_s: float, before: list[tuple[float, int]], when: float, units: int
) -> bool:
    """Whether so much had been drawn from a bucket that no more could be asked of it any sooner."""
    drawn, at = 0.0, 0.0
    for left, amount in before:
        drawn, at = max(0.0, drawn - (left - at) * rate) + amount, left
    room = burst - guard_s * rate
    if room < 1 and when <= at + (1 / rate + guard_s) / burst + EDGE_S:
        return True
    return drawn - (when - at) * rate + EDGE_S * (rate + 1) >= max(1.0, room) - min(units, max(1.0, burst))


@pytest.mark.parametrize("what", ["requests", "characters"])
@pytest.mark.parametrize("how", HOW)
def test_in_the_long_run_windows_are_full_up_to_one_chunk_and_the_guard(how: str, what: str) -> None:
    limit, dearest, guard_s = (60, 1, 0.05) if what == "requests" else (1200, 30, 0.05)
    burst = {"burst": limit // 5, "burst_characters": limit // 5} if how == "bucket" else {"burst": limit}
    counts = {what: count(how, limit, W, limit // 5)}
    world = World(
        Provider(**counts), [claim(**{what: limit}, **burst, window_s=W, guard_s=guard_s)],
        costs=lambda rng: rng.randint(1, dearest), travel_s=guard_s / 2, count=500, slots=200, window_s=W,
    )  # fmt: skip
    _, seen = simulate(world)
    assert not seen.refused
    used = windows(seen, W, 5)
    edge = dearest - 1 + (2 * guard_s * limit / W if how == "bucket" else 0)
    assert sum(used) / (5 * limit) >= W / (W + guard_s) - edge / limit
    assert min(used) >= limit - 2 * edge - 1


def test_thirty_requests_on_sixty_a_minute_all_leave_at_once_where_the_window_is_known_to_allow_it() -> None:
    account, _ = simulate(World(Provider(count("sliding", 60, 60)), [claim(requests=60, burst=60)], count=30))
    assert account.quota.used(0.0) == (30, 30)


@pytest.mark.parametrize("seed", range(3))
def test_small_requests_fill_what_a_dear_one_leaves_free_and_it_is_not_made_later(seed: int) -> None:
    """Else as much of every window would stay empty as a text is long."""
    world = World(
        Provider(None, count("sliding", 1000, W)),
        [claim(characters=1000, burst_characters=1000, window_s=W, adaptive=False)],
        costs=lambda rng: rng.choice([5, 10, 20, 330]),
        count=120,
        slots=120,
        window_s=W,
        seed=seed,
    )
    _, seen = simulate(world)
    assert not seen.refused
    assert sum(windows(seen, W, 3)) >= 0.95 * 3 * 1000
    dear = [when for number, (when, _, units, _) in enumerate(seen.left) if units == 330 and number not in seen.fillers]
    for one, three in zip(dear, dear[3:], strict=False):
        assert three - one <= 2 * (W + 0.1) + 0.1


# An unknown burst


def learn(
    how: str, burst: int, known: dict[str, float] | None = None, seed: int = 0, **more: Any
) -> tuple[Account, Seen]:
    return simulate(
        World(
            Provider(count(how, 100, W, burst)), [claim(requests=100, window_s=W)],
            count=300, slots=150, window_s=W, known=known or {}, seed=seed, **more,
        )
    )  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 60), st.sampled_from([0.1, 2.0]), st.integers(0, 9))
def test_an_unknown_burst_costs_three_refusals_at_most_ever(burst: int, latency_s: float, seed: int) -> None:
    account, seen = learn("bucket", burst, None, seed, latency_s=lambda rng: latency_s * rng.uniform(0.8, 1.2))
    again, seen_again = learn("bucket", burst, account.learner.learned(), seed + 1)
    assert len(seen.refused) + len(seen_again.refused) <= 3
    assert len(seen.admitted) == len(seen_again.admitted) == 300
    learned = again.learner.learned()
    if "burst" in learned:
        assert learned["burst"] <= burst


def test_what_is_known_of_a_burst_is_used_at_once_after_a_restart_and_nothing_is_refused_again() -> None:
    account, seen = learn("bucket", 10)
    assert len(seen.refused) in (1, 2, 3)
    learned = account.learner.learned()
    assert 7 <= learned["burst"] <= 10
    _, again = learn("bucket", 10, learned)
    assert not again.refused
    assert sum(left == 0.0 for left, *_ in again.left) >= learned["burst"] - 2


@pytest.mark.parametrize("how", ["sliding", "fixed"])
def test_where_windows_are_counted_an_unknown_burst_grows_without_a_refusal_and_is_remembered(how: str) -> None:
    account, seen = learn(how, 0)
    assert not seen.refused
    assert windows(seen, W, 2)[0] == pytest.approx(100, abs=2)
    learned = account.learner.learned()
    _, again = learn(how, 0, learned)
    assert not again.refused
    assert sum(left == 0.0 for left, *_ in again.left) >= learned["proven_burst"]


def test_with_nothing_to_be_learned_a_window_that_is_not_declared_a_bucket_is_used_whole() -> None:
    world = World(
        Provider(count("sliding", 100, W)),
        [claim(requests=100, window_s=W, adaptive=False)],
        count=300,
        slots=300,
        window_s=W,
    )
    account, seen = simulate(world)
    assert not seen.refused
    assert sum(left == 0.0 for left, *_ in seen.left) == 100
    assert account.learner.learned() == {}


# What headers tell


@pytest.mark.parametrize("how", HOW)
def test_a_limit_that_headers_tell_is_kept_and_used_from_the_first_answer_on(how: str) -> None:
    world = World(Provider(count(how, 100, W, 10)), [claim(window_s=W)], count=500, slots=150, window_s=W, tells=True)
    account, seen = simulate(world)
    assert not seen.refused
    assert windows(seen, W, 3) == pytest.approx([100] * 3, abs=2)
    learned = account.learner.learned()
    assert learned["requests_per_minute"] == 600
    assert learned["burst"] == (10 if how == "bucket" else 100), "from what remains, and how soon it is whole again"
    assert seen.notes == ["the provider tells its limit: 100 requests in 10 s"]


def test_what_headers_tell_is_never_more_than_the_run_itself_names() -> None:
    world = World(
        Provider(count("sliding", 100, W)),
        [claim(requests=50, window_s=W)],
        count=250,
        slots=150,
        window_s=W,
        tells=True,
    )
    _, seen = simulate(world)
    assert windows(seen, W, 3) == pytest.approx([50] * 3, abs=1)


@pytest.mark.parametrize("most", [3, 10])
def test_places_that_headers_tell_are_kept_to(most: int) -> None:
    world = World(Provider(None, None, most), [claim()], count=300, latency_s=lambda rng: rng.uniform(1, 3), tells=True)
    account, seen = simulate(world)
    assert not seen.refused
    assert seen.mean_flying(10, seen.ended - 10) >= 0.98 * most
    assert account.learner.learned()["max_concurrent_requests"] == most


# What nobody tells


@pytest.mark.parametrize("most", [3, 10])
def test_hidden_places_are_found_and_then_seldom_refused(most: int) -> None:
    world = World(Provider(None, None, most), [claim()], latency_s=lambda rng: rng.uniform(1, 3), count=60 * most)
    account, seen = simulate(world)
    assert seen.mean_flying(30, 100) >= 0.9 * most
    assert sum(at > 30 for at in seen.refused) <= 3
    assert account.learner.learned()["max_concurrent_requests"] == most


def test_places_halved_in_mid_run_are_noticed() -> None:
    world = World(
        Provider(None, None, 10), [claim()], latency_s=lambda rng: rng.uniform(1, 3), count=700,
        happenings=[(60.0, lambda world: setattr(world.provider, "most_in_flight", 5))],
    )  # fmt: skip
    _, seen = simulate(world)
    assert seen.mean_flying(80, 180) >= 0.9 * 5
    assert sum(at > 60 for at in seen.refused) <= 0.02 * 700


def test_a_hidden_rate_is_found_and_then_seldom_refused() -> None:
    world = World(Provider(count("sliding", 100, W)), [claim(window_s=W)], count=900, window_s=W)
    _, seen = simulate(world)
    assert windows(seen, W, 6)[2:] == pytest.approx([95] * 4, abs=5)
    assert sum(at > 30 for at in seen.refused) <= 0.02 * 600


@pytest.mark.parametrize("tells", [True, False])
def test_a_rate_halved_in_mid_run_is_noticed(tells: bool) -> None:
    world = World(
        Provider(count("sliding", 100, W)), [claim(requests=100, window_s=W)], count=700, slots=150, window_s=W,
        tells=tells,
        happenings=[(35.0, lambda world: world.provider.requests.change(50, 35.0))],  # type: ignore[union-attr]
    )  # fmt: skip
    _, seen = simulate(world)
    assert windows(seen, W, 8)[5:] == pytest.approx([47] * 3, abs=3)
    assert len(seen.refused) <= (3 if tells else 0.02 * 700)


def test_somebody_else_on_the_account_is_noticed_by_what_headers_tell() -> None:
    """A neighbour who takes a third, and does not give in."""
    world = World(
        Provider(count("sliding", 200, 20.0)), [claim(requests=200, window_s=20.0)], count=1300, slots=64,
        window_s=20.0,
        tells=True, neighbour_every_s=(60.0, 0.3),
    )  # fmt: skip
    _, seen = simulate(world)
    used = windows(seen, 20.0, 6)[4:]
    theirs = sum(100 <= at < 140 for at in seen.theirs) / 2
    assert sum(used) / 2 >= 0.85 * (200 - theirs)
    assert sum(at > 60 for at in seen.refused) <= 0.02 * 1300


@pytest.mark.parametrize(("machines", "settled"), [(4, 4), (None, 32)])
def test_where_servers_queue_no_more_are_in_flight_than_bring_more_speech(machines: int | None, settled: int) -> None:
    world = World(Provider(), [claim()], count=400, machines=machines, latency_s=lambda rng: rng.uniform(0.8, 1.2))
    account, seen = simulate(world)
    assert account.learner.learned()["max_concurrent_requests"] == settled
    assert max(flying for when, flying in seen.flying if when > 0.8 * seen.ended) <= settled
    assert len(seen.notes) == 1


def test_nothing_grows_beyond_what_the_run_allows() -> None:
    _, seen = simulate(World(Provider(), [claim(max_unknown=5)], count=100))
    assert max(flying for _, flying in seen.flying) == 5


# Trouble


class Desk:
    """A run at its account, one step at a time."""

    def __init__(self, learned: dict[str, float] | None = None, **limits: Any) -> None:
        self.claim = claim("a", **limits)
        self.account = Account("account", self.claim, Shared(learned=learned or {}), 0.0)
        self.waiting: dict[str, dict[int, Want]] = {}
        self.numbers = itertools.count()

    def ask(
        self,
        now: float,
        *wants: Want,
        by: Claim | None = None,
        done: tuple[tuple[int, float], ...] = (),
        news: tuple[News, ...] = (),
    ) -> list[int]:
        """The requests that leave now, of all runs."""
        one = by or self.claim
        waiting = self.waiting.setdefault(one.run, {})
        self.asked = [next(self.numbers) for _ in wants]
        waiting.update(zip(self.asked, wants, strict=True))
        self.account.hear(one, Ask(one.run, next(self.numbers), dict(waiting), done, news), now)
        return self.pump(now)

    def pump(self, now: float) -> list[int]:
        granted, self.wait_s = self.account.grant(now)
        for run, request in granted:
            del self.waiting[run][request]
        return [request for _, request in granted]

    def tell(self, now: float, request: int, kind: str = "", **news: Any) -> list[int]:
        return self.ask(now, done=((request, 0.0),), news=(News(request, kind, **news),))


ONE = Want(1, 1)


def test_what_the_server_names_is_waited_for_exactly_by_everybody() -> None:
    desk = Desk(requests=600, adaptive=False)
    request, _ = desk.ask(0.0, ONE, ONE)
    desk.tell(0.5, request, "rate_limited", after_s=7.0)
    assert desk.ask(0.6, ONE) == []
    assert desk.wait_s == pytest.approx(6.9)
    assert desk.ask(1.0, ONE, by=claim("b", requests=600, adaptive=False)) == []
    assert desk.pump(7.499) == []
    assert len(desk.pump(7.5)) == 1
    assert desk.wait_s < 0.5
    assert len(desk.pump(7.5 + desk.wait_s)) == 1, "the others once a refusal of the first would have come back"
    assert desk.account.standing(8.0).refused == 1


def test_a_shorter_pause_does_not_shorten_a_longer_and_at_once_is_a_quarter_of_a_second() -> None:
    desk = Desk(requests=600, adaptive=False)
    first, second, third = desk.ask(0.0, ONE, ONE, ONE)
    desk.tell(0.5, first, "rate_limited", after_s=0.0)
    desk.ask(0.5, ONE)
    assert desk.wait_s == pytest.approx(0.25)
    desk.tell(0.6, second, "rate_limited", after_s=5.0)
    desk.tell(0.7, third, "rate_limited", after_s=1.0)
    assert desk.wait_s == pytest.approx(4.9)


def test_where_no_pause_is_named_it_doubles_with_every_refusal_that_follows_one_until_something_is_taken() -> None:
    desk, now, pauses = Desk(requests=600, adaptive=False), 0.0, []
    for kind in ["rate_limited"] * 8 + ["", "rate_limited"]:
        [request] = desk.ask(now, ONE)
        desk.tell(now + 0.1, request, kind)
        pauses.append(desk.account.quota.cool_s(now + 0.1))
        now += 2.1 + pauses[-1]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 0, 1], abs=0.01)


def test_refusals_of_what_left_together_are_one() -> None:
    desk = Desk(requests=600, adaptive=False)
    for request in desk.ask(0.0, *[ONE] * 5):
        desk.tell(0.2, request, "rate_limited")
    assert desk.account.quota.cool_s(0.2) == pytest.approx(1.0)


def test_slow_down_is_heeded_by_asking_evenly_for_a_window_and_no_less_in_all() -> None:
    desk = Desk(requests=100, window_s=W, burst=100)
    requests = desk.ask(0.0, *[ONE] * 60)
    desk.tell(0.2, requests[-1], "slow_down")
    assert 0 < desk.account.quota.cool_s(0.2) <= 1
    desk.ask(0.2, *[ONE] * 40)
    left = []
    for step in range(20, 110):
        left += [step / 10 for _ in desk.pump(step / 10)]
    assert all(left.count(at) <= 3 for at in left)
    assert len(left) == 40
    assert desk.account.learner.limits(1, 20.0) == desk.claim.limits


def test_a_rate_refusal_narrows_the_rate_and_a_refusal_of_places_the_places() -> None:
    desk = Desk(requests=100, in_flight=50, window_s=W, burst=100)
    requests = desk.ask(0.0, *[ONE] * 50)
    desk.tell(0.2, requests[40], "too_many_at_once")
    limits = desk.account.learner.limits(1, 0.2)
    assert limits.in_flight in (39, 40)
    assert limits.requests == 100
    desk.tell(0.3, requests[49], "rate_limited")
    limits = desk.account.learner.limits(1, 0.3)
    assert limits.in_flight in (39, 40)
    assert limits.requests is not None
    assert 40 <= limits.requests <= 49


def test_busy_is_nobodys_fault() -> None:
    desk = Desk(requests=100, in_flight=50, window_s=W, burst=100)
    requests = desk.ask(0.0, *[ONE] * 50)
    before = desk.account.learner.limits(1, 0.0)
    for request in requests:
        desk.tell(0.2, request, "busy", after_s=3.0)
    assert desk.account.learner.limits(1, 0.2) == before
    assert desk.account.standing(0.2).degraded_to is None


def test_who_must_not_learn_learns_nothing() -> None:
    desk = Desk({"max_concurrent_requests": 2, "requests_per_minute": 5}, requests=100, adaptive=False, window_s=W)
    limits = Limits(requests=100, window_s=W)
    for number, kind in enumerate(["rate_limited", "too_many_at_once", "slow_down", ""]):
        [request] = desk.ask(100.0 * number, ONE)
        desk.tell(100.0 * number + 0.1, request, kind)
    assert desk.account.learner.limits(1, 500.0) == limits
    assert desk.account.standing(500.0).notes == ()


def test_a_server_that_fails_is_asked_less_and_then_more_again_and_that_is_said() -> None:
    def fault(rng: random.Random, now: float) -> str:
        return "server_error" if 10 < now < 30 and rng.random() < 0.6 else ""

    world = World(
        Provider(None, None, 16),
        [claim(in_flight=16)],
        count=900,
        latency_s=lambda rng: rng.uniform(0.5, 1.0),
        fault=fault,
    )
    account, seen = simulate(world)
    assert seen.mean_flying(2, 10) >= 15
    assert min(seen.mean_flying(at, at + 1) for at in range(15, 30)) < 3
    assert seen.flying[-40][1] > 8
    assert account.standing(seen.ended).degraded_to is None
    assert "no more than 8 in flight for now" in seen.notes[0]
    assert seen.notes[-1] == "requests succeed again: as many in flight as the limits allow"


def test_texts_that_can_never_be_spoken_do_not_degrade_the_account() -> None:
    world = World(
        Provider(None, None, 4),
        [claim(in_flight=4)],
        count=60,
        fault=lambda rng, now: "refused_text" if rng.random() < 0.7 else "",
    )
    _, seen = simulate(world)
    assert seen.notes == []


# Many runs, one account


@pytest.mark.parametrize("burst", [100, 10])
def test_of_two_equal_runs_each_gets_half_of_every_window(burst: int) -> None:
    runs = [claim(run, requests=100, burst=burst, window_s=W) for run in "ab"]
    _, seen = simulate(World(Provider(count("sliding", 100, W)), runs, count=300, slots=150, window_s=W))
    assert not seen.refused
    for run in "ab":
        assert windows(seen, W, 4, run) == pytest.approx([50] * 4, abs=5)


def test_runs_get_their_part_by_weight_and_by_text_where_that_is_scarce() -> None:
    runs = [
        claim(run, characters=1000, burst_characters=1000, window_s=W, weight=w) for run, w in (("a", 3.0), ("b", 1.0))
    ]
    world = World(
        Provider(None, count("sliding", 1000, W)),
        runs,
        count=300,
        slots=300,
        window_s=W,
        costs=lambda rng: rng.randint(1, 20),
    )
    _, seen = simulate(world)
    assert windows(seen, W, 3, "a") == pytest.approx([750] * 3, abs=30)
    assert windows(seen, W, 3, "b") == pytest.approx([250] * 3, abs=30)


def test_a_small_run_is_not_starved_by_a_large_one_that_was_there_first() -> None:
    runs = [claim(run, requests=100, burst=10, window_s=W) for run in ("large", "small")]
    world = World(
        Provider(count("bucket", 100, W, 10)), runs, count={"large": 600, "small": 20}, begins={"small": 25.0},
        slots=200, window_s=W,
    )  # fmt: skip
    _, seen = simulate(world)
    times = [when for when, _ in seen.of("small")]
    assert times[0] < 25.3
    assert times[-1] < 25.0 + 20 / 5 + 0.5, "half of what leaves is its own"
    used = windows(seen, W, 4)
    assert used == pytest.approx([100] * 4, abs=2), "and what it does not need goes to the other"


def test_runs_that_name_different_limits_hold_to_the_smallest_and_that_is_said_once() -> None:
    desk = Desk(requests=100, window_s=W, burst=100, adaptive=False)
    other = claim("b", requests=4, in_flight=3, window_s=W, burst=100, adaptive=False)
    desk.ask(0.0)
    assert len(desk.ask(0.0, *[ONE] * 6, by=other)) == 3
    desk.ask(0.1)
    desk.ask(0.2, by=other)
    (note,) = desk.account.standing(1.0).notes
    assert note == (
        1,
        "runs name different limits for account account: 100 requests in 10 s, 100 at once and 4 requests in 10 s, "
        "3 in flight, 100 at once; from now on 4 requests in 10 s, 3 in flight, 100 at once holds for all of them",
    )
    assert desk.account.runs() == {"a", "b"}


def test_what_a_run_named_holds_no_longer_than_the_run() -> None:
    desk = Desk(requests=100, window_s=W, burst=100, adaptive=False)
    other = claim("b", requests=2, window_s=W, burst=100, adaptive=False)
    assert len(desk.ask(0.0, *[ONE] * 6)) == 6
    assert desk.ask(0.1, ONE, by=other) == []
    desk.account.drop(["b"], 0.2)
    assert len(desk.ask(0.2, ONE)) == 1
    assert desk.account.runs() == {"a"}
    assert desk.account.standing(0.2).waiting == 0


def test_a_share_of_an_account_is_a_share_of_what_was_learned_of_it_too() -> None:
    desk = Desk({"max_concurrent_requests": 10, "requests_per_minute": 600}, share=0.5, window_s=W)
    limits = desk.account
    desk.ask(0.0)
    held = limits.learner.limits(1, 0.0)
    assert (held.in_flight, held.requests) in {(5, 50), (6, 51), (5, 51), (6, 50)}
    assert desk.account.standing(0.0).learned == {"max_concurrent_requests": 10, "requests_per_minute": 600}


# Purses


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(0, 9)), max_size=25),
    st.integers(0, 9),
)
def test_no_run_spends_more_than_its_purse_whatever_answers_settle(
    purse: int, asks: list[tuple[int, int | None]], seed: int
) -> None:
    """What is asked reserves the most that it can cost; an answer costs that or less; some are never answered."""
    rng, desk, spent = random.Random(seed), Desk(in_flight=3, adaptive=False, purse=Purse(characters=purse)), 0
    costs: dict[int, tuple[int, int | None]] = {}
    flying = set(desk.ask(0.0, *(Want(1, most) for most, _ in asks)))
    for request, (most, billed) in zip(desk.asked, asks, strict=True):
        costs[request] = most, None if billed is None else min(billed, most)
    while flying:
        assert spent + sum(costs[each][0] for each in flying) <= purse
        request = rng.choice(sorted(flying))
        most, billed = costs[request]
        spent += most if billed is None else billed
        flying |= set(desk.tell(0.0, request, billed_characters=billed))
        flying.remove(request)
    left = desk.waiting["a"]
    assert bool(left) == ("a" in desk.account.broke), "what is left waiting was too dear, and that is said"
    if left:
        assert spent + next(iter(left.values())).characters > purse


def test_a_run_is_broke_only_when_nothing_is_under_way_that_may_turn_out_cheaper() -> None:
    desk = Desk(in_flight=5, purse=Purse(characters=25), adaptive=False)
    first, second = desk.ask(0.0, *[Want(1, 10)] * 3)
    assert desk.account.broke == {}
    assert desk.tell(1.0, first) == []
    assert desk.account.broke == {}
    assert len(desk.tell(2.0, second, billed_characters=2)) == 1
    assert desk.account.broke == {}


def test_a_broke_run_asks_no_more_not_even_for_less_and_holds_nobody_up() -> None:
    desk = Desk(in_flight=5, purse=Purse(usd=1.0), adaptive=False)
    assert desk.ask(0.0, Want(1, 1, 2.0)) == []
    assert desk.account.broke == {"a": "$1.0000 is left of quota.budget_usd, and the next request may cost $2.0000"}
    assert desk.ask(0.1, Want(1, 1, 0.5)) == []
    assert len(desk.ask(0.2, ONE, by=claim("b", in_flight=5, adaptive=False))) == 1


def test_what_a_dead_worker_had_under_way_counts_as_spent_and_an_earlier_limiters_count_too() -> None:
    desk = Desk(in_flight=5, purse=Purse(characters=25), adaptive=False)
    assert len(desk.ask(0.0, Want(1, 10))) == 1
    desk.account.drop(["a"], 0.0)
    assert desk.account.purses.spent() == {"a": {"a": (0.0, 10)}}
    again = Account("account", desk.claim, Shared(spent=desk.account.purses.spent()), 0.0)
    again.hear(desk.claim, Ask("a", 0, {0: Want(1, 10), 1: Want(1, 10)}), 0.0)
    assert [request for _, request in again.grant(0.0)[0]] == [0]


def test_nothing_leaves_before_all_have_been_heard() -> None:
    desk = Desk(requests=10, adaptive=False)
    desk.account.ready_at = 3.0
    assert desk.ask(0.0, ONE) == []
    assert desk.wait_s == 3.0
    assert len(desk.pump(3.0)) == 1


def test_how_an_account_stands_is_told_for_people() -> None:
    desk = Desk(requests=10, characters=100, in_flight=3, adaptive=False)
    desk.ask(0.0, *[Want(10, 10)] * 5)
    standing = desk.account.standing(1.0)
    assert (standing.requests, standing.characters, standing.in_flight, standing.waiting) == (3, 30, 3, 2)
    assert (standing.granted, standing.refused, standing.parties, standing.cool_s) == (3, 0, 1, 0.0)
    assert standing.remaining == pytest.approx(0.7)
    assert Desk(in_flight=3).account.standing(0.0).remaining is None
    assert math.isinf(desk.wait_s)


# What is remembered


def test_a_limit_remembered_from_headers_does_not_slow_the_next_run() -> None:
    """It is told again by the first answer, with how much may leave at once."""
    known = {"requests_per_minute": 120.0, "burst": 120.0}
    world = World(
        Provider(count("sliding", 120, 60.0)), [claim(window_s=60.0)], count=40, tells=True, known=known,
    )  # fmt: skip
    _, seen = simulate(world)
    assert not seen.refused
    assert seen.admitted[-1][0] < 5, "forty on a hundred and twenty a minute leave at once"


def test_a_run_that_names_limits_is_not_held_to_what_one_without_had_found_out_of_places() -> None:
    account = Account("a", claim("unknown"), Shared(), 0.0)
    account.hear(claim("unknown"), Ask("u", 0, {0: Want(1)}), 0.0)
    assert account.learner.limits(1, 0.0).in_flight == 2
    account.drop(["u"], 1.0)
    account.hear(claim("named", requests=600), Ask("n", 0, {0: Want(1)}), 2.0)
    assert account.learner.limits(1, 2.0).in_flight is None


def test_what_survivors_hold_and_have_spent_counts_against_the_purse_of_their_run() -> None:
    run = claim("run", in_flight=10, purse=Purse(characters=100))
    account = Account("a", run, Shared(), 0.0)
    holds = {n: Want(10, 10) for n in range(4)}
    account.hear(run, Ask("w", 0, {9: Want(10, 10)}, era="dead", sent=(), holds=holds, spent=(0.0, 55)), 0.0)
    granted, _ = account.grant(0.0)
    assert granted == [], "95 of 100 are spent or under way"
    account.hear(run, Ask("w", 1, {9: Want(10, 10)}, news=(News(0, billed_characters=1, cost_usd=0.0),)), 1.0)
    assert account.grant(1.0)[0] == [("w", 9)]
