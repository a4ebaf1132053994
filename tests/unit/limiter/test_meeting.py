"""Limiters that meet at an account's state file, at once and one after another: together they keep its limits."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.emulator.limits import Account as Provider
from cluster_tts.emulator.limits import count
from cluster_tts.errors import AccountRefused
from cluster_tts.limiter import meeting
from cluster_tts.limiter.gates import LimiterGate
from cluster_tts.limiter.limiter import Limiter
from cluster_tts.limiter.state_file import AccountFile, Busy, Unlockable, file_name
from cluster_tts.model import News, Purse, Want
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.quota.permits import Ask, Claim, Reply
from tests.simulated import now, simulate

W, LIMIT = 10.0, 40
LIMITS = Limits(requests=LIMIT, window_s=W, guard_s=0.1, burst=LIMIT)


@pytest.fixture(autouse=True)
def simulated_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock on the wall that the file is dated by is the loop's."""

    def dated(folder: Path, account: str, era: str) -> AccountFile:
        loop = asyncio.get_running_loop()
        return AccountFile(folder, account, era, lambda: 1_700_000_000 + loop.time())

    monkeypatch.setattr(meeting, "AccountFile", dated)


class Server:
    """The provider's side of the wire, up to 50 ms away."""

    def __init__(self, provider: Provider, latency_s: float = 0.3) -> None:
        self.provider, self.latency_s = provider, latency_s
        self.random = random.Random(1)
        self.arrived: list[tuple[float, str]] = []
        self.refused: list[float] = []

    async def answer(self, who: str) -> str:
        await asyncio.sleep(self.random.uniform(0, 0.05))
        if why := self.provider.admit(1, now() - 1000.0).refused:
            self.refused.append(now() - 1000.0)
            return "too_many_at_once" if why == "concurrency" else "rate_limited"
        self.arrived.append((now() - 1000.0, who))
        try:
            await asyncio.sleep(self.latency_s)
        finally:
            self.provider.leave()
        return ""

    def between(self, begin: float, end: float, who: str = "") -> int:
        return sum(begin <= at < end and by.startswith(who) for at, by in self.arrived)


class Line:
    """The way to a limiter that may die and come back as another."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter

    async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply:
        while True:
            limiter = self.limiter
            call = asyncio.ensure_future(limiter.ask(account, claim, ask))
            while not call.done() and limiter is self.limiter:
                await asyncio.wait([call], timeout=0.1)
            if limiter is self.limiter:
                return await call
            call.cancel()  # it died: what it answered nobody hears


def open_limiter(folder: Path) -> Limiter:
    return Limiter(folder, asyncio.get_running_loop().time)


async def kill(limiter: Limiter, folder: Path, account: str = "account") -> None:
    """End a limiter as a signal does: it says nothing any more, and its process is gone."""
    for entry in limiter._entries.values():
        for task in entry.tasks:
            task.cancel()
        await asyncio.gather(*entry.tasks, return_exceptions=True)
        if entry.meeting is not None and entry.meeting._writing is not None:
            await asyncio.gather(entry.meeting._writing, return_exceptions=True)
    path = folder / file_name(account)
    content = json.loads(path.read_text())
    content["parties"][limiter._era]["process"]["start"] = "another process has this pid now"
    path.write_text(json.dumps(content))


def hire(line: Any, server: Server, name: str, slots: int, **claim: Any) -> list[asyncio.Task[None]]:
    """A worker that always has ``slots`` requests waiting or under way."""
    gate = LimiterGate(line, "account", Claim(name, **({"limits": LIMITS, "adaptive": False} | claim)), name)

    async def work() -> None:
        while True:
            async with gate.place(Want(1, 1)) as request:
                kind = await server.answer(name)
            gate.report(News(request, kind, 1.0 if kind else None))

    return [asyncio.create_task(work()) for _ in range(slots)]


async def dismiss(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def standing(limiter: Limiter, run: str) -> Standing:
    found = limiter.standing(run)
    assert found is not None
    return found


def play(main: Callable[[Server], Any]) -> Server:
    """Run ``main`` with a provider that counts by sliding window."""

    async def run() -> Server:
        server = Server(Provider(count("sliding", LIMIT, W)))
        await main(server)
        return server

    return simulate(run())


def test_two_limiters_on_one_file_use_the_whole_quota_in_equal_parts_and_are_never_refused(tmp_path: Path) -> None:
    async def main(server: Server) -> None:
        one, other = open_limiter(tmp_path), open_limiter(tmp_path)
        tasks = hire(one, server, "one", 50)
        await asyncio.sleep(13)
        tasks += hire(other, server, "other", 50)
        await asyncio.sleep(60)
        assert (standing(one, "one").parties, standing(other, "other").parties) == (2, 2)
        await dismiss(tasks)
        await one.aclose()
        await other.aclose()

    server = play(main)
    assert not server.refused
    assert server.between(0, 10) == LIMIT
    assert server.between(33, 73) >= 0.9 * 4 * LIMIT
    assert server.between(33, 73, "other") == pytest.approx(server.between(33, 73, "one"), rel=0.1)


def test_what_one_leaves_the_other_has_and_after_a_good_end_nothing_is_unknown(tmp_path: Path) -> None:
    async def main(server: Server) -> None:
        one, other = open_limiter(tmp_path), open_limiter(tmp_path)
        ones, others = hire(one, server, "one", 50), hire(other, server, "other", 50)
        await asyncio.sleep(35)
        await dismiss(ones)
        await one.aclose()
        await asyncio.sleep(35)
        assert standing(other, "other").parties == 1
        await dismiss(others)
        await other.aclose()

    server = play(main)
    assert not server.refused
    assert server.between(50, 70) >= 0.95 * 2 * LIMIT


def test_a_limiter_that_dies_is_followed_by_one_that_knows_all_once_its_workers_have_told(tmp_path: Path) -> None:
    """No refusal, and no pause of five seconds."""

    async def main(server: Server) -> None:
        line = Line(open_limiter(tmp_path))
        tasks = hire(line, server, "one", 9) + hire(line, server, "two", 9)
        await asyncio.sleep(21.5)  # in the middle of a burst: half a second of it is written nowhere
        await kill(line.limiter, tmp_path)
        line.limiter = open_limiter(tmp_path)
        await asyncio.sleep(40)
        assert standing(line.limiter, "one").parties == 1
        await dismiss(tasks)
        await line.limiter.aclose()

    server = play(main)
    assert not server.refused
    assert server.between(21.6, 35) >= LIMIT
    assert server.between(40, 60) >= 0.95 * 2 * LIMIT


def test_places_that_survivors_hold_stay_theirs(tmp_path: Path) -> None:
    async def main() -> int:
        server = Server(Provider(None, None, 3), latency_s=7.0)
        line = Line(open_limiter(tmp_path))
        tasks = hire(line, server, "one", 9, limits=Limits(in_flight=3))
        await asyncio.sleep(12)
        await kill(line.limiter, tmp_path)
        line.limiter = open_limiter(tmp_path)
        await asyncio.sleep(60)
        await dismiss(tasks)
        await line.limiter.aclose()
        assert not server.refused
        return server.between(12, 72)

    assert simulate(main()) >= 3 * 6


@pytest.mark.parametrize("told_of", ["nobody", "one of two"])
def test_where_survivors_do_not_tell_what_is_unknown_counts_as_used_for_a_window_and_no_longer(
    tmp_path: Path, told_of: str
) -> None:
    async def main(server: Server) -> None:
        line = Line(open_limiter(tmp_path))
        kept = hire(line, server, "one", 3) if told_of != "nobody" else []
        dead = hire(line, server, "two", 9)
        await asyncio.sleep(20.4)
        await kill(line.limiter, tmp_path)
        line.limiter = open_limiter(tmp_path)
        await dismiss(dead)
        tasks = kept + hire(line, server, "new", 50)
        await asyncio.sleep(40)
        await dismiss(tasks)
        await line.limiter.aclose()

    server = play(main)
    assert not server.refused
    assert server.between(20.5, 36) >= LIMIT * 0.9
    assert server.between(40, 60) >= 0.95 * 2 * LIMIT


def test_the_next_run_knows_what_the_last_one_sent_and_may_send_the_rest_at_once(tmp_path: Path) -> None:
    async def main(server: Server) -> None:
        for name, slots in (("one", 10), ("two", 50)):
            limiter = open_limiter(tmp_path)
            tasks = hire(limiter, server, name, slots)
            await asyncio.sleep(0.5 if name == "one" else 25)
            await dismiss(tasks)
            await limiter.aclose()

    server = play(main)
    assert not server.refused
    first = server.between(0, 1)
    assert first == LIMIT, "ten, ten more after the first answers, and all the rest of the second"
    assert server.between(10, 25) >= LIMIT


def test_what_was_learned_and_spent_is_known_to_the_next_limiter(tmp_path: Path) -> None:
    async def main() -> None:
        server = Server(Provider(None, None, 3))
        one = open_limiter(tmp_path)
        claim = {"limits": Limits(), "adaptive": True, "purse": Purse(characters=500)}
        tasks = hire(one, server, "one", 9, **claim)
        await asyncio.sleep(20)
        learned, refused = standing(one, "one").learned, len(server.refused)
        await dismiss(tasks)
        await one.aclose()
        two = open_limiter(tmp_path)
        tasks = hire(two, server, "one", 9, **claim)
        await asyncio.sleep(5)
        assert standing(two, "one").learned == learned == {"max_concurrent_requests": 3}
        assert len(server.refused) <= refused + 1
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await two.aclose()
        assert all(isinstance(error, AccountRefused) for error in ended), "the purse of both"
        assert len(server.arrived) <= 500

    simulate(main())


def test_while_the_file_cannot_be_written_nothing_leaves_after_two_seconds_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = AccountFile.exchange

    def busy(self: AccountFile, mine: Any) -> Any:
        if 15 <= loop.time() - 1000 < 30:
            raise Busy("the state file cannot be written")
        return exchange(self, mine)

    async def main(server: Server) -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        limiter = open_limiter(tmp_path)
        tasks = hire(limiter, server, "one", 3)
        await asyncio.sleep(45)
        await dismiss(tasks)
        await limiter.aclose()

    loop: Any = None
    monkeypatch.setattr(AccountFile, "exchange", busy)
    server = play(main)
    assert not server.refused
    assert server.between(17.1, 30) == 0
    assert server.between(31, 45) >= LIMIT


def test_others_that_cannot_be_met_any_more_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(server: Server) -> None:
        limiter = open_limiter(tmp_path)
        tasks = hire(limiter, server, "one", 3)
        await asyncio.sleep(5)

        def gone(self: AccountFile, mine: Any) -> Any:
            raise Unlockable("the state file cannot be locked; set quota.share")

        monkeypatch.setattr(AccountFile, "exchange", gone)
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert [type(error) for error in ended] == [Unlockable] * 3
        monkeypatch.undo()
        await limiter.aclose()

    play(main)


def test_accounts_meet_at_files_of_their_own(tmp_path: Path) -> None:
    async def main() -> None:
        limiter = open_limiter(tmp_path)
        for name in ("a", "b"):
            await limiter.ask(name, Claim(name, LIMITS, adaptive=False), Ask("w", 0, {0: Want(1)}))
        await limiter.aclose()

    simulate(main())
    assert {path.name for path in tmp_path.glob("*.json")} == {file_name("a"), file_name("b")}


def test_a_limiter_that_nobody_uses_any_more_leaves_its_part_to_the_others(tmp_path: Path) -> None:
    async def main() -> tuple[int | None, int | None]:
        clock = asyncio.get_running_loop().time
        limits = Limits(in_flight=4)
        old, new = Limiter(tmp_path, clock), Limiter(tmp_path, clock)
        await old.ask("a", Claim("old", limits), Ask("o", 0, {0: Want(1)}))
        gate = LimiterGate(new, "a", Claim("new", limits), "n")
        busy = asyncio.create_task(pass_through(gate, 60.0))
        await asyncio.sleep(8)
        beside = new.standing("new")
        old.forget(["o"])
        await asyncio.sleep(8)
        alone = new.standing("new")
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        await asyncio.gather(old.aclose(), new.aclose())
        return beside and beside.parties, alone and alone.parties

    async def pass_through(gate: LimiterGate, seconds: float) -> None:
        async with gate.place(Want(1)):
            await asyncio.sleep(seconds)

    assert simulate(main()) == (2, 1)


def test_a_state_file_that_can_be_written_again_is_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> tuple[int, ...]:
        limiter, claim = Limiter(tmp_path, asyncio.get_running_loop().time), Claim("run", LIMITS)
        await limiter.ask("a", claim, Ask("w", 0, {0: Want(1)}))
        with monkeypatch.context() as broken:
            broken.setattr(AccountFile, "exchange", _refusing)
            await asyncio.sleep(1.5)
            with pytest.raises(Unlockable):
                await limiter.ask("a", claim, Ask("w", 1, {1: Want(1)}))
        await asyncio.sleep(2)
        granted = (await limiter.ask("a", claim, Ask("w", 2, {1: Want(1)}))).granted
        await limiter.aclose()
        return granted

    def _refusing(*_: Any) -> None:
        raise Unlockable("the disk is gone")

    assert simulate(main()) == (1,)


def test_what_a_run_sent_counts_for_the_next_one_although_the_limiter_had_nothing_to_do_between_them(
    tmp_path: Path,
) -> None:
    async def main() -> tuple[tuple[int, ...], float]:
        clock = asyncio.get_running_loop().time
        limiter = Limiter(tmp_path, clock)
        await limiter.ask("a", Claim("first", LIMITS), Ask("one", 0, {n: Want(1) for n in range(LIMIT)}))
        limiter.forget(["one"])
        await asyncio.sleep(3)
        early = (await limiter.ask("a", Claim("second", LIMITS), Ask("two", 0, {0: Want(1)}))).granted
        begun = clock()
        number = 1
        while not (await limiter.ask("a", Claim("second", LIMITS), Ask("two", number, {0: Want(1)}))).granted:
            number += 1
        await limiter.aclose()
        return early, clock() - begun

    early, waited = simulate(main())
    assert early == ()
    assert waited > W - 3 - 2.5
