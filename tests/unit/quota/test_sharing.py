"""Parties that know each other by a file only, each granting by the rule: simulated against the account they share."""

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster_tts.limiter.liveness import Process
from cluster_tts.limiter.state_file import AccountFile, Busy, Mine, Unlockable
from cluster_tts.quota.sharing import STALE_S, PartyView, Shared, part, room, theirs

SPAN_S = 6.0
STEP_S = 0.25


@given(limit=st.integers(0, 10_000), parties=st.integers(1, 50))
def test_parts_are_equal_and_together_the_whole(limit: int, parties: int) -> None:
    parts = [part(limit, parties, older) for older in range(parties)]
    assert sum(parts) == limit
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


def view(name: str, **changes: object) -> PartyView:
    known: dict[str, object] = {"since": 0.0, "seen_me": True, "age_s": 0.5, "log": (), "held": 0, "waiting": True}
    return PartyView(id=name, **{**known, "among": 2, "alike": True, "older": 0, **changes})  # type: ignore[arg-type]


def test_a_newcomer_has_nothing_while_the_other_reckons_with_itself_alone() -> None:
    shared = Shared(parties=(view("a", seen_me=False, among=1, alike=False),), older=1)
    left = theirs(100, 1000, 10, shared, 60.1)
    assert (left.requests, left.characters, left.places, left.part) == (100, 1000, 10, 1.0)


def test_a_newcomer_has_its_part_once_it_was_seen_and_what_the_other_sent_before_has_left() -> None:
    busy = view("a", log=((10.0, 90, 0),))
    left = theirs(100, None, None, Shared(parties=(busy,), older=1), 60.1)
    assert (left.requests, left.log) == (50, ((10.0, 40, 0),))
    assert room(100, 0, left.requests, [n for _, n, _ in left.log]) == 10
    assert room(100, 0, left.requests, []) == 50


def test_the_unwritten_end_of_a_dead_party_counts_as_all_that_its_log_left_free() -> None:
    lost = view("a", age_s=5.0, among=1, alike=False, log=((8.0, 30, 0), (70.0, 25, 0)))
    left = theirs(100, None, None, Shared(gone=((8.0, 30, 0),), unwritten=5.0, lost=(lost,)), 60.1)
    assert left.log == ((8.0, 30, 0), (5.0 - STALE_S, 70, 0))


def test_a_dead_neighbour_that_used_its_part_to_the_full_leaves_nothing_unknown() -> None:
    lost = view("a", age_s=1.0, among=2, log=((8.0, 50, 0),))
    left = theirs(100, None, None, Shared(gone=((8.0, 50, 0),), unwritten=1.0, lost=(lost,)), 60.1)
    assert left.log == ((8.0, 50, 0),)


def test_a_silent_party_that_never_saw_the_newcomer_is_waited_for_no_longer_than_what_it_may_have_sent() -> None:
    stopped = view("a", age_s=30.0, seen_me=False, among=1, alike=False, log=((31.0, 80, 0),))
    left = theirs(100, None, None, Shared(parties=(stopped,), older=1, entered_s=10.0), 60.1)
    assert (left.requests, left.log) == (50, ((31.0, 50, 0),))
    left = theirs(100, None, None, Shared(parties=(stopped,), older=1, entered_s=1.0), 60.1)
    assert left.requests == 100, "it may still have read of the newcomer, and need time to"


def test_a_dead_party_keeps_its_places_as_long_as_its_requests_may_go_on() -> None:
    shared = Shared(lost=(view("a", age_s=4.0, held=3, among=1, alike=False),))
    assert theirs(None, None, 10, shared, 60.1, linger_s=15.0).places == 10
    assert theirs(None, None, 10, shared, 60.1, linger_s=1.0).places == 0


@dataclass
class Sim:
    """A limiter as simple as can be, which does what the rule allows."""

    pid: int
    file: AccountFile
    limit: int
    places: int
    shared: Shared
    heard: float
    sent: list[tuple[float, int]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    frozen: bool = False
    dead: bool = False
    pending: tuple[Shared, float] | None = None

    def mine(self, now: float) -> Mine:
        log = [(now - at, n, 0) for at, n in self.sent if now - at < SPAN_S]
        return Mine(log, {"w": self.held(now)}, True)

    def held(self, now: float) -> int:
        return sum(end > now for end in self.ends)

    def exchange(self, now: float, at_once: bool) -> None:
        try:
            shared = self.file.exchange(self.mine(now))
        except (Busy, Unlockable):
            return
        self.pending = shared, now
        if at_once:
            self.adopt()

    def adopt(self) -> None:
        if self.pending:
            self.shared, self.heard = self.pending
            self.pending = None

    def grant(self, now: float, wanted: int, lasting: Callable[[], float]) -> int:
        if self.frozen or self.dead or now - self.heard > STALE_S:
            return 0
        left = theirs(self.limit, None, self.places, self.shared, SPAN_S, linger_s=SPAN_S)
        used = sum(n for at, n in self.sent if now - at < SPAN_S)
        log = [n for age, n, _ in left.log if age + now - self.heard < SPAN_S]
        free = min(wanted, room(self.limit, used, left.requests, log), self.places - self.held(now) - left.places)
        for _ in range(free):
            self.ends.append(now + lasting())
        if free > 0:
            self.sent.append((now, free))
        return max(0, free)


@dataclass
class World:
    """The account, and all that use it."""

    folder: Path
    limit: int
    places: int
    now: float = 1_000_000.0
    parties: list[Sim] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)

    def join(self) -> Sim:
        pid = len(self.parties) + 1
        file = AccountFile(self.folder, "simulated", f"{pid:04}", lambda: self.now)
        file._process = Process(pid, "", "here", "")
        self.alive.add(pid)
        party = Sim(pid, file, self.limit, self.places, file.open(SPAN_S), self.now)
        self.parties.append(party)
        return party

    def leave(self, party: Sim, killed: bool) -> None:
        party.adopt()
        if not killed:
            party.ends.clear()
            party.file.close(party.mine(self.now))
        party.dead = True
        self.alive.discard(party.pid)

    def check(self) -> None:
        used = sum(n for party in self.parties for at, n in party.sent if self.now - at < SPAN_S)
        assert used <= self.limit, f"{used} of {self.limit} at {self.now}"
        held = sum(party.held(self.now) for party in self.parties)
        assert held <= self.places, f"{held} of {self.places} places at {self.now}"

    def live(self) -> list[Sim]:
        return [party for party in self.parties if not party.dead]


@pytest.fixture(scope="module", autouse=True)
def _nobody_is_looked_up() -> Iterator[None]:
    """Simulated parties live while their world says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "is_alive", lambda self: self.pid in ALIVE)
        yield


ALIVE: set[int] = set()


def happen(world: World, chance: random.Random) -> None:
    """Now and then somebody comes, ends, is killed, stopped or continued."""
    fate = chance.random()
    live = world.live()
    if fate < 0.03 and len(live) < 3:
        world.join()
    elif fate < 0.05 and live:
        world.leave(chance.choice(live), killed=chance.random() < 0.5)
    elif fate < 0.07 and live:
        party = chance.choice(live)
        party.frozen = not party.frozen


def play(seed: int, steps: int) -> World:
    """Parties exchange about once a second, some answers take effect later, locks fail; each sends all it may."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), chance.choice([1, 5, 40, 101]), chance.choice([1, 2, 7, 50]), alive=ALIVE)
        ALIVE.clear()
        world.join()
        locked = 0
        for _ in range(steps):
            world.now += STEP_S * chance.random() * 2
            happen(world, chance)
            locked = max(0, locked - 1) or (chance.random() < 0.01) * 40
            for party in chance.sample(live := world.live(), len(live)):
                if not party.frozen:
                    party.adopt()
                    if chance.random() < 0.3:
                        with pytest.MonkeyPatch.context() as patch:
                            if locked:
                                patch.setattr("cluster_tts.limiter.state_file.Lock", _held)
                            party.exchange(world.now, at_once=chance.random() < 0.5)
                party.grant(world.now, chance.choice([0, 1, 10, 1000]), lambda: chance.random() * 4)
                world.check()
        return world


def _held(path: Path) -> None:
    raise BlockingIOError(11, "held")


@given(seed=st.integers(0, 10**6))
@example(seed=0)
@settings(max_examples=25, deadline=None)
def test_parties_together_never_exceed_a_limit_whoever_comes_goes_dies_or_is_stopped(seed: int) -> None:
    play(seed, steps=150)


@given(limit=st.integers(3, 200), parties=st.integers(1, 3), seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_parties_that_all_have_work_use_a_limit_up(limit: int, parties: int, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        ALIVE.clear()
        world = World(Path(folder), limit, 10_000, alive=ALIVE)
        for _ in range(parties):
            world.join()
        for step in range(120):
            world.now += STEP_S
            for party in chance.sample(world.parties, parties):
                if step % 4 == 0:
                    party.exchange(world.now, at_once=True)
                party.grant(world.now, limit, lambda: 0.0)
                world.check()
        late = [sum(n for at, n in party.sent if at > world.now - 2 * SPAN_S) for party in world.parties]
        assert sum(late) == 2 * limit
        assert max(late) - min(late) <= 2


def test_what_a_departed_neighbour_used_is_borne_by_all_that_remain() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ALIVE.clear()
        world = World(Path(folder), 120, 10_000, alive=ALIVE)
        parties = [world.join() for _ in range(3)]
        for step in range(200):
            world.now += STEP_S
            if step == 101:
                world.leave(parties[2], killed=False)
            for party in world.live():
                if step % 4 == 0:
                    party.exchange(world.now, at_once=True)
                party.grant(world.now, 2, lambda: 0.0)
                world.check()
        late = sum(n for party in parties for at, n in party.sent if at > world.now - 25 * SPAN_S / 6)
        assert late >= 0.97 * 4 * 100, "two ask for two a step each, and that is less than the limit"
