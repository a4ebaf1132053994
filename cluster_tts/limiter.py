"""The one gate in front of an account: first come, first served, for every worker and every job.

``Limiter`` is what runs, as one actor on Ray or as one object locally; ``gates.LimiterGate`` is a worker's side of it.
aiolimiter paces where a burst is declared; the exact log of ``quota.Quota`` has the last word.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiolimiter import AsyncLimiter

from cluster_tts.quota import Limits, Quota

log = logging.getLogger(__name__)

HOLD_S = 2.0  # a call without a grant is answered after so long, so that no worker waits for a lost reply
SILENT_S = 60.0  # a worker that has not asked for so long is gone, and gives back what it held
BEAT_S = SILENT_S / 4  # so often at least asks a worker that holds a place


@dataclass(frozen=True, slots=True)
class Ask:
    """A worker's whole state at the gate, so that a repeated or late message does no harm.

    ``wants`` gives the characters of each request that waits to leave, by request id; ``done`` names those that ended
    since the last ask. ``number`` grows with every ask of a worker: an older one arriving late changes no wants.
    """

    worker: str
    number: int
    wants: Mapping[int, int]
    done: tuple[int, ...] = ()
    cool_s: float | None = None


class LimiterPort(Protocol):
    """What a worker needs of the limiter, wherever it runs."""

    async def ask(self, account: str, limits: Limits, ask: Ask) -> tuple[int, ...]: ...


@dataclass(slots=True)
class _Account:
    quota: Quota
    pacer: AsyncLimiter | None
    limits: set[Limits]  # all that anybody asked with; ``quota`` keeps them all
    waiting: dict[tuple[str, int], int] = field(default_factory=dict)  # characters by (worker, request), in order
    held: set[tuple[str, int]] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    calls: dict[str, asyncio.Event] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pump: asyncio.Task[None] | None = None


class Limiter:
    """Grants requests to leave, account by account. Lives on one event loop.

    Promise: what ``quota.Quota`` promises, and the order of asking; a dear request is not overtaken by cheap ones.
    Where workers name different limits for one account, the smaller ones hold for all. Weakness: what it knows is in
    memory only, and a worker cut off for ``SILENT_S`` may still have requests in flight that are no longer counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._asked = clock()

    @property
    def idle_s(self) -> float:
        """Seconds since anybody asked; who holds a place asks every ``BEAT_S``."""
        return self._clock() - self._asked

    async def ask(self, account: str, limits: Limits, ask: Ask) -> tuple[int, ...]:
        """Hand back what is done, wait until something that is wanted may leave, and tell which requests may.

        A newer ask of the same worker answers an older one that still waits with nothing. Wants that a newer ask no
        longer names are withdrawn.
        """
        self._asked = self._clock()
        entry = self._accounts.get(account) or self._open(account, limits)
        if limits not in entry.limits:
            self._narrow(account, entry, limits)
        entry.asked[ask.worker] = self._asked
        self._drop_silent(entry)
        self._return(entry, ask)
        entry.changed.set()
        if ask.number < entry.numbers.get(ask.worker, -1):
            return ()
        entry.numbers[ask.worker] = ask.number
        if earlier := entry.calls.get(ask.worker):
            earlier.set()
        for key in [key for key in entry.waiting if key[0] == ask.worker and key[1] not in ask.wants]:
            del entry.waiting[key]
        for request, characters in ask.wants.items():
            if (ask.worker, request) not in entry.held:
                entry.waiting.setdefault((ask.worker, request), characters)
        if not ask.wants:
            return ()
        granted = self._granted(entry, ask)
        if not granted:
            entry.calls[ask.worker] = news = asyncio.Event()
            try:
                async with asyncio.timeout(HOLD_S):
                    await news.wait()
            except TimeoutError:
                pass  # answered with nothing: the worker asks again
            granted = self._granted(entry, ask) if entry.numbers.get(ask.worker) == ask.number else ()
        return granted

    def forget(self, worker: str) -> None:
        """Take back the places of a worker that is known to be gone; what it sent stays in the window."""
        for entry in self._accounts.values():
            self._drop(entry, {worker})
            entry.changed.set()

    def in_flight(self, account: str) -> int:
        """How many requests of the account are under way."""
        return self._accounts[account].quota.in_flight if account in self._accounts else 0

    def _open(self, account: str, limits: Limits) -> _Account:
        entry = self._accounts[account] = _Account(Quota(limits), _pacer(limits), {limits})
        entry.pump = asyncio.get_running_loop().create_task(self._grant(entry))
        return entry

    @staticmethod
    def _narrow(account: str, entry: _Account, limits: Limits) -> None:
        entry.limits.add(limits)
        earlier, least = entry.quota.limits, entry.quota.limits.least(limits)
        log.warning(
            "account %s is asked with %s beside %s; from now on %s holds for all", account, limits, earlier, least
        )
        if least != earlier:
            entry.quota.limits = least
            entry.pacer = _pacer(least)

    def _drop_silent(self, entry: _Account) -> None:
        """Take back the places of workers that vanished without anybody telling."""
        self._drop(entry, {worker for worker, asked in entry.asked.items() if asked + SILENT_S <= self._clock()})

    @staticmethod
    def _drop(entry: _Account, gone: set[str]) -> None:
        for worker in gone:
            entry.asked.pop(worker, None)
            entry.numbers.pop(worker, None)
            entry.calls.pop(worker, None)
        for key in [key for key in entry.held if key[0] in gone]:
            entry.held.discard(key)
            entry.quota.give_back()
        for key in [key for key in entry.waiting if key[0] in gone]:
            del entry.waiting[key]

    def _return(self, entry: _Account, ask: Ask) -> None:
        for request in ask.done:
            if (key := (ask.worker, request)) in entry.held:
                entry.held.discard(key)
                entry.quota.give_back()
        if ask.cool_s is not None:
            entry.quota.cool(self._clock() + ask.cool_s)

    @staticmethod
    def _granted(entry: _Account, ask: Ask) -> tuple[int, ...]:
        return tuple(request for request in ask.wants if (ask.worker, request) in entry.held)

    async def _grant(self, entry: _Account) -> None:
        """For ever: the first in line leaves as soon as it may, and nobody before it."""
        while True:
            entry.changed.clear()
            key, characters = next(iter(entry.waiting.items()), (None, 0))
            wait_s = math.inf if key is None else entry.quota.wait_s(characters, self._clock())
            if key is None or wait_s > 0:
                try:
                    async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                        await entry.changed.wait()
                except TimeoutError:
                    pass  # the window has moved on
                continue
            if entry.pacer:
                await entry.pacer.acquire()
                if key not in entry.waiting or entry.quota.wait_s(characters, self._clock()) > 0:
                    continue  # withdrawn, or cooled down meanwhile
            del entry.waiting[key]
            entry.held.add(key)
            entry.quota.take(characters, self._clock())
            if call := entry.calls.get(key[0]):
                call.set()


def _pacer(limits: Limits) -> AsyncLimiter | None:
    if limits.burst is None or limits.requests is None:
        return None
    return AsyncLimiter(limits.burst, limits.burst * (limits.window_s + limits.guard_s) / limits.requests)
