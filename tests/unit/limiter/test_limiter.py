"""The gate under a simulated clock: first come, first served, one pending call a worker, nothing lost."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest

from cluster_tts.errors import AccountRefused
from cluster_tts.limiter import limiter as limiter_module
from cluster_tts.limiter.gates import CoreGate, LimiterGate, OpenGate
from cluster_tts.limiter.limiter import HOLD_S, SILENT_S, Limiter
from cluster_tts.model import News, Purse, Want
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.permits import PROTOCOL, Ask, Claim, Reply
from tests.simulated import now, simulate

ONE, UNBOUND = Want(1), Purse()


class Wire:
    """The way to a limiter: takes up to 50 ms each way, loses the order of messages, and counts pending calls.

    ``limiter`` may be exchanged for a new one; calls that wait at the old one are then lost.
    """

    def __init__(self, limiter: Limiter, seed: int = 0) -> None:
        self.limiter = limiter
        self.random = random.Random(seed)
        self.pending: dict[str, int] = {}
        self.most_pending = 0
        self.calls = 0

    async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply:
        self.calls += 1
        self.pending[ask.worker] = self.pending.get(ask.worker, 0) + 1
        self.most_pending = max(self.most_pending, self.pending[ask.worker])
        try:
            await asyncio.sleep(self.random.uniform(0, 0.05))
            reply = await self.limiter.ask(account, claim, ask)
            await asyncio.sleep(self.random.uniform(0, 0.05))
            return reply
        finally:
            self.pending[ask.worker] -= 1


def make_limiter() -> Limiter:
    return Limiter(clock=asyncio.get_running_loop().time)


def claims(
    run: str = "run", *, adaptive: bool = False, purse: Purse = UNBOUND, weight: float = 1.0, **limits: Any
) -> Claim:
    return Claim(run, Limits(**limits), adaptive=adaptive, purse=purse, weight=weight)


def places(limiter: Limiter, run: str = "run") -> int:
    standing = limiter.standing(run)
    assert standing is not None
    return standing.in_flight


async def request(gate: LimiterGate, seconds: float = 0.0, kind: str = "", want: Want = ONE, **news: Any) -> float:
    """When it left."""
    async with gate.place(want) as number:
        left = now() - 1000.0
        await asyncio.sleep(seconds)
    gate.report(News(number, kind, **news))
    return left


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_limits_hold_over_a_slow_wire_and_everybody_gets_through(workers: int, seed: int) -> None:
    claim = claims(requests=10, in_flight=4, window_s=10, guard_s=0.2)
    left: list[float] = []
    flying = peak = 0

    async def one(gate: LimiterGate) -> None:
        nonlocal flying, peak
        async with gate.place(ONE) as number:
            left.append(now())
            flying += 1
            peak = max(peak, flying)
            await asyncio.sleep(1.0)
            flying -= 1
        gate.report(News(number))

    async def main() -> float:
        wire = Wire(make_limiter(), seed)
        gates = [LimiterGate(wire, "account", claim, f"w{n}") for n in range(workers)]
        async with asyncio.TaskGroup() as group:
            for n in range(60):
                group.create_task(one(gates[n % workers]))
        await asyncio.sleep(1)
        assert places(wire.limiter) == 0
        return now() - 1000.0

    took = simulate(main())
    assert len(left) == 60
    assert peak == 4
    assert all(later - earlier >= 10 for earlier, later in zip(left, left[10:], strict=False))
    assert took < 5 * 10.2 + 10


def test_a_dear_request_first_in_line_is_not_made_later_by_cheap_ones_that_fit_in_beside_it() -> None:
    async def main() -> list[tuple[str, float]]:
        order: list[tuple[str, float]] = []
        gate = LimiterGate(make_limiter(), "account", claims(characters=100, window_s=10, guard_s=0), "w")

        async def one(name: str, units: int) -> None:
            async with gate.place(Want(units)):
                order.append((name, round(now() - 1000.0, 3)))

        async with asyncio.TaskGroup() as group:
            group.create_task(one("first", 60))
            await asyncio.sleep(0.1)
            group.create_task(one("dear", 90))
            await asyncio.sleep(0.1)
            for n in range(4):
                group.create_task(one(f"cheap {n}", 10))
        return order

    first, cheap, dear, *_ = simulate(main())
    assert (first, cheap, dear) == (("first", 0.0), ("cheap 0", 0.2), ("dear", 10.0))


def test_a_place_given_back_is_used_at_once_although_a_call_is_pending() -> None:
    async def main() -> list[float]:
        gate = LimiterGate(make_limiter(), "account", claims(in_flight=1), "w")
        return sorted(await asyncio.gather(*(request(gate, 0.5) for _ in range(4))))

    assert [round(later - earlier, 6) for earlier, later in pairwise(simulate(main()))] == [0.5, 0.5, 0.5]


def test_a_place_is_given_back_before_it_is_known_what_came_of_the_request() -> None:
    """A clip is checked after its last byte, and meanwhile the next may be asked for."""

    async def main() -> float:
        gate = LimiterGate(make_limiter(), "account", claims(in_flight=1), "w")

        async def one() -> None:
            async with gate.place(ONE) as number:
                await asyncio.sleep(1.0)
            await asyncio.sleep(5.0)
            gate.report(News(number))

        first = asyncio.create_task(one())
        await asyncio.sleep(0.1)
        left = await request(gate)
        await first
        return left

    assert simulate(main()) == pytest.approx(1.0)


def test_asking_twice_for_the_same_request_takes_one_place() -> None:
    async def main() -> int:
        limiter, ask = make_limiter(), Ask("w", 1, {7: ONE})
        assert (await limiter.ask("a", claims(in_flight=3), ask)).granted == (7,)
        assert (await limiter.ask("a", claims(in_flight=3), ask)).granted == (7,)
        return places(limiter)

    assert simulate(main()) == 1


def test_an_older_ask_that_arrives_late_changes_no_wants_but_its_returned_places_count() -> None:
    async def main() -> tuple[int, int]:
        limiter, claim = make_limiter(), claims(in_flight=1)
        assert (await limiter.ask("a", claim, Ask("w", 2, {1: ONE}))).granted == (1,)
        assert (await limiter.ask("a", claim, Ask("w", 1, {9: ONE}, done=((1, 0.0),)))).granted == ()
        standing = limiter.standing("run")
        assert standing is not None
        return standing.in_flight, standing.waiting

    assert simulate(main()) == (0, 0)


def test_a_want_that_a_newer_ask_no_longer_names_is_withdrawn_and_its_call_answered_with_nothing() -> None:
    async def main() -> tuple[Reply, int]:
        limiter, claim = make_limiter(), claims(in_flight=1)
        await limiter.ask("a", claim, Ask("busy", 0, {0: ONE}))
        older = asyncio.create_task(limiter.ask("a", claim, Ask("w", 0, {0: ONE})))
        await asyncio.sleep(0.1)
        newer = asyncio.create_task(limiter.ask("a", claim, Ask("w", 1, {1: ONE})))
        reply = await older
        standing = limiter.standing("run")
        assert standing is not None
        newer.cancel()
        return reply, standing.waiting

    reply, waiting = simulate(main())
    assert (reply.granted, waiting) == ((), 1)


def test_a_call_without_a_grant_is_answered_so_that_no_worker_waits_for_a_lost_reply() -> None:
    async def main() -> tuple[Reply, float]:
        limiter, claim = make_limiter(), claims(in_flight=1)
        await limiter.ask("a", claim, Ask("busy", 0, {0: ONE}))
        return await limiter.ask("a", claim, Ask("w", 0, {0: ONE})), now() - 1000.0

    reply, took = simulate(main())
    assert (reply.granted, took) == ((), pytest.approx(HOLD_S))


@pytest.mark.parametrize("window_s", [10, 100])
def test_a_silent_workers_places_come_back_but_what_it_sent_stays_in_the_window(window_s: float) -> None:
    async def main() -> float:
        limiter, claim = make_limiter(), claims(requests=1, in_flight=1, window_s=window_s, guard_s=0)
        await limiter.ask("a", claim, Ask("vanished", 0, {0: ONE, 1: ONE}))
        return await request(LimiterGate(limiter, "a", claim, "alive"))

    assert simulate(main()) == pytest.approx(max(SILENT_S, window_s), abs=HOLD_S)


def test_a_place_is_kept_as_long_as_a_request_takes() -> None:
    async def main() -> float:
        limiter, claim = make_limiter(), claims(in_flight=1)
        slow, other = (LimiterGate(limiter, "a", claim, name) for name in ("slow", "other"))
        others = len(asyncio.all_tasks())
        first = asyncio.create_task(request(slow, 10 * SILENT_S))
        await asyncio.sleep(1)
        left = await request(other)
        await first
        assert limiter.idle_s <= HOLD_S
        await asyncio.sleep(HOLD_S + 1)
        assert len(asyncio.all_tasks()) == others + 1, "only the limiter's own task is left: nobody asks for nothing"
        return left

    assert simulate(main()) == pytest.approx(10 * SILENT_S, abs=1)


def test_other_limits_for_the_same_account_narrow_it_for_all_and_are_told_once() -> None:
    async def main() -> tuple[list[float], tuple[tuple[int, str], ...]]:
        limiter, left = make_limiter(), []
        wide = LimiterGate(limiter, "a", claims("wide", requests=100, window_s=10, guard_s=0), "wide")
        narrow = LimiterGate(limiter, "a", claims("narrow", requests=1, window_s=10, guard_s=0, burst=1), "narrow")
        for gate in (wide, narrow, wide, narrow):
            left.append(await request(gate))
        standing = limiter.standing("wide")
        assert standing is not None
        return left, standing.notes

    left, notes = simulate(main())
    assert left == pytest.approx([0, 10, 20, 30])
    assert [line for _, line in notes] == [
        "runs name different limits for account a: 1 requests in 10 s, 1 at once and 100 requests in 10 s; "
        "from now on 1 requests in 10 s, 1 at once holds for all of them"
    ]


def test_accounts_do_not_wait_for_each_other() -> None:
    async def main() -> list[float]:
        limiter = make_limiter()
        gates = [LimiterGate(limiter, name, claims(name, in_flight=1), name) for name in ("a", "b")]
        return await asyncio.gather(*(request(gate, 1.0) for gate in gates for _ in range(2)))

    assert simulate(main()) == pytest.approx([0, 1, 0, 1])


def test_a_cancelled_request_gives_its_place_in_line_to_the_next() -> None:
    async def main() -> float:
        gate = LimiterGate(make_limiter(), "a", claims(in_flight=1), "w")
        first, second = asyncio.create_task(request(gate, 1)), asyncio.create_task(request(gate, 1))
        await asyncio.sleep(0.5)
        first.cancel()
        return await second

    assert simulate(main()) == pytest.approx(0.5)


@pytest.mark.parametrize("leaves", [False, True])
def test_a_request_cancelled_before_it_left_costs_nothing_and_afterwards_nobody_knows(leaves: bool) -> None:
    async def main() -> bool:
        limiter = make_limiter()
        gate = LimiterGate(limiter, "a", claims(in_flight=1, purse=Purse(characters=10)), "w")
        want, busy = Want(1, 8), asyncio.create_task(request(gate, 0.0 if leaves else 5.0, billed_characters=0))
        await asyncio.sleep(1)
        cancelled = asyncio.create_task(request(gate, 5.0, want=want))
        await asyncio.sleep(1)
        cancelled.cancel()
        await busy
        try:
            await request(gate, want=Want(1, 5), billed_characters=5)
        except AccountRefused:
            return False
        return True

    assert simulate(main()) is not leaves


def test_one_refusal_cools_the_gate_for_everybody() -> None:
    async def main() -> tuple[float, float]:
        limiter, claim = make_limiter(), claims(requests=100)
        refused, other = (LimiterGate(limiter, "a", claim, name) for name in ("refused", "other"))
        await request(refused, 0.5, "rate_limited", after_s=7.0)
        return await asyncio.gather(request(refused), request(other))

    first, second = sorted(simulate(main()))
    assert first == pytest.approx(7.5, abs=0.01)
    assert 7.5 < second <= 9.5, "once a refusal of the first would have come back"


def test_a_declared_burst_is_paced() -> None:
    async def main() -> list[float]:
        gate = LimiterGate(make_limiter(), "a", claims(requests=60, burst=2, window_s=60, guard_s=0), "w")
        return [round(await request(gate), 3) for _ in range(5)]

    assert simulate(main()) == [0.0, 0.0, 1.0, 2.0, 3.0]


def test_a_limiter_that_fails_fails_those_who_wait() -> None:
    class Broken:
        async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply:
            raise ConnectionError("gone")

    async def main() -> None:
        with pytest.raises(ConnectionError, match="gone"):
            async with LimiterGate(Broken(), "a", claims(in_flight=1), "w").place(ONE):
                pass

    simulate(main())


def test_a_new_limiter_hears_of_all_that_was_sent_and_is_in_flight_before_it_grants_anything() -> None:
    """Its workers have a call pending as long as they hold anything, so that it hears of them without being asked."""

    async def main() -> tuple[list[float], int, int]:
        claim = claims(requests=6, in_flight=4, window_s=20, guard_s=0.1)
        wire, left = Wire(make_limiter()), []
        gates = [LimiterGate(wire, "a", claim, f"w{n}") for n in range(2)]

        async def one(gate: LimiterGate, seconds: float) -> None:
            left.append(await request(gate, seconds))

        tasks = [asyncio.create_task(one(gates[n % 2], 12)) for n in range(4)]
        await asyncio.sleep(5)
        wire.limiter = make_limiter()
        await asyncio.sleep(3)
        held = places(wire.limiter)
        tasks += [asyncio.create_task(one(gates[n % 2], 1)) for n in range(6)]
        await asyncio.gather(*tasks)
        await asyncio.sleep(1)
        return left, held, places(wire.limiter)

    left, held, after = simulate(main())
    assert (held, after) == (4, 0)
    assert all(later - earlier >= 20 for earlier, later in zip(left, left[6:], strict=False))
    assert len(left) == 10


def test_a_worker_that_told_a_new_limiter_all_is_not_counted_twice_however_often_it_tells() -> None:
    async def main() -> tuple[int, int]:
        limiter, claim = make_limiter(), claims(requests=10, window_s=20)
        first = await limiter.ask("a", claim, Ask("w", 5, {}, era="another"))
        assert first.tell_s == pytest.approx(20.1)
        ask = Ask("w", 6, {9: ONE}, era="another", sent=((1.0, 1), (2.0, 1)), holds={3: ONE})
        assert (await limiter.ask("a", claim, ask)).granted == (9,)
        assert (await limiter.ask("a", claim, ask)).granted == (9,)
        standing = limiter.standing("run")
        assert standing is not None
        return standing.requests, standing.in_flight

    assert simulate(main()) == (3, 2)


def test_nothing_leaves_that_the_runs_purse_does_not_cover_and_its_other_requests_are_told() -> None:
    async def main() -> tuple[float, list[BaseException]]:
        gate = LimiterGate(make_limiter(), "a", claims(in_flight=5, purse=Purse(characters=25)), "w")
        want = Want(10, 10)
        first = [asyncio.create_task(request(gate, 4.0, want=want)) for _ in range(2)]
        await asyncio.sleep(1)
        late = await asyncio.gather(*(request(gate, want=want) for _ in range(3)), return_exceptions=True)
        await asyncio.gather(*first)
        return now() - 1000.0, [error for error in late if isinstance(error, BaseException)]

    took, errors = simulate(main())
    assert took == pytest.approx(4.0), "it is waited for what those in flight did cost"
    assert [type(error) for error in errors] == [AccountRefused] * 3
    assert str(errors[0]) == (
        "the budget is used up: 5 characters are left of quota.budget_characters, "
        "and the next request may be charged 10"
    )


def test_what_an_answer_did_not_cost_is_there_for_the_next() -> None:
    async def main() -> list[float]:
        gate = LimiterGate(make_limiter(), "a", claims(in_flight=5, purse=Purse(characters=25)), "w")
        want = Want(10, 10)
        return list(await asyncio.gather(*(request(gate, 4.0, want=want, billed_characters=5) for _ in range(4))))

    assert simulate(main()) == pytest.approx([0, 0, 4, 8])


def test_another_run_on_the_account_does_not_mind_whose_purse_is_empty() -> None:
    async def main() -> list[object]:
        limiter = make_limiter()
        poor = LimiterGate(limiter, "a", claims("poor", in_flight=5, purse=Purse(usd=0.01)), "poor")
        rich = LimiterGate(limiter, "a", claims("rich", in_flight=5), "rich")
        want = Want(1, 1, 0.02)
        return await asyncio.gather(request(poor, want=want), request(rich, want=want), return_exceptions=True)

    refused, left = simulate(main())
    assert isinstance(refused, AccountRefused)
    assert "$0.0100 is left of quota.budget_usd, and the next request may cost $0.0200" in str(refused)
    assert left == 0.0


def test_without_an_account_the_gate_is_open() -> None:
    async def main() -> float:
        gate = OpenGate()
        gate.report(News(0, "server_error", after_s=100.0))
        async with gate.place(Want(10**9)):
            return now()

    assert simulate(main()) == 1000.0


def test_a_server_without_an_account_that_says_when_to_come_again_is_believed_and_else_asked_ever_more_rarely() -> None:
    async def main() -> list[float]:
        gate, left = OpenGate(), []
        no = "rate_limited"
        for kind, after_s in ((no, 9.0), (no, None), (no, None), ("", None), (no, None), ("", None)):
            async with gate.place(ONE):
                left.append(now() - 1000.0)
            gate.report(News(0, kind, after_s))
        return left

    assert simulate(main()) == pytest.approx([0, 9, 11, 15, 15, 16])


def test_an_embedded_voice_computes_no_more_at_once_than_it_has_cores() -> None:
    async def main() -> list[float]:
        gate, entered = CoreGate(2), []

        async def compute() -> None:
            async with gate.place(ONE):
                entered.append(now() - 1000.0)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(compute())
        return entered

    assert simulate(main()) == [0, 0, 1, 1, 2]


def test_idle_time_counts_from_the_last_ask_also_when_a_worker_vanished_with_its_places() -> None:
    async def main() -> float:
        limiter = make_limiter()
        await limiter.ask("a", claims(in_flight=1), Ask("vanished", 0, {0: ONE}))
        await asyncio.sleep(50)
        return limiter.idle_s

    assert simulate(main()) == 50.0


def test_a_dead_workers_places_come_back_but_what_it_sent_stays_in_the_window() -> None:
    async def main() -> float:
        limiter, claim = make_limiter(), claims(requests=1, in_flight=1, window_s=10, guard_s=0)
        await limiter.ask("a", claim, Ask("dead", 0, {0: ONE}))
        limiter.forget(["dead", "never heard of"])
        return await request(LimiterGate(limiter, "a", claim, "alive"))

    assert simulate(main()) == pytest.approx(10)


@pytest.mark.parametrize("slots", [2, 5, 16, 64])
@pytest.mark.parametrize("stagger", [False, True])
def test_what_may_leave_leaves_at_once_however_many_ask_in_the_same_moment(slots: int, stagger: bool) -> None:
    """A grant that comes while a worker's call is being answered must not wait for its next event."""
    left: list[float] = []

    async def one(gate: LimiterGate, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        left.append(await request(gate, 5.0))

    async def main() -> None:
        gate = LimiterGate(make_limiter(), "a", claims(requests=1000, window_s=60), "w")
        async with asyncio.TaskGroup() as group:
            for n in range(slots):
                group.create_task(one(gate, n % 7 if stagger else 0))

    simulate(main())
    assert left == [0.0] * slots


def test_many_slots_of_a_worker_make_one_call() -> None:
    async def main() -> int:
        wire = Wire(make_limiter())
        gate = LimiterGate(wire, "a", claims(requests=1000), "w")
        await asyncio.gather(*(request(gate, 1.0) for _ in range(64)))
        return wire.calls

    assert simulate(main()) <= 6


def test_a_limiter_tells_which_messages_it_understands_and_how_an_account_stands() -> None:
    async def main() -> None:
        limiter = make_limiter()
        assert limiter.protocol() == PROTOCOL
        assert limiter.standing("run") is None
        await request(LimiterGate(limiter, "a", claims(requests=10, in_flight=2), "w"), want=Want(7))
        standing = limiter.standing("run")
        assert standing is not None
        assert (standing.account, standing.requests, standing.characters, standing.granted) == ("a", 1, 7, 1)
        assert standing.remaining == pytest.approx(0.9)
        assert limiter.standing("another run") is None
        await limiter.aclose()
        assert len(asyncio.all_tasks()) == 1 + len([t for t in asyncio.all_tasks() if "_call" in repr(t)])

    simulate(main())


def test_a_worker_that_only_waits_is_not_forgotten() -> None:
    assert HOLD_S < limiter_module.SILENT_S / 2
