"""The one gate in front of an account, for every worker and every job.

``Limiter`` is what runs, as one actor on Ray or as one object locally; ``gates.LimiterGate`` is a worker's side of it.
What may leave is decided in ``account``; here is the clock, and whoever waits for it.
"""

import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster_tts.errors import JobError
from cluster_tts.limiter.meeting import WRITE_S, Meeting
from cluster_tts.quota.account import Account
from cluster_tts.quota.limits import Standing
from cluster_tts.quota.permits import PROTOCOL, Ask, Claim, Reply
from cluster_tts.quota.sharing import Shared

HOLD_S = 2.0  # a call without a grant is answered after so long, so that no worker waits for a lost reply
SILENT_S = 60.0  # a worker that has not asked for so long is gone, and gives back what it held


@dataclass(slots=True)
class _Entry:
    """An account and who waits for it."""

    account: Account
    meeting: Meeting | None = None
    failure: JobError | None = None  # why nothing can be granted any more
    calls: dict[str, asyncio.Event] = field(default_factory=dict)  # by worker: its pending call
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Limiter:
    """Grants requests to leave, account by account. Lives on one event loop.

    Promise: that of ``account.Account``, also together with the other limiters that meet in ``folder``, and with those
    that died. Weakness: a worker cut off for ``SILENT_S`` may still have requests in flight that are no longer counted.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``folder`` holds the state files of all accounts; None: nobody is met, and nothing remembered."""
        self._folder = folder
        self._clock = clock
        self._opening = asyncio.Lock()
        self._era = secrets.token_hex(4)
        self._entries: dict[str, _Entry] = {}
        self._opened: Counter[str] = Counter()  # how often, by account
        self._heard: set[tuple[str, str]] = (
            set()
        )  # by account: workers that know this limiter, or have told it what it has to know
        self._asked = clock()

    @property
    def idle_s(self) -> float:
        """Seconds since anybody asked; who holds a place has a call pending."""
        return self._clock() - self._asked

    def protocol(self) -> int:
        """Which messages this limiter understands; whoever wants to know is about to ask."""
        self._asked = self._clock()
        return PROTOCOL

    async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply:
        """Hear a worker, wait until something that it wants may leave, and tell which requests may.

        A newer ask of the same worker answers an older one that still waits with nothing. Wants that a newer ask no
        longer names are withdrawn.
        """
        self._asked, told = self._clock(), False
        entry = self._entries.get(account) or await self._open(account, claim, bool(ask.era))
        if entry.failure is not None:
            raise entry.failure
        if (account, ask.worker) not in self._heard:
            if ask.era and ask.sent is None:  # it knows another limiter: this one has forgotten all about it
                span_s = claim.limits.window_s + claim.limits.guard_s
                return Reply(self._era, tell_s=span_s if entry.meeting is None else entry.meeting.unwritten_s)
            self._heard.add((account, ask.worker))
            told = ask.sent is not None
        elif ask.sent is not None:
            ask = replace(ask, sent=None, holds={})  # it has told that already
        now = self._clock()
        entry.account.drop(entry.account.silent(now - SILENT_S), now)
        is_newest = entry.account.hear(claim, ask, now)
        if told and entry.meeting is not None:
            entry.meeting.told(entry.account, ask.worker)
        entry.changed.set()
        if not is_newest:
            return Reply(self._era)
        if earlier := entry.calls.pop(ask.worker, None):
            earlier.set()
        granted = entry.account.holds(ask.worker, ask.wants)
        if not granted and not entry.account.broke.get(claim.run) and (ask.wants or entry.account.held()[ask.worker]):
            await self._hold(entry, ask.worker)
            if entry.failure is not None:
                raise entry.failure
            granted = entry.account.holds(ask.worker, ask.wants)
        return Reply(self._era, granted, broke=entry.account.broke.get(claim.run, ""))

    def forget(self, workers: Iterable[str]) -> None:
        """Take back the places of workers that are known to be gone; what they sent stays in the window."""
        gone = list(workers)
        self._heard = {heard for heard in self._heard if heard[1] not in gone}
        for entry in self._entries.values():
            entry.account.drop(gone, self._clock())
            entry.changed.set()

    def standing(self, run: str) -> Standing | None:
        """How the account stands that a run asks for; None before it has asked."""
        for entry in self._entries.values():
            if run in entry.account.runs():
                return entry.account.standing(self._clock(), run)
        return None

    async def aclose(self) -> None:
        """End in good order: nothing is granted any more, and the next limiter knows what was."""
        for entry in self._entries.values():
            for task in entry.tasks:
                task.cancel()
            await asyncio.gather(*entry.tasks, return_exceptions=True)
            if entry.meeting is not None:
                await entry.meeting.close(entry.account)

    async def _open(self, name: str, claim: Claim, survivors: bool) -> _Entry:
        async with self._opening:
            if entry := self._entries.get(name):
                return entry
            if self._folder is None:
                entry = _Entry(Account(name, claim, Shared(), self._clock()))
            else:
                # A party of its own each time: what an earlier one of ours sent is read back like anybody's.
                times = self._opened[name]
                self._opened[name] += 1
                meeting = Meeting(self._folder, name, f"{self._era}-{times}" if times else self._era, self._clock)
                entry = _Entry(await meeting.open(claim, survivors), meeting)
            loop = asyncio.get_running_loop()
            entry.tasks = [loop.create_task(self._grant(entry))]
            if entry.meeting is not None:
                entry.tasks.append(loop.create_task(self._meet(name, entry, entry.meeting)))
            self._entries[name] = entry
            return entry

    async def _meet(self, name: str, entry: _Entry, meeting: Meeting) -> None:
        """Tell the others on the account, and be told, until nobody here uses it any more: its part is others' then."""
        while True:
            await asyncio.sleep(WRITE_S)
            entry.account.drop(entry.account.silent(self._clock() - SILENT_S), self._clock())
            try:
                await meeting.exchange(entry.account)
                entry.failure = None
            except JobError as error:
                entry.failure = error
            entry.changed.set()
            if not entry.account.runs():
                del self._entries[name]
                entry.tasks[0].cancel()
                await meeting.close(entry.account)
                return

    @staticmethod
    async def _hold(entry: _Entry, worker: str) -> None:
        entry.calls[worker] = news = asyncio.Event()
        try:
            async with asyncio.timeout(HOLD_S):
                await news.wait()
        except TimeoutError:
            pass  # answered with nothing: the worker asks again
        finally:
            if entry.calls.get(worker) is news:
                del entry.calls[worker]

    async def _grant(self, entry: _Entry) -> None:
        """For ever: let leave what may, as soon as it may."""
        while True:
            entry.changed.clear()
            is_blind = entry.failure is not None or (entry.meeting is not None and entry.meeting.is_stale())
            granted, wait_s = ([], math.inf) if is_blind else entry.account.grant(self._clock())
            told = {worker for worker, _ in granted}
            if entry.account.broke or entry.failure is not None:
                told |= entry.calls.keys()
            for worker in told:
                if call := entry.calls.pop(worker, None):
                    call.set()
            try:
                async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                    await entry.changed.wait()
            except TimeoutError:
                pass  # the window has moved on
