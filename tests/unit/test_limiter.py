"""The gate under a simulated clock: first come, first served, one pending call a worker, nothing lost."""

import asyncio
import logging
import random
from itertools import pairwise

import pytest

from cluster_tts.gates import CoreGate, LimiterGate, OpenGate
from cluster_tts.limiter import BEAT_S, SILENT_S, Ask, Limiter
from cluster_tts.quota import Limits
from tests.simulated import now, simulate


class Wire:
    """The way to a limiter: takes up to 50 ms each way, loses the order of messages, and counts pending calls."""

    def __init__(self, limiter: Limiter, seed: int = 0) -> None:
        self.limiter = limiter
        self.random = random.Random(seed)

    async def ask(self, account: str, limits: Limits, ask: Ask) -> tuple[int, ...]:
        await asyncio.sleep(self.random.uniform(0, 0.05))
        granted = await self.limiter.ask(account, limits, ask)
        await asyncio.sleep(self.random.uniform(0, 0.05))
        return granted


def make_limiter() -> Limiter:
    return Limiter(clock=asyncio.get_running_loop().time)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_limits_hold_over_a_slow_wire_and_everybody_gets_through(workers: int, seed: int) -> None:
    limits = Limits(requests=10, in_flight=4, window_s=10, guard_s=0.2)
    left: list[float] = []
    flying = peak = 0

    async def request(gate: LimiterGate) -> None:
        nonlocal flying, peak
        async with gate.place(1):
            left.append(now())
            flying += 1
            peak = max(peak, flying)
            await asyncio.sleep(1.0)
            flying -= 1

    async def main() -> float:
        wire = Wire(make_limiter(), seed)
        gates = [LimiterGate(wire, "account", limits, f"w{n}") for n in range(workers)]
        async with asyncio.TaskGroup() as group:
            for n in range(60):
                group.create_task(request(gates[n % workers]))
        await asyncio.sleep(1)
        assert wire.limiter.in_flight("account") == 0
        return now() - 1000.0

    took = simulate(main())
    assert len(left) == 60
    assert peak == 4
    assert all(later - earlier >= 10 for earlier, later in zip(left, left[10:], strict=False))
    assert took < 5 * 10.2 + 10


def test_a_dear_request_first_in_line_is_not_overtaken_by_cheap_ones() -> None:
    async def main() -> list[str]:
        limiter, order = make_limiter(), []
        limits = Limits(characters=100, window_s=10, guard_s=0)
        gate = LimiterGate(limiter, "account", limits, "w")

        async def request(name: str, characters: int) -> None:
            async with gate.place(characters):
                order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(request("first", 60))
            await asyncio.sleep(0.1)
            group.create_task(request("dear", 90))
            await asyncio.sleep(0.1)
            for n in range(4):
                group.create_task(request(f"cheap {n}", 10))
        return order

    assert simulate(main())[:2] == ["first", "dear"]


def test_a_place_given_back_is_used_at_once_although_a_call_is_pending() -> None:
    async def main() -> list[float]:
        limiter, left = make_limiter(), []
        gate = LimiterGate(limiter, "account", Limits(in_flight=1), "w")

        async def request() -> None:
            async with gate.place(1):
                left.append(now())
                await asyncio.sleep(0.5)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(request())
        return left

    assert [round(later - earlier, 6) for earlier, later in pairwise(simulate(main()))] == [0.5, 0.5, 0.5]


def test_asking_twice_for_the_same_request_takes_one_place() -> None:
    async def main() -> int:
        limiter = make_limiter()
        ask = Ask("w", 1, {7: 1})
        assert await limiter.ask("a", Limits(in_flight=3), ask) == (7,)
        assert await limiter.ask("a", Limits(in_flight=3), ask) == (7,)
        return limiter.in_flight("a")

    assert simulate(main()) == 1


def test_an_older_ask_that_arrives_late_changes_no_wants_but_its_returned_places_count() -> None:
    async def main() -> int:
        limiter = make_limiter()
        limits = Limits(in_flight=1)
        assert await limiter.ask("a", limits, Ask("w", 2, {1: 1})) == (1,)
        assert await limiter.ask("a", limits, Ask("w", 1, {9: 1}, done=(1,))) == ()
        return limiter.in_flight("a")

    assert simulate(main()) == 0


@pytest.mark.parametrize(("window_s", "expected"), [(10, SILENT_S), (100, 100)])
def test_a_silent_workers_places_come_back_but_what_it_sent_stays_in_the_window(
    window_s: float, expected: float
) -> None:
    async def main() -> float:
        limiter = make_limiter()
        limits = Limits(requests=1, in_flight=1, window_s=window_s, guard_s=0)
        await limiter.ask("a", limits, Ask("vanished", 0, {0: 1, 1: 1}))
        gate = LimiterGate(limiter, "a", limits, "alive")
        async with gate.place(1):
            return now() - 1000.0

    assert simulate(main()) == pytest.approx(expected, abs=2)


def test_a_place_is_kept_as_long_as_a_request_takes_and_nobody_beats_for_nothing() -> None:
    async def main() -> float:
        limiter, limits = make_limiter(), Limits(in_flight=1)
        slow, other = (LimiterGate(limiter, "a", limits, name) for name in ("slow", "other"))
        others = len(asyncio.all_tasks())

        async def request() -> None:
            async with slow.place(1):
                await asyncio.sleep(10 * SILENT_S)
                assert limiter.idle_s <= BEAT_S

        first = asyncio.create_task(request())
        await asyncio.sleep(1)
        async with other.place(1):
            took = now() - 1000.0
        await first
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == others + 1, "only the limiter's own task is left"
        return took

    assert simulate(main()) == pytest.approx(10 * SILENT_S, abs=1)


def test_other_limits_for_the_same_account_narrow_it_for_all_and_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[float]:
        limiter, left = make_limiter(), []
        wide = LimiterGate(limiter, "a", Limits(requests=100, window_s=10, guard_s=0), "wide")
        narrow = LimiterGate(limiter, "a", Limits(requests=1, window_s=10, guard_s=0, burst=1), "narrow")
        for gate in (wide, narrow, wide, narrow):
            async with gate.place(1):
                left.append(now() - 1000.0)
        return left

    with caplog.at_level(logging.WARNING):
        assert simulate(main()) == pytest.approx([0, 10, 20, 30])
    assert len(caplog.records) == 1


def test_a_cancelled_request_gives_its_place_in_line_to_the_next() -> None:
    async def main() -> float:
        limiter = make_limiter()
        limits = Limits(in_flight=1)
        gate = LimiterGate(limiter, "a", limits, "w")

        async def request() -> None:
            async with gate.place(1):
                await asyncio.sleep(1)

        first, second = asyncio.create_task(request()), asyncio.create_task(request())
        await asyncio.sleep(0.5)
        first.cancel()
        second_left = now()
        await second
        return now() - second_left

    assert simulate(main()) == pytest.approx(1.0)


def test_one_refusal_cools_the_gate_for_everybody() -> None:
    async def main() -> float:
        limiter = make_limiter()
        limits = Limits(requests=100)
        LimiterGate(limiter, "a", limits, "refused").cool(7.0)
        await asyncio.sleep(0)
        async with LimiterGate(limiter, "a", limits, "other").place(1):
            return now() - 1000.0

    assert simulate(main()) == pytest.approx(7.0, abs=0.01)


def test_a_declared_burst_is_paced() -> None:
    async def main() -> list[float]:
        left = []
        gate = LimiterGate(make_limiter(), "a", Limits(requests=60, burst=2, window_s=60, guard_s=0), "w")
        for _ in range(5):
            async with gate.place(1):
                left.append(round(now() - 1000.0, 3))
        return left

    assert simulate(main()) == [0.0, 0.0, 1.0, 2.0, 3.0]


def test_a_limiter_that_fails_fails_those_who_wait() -> None:
    class Broken:
        async def ask(self, account: str, limits: Limits, ask: Ask) -> tuple[int, ...]:
            raise ConnectionError("gone")

    async def main() -> None:
        with pytest.raises(ConnectionError, match="gone"):
            async with LimiterGate(Broken(), "a", Limits(in_flight=1), "w").place(1):
                pass

    simulate(main())


def test_without_an_account_the_gate_is_open() -> None:
    async def main() -> float:
        gate = OpenGate()
        gate.cool(100)
        async with gate.place(10**9):
            return now()

    assert simulate(main()) == 1000.0


def test_an_embedded_voice_computes_no_more_at_once_than_it_has_cores() -> None:
    async def main() -> list[float]:
        gate, entered = CoreGate(2), []

        async def compute() -> None:
            async with gate.place(1):
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
        await limiter.ask("a", Limits(in_flight=1), Ask("vanished", 0, {0: 1}))
        await asyncio.sleep(50)
        return limiter.idle_s

    assert simulate(main()) == 50.0


def test_a_dead_workers_places_come_back_but_what_it_sent_stays_in_the_window() -> None:
    async def main() -> float:
        limiter = make_limiter()
        limits = Limits(requests=1, in_flight=1, window_s=10, guard_s=0)
        await limiter.ask("a", limits, Ask("dead", 0, {0: 1}))
        limiter.forget("dead")
        gate = LimiterGate(limiter, "a", limits, "alive")
        async with gate.place(1):
            return now() - 1000.0

    assert simulate(main()) == pytest.approx(10)


@pytest.mark.parametrize("slots", [2, 5, 16, 64])
@pytest.mark.parametrize("stagger", [False, True])
def test_what_may_leave_leaves_at_once_however_many_ask_in_the_same_moment(slots: int, stagger: bool) -> None:
    """A grant that comes while a worker's call is being answered must not wait for its next event."""
    left: list[float] = []

    async def request(gate: LimiterGate, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        async with gate.place(1):
            left.append(now() - 1000.0)
            await asyncio.sleep(5.0)

    async def main() -> None:
        gate = LimiterGate(make_limiter(), "a", Limits(requests=1000, window_s=60), "w")
        async with asyncio.TaskGroup() as group:
            for n in range(slots):
                group.create_task(request(gate, n % 7 if stagger else 0))

    simulate(main())
    assert left == [0.0] * slots
