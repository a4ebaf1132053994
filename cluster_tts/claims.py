"""Whose turn it is to work on an OUT: what runs write down of themselves, and what follows from reading it.

A claim is a file that only its run ever writes. It has a number, one more than all its writer could see, which is in
the file's name too, and is ``taken`` when its run means to own OUT. Whatever a run does is one step: write the claim,
*then* read all claims, then judge. Three rules are enough:

1. A run takes once every claim that ranks below its own is ended, dead or silent, and owns from its next step on, if
   that still holds and nobody above has taken.
2. A run that sees a taken claim above its own has lost: for good if it owned, else it takes a new number.
3. What was confirmed by a step holds for ``TRUST_S`` from before the step's writing, half of what makes silent.

Why two never own at once: let A rank below B. B owned after it wrote *taken* and then read A's claim unchanged for
``SILENT_S``. So no step of A ended its writing in that time, and A's last confirmed one has run out; a step of A
that writes later reads later too, and finds B's claim. It stays there, as ended, until one of a higher number is.
What an owner removes are claims below its own, late or not: with that name, that is that number, nobody can own.

Weakness: between the last look and one write anything may happen to a machine. What is written then carries the
number of its run (its *term*) in its name, and loses against higher ones.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import NamedTuple

SILENT_S = 30.0  # a run whose claim has not changed for so long is taken over
TRUST_S = SILENT_S / 2  # so long an owner may write without looking again
BEAT_S = 5.0  # between two steps of an owner

SCHEMA_VERSION = 1


class Owner(NamedTuple):
    """The process behind a claim; see ``limiter.liveness.Process``."""

    pid: int
    start: str
    host: str
    place: str


NOBODY = Owner(1, "", "", "")  # of whom nothing can be told


@dataclass(frozen=True, slots=True)
class Claim:
    """What one run says of itself. ``beat`` differs in each writing, so that life shows."""

    run_id: str
    owner: Owner
    since: str  # for people: when the run began, by its own clock
    number: int = 0
    beat: int = 0
    taken: bool = False
    ended: bool = False

    @property
    def rank(self) -> tuple[int, str]:
        return self.number, self.run_id

    @property
    def name(self) -> str:
        return f"{self.run_id}.{self.number:06}"

    def __str__(self) -> str:
        if self.owner == NOBODY:
            return f"run {self.run_id}"
        return f"pid {self.owner.pid} on host {self.owner.host}, since {self.since}"

    def to_text(self) -> str:
        return json.dumps({**asdict(self), "owner": self.owner._asdict(), "schema_version": SCHEMA_VERSION}, indent=1)

    @classmethod
    def from_text(cls, name: str, text: str) -> "Claim":
        """The claim of that name. One that cannot be read is somebody's of whom nothing is known but silence."""
        try:
            content = json.loads(text)
            if content.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError(name)
            claim = cls(**{**content, "owner": Owner(**content["owner"])})
            if claim.name != name or (type(claim.taken), type(claim.ended)) != (bool, bool):
                raise ValueError(name)
            return claim
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(name, NOBODY, "an unknown time", beat=zlib.crc32(text.encode()))


class State(Enum):
    """How a run stands."""

    WAITS = "waits"  # for those below, or for others to make up their minds: a step every second or so
    STEPS = "steps"  # the next step is due at once
    OWNS = "owns"
    LOST = "lost"  # for good


@dataclass(frozen=True, slots=True)
class Reading:
    """All claims of others, by name, and when reading them began and ended, by the reader's own clock."""

    claims: Mapping[str, Claim]
    began: float
    ended: float


@dataclass(slots=True)
class Contender:
    """One run's part in it. Whoever drives it first hands in a ``Reading`` by ``choose``, and from then on, again and
    again, writes ``next()`` and hands in what was read after that by ``judge``."""

    claim: Claim
    is_dead: Callable[[Owner], bool]
    """Whether a process is known to have ended; False where that cannot be told."""

    floor: int = 0
    """The highest term that anything in OUT carries."""

    state: State = State.WAITS
    rival: Claim | None = None
    """Whom this run waits for, or lost against."""

    confirmed_at: float = float("-inf")
    """Since when it is known that nobody can have taken over: before the last good step's writing."""

    _seen: dict[Claim, float] = field(default_factory=dict)

    def choose(self, reading: Reading) -> None:
        """Take a number above all others."""
        self._note(reading)
        highest = max((claim.number for claim in reading.claims.values()), default=0)
        self.claim = replace(self.claim, number=1 + max(highest, self.floor, self.claim.number), taken=False)

    def next(self) -> Claim:
        """What this step writes."""
        self.claim = replace(self.claim, beat=self.claim.beat + 1)
        return self.claim

    def judge(self, reading: Reading, wrote_at: float) -> State:
        """How things stand after a step whose writing began at ``wrote_at``."""
        self._note(reading)
        if self.state is not State.LOST:
            self.state = self._judged(reading)
        if self.state is State.OWNS:
            self.confirmed_at = wrote_at
        return self.state

    def _judged(self, reading: Reading) -> State:
        if above := overtaken(self.claim, reading.claims):
            self.rival = above
            if self.state is State.OWNS:
                return State.LOST
            self.choose(reading)
            return State.STEPS
        if self.state is State.OWNS:
            return State.OWNS
        if not self.claim.taken and any(self._shares_number(claim) for claim in reading.claims.values()):
            self.choose(reading)  # so that a term is one run's alone
            return State.STEPS
        below = [
            claim for claim in reading.claims.values() if claim.rank < self.claim.rank and self._lives(claim, reading)
        ]
        if below:
            self.rival = max(below, key=lambda claim: (claim.taken, claim.rank))
            return State.WAITS
        if self.claim.taken:
            return State.OWNS
        self.claim = replace(self.claim, taken=True)
        return State.STEPS

    def left_behind(self, reading: Reading) -> list[str]:
        """Claims below its own that an owner may remove: nobody waits behind them any more."""
        return [
            name
            for name, claim in reading.claims.items()
            if claim.rank < self.claim.rank and not self._lives(claim, reading)
        ]

    def _shares_number(self, other: Claim) -> bool:
        return other.number == self.claim.number and other.run_id < self.claim.run_id

    def _lives(self, claim: Claim, reading: Reading) -> bool:
        if claim.ended or self.is_dead(claim.owner):
            return False
        return reading.began - self._seen[claim] < SILENT_S

    def _note(self, reading: Reading) -> None:
        """Remember since when each claim is as it is. One just met counts as alive: its last beat may be new."""
        self._seen = {claim: self._seen.get(claim, reading.ended) for claim in reading.claims.values()}


def overtaken(mine: Claim, others: Mapping[str, Claim]) -> Claim | None:
    """The highest claim above ``mine`` whose run took OUT; None if none did."""
    above = [claim for claim in others.values() if claim.taken and claim.rank > mine.rank]
    return max(above, key=lambda claim: claim.rank, default=None)
