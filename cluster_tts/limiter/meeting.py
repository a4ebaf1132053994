"""An account among all limiters that share it: what the others leave, and what is left of those that died.

Once a second the account's state file (``state_file``) is told what was sent here, and tells what the others sent.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cluster_tts.limiter.state_file import AccountFile, Busy, Mine, Unlockable
from cluster_tts.quota.account import Account
from cluster_tts.quota.counting import Others
from cluster_tts.quota.logs import Log
from cluster_tts.quota.permits import Claim
from cluster_tts.quota.sharing import STALE_S, Shared, theirs

log = logging.getLogger(__name__)

WRITE_S = 1.0
SURVIVORS_S = 3.0  # workers that outlived their limiter have so long to tell what it can no longer
EDGE_S = 0.2  # what was written down last is told again, for it is rounded


class Meeting:
    """Keeps ``account`` and its file of one mind."""

    def __init__(self, folder: Path, name: str, party: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = AccountFile(folder, name, party)
        self._clock = clock
        self._shared = Shared()
        self._heard = -1.0
        self._writing: asyncio.Future[Shared] | None = None
        self._told: set[str] = set()  # dead limiters of which all is known by now
        self._has_said = False
        self._untold: set[str] = set()  # workers of a limiter that died, as far as they may be alive

    async def open(self, claim: Claim, survivors: bool) -> Account:
        """The account as the file knows it; with ``survivors`` nothing leaves before they have told what they sent.

        Raises:
            state_file.Unlockable: somebody else may use the account, and cannot be met.
        """
        shared = await asyncio.to_thread(self._file.open, claim.limits.window_s + claim.limits.guard_s)
        now = self._clock()
        account = Account(self._file.account, claim, shared, now)
        account.quota.draw((now - age_s, requests, units) for age_s, requests, units in shared.gone)
        if survivors:
            self._untold = {worker for party in shared.lost for worker in party.places}
            account.ready_at = now + SURVIVORS_S
        self._hear(account, shared)
        account.on_limits = lambda: self._divide(account)
        return account

    @property
    def unwritten_s(self) -> float:
        """How long ago the file was complete: what was sent since only the workers know."""
        return (self._shared.unwritten or 0.0) + self._clock() - self._heard + EDGE_S

    def told(self, account: Account, worker: str) -> None:
        """Note that a worker told what it had sent by leave of the limiter that died."""
        self._untold.discard(worker)
        if not self._untold and account.ready_at > self._clock():
            account.ready_at = self._clock()
            self._told |= {party.id for party in self._shared.lost}
            self._hear(account, self._shared)

    def is_stale(self) -> bool:
        """Whether too long ago was heard of the others for anything to be granted."""
        return self._clock() - self._heard > STALE_S

    async def exchange(self, account: Account) -> None:
        """Tell and be told.

        Raises:
            state_file.Unlockable: others cannot be met any more.
        """
        try:
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._file.exchange, self._mine(account)))
            shared = await asyncio.shield(self._writing)
        except Busy as busy:
            log.warning("%s", busy)
            return  # what was heard last is good for a while; then nothing leaves
        self._hear(account, shared)

    async def close(self, account: Account) -> None:
        """The last word: nothing is sent after it."""
        if self._writing is not None:  # a thread goes on when whoever waits for it is cancelled
            await asyncio.gather(self._writing, return_exceptions=True)
        try:
            await asyncio.to_thread(self._file.close, self._mine(account))
        except (Busy, Unlockable) as error:
            log.warning("%s", error)

    def _mine(self, account: Account) -> Mine:
        now = self._clock()
        account.quota.forget(now)
        return Mine(
            log=[(now - left, requests, units) for left, requests, units in account.quota.mine.uses],
            held=account.held(),
            waiting=len(account.turns) > 0,
            learned=account.learner.learned(),
            spent=account.purses.spent(),
        )

    def _hear(self, account: Account, shared: Shared) -> None:
        """Act by what the others wrote. What survivors told of a dead limiter is in our own log."""
        lost = tuple(party for party in shared.lost if party.id not in self._told)
        self._shared = replace(shared, lost=lost)
        self._heard = self._clock()
        self._divide(account)

    def _divide(self, account: Account) -> None:
        """Leave to the others what of the limits in force is theirs."""
        limits, shared = account.quota.limits, self._shared
        left = theirs(limits.requests, limits.characters, limits.in_flight, shared, limits.window_s + limits.guard_s)
        account.parties = len(shared.parties) + 1
        account.quota.share(
            Others(
                Log((self._heard - age_s, requests, units) for age_s, requests, units in left.log),
                left.requests, left.characters, left.places, left.part if shared.parties else 0.0,
                is_first=shared.older == 0,
            )
        )  # fmt: skip
        if shared.parties and limits.in_flight is not None and left.places >= limits.in_flight and not self._has_said:
            self._has_said = True
            account.say(
                f"other runs on this machine have all {limits.in_flight} places of account {account.name}: this one "
                "waits until one of them ends"
            )
