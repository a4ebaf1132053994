"""The state file of an account: where limiters on one machine meet that share no Ray, and what the next run knows.

Each limiter writes once a second what it sent and holds, and reads what the others wrote; ``sharing`` says what may
then be sent. A lock beside the file, held for a millisecond, keeps them in turn; the file is replaced whole.
"""

import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from cluster_tts.errors import CTTSError, JobError
from cluster_tts.limiter.ledger import Damaged, Ledger, Party, bins
from cluster_tts.limiter.liveness import Process
from cluster_tts.limiter.locks import Lock, NoLocks
from cluster_tts.quota.sharing import Entry, PartyView, Shared

__all__ = ["AccountFile", "Busy", "Mine", "PartyView", "Shared", "Unlockable", "state_folder"]

log = logging.getLogger(__name__)

OPEN_TRIES = 3  # each waits for the lock as long as it may
MOST_FAILED = 20  # exchanges in a row, one a second: what cannot be written till then will not be (time does not
# count: the process itself may have been stopped)


class Unlockable(JobError):
    """The file cannot be locked or written, and somebody else may be using the account."""


class Busy(CTTSError):
    """Nothing could be written now: hold to the last answer for ``sharing.STALE_S``, grant nothing after that, and try
    again. What was let through unwritten is allowed for by the others for so long, and no longer."""


@dataclass(frozen=True, slots=True)
class Mine:
    """What a limiter tells of itself; ``log`` is everything that left in the last window + guard, in any order."""

    log: Sequence[Entry] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    waiting: bool = False
    learned: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[str, Mapping[str, tuple[float, int]]] = field(default_factory=dict)


def state_folder() -> Path:
    """Where the files of all accounts are: below CLUSTER_TTS_STATE_DIR, else where this system keeps such things."""
    named = os.environ.get("CLUSTER_TTS_STATE_DIR")
    return (Path(named) if named else platformdirs.user_state_path("cluster_tts", appauthor=False)) / "accounts"


def file_name(account: str) -> str:
    """A name for the account's file: readable, and its own."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", account).strip("-.")[:40] or "account"
    return f"{readable}-{hashlib.sha256(account.encode()).hexdigest()[:12]}.json"


class AccountFile:
    """A limiter's hand on the file.

    Promise: whoever acts by ``sharing.theirs`` on the last answer, and grants nothing once that is ``sharing.STALE_S``
    old, keeps within the limits together with all others that do so; requests let through between ``mine`` and the
    answer are allowed for. Weakness: parties on different machines (one home directory) trust each other's clocks,
    and a wall clock set forward makes what the dead have sent look older than it is.

    Calls block: a millisecond as a rule, ``locks.LOCK_S`` where the lock is held. Not for two threads at once.
    """

    def __init__(self, folder: Path, account: str, limiter: str, wall: Callable[[], float] = time.time) -> None:
        self.path = folder / file_name(account)
        self.account = account
        self._me = limiter
        self._wall = wall
        self._process = Process.here()
        self._since = 0.0
        self._span_s = 0.0
        self._seen: frozenset[str] | None = None  # the live parties of the last answer: by them the caller acts
        self._failed = 0  # exchanges in a row that could not be written
        self._told: dict[str, float] = {}  # of what was learned, what the caller told last,
        self._heard: dict[str, float] = {}  # and what it was told: neither is news
        self._lone = Shared()  # the last answer without the parties

    def open(self, span_s: float) -> Shared:
        """Enter; what is known there. ``span_s`` is window + guard."""
        self._span_s, self._since, self._seen = span_s, self._wall(), None
        try:
            for _ in range(OPEN_TRIES - 1):
                with suppress(BlockingIOError):  # many at once, on a machine that is busy
                    return self._exchange(Mine(), closed=False)
            return self._exchange(Mine(), closed=False)
        except OSError as error:
            if self._may_meet():
                raise self._unlockable(error) from error
            log.warning(
                "the state file '%s' cannot be written (%s): nothing that is learned of account %s will be remembered, "
                "and other runs on this machine are not seen; set CLUSTER_TTS_STATE_DIR to a folder that can be",
                self.path, error.strerror or error, self.account,
            )  # fmt: skip
            return self._lone

    def exchange(self, mine: Mine) -> Shared:
        """Write ``mine``, read what the others wrote; ``Busy`` where it cannot be written now.

        Every answer has to be acted upon: the next write says that it is.
        """
        return self._write(mine, closed=False)

    def close(self, mine: Mine) -> None:
        """The last write: nothing is sent after it."""
        self._write(mine, closed=True)

    def _write(self, mine: Mine, closed: bool) -> Shared:
        try:
            return self._exchange(mine, closed)
        except OSError as error:
            if not isinstance(error, BlockingIOError) and not self._may_meet():
                return self._lone  # nobody to divide with: what cannot be written only the next run will miss
            self._failed += 1
            if self._failed > MOST_FAILED:
                raise self._unlockable(error) from error
            raise Busy(
                f"the state file '{self.path}' cannot be written ({error.strerror or error}); it is tried again, and "
                f"until then nothing is sent by account {self.account}"
            ) from error

    def _exchange(self, mine: Mine, closed: bool) -> Shared:
        asked = self._wall()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with Lock(self.path.with_suffix(".lock")) as lock:
                return self._turn(mine, asked, closed, lock)
        except NoLocks as error:
            ledger = self._read(asked)
            others = self._live(ledger, asked)
            first = min(((ledger.parties[name].since, name) for name in others), default=(self._since, self._me))
            if first < (self._since, self._me) or (others and self._seen is None):
                raise self._unlockable(error) from error
            return self._turn(mine, asked, closed, None)

    def _turn(self, mine: Mine, asked: float, closed: bool, lock: Lock | None) -> Shared:
        """What is done under the lock."""
        now = self._wall()
        self._since = min(self._since, now)
        ledger = self._read(now)
        live = self._live(ledger, now)
        # Only those by which the caller acts already; and not the departed, without whom it will act in a moment.
        seen = live if self._seen is None else live & self._seen
        ledger.parties[self._me] = Party(
            self._process, self._since, now, self._span_s, closed,
            bins(mine.log, min(asked, now), self._span_s), dict(mine.held), mine.waiting, sorted(seen),
        )  # fmt: skip
        known = (self._told, self._heard)
        ledger.learn({n: value for n, value in mine.learned.items() if value not in (of.get(n) for of in known)}, now)
        ledger.spend(mine.spent, now)
        ledger.forget(now, self._span_s, live | {self._me})
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        temporary.write_text(ledger.text(self.account), encoding="utf-8")
        if lock:
            lock.check()
        temporary.replace(self.path)
        self._failed = 0
        self._told = dict(mine.learned)
        return self._answer(ledger, live, now)

    def _answer(self, ledger: Ledger, live: frozenset[str], now: float) -> Shared:
        """What the caller acts by from now on."""
        shared = ledger.shared(self._me, live, now, self._span_s)
        self._seen = live
        self._heard = dict(shared.learned)
        self._lone = Shared(learned=shared.learned, spent=shared.spent)
        return shared

    def _live(self, ledger: Ledger, now: float) -> frozenset[str]:
        return frozenset(name for name, party in ledger.parties.items() if name != self._me and party.is_live(now))

    def _read(self, now: float) -> Ledger:
        """What the file says; where that cannot be understood, a party that may have used the whole window."""
        try:
            return Ledger.parse(self.path.read_text(encoding="utf-8", errors="replace"), now, self.path)
        except FileNotFoundError:
            return Ledger()
        except Damaged as error:
            log.warning(
                "the state file '%s' is damaged (%s) and is replaced: account %s counts as used up for one window, and "
                "what was learned of its limits is learned again",
                self.path, error, self.account,
            )  # fmt: skip
            nobody = Process(0, "", self._process.host, self._process.place)
            return Ledger({f"damaged-{secrets.token_hex(4)}": Party(nobody, now, now, self._span_s)})

    def _may_meet(self) -> bool:
        """Whether somebody else may be using the account, as far as it can be seen without writing."""
        try:
            if not self.path.exists():
                return False
            now = self._wall()
            return bool(self._live(self._read(now), now))
        except OSError:
            return self.path.exists()

    def _unlockable(self, error: OSError) -> Unlockable:
        return Unlockable(
            f"the state file '{self.path}' cannot be locked or written ({error.strerror or error}), and another run on "
            f"this machine may be using account {self.account}: set quota.share for each run and CLUSTER_TTS_STATE_DIR "
            "apart, so that each keeps to its share, or run them one after the other"
        )
