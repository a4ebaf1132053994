"""The content of an account's state file: who shares the account, what was learned, what was spent."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cluster_tts import __version__
from cluster_tts.errors import JobError
from cluster_tts.limiter.liveness import Process
from cluster_tts.quota.sharing import STALE_S, Entry, PartyView, Shared

VERSION = 1
BIN_S = 0.1
MOST_BINS = 1000  # of a party: a long window is told more coarsely, later by a thousandth of it at most
ELSEWHERE_S = 30.0  # so long after its last write a process counts as alive that cannot be looked at
PURSES_S = 86_400.0


class Damaged(Exception):
    """The text is no ledger."""


@dataclass(slots=True)
class Party:
    """One limiter's entry; times are epochs."""

    process: Process
    since: float
    written: float
    span: float
    closed: bool = False
    log: list[Entry] = field(default_factory=list)
    """End of a bin, requests, characters."""
    held: dict[str, int] = field(default_factory=dict)
    waiting: bool = False
    seen: list[str] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """As it is written. (``asdict`` copies every number of the log, which takes ten times as long.)"""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"process": asdict(self.process)}

    def is_live(self, now: float) -> bool:
        """Whether it takes its part: it has not ended, in whichever way."""
        if self.closed:
            return False
        alive = self.process.is_alive()
        return now - self.written <= ELSEWHERE_S if alive is None else alive

    def matters_until(self, span_s: float) -> float:
        """When the last of what it sent, or may have sent, has left everybody's window."""
        last = max((left for left, _, _ in self.log), default=-math.inf)
        return max(last, -math.inf if self.closed else self.written + STALE_S) + max(self.span, span_s)


@dataclass(slots=True)
class Ledger:
    """All of it. Epochs that lie in the future are read as now: the wall clock has jumped."""

    parties: dict[str, Party] = field(default_factory=dict)
    learned: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Value and epoch, by the name of a setting."""
    purses: dict[str, tuple[float, dict[str, tuple[float, int]]]] = field(default_factory=dict)
    """By run: when it was last told, and what each worker has spent."""

    @classmethod
    def parse(cls, text: str, now: float, where: object) -> "Ledger":
        """The ledger that ``text`` is; ``Damaged`` if it is none, a ``JobError`` if a later program wrote it."""
        try:
            content = json.loads(text)
            version, program = content["version"], content["program"]
            if not isinstance(version, int):
                raise Damaged("it names no version")
            if version <= VERSION:
                return cls._of(content, now)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise Damaged(f"{type(error).__name__}: {error}") from None
        raise JobError(
            f"the state file '{where}' was written by cluster_tts {program}, in version {version} of its format; this "
            f"is cluster_tts {__version__} and knows version {VERSION}: update it, or set CLUSTER_TTS_STATE_DIR to "
            "another folder and quota.share so that both programs together keep to the account's limits"
        )

    @classmethod
    def _of(cls, content: Mapping[str, Any], now: float) -> "Ledger":
        return cls(
            {name: _party(entry, now) for name, entry in content["parties"].items()},
            {name: (float(value), min(float(at), now)) for name, (value, at) in content["learned"].items()},
            {
                run: (min(float(at), now), {worker: (float(usd), int(n)) for worker, (usd, n) in spent.items()})
                for run, (at, spent) in content["purses"].items()
            },
        )

    def text(self, account: str) -> str:
        """The file's new content."""
        parties = {name: party.content() for name, party in self.parties.items()}
        content = {"version": VERSION, "program": __version__, "account": account, "parties": parties}
        content |= {"learned": self.learned, "purses": self.purses}
        return json.dumps(content, separators=(",", ":")) + "\n"

    def forget(self, now: float, span_s: float, live: Iterable[str]) -> None:
        """Drop the dead that no longer matter, and purses of long ago."""
        keep = set(live)
        for name in [n for n, p in self.parties.items() if n not in keep and p.matters_until(span_s) <= now]:
            del self.parties[name]
        for run in [run for run, (at, _) in self.purses.items() if at < now - PURSES_S]:
            del self.purses[run]

    def learn(self, news: Mapping[str, float], now: float) -> None:
        """Note what was found out now."""
        self.learned.update({name: (value, now) for name, value in news.items()})

    def spend(self, spent: Mapping[str, Mapping[str, tuple[float, int]]], now: float) -> None:
        """Note what each worker has spent so far; of two numbers the larger, for what was spent stays so."""
        for run, workers in spent.items():
            known = self.purses.get(run, (now, {}))[1]
            for worker, (usd, characters) in workers.items():
                had = known.get(worker, (0.0, 0))
                known[worker] = max(usd, had[0]), max(characters, had[1])
            self.purses[run] = now, known

    def shared(self, me: str, live: frozenset[str], now: float, span_s: float) -> Shared:
        """What all this means for the limiter ``me``, when ``live`` are the others that take their part."""
        dead = {name: party for name, party in self.parties.items() if name != me and name not in live}
        lost = [name for name, party in dead.items() if not party.closed and party.matters_until(span_s) > now]
        everybody = live | {me}
        order = sorted(everybody & self.parties.keys(), key=lambda name: (self.parties[name].since, name))
        views = [_view(name, self.parties[name], me, everybody, order, now) for name in [*order, *lost] if name != me]
        ages = [age_log(party.log, now) for party in dead.values()]
        return Shared(
            parties=tuple(view for view in views if view.id in live),
            older=order.index(me) if me in order else len(order),
            gone=tuple(entry for log in ages for entry in log if entry[0] < span_s),
            unwritten=min((now - dead[name].written for name in lost), default=None),
            learned={name: value for name, (value, _) in self.learned.items()},
            spent={run: dict(spent) for run, (_, spent) in self.purses.items()},
            lost=tuple(view for view in views if view.id in dead),
            entered_s=now - self.parties[me].since if me in self.parties else 0.0,
        )


def bins(log: Iterable[Entry], now: float, span_s: float) -> list[Entry]:
    """What left in ages, as epochs of the ends of bins: never earlier than it was."""
    width = max(BIN_S, span_s / MOST_BINS)
    found: dict[int, list[int]] = {}
    for age_s, requests, characters in log:
        if age_s < span_s:
            entry = found.setdefault(math.ceil((now - age_s) / width), [0, 0])
            entry[0] += requests
            entry[1] += characters
    return [(number * width, *found[number]) for number in sorted(found)]  # type: ignore[misc]


def age_log(log: Iterable[Entry], now: float) -> tuple[Entry, ...]:
    """Epochs as ages."""
    return tuple((max(0.0, now - left), requests, characters) for left, requests, characters in log)


def _party(entry: Mapping[str, Any], now: float) -> Party:
    of = entry["process"]
    return Party(
        process=Process(int(of["pid"]), str(of["start"]), str(of["host"]), str(of["place"])),
        since=min(float(entry["since"]), now),
        written=min(float(entry["written"]), now),
        span=float(entry["span"]),
        closed=bool(entry["closed"]),
        log=[(min(float(left), now), int(requests), int(chars)) for left, requests, chars in entry["log"]],
        held={str(worker): int(places) for worker, places in entry["held"].items()},
        waiting=bool(entry["waiting"]),
        seen=[str(name) for name in entry["seen"]],
    )


def _view(name: str, party: Party, me: str, everybody: frozenset[str], order: list[str], now: float) -> PartyView:
    return PartyView(
        id=name,
        since=party.since,
        seen_me=me in party.seen,
        age_s=now - party.written,
        log=age_log(party.log, now),
        held=sum(party.held.values()),
        waiting=party.waiting,
        among=len({*party.seen, name}),
        alike={*party.seen, name} == everybody,
        older=order.index(name) if name in order else 0,
        places=dict(party.held),
    )
