"""An account in front of a provider in simulated time: events in order, no clock, no event loop.

The provider counts by ``emulator.limits``; requests travel for a random time, are refused after a round trip or
answered after their latency, and what the answer tells comes back to the account. Nothing waits without a reason: that
is asserted at every event.
"""

import heapq
import itertools
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from cluster_tts.emulator.limits import Account as Provider
from cluster_tts.model import News, Told, Want
from cluster_tts.quota.account import Account
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.permits import Ask, Claim
from cluster_tts.quota.sharing import Shared

KINDS = {"concurrency": "too_many_at_once"}


@dataclass
class Seen:
    """What was seen, by time: at the account what ``left`` and how many places were held by then, at the provider all
    else."""

    left: list[tuple[float, str, int, int]] = field(default_factory=list)
    fillers: set[int] = field(default_factory=set)
    """Which of ``left`` went before others of their run, into what those leave free."""
    heard: list[float] = field(default_factory=list)
    admitted: list[tuple[float, str, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    flying: list[tuple[float, int]] = field(default_factory=list)
    ended: float = 0.0
    notes: list[str] = field(default_factory=list)

    def of(self, run: str) -> list[tuple[float, int]]:
        return [(when, units) for when, of_run, units in self.admitted if of_run == run]

    def mean_flying(self, begin: float, end: float) -> float:
        """How many were in flight at the provider on average."""
        begun = bisect_left(self.flying, (begin, -1))
        level = self.flying[begun - 1][1] if begun else 0
        area, at = 0.0, begin
        for when, count in [*self.flying[begun:], (end, 0)]:
            area += level * (min(when, end) - at)
            at, level = min(when, end), count
        return area / (end - begin)


@dataclass
class World:
    """What surrounds the account."""

    provider: Provider
    claims: list[Claim]
    costs: Callable[[random.Random], int] = lambda rng: 1
    latency_s: Callable[[random.Random], float] = lambda rng: 0.5
    travel_s: float = 0.02
    slots: int = 64
    count: int | dict[str, int] = 500  # requests of each claim
    begins: dict[str, float] = field(default_factory=dict)  # by run, where that is not at once
    tells: bool = False
    retry_after: bool = False
    refuses_as: str = "rate_limited"
    fault: Callable[[random.Random, float], str] = lambda rng, now: ""
    machines: int | None = None  # that answer, one request each; what comes while all are busy queues
    happenings: list[tuple[float, Callable[["World"], None]]] = field(default_factory=list)
    known: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    until: float = math.inf
    neighbour_every_s: tuple[float, float] | None = None  # from when on, and how often
    window_s: float = 60.0


@dataclass
class _Run:
    """One run: a worker with so many slots."""

    claim: Claim
    todo: list[int]
    waiting: dict[int, Want] = field(default_factory=dict)
    flights: int = 0
    done: list[tuple[int, float]] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    asks: Iterator[int] = field(default_factory=itertools.count)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def is_over(self) -> bool:
        return not (self.todo or self.waiting or self.flights)


class Simulation:
    """Plays a ``World`` to its end, or to ``until``."""

    def __init__(self, world: World) -> None:
        self.world, self.seen = world, Seen()
        self.rng = random.Random(world.seed)
        self.account = Account("simulated", world.claims[0], Shared(learned=world.known), 0.0)
        self.runs = {
            claim.run: _Run(claim, [world.costs(self.rng) for _ in range(_count(world, claim.run))])
            for claim in world.claims
        }
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._armed = math.inf
        self._machines = [0.0] * (world.machines or 0)

    def play(self) -> None:
        world = self.world
        for name, run in self.runs.items():
            self._at(world.begins.get(name, 0.0), partial(self._ask, run))
        self._at(0.0, self._pump)
        for begin in world.begins.values():
            self._at(begin, self._pump)
        if world.neighbour_every_s:
            self._at(world.neighbour_every_s[0], self._neighbour)
        for when, happens in world.happenings:
            self._at(when, lambda now, happens=happens: happens(world))
        now = 0.0
        while self._events and not all(run.is_over for run in self.runs.values()):
            now, _, what = heapq.heappop(self._events)
            if now > world.until:
                break
            what(now)
        else:
            left = [name for name, run in self.runs.items() if not run.is_over and name not in self.account.broke]
            assert not left, f"{left} would wait for ever"
        self.seen.notes = [line for _, line in self.account.standing(now).notes]

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _travel(self, now: float) -> float:
        return now + self.rng.uniform(0, self.world.travel_s)

    def _ask(self, run: _Run, now: float) -> None:
        while run.todo and len(run.waiting) + run.flights < self.world.slots:
            cost = run.todo.pop(0)
            run.waiting[next(run.numbers)] = Want(cost, cost)
        ask = Ask(run.claim.run, next(run.asks), dict(run.waiting), tuple(run.done), tuple(run.news))
        self.account.hear(run.claim, ask, now)
        run.done.clear()
        run.news.clear()

    def _pump(self, now: float) -> None:
        granted, wait_s = self.account.grant(now)
        for name, request in granted:
            run = self.runs[name]
            if request != min(run.waiting):
                self.seen.fillers.add(len(self.seen.left))
            want = run.waiting.pop(request)
            run.flights += 1
            self.seen.left.append((now, name, want.units, sum(each.flights for each in self.runs.values())))
            self._at(self._travel(now), partial(self._arrive, run, request, want.units, now))
        if (turn := self.account.turns.first(self.account.broke)) is not None:
            assert wait_s > 0
            assert self.account.quota.wait_s(turn[2].units, now) > 0, "it waits, and nothing says why"
        if wait_s < math.inf and now + max(wait_s, 1e-6) < self._armed:
            self._armed = now + max(wait_s, 1e-6)
            self._at(self._armed, self._wake)

    def _wake(self, now: float) -> None:
        if self._armed <= now:
            self._armed = math.inf
        self._pump(now)

    def _arrive(self, run: _Run, request: int, units: int, left: float, now: float) -> None:
        world, provider = self.world, self.world.provider
        verdict = provider.admit(units, now)
        if verdict.refused:
            self.seen.refused.append(now)
            run.todo.insert(0, units)
            after_s = verdict.wait_s if world.retry_after and math.isfinite(verdict.wait_s) else None
            news = News(request, KINDS.get(verdict.refused, world.refuses_as), after_s, self._headers(now), units)
            self._at(self._travel(now), partial(self._end, run, news, left))
            return
        self.seen.admitted.append((now, run.claim.run, units))
        self.seen.flying.append((now, provider.in_flight))
        begun = now
        if self._machines:
            begun = max(now, heapq.heappop(self._machines))
        ends = begun + world.latency_s(self.rng)
        if self._machines or world.machines:
            heapq.heappush(self._machines, ends)
        kind = world.fault(self.rng, now)
        self._at(ends, partial(self._answer, run, request, units, kind, left))

    def _answer(self, run: _Run, request: int, units: int, kind: str, left: float, now: float) -> None:
        self.world.provider.leave()
        self.seen.flying.append((now, self.world.provider.in_flight))
        self.seen.ended = max(self.seen.ended, now)
        if kind:
            run.todo.insert(0, units)
        news = News(request, kind, None, self._headers(now), units)
        self._at(self._travel(now), partial(self._end, run, news, left))

    def _end(self, run: _Run, news: News, left: float, now: float) -> None:
        run.flights -= 1
        self.seen.heard.append(now)
        run.done.append((news.request, now - left))
        run.news.append(News(news.request, news.kind, news.after_s, news.told, news.units, now - left))
        self._ask(run, now)
        self._pump(now)

    def _headers(self, now: float) -> Told | None:
        provider, per_minute = self.world.provider, 60 / self.world.window_s
        if not self.world.tells:
            return None
        requests = provider.requests and provider.requests.standing(now)
        characters = provider.characters and provider.characters.standing(now)
        return Told(
            limit_requests=requests and round(requests.limit * per_minute),
            remaining_requests=requests and requests.remaining,
            reset_requests_s=requests and requests.reset_s,
            limit_characters=characters and round(characters.limit * per_minute),
            remaining_characters=characters and characters.remaining,
            reset_characters_s=characters and characters.reset_s,
            in_flight=None if provider.most_in_flight is None else provider.in_flight,
            most_in_flight=provider.most_in_flight,
        )

    def _neighbour(self, now: float) -> None:
        """Somebody else on the account; it does not give in."""
        assert self.world.neighbour_every_s is not None
        if self.world.provider.admit(1, now).refused:
            self._at(now + 0.1, self._neighbour)
            return
        self.seen.theirs.append(now)
        self.world.provider.leave()
        self._at(now + self.rng.expovariate(1 / self.world.neighbour_every_s[1]), self._neighbour)


def simulate(world: World) -> tuple[Account, Seen]:
    """Run everything to its end, or to ``world.until``."""
    simulation = Simulation(world)
    simulation.play()
    return simulation.account, simulation.seen


def _count(world: World, run: str) -> int:
    return world.count if isinstance(world.count, int) else world.count[run]


def windows(seen: Seen, window_s: float, count: int, run: str | None = None) -> list[float]:
    """What was admitted in ``count`` whole windows, beginning one window after the first arrival."""
    first = seen.admitted[0][0] + window_s
    sums = [0.0] * count
    for when, of_run, units in seen.admitted:
        index = int((when - first) // window_s)
        if when >= first and index < count and run in (None, of_run):
            sums[index] += units
    return sums


def claim(run: str = "a", **limits: object) -> Claim:
    """A claim of a run with such limits."""
    rest = {
        name: limits.pop(name) for name in ("weight", "adaptive", "max_unknown", "purse", "share") if name in limits
    }
    return Claim(run, Limits(**limits), **rest)  # type: ignore[arg-type]
