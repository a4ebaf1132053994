"""How limiters that share an account, but no memory, divide it: arithmetic on what each has written of itself.

Every party takes an equal part. What a party may have in a window at most follows from what it wrote last: what it
logged, or its part among those it says it reckons with, whichever is more. Each leaves to the others that much, so a
newcomer starts with nothing, and with its part once all have written that they reckon with it and what they sent
before has left the window. Nobody has to agree with anybody at the same moment.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Entry = tuple[float, int, int]
"""Age in seconds, requests, characters."""

STALE_S = 2.0  # a party that has heard nothing of the others for so long grants nothing, so that what a dead one
# sent after its last write left before this long after it
SILENT_S = (
    5.0  # a live party that has written nothing for so long takes no notice of a newcomer: stopped, or in trouble
)


@dataclass(frozen=True, slots=True)
class PartyView:
    """Another limiter on the account, by its last write; ages are of the moment of reading."""

    id: str
    since: float
    seen_me: bool
    age_s: float
    log: tuple[Entry, ...]
    """Everything of the window that ended with its last write: some of it has left the window by now."""
    held: int
    waiting: bool
    among: int
    """How many parties it reckons with, itself included."""
    alike: bool
    """It reckons with exactly those parties that I reckon with."""
    older: int
    """How many live parties entered before it."""
    places: Mapping[str, int] = field(default_factory=dict)
    """``held``, by worker."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the other limiters of an account have written; good for ``STALE_S``, then nothing may be granted."""

    parties: tuple[PartyView, ...] = ()
    older: int = 0
    """How many live parties entered before me."""
    gone: tuple[Entry, ...] = ()
    """What the dead have logged and is still inside the window."""
    unwritten: float | None = None
    """Age of the last write of the youngest dead party that did not end in good order: what it sent after that is
    unknown (``lost`` says how much it can have been). None: nothing is unknown."""
    learned: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[str, Mapping[str, tuple[float, int]]] = field(default_factory=dict)
    """US dollars and characters by run and worker, of the last day, whoever wrote it."""
    lost: tuple[PartyView, ...] = ()
    """The dead that did not end in good order, while that matters; ``gone`` has their logs too."""
    entered_s: float = 0.0
    """How long ago I entered."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """What has to be left to others: own use + reserved + what of ``log`` is in the window must not exceed a limit."""

    requests: int
    characters: int
    places: int
    log: tuple[Entry, ...]
    """Oldest first."""
    part: float
    """Their part of what is no number a window, such as the rate at which a bucket fills."""


def part(limit: int, parties: int, older: int) -> int:
    """An equal part of ``limit`` where ``older`` of the ``parties`` came before; the oldest get what is left over."""
    return limit // parties + (older < limit % parties)


def theirs(
    requests: float | None, characters: float | None, in_flight: int | None, shared: Shared, span_s: float,
    linger_s: float = 0.0,
) -> Theirs:  # fmt: skip
    """What of the limits (None: no such limit) is not mine, from the moment at which ``shared`` was read.

    ``span_s`` is window + guard. Places of a party that died count for another ``linger_s``: its requests may go on.
    """
    many = len(shared.parties) + 1
    of_requests = (0, []) if requests is None else _left(int(requests), 0, shared, span_s)
    of_characters = (0, []) if characters is None else _left(int(characters), 1, shared, span_s)
    log = [(age, n, 0) for age, n in of_requests[1]] + [(age, 0, n) for age, n in of_characters[1]]
    return Theirs(
        requests=of_requests[0],
        characters=of_characters[0],
        places=0 if in_flight is None else _places(in_flight, shared, linger_s),
        log=tuple(sorted(log, reverse=True)),
        part=min(1.0, max(1 - 1 / many, sum(1 / _reckons(party, many, shared) for party in shared.parties))),
    )


def room(limit: int, used: int, reserved: int, log: Iterable[int]) -> int:
    """How much more may leave now, when ``used`` of the window is mine and ``log`` is what of theirs is inside it."""
    return max(0, limit - used - reserved - sum(log))


_Uses = Sequence[tuple[float, int]]  # age, amount


def _uses(log: Iterable[Entry], index: int) -> list[tuple[float, int]]:
    return [(age, characters if index else requests) for age, requests, characters in log]


def _reckons(party: PartyView, many: int, shared: Shared) -> int:
    """Among how many a live party divides, as far as it can be told."""
    return many if party.alike or _is_silent(party, shared) else min(many, party.among)


def _is_silent(party: PartyView, shared: Shared) -> bool:
    """A newcomer need not wait for it: it has had time to read of me, and grants nothing before it has."""
    return min(party.age_s, shared.entered_s) > SILENT_S


def _bound(limit: int, party: PartyView, many: int, shared: Shared) -> int:
    """What a live party may have in a window, unless it has logged more already."""
    own = part(limit, many, party.older)
    among = _reckons(party, many, shared)
    return own if among == many and (party.alike or _is_silent(party, shared)) else max(own, -(-limit // among))


def _possible(limit: int, index: int, party: PartyView, shared: Shared, span_s: float) -> _Uses:
    """What a live party has logged; and of one that fell silent before it knew me, what it may have sent since."""
    uses = _uses(party.log, index)
    if not party.alike and _is_silent(party, shared):
        uses += _unknown(limit, uses, party, span_s)
    return uses


def _unknown(limit: int, uses: _Uses, party: PartyView, span_s: float) -> _Uses:
    """What a party can have sent unwritten: all that its log left free in the end, and as late as it may have."""
    logged = sum(amount for age, amount in uses if age < party.age_s - STALE_S + span_s)
    free = -(-limit // party.among) - logged
    return [(max(0.0, party.age_s - STALE_S), free)] if free > 0 else []


def _of_the_dead(limit: int, index: int, shared: Shared, span_s: float) -> _Uses:
    uses = _uses(shared.gone, index)
    for party in shared.lost:
        uses += _unknown(limit, _uses(party.log, index), party, span_s)
    return [(age, amount) for age, amount in uses if amount and age < span_s]


def _left(limit: int, index: int, shared: Shared, span_s: float) -> tuple[int, list[tuple[float, int]]]:
    """What of a limit is left to others: a number, and what comes on top of it until it has left the window.

    Each live party has what it logged, or its bound if that is more. Where all reckon with the same parties, they bear
    in equal parts what the dead have used, so that each one's bound is smaller by so much.
    """
    many = len(shared.parties) + 1
    bounds = [_bound(limit, party, many, shared) for party in shared.parties]
    borne_by = many if all(party.alike for party in shared.parties) else 0
    uses = [(age, amount, -1) for age, amount in _of_the_dead(limit, index, shared, span_s)]
    for number, party in enumerate(shared.parties):
        uses += [(age, amount, number) for age, amount in _possible(limit, index, party, shared, span_s)]
    reserved = most = sum(bounds)
    gone, logged, log = 0, [0] * len(bounds), []
    for age, amount, number in sorted(use for use in uses if use[0] < span_s):  # the youngest: they are there longest
        if number < 0:
            gone += amount
        else:
            logged[number] += amount
        borne = gone // borne_by if borne_by else 0
        now = gone + sum(max(has, bound - borne) for has, bound in zip(logged, bounds, strict=True))
        if now > most:
            log.append((age, now - most))
            most = now
    return reserved, log


def _places(limit: int, shared: Shared, linger_s: float) -> int:
    """Places in flight that are not mine. Those of a silent party that never knew me are freed like a dead one's."""
    many, taken = len(shared.parties) + 1, 0
    for party in shared.parties:
        bound = max(party.held, _bound(limit, party, many, shared))
        unknown = not party.alike and _is_silent(party, shared) and party.age_s < STALE_S + linger_s
        taken += max(bound, math.ceil(limit / party.among)) if unknown else bound
    for party in shared.lost:
        if party.age_s < STALE_S + linger_s:
            taken += max(party.held, math.ceil(limit / party.among))
    return taken
