"""One account: who waits, what is under way, and what may leave next. Plain and synchronous: time is handed in."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

from cluster_tts.model import News, Want
from cluster_tts.quota.announced import Sent
from cluster_tts.quota.counting import Quota
from cluster_tts.quota.learning import Learner
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.quota.logs import Use
from cluster_tts.quota.permits import Ask, Claim
from cluster_tts.quota.purses import Purses
from cluster_tts.quota.sharing import Shared
from cluster_tts.quota.turns import Key, Turns

MOST_NOTES = 100
LOOK_BEHIND = 8  # so many of those that follow may be small enough to leave before the first


@dataclass(slots=True)
class _Flight:
    """A request that was let through, until it has been told what came of it."""

    run: str
    sent: Sent
    holds: bool = True
    late_s: float = 0.0


class Account:
    """Lets requests leave, account-wide.

    Promise: what ``counting.Quota`` promises, for the least of what all runs name and of what was learned; the order of
    ``turns.Turns``, so that a dear request is not overtaken by the cheap ones of its run; and no run spends more than
    its purse.
    """

    def __init__(self, name: str, claim: Claim, shared: Shared, now: float) -> None:
        self.name = name
        self.turns = Turns()
        self.purses = Purses()
        self.quota = Quota(claim.limits)
        self.learner = Learner(claim.adaptive, claim.max_unknown, shared.learned, self.say)
        self.ready_at = now  # nothing leaves before: somebody has still to be heard
        self.parties = 1
        self.granted = 0
        self.broke: dict[str, str] = {}  # why nothing more of a run leaves
        self.on_limits: Callable[[], None] = lambda: None  # called when the limits in force are others
        self._spent_before = shared.spent
        self._claims: dict[str, Claim] = {}  # by worker
        self._asked: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self._flights: dict[Key, _Flight] = {}
        self._notes: deque[tuple[int, str]] = deque(maxlen=MOST_NOTES)
        self._noted = 0
        self._noted_before: dict[str, int] = {}  # by run: what was said before it came
        self._held_up: tuple[Key, float] | None = None  # who is first and waits, and until when at the latest
        self._named: frozenset[Limits] = frozenset()

    def say(self, line: str) -> None:
        """Note a line for people."""
        self._noted += 1
        self._notes.append((self._noted, line))

    def hear(self, claim: Claim, ask: Ask, now: float) -> bool:
        """Note all that a worker says; whether nothing newer of it was heard before."""
        if self._claims.get(ask.worker) != claim:
            self._claims[ask.worker] = claim
            self._noted_before.setdefault(claim.run, self._noted)
            self.purses.open(claim.run, claim.purse, self._spent_before.get(claim.run))
            self._heed_claims()
        self._asked[ask.worker] = now
        if ask.sent is not None:
            self._adopt(ask, claim, now)
        for request, left_ago_s in ask.done:
            self._give_back((ask.worker, request), now, left_ago_s)
        for news in ask.news:
            self._hear_news((ask.worker, news.request), news, now)
        if ask.number < self._numbers.get(ask.worker, -1):
            return False
        self._numbers[ask.worker] = ask.number
        self.turns.withdraw(key for key in self.turns.of_worker(ask.worker) if key[1] not in ask.wants)
        for request, want in ask.wants.items() if claim.run not in self.broke else ():
            if (key := (ask.worker, request)) not in self._flights:
                self.turns.add(claim.run, claim.weight, key, want)
        return True

    def grant(self, now: float) -> tuple[list[Key], float]:
        """Let all leave that may; and seconds until more may, infinite if that takes news."""
        granted: list[Key] = []
        waiting: set[str] = set()  # runs whose purse has to be settled first
        while turn := self.turns.first(waiting):
            run, key, want = turn
            if not self.purses.affords(run, want):
                if self.purses.is_settled(run):
                    self.broke[run] = self.purses.why(run, want)
                    self.turns.withdraw(self.turns.of_run(run))
                waiting.add(run)
                continue
            if now < self.ready_at:
                return granted, self.ready_at - now
            limits = self.learner.limits(want.units, now)
            if limits != self.quota.limits:
                before = self.quota.limits
                self.quota.set(limits)
                if _amounts(before) != _amounts(limits):
                    self.on_limits()
            if (wait_s := self.quota.wait_s(want.units, now)) > 0:
                if filler := self._filler(run, key, want, now + wait_s, now):
                    self._let_go(run, *filler, now)
                    granted.append(filler[0])
                    continue
                return granted, min(wait_s, self.learner.wait_s(now))
            self._let_go(run, key, want, now)
            granted.append(key)
        return granted, math.inf

    def holds(self, worker: str, requests: Iterable[int]) -> tuple[int, ...]:
        """Those of ``requests`` that were let through."""
        return tuple(request for request in requests if (worker, request) in self._flights)

    def drop(self, workers: Iterable[str], now: float) -> None:
        """Take back the places of workers that are gone. What they sent stays sent, and what it may cost spent."""
        gone, before = set(workers) & self._asked.keys(), self.runs()
        for worker in gone:
            self.turns.withdraw(self.turns.of_worker(worker))
            for held in (self._asked, self._numbers, self._claims):
                held.pop(worker, None)
        for key in [key for key in self._flights if key[0] in gone]:
            self._give_back(key, now)
            self.purses.settle(self._flights.pop(key).run, key)
        if gone:
            self._heed_claims()
        for run in before - self.runs():
            self.turns.forget(run)

    def silent(self, since: float) -> list[str]:
        """Workers that have not been heard after ``since``."""
        return [worker for worker, asked in self._asked.items() if asked <= since]

    def runs(self) -> set[str]:
        return {claim.run for claim in self._claims.values()}

    def held(self) -> dict[str, int]:
        """How many places each worker holds."""
        held = dict.fromkeys(self._asked, 0)
        for key, flight in self._flights.items():
            held[key[0]] = held.get(key[0], 0) + flight.holds
        return held

    def standing(self, now: float, run: str = "") -> Standing:
        """How the account stands, with what was said since ``run`` came."""
        before = self._noted_before.get(run, 0)
        requests, units = self.quota.used(now)
        limits = self.quota.limits
        used = [
            use / limit for use, limit in ((requests, limits.requests), (units, limits.characters)) if limit is not None
        ]
        return Standing(
            account=self.name,
            limits=limits,
            requests=requests,
            characters=units,
            in_flight=self.quota.in_flight,
            waiting=len(self.turns),
            granted=self.granted,
            refused=self.learner.refused,
            cool_s=self.quota.cool_s(now),
            remaining=max(0.0, 1.0 - max(used)) if used else None,
            degraded_to=self.learner.health.cap,
            learned={name: value for name, value in self.learner.learned().items() if not name.startswith("proven_")},
            parties=self.parties,
            notes=tuple(note for note in self._notes if note[0] > before),
        )

    def _filler(self, run: str, key: Key, first: Want, leaves_at: float, now: float) -> tuple[Key, Want] | None:
        """A smaller request that fits into what the first of its run leaves free, and does not make it later.

        Without it as much of every window stays empty as a text is long. Later than half a guard would be overtaking.
        """
        limits = self.quota.limits
        if limits.characters is None or leaves_at == math.inf:
            return None
        if self._held_up is None or self._held_up[0] != key:
            self._held_up = key, leaves_at + limits.guard_s / 2
        for other, want in self.turns.behind(run, LOOK_BEHIND):
            if (
                want.units < first.units
                and self.purses.affords(run, want)
                and self.quota.wait_s(want.units, now) == 0
                and now + self.quota.wait_behind_s(first.units, want.units, now) <= self._held_up[1]
            ):
                return other, want
        return None

    def _let_go(self, run: str, key: Key, want: Want, now: float) -> None:
        requests, text = self.quota.limits.requests, self.quota.limits.characters
        cost = max(1 / requests if requests else 0.0, want.units / text if text else 0.0)
        self.turns.serve(key, cost or 1.0)
        self.quota.take(want.units, now)
        sent = Sent(
            now, want.units, self.quota.in_flight, self.quota.mine.requests, self.quota.mine.units,
            self.quota.requests_drawn.drawn(now), self.quota.units_drawn.drawn(now),
        )  # fmt: skip
        self._flights[key] = _Flight(run, sent)
        self.purses.reserve(run, key, want)
        self.learner.took(sent, self.quota)
        self.granted += 1

    def _give_back(self, key: Key, now: float, left_ago_s: float | None = None) -> None:
        """Take a place back; how much later than it was let through the request left shows now."""
        flight = self._flights.get(key)
        if flight is None or not flight.holds:
            return
        flight.holds = False
        self.quota.give_back()
        if left_ago_s is not None:
            flight.late_s = max(0.0, now - flight.sent.left - left_ago_s)
            self.quota.note_late(flight.late_s, now)

    def _hear_news(self, key: Key, news: News, now: float) -> None:
        flight = self._flights.get(key)
        if flight is None:
            return
        self._give_back(key, now)  # what is known to have ended holds no place
        self.quota.note_late(flight.late_s + news.sent_after_s, now)
        del self._flights[key]
        self.purses.settle(flight.run, key, news)
        self.learner.hear(flight.sent, news, self.quota, now)

    def _adopt(self, ask: Ask, claim: Claim, now: float) -> None:
        """Take over what a worker sent and holds by leave of an earlier limiter."""
        uses: list[Use] = [(now - age_s, 1, units) for age_s, units in ask.sent or ()]
        self.quota.recall(uses)
        self.purses.spent_by(claim.run, ask.worker, ask.spent)
        for request, want in ask.holds.items():
            if (key := (ask.worker, request)) not in self._flights:
                self.quota.in_flight += 1
                sent = Sent(now, 0, self.quota.in_flight, 0, 0, 0.0, 0.0)
                self._flights[key] = _Flight(claim.run, sent)
                self.purses.reserve(claim.run, key, want)

    def _heed_claims(self) -> None:
        """Hold to the least of what those name that still ask."""
        claims = list(self._claims.values())
        if not claims:
            return
        named = frozenset(claim.limits for claim in claims)
        least = reduce(Limits.least, sorted(named, key=repr))
        if len(named) > 1 and named != self._named:
            self.say(
                f"runs name different limits for account {self.name}: "
                + " and ".join(sorted(_in_words(limits) for limits in named))
                + f"; from now on {_in_words(least)} holds for all of them"
            )
        self._named = named
        self.learner.name(least, min(claim.share for claim in claims))


def _amounts(limits: Limits) -> tuple[float | None, ...]:
    return limits.requests, limits.characters, limits.in_flight


def _in_words(limits: Limits) -> str:
    parts = [
        f"{value:g} {what}"
        for value, what in (
            (limits.requests, f"requests in {limits.window_s:g} s"),
            (limits.characters, f"characters in {limits.window_s:g} s"),
            (limits.in_flight, "in flight"),
            (limits.burst, "at once"),
        )
        if value is not None
    ]
    return ", ".join(parts) or "no limit"
