"""One run at a time works on an OUT: ``claims`` carried out over storage, and an owner's leave to write.

A ``Fence`` belongs to one run. ``take`` returns when OUT is this run's; from then on a thread renews its claim every
few seconds, and everything that writes to OUT asks ``check`` before: free as long as the claim was renewed lately,
else one step over storage. Joiners on other machines carry a ``Badge``, which looks at the claims itself.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cluster_tts.claims import BEAT_S, SILENT_S, TRUST_S, Claim, Contender, Owner, Reading, State, overtaken
from cluster_tts.errors import Interrupted
from cluster_tts.limiter.liveness import Process
from cluster_tts.storage import Folder

log = logging.getLogger(__name__)

FOLDER = "manifest/claims"  # below OUT
POLL_S, POLL_FAR_S = 1.0, 3.0  # while waiting: on a disk, on a bucket
SUFFIX = ".json"


class Machine:
    """What a fence has to know of where it runs."""

    def owner(self) -> Owner:
        """This process."""
        here = Process.here()
        return Owner(here.pid, here.start, here.host, here.place)

    def is_dead(self, owner: Owner) -> bool:
        """Whether that process has ended; False where it cannot be told."""
        return Process(*owner).is_alive() is False

    def now(self) -> float:
        """Seconds that pass evenly."""
        return time.monotonic()

    def slept(self) -> float:
        """Wall time: it goes on while the machine is suspended, which ``now`` may not."""
        return time.time()


@dataclass(frozen=True, slots=True)
class Badge:
    """Leave to write for whoever works for a run elsewhere. It can be sent."""

    claims: Folder
    claim: Claim
    out: str

    def check(self) -> None:
        """Look whether another run has taken over.

        Raises:
            Interrupted: it has; nothing may be written.
        """
        if rival := overtaken(self.claim, read(self.claims, self.claim.run_id)):
            raise Interrupted(taken_over(self.out, rival))


class Fence:
    """One run's claim to ``out``.

    Promise: once ``check`` has returned, no other run's ``take`` has, unless this process was suspended in between.
    """

    def __init__(
        self, out: Folder, run_id: str, floor: Callable[[], int] = lambda: 0, machine: Machine | None = None
    ) -> None:
        """``floor``: the highest term that anything in ``out`` carries."""
        self.out = str(out)
        self._floor = floor
        self.error: Interrupted | None = None
        """Why nothing may be written any more, once this run has lost."""
        self._claims = (out / FOLDER).absolute()
        self._machine = machine or Machine()
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        self._run = Contender(Claim(run_id, self._machine.owner(), since), self._machine.is_dead)
        self._slept_at = float("-inf")  # as the contender's confirmed_at, in wall time
        self._known: Collection[str] = ()
        self._mine: set[str] = set()  # names that were written
        self._lock = threading.Lock()  # one step at a time
        self._released = False
        self._over = threading.Event()
        self._beating: threading.Thread | None = None
        self._on_loss: Callable[[], object] = lambda: None

    @property
    def owns(self) -> bool:
        return self._run.state is State.OWNS

    @property
    def term(self) -> int:
        """Larger than that of every run that owned ``out`` before."""
        return self._run.claim.number

    @property
    def badge(self) -> Badge:
        return Badge(self._claims, self._run.claim, self.out)

    async def take(self, stop: asyncio.Event, tell: Callable[[str], object], on_loss: Callable[[], object]) -> None:
        """Return when OUT is this run's. Nothing but its claim has been written until then.

        ``tell`` is given one line if that means waiting. ``on_loss`` is called, from any thread, if OUT is lost later.

        Raises:
            Interrupted: ``stop`` was set while it waited.
            OSError: storage cannot be read or written.
        """
        told = False
        while (state := await asyncio.to_thread(self.step)) is not State.OWNS:
            if state is State.STEPS:
                continue
            if not told:
                told = True
                tell(self._waiting())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_S if self._claims.is_local else POLL_FAR_S)
                raise Interrupted(
                    f"stopped while another run ({self._run.rival}) works on '{self.out}': nothing was done; run the "
                    "same command again to continue"
                )
        self._on_loss = on_loss
        self._beating = threading.Thread(target=self._beat, name="fence", daemon=True)
        self._beating.start()

    def try_once(self) -> bool:
        """Whether OUT is this run's now, without waiting for anybody. It is not kept for longer than it is trusted."""
        for _ in range(4):  # write, take, own; and once more for a number that somebody shared
            if (state := self.step()) is not State.STEPS:
                return state is State.OWNS
        return False

    def check(self) -> None:
        """Return if this run may write.

        Raises:
            Interrupted: another run owns OUT, or none does yet.
            OSError: the claim had to be renewed first, and storage refused.
        """
        if self._released:
            raise Interrupted(f"the run in '{self.out}' has ended: nothing is written any more; run the command again")
        if self.error is None and self.owns and not self._trusted():
            self.step()
        if self.error is not None:
            raise self.error
        if not self.owns:
            raise Interrupted(f"'{self.out}' belongs to another run: nothing is written; run the same command again")

    def release(self) -> None:
        """Give OUT to whoever comes next. The claim of an owner stays, as ended, until the next one's is there."""
        self._over.set()
        with self._lock:
            self._released = True
            if not self._mine:
                return
            try:
                if self.owns:
                    self._write(replace(self._run.next(), ended=True))
                else:
                    self._withdraw(self._mine)
            except OSError as error:
                log.warning("the claim on %s stays, and the next run may have to wait: %s", self.out, error)

    def step(self) -> State:
        """Write the claim, read all others, judge; for tests, which own the time."""
        with self._lock:
            if self._released:
                return self._run.state
            if not self._mine:
                self._run.floor = self._floor()
                self._run.choose(self._read())
            owned = self.owns
            wrote_at, slept_at = self._machine.now(), self._machine.slept()
            self._write(self._run.next())
            reading = self._read()
            state = self._run.judge(reading, wrote_at)
            if state is State.OWNS:
                self._slept_at = slept_at
                if not owned:
                    self._tidy(reading)
            elif state is State.LOST and self.error is None:
                self._lost()
        return state

    def _write(self, claim: Claim) -> None:
        self._mine.add(claim.name)
        self._claims.write(claim.name + SUFFIX, claim.to_text().encode())
        self._withdraw(self._mine - {claim.name})

    def _withdraw(self, names: Collection[str]) -> None:
        for name in list(names):
            self._claims.remove(name + SUFFIX)
            self._mine.discard(name)

    def _read(self) -> Reading:
        began = self._machine.now()
        claims = read(self._claims, self._run.claim.run_id, self._known)
        self._known = claims
        return Reading(claims, began, self._machine.now())

    def _trusted(self) -> bool:
        even, wall = self._machine.now() - self._run.confirmed_at, self._machine.slept() - self._slept_at
        return max(even, wall) < TRUST_S

    def _tidy(self, reading: Reading) -> None:
        """Remove claims that this one has outlived; whose they are will not find them missing."""
        for name in self._run.left_behind(reading):
            if not (claim := reading.claims[name]).ended:
                log.warning("took over from another run (%s), which is dead or silent", claim)
            with suppress(OSError):
                self._claims.remove(name + SUFFIX)

    def _lost(self) -> None:
        assert self._run.rival is not None
        self.error = Interrupted(taken_over(self.out, self._run.rival))
        log.error("%s", self.error)
        with suppress(OSError):
            self._withdraw(self._mine)  # it had been removed, and the step wrote it once more
        self._on_loss()

    def _beat(self) -> None:
        failing = False
        while not self._over.wait(BEAT_S):
            try:
                if self.step() is State.LOST:
                    return
                failing = False
            except OSError as error:
                if not failing:
                    log.warning("the claim on %s cannot be renewed, which is tried again: %s", self.out, error)
                failing = True

    def _waiting(self) -> str:
        return (
            f"another run ({self._run.rival}) works on '{self.out}': waiting; it is taken over once it has been "
            f"silent for {SILENT_S:g} s"
        )


def read(claims: Folder, mine: str, known: Collection[str] = ()) -> dict[str, Claim]:
    """The claims of all runs but ``mine``, by name. ``known`` ones are asked for even if the listing leaves them out.

    A listing of a folder in which files are being replaced may leave one out. And where one is gone that was listed,
    its writer has seen a claim that the listing may be too old for: it is made again.
    """
    while True:
        listed = {entry.name.removesuffix(SUFFIX) for entry in claims.files() if entry.name.endswith(SUFFIX)}
        found: dict[str, Claim] = {}
        gone = False
        for name in sorted(listed.union(known)):
            if name.rpartition(".")[0] == mine:
                continue
            try:
                text = claims.read(name + SUFFIX).decode(errors="replace")
            except FileNotFoundError:
                gone = gone or name in listed
            else:
                found[name] = Claim.from_text(name, text)
        if not gone:
            return found
        known = found


def at_work(out: Folder, machine: Machine | None = None) -> bool:
    """Whether a run may be at work on ``out``: one that has not said that it ended, and is not known to be dead."""
    machine = machine or Machine()
    claims = read((out / FOLDER).absolute(), "").values()
    return any(claim.taken and not claim.ended and not machine.is_dead(claim.owner) for claim in claims)


def taken_over(out: str, rival: Claim) -> str:
    """What is said to whoever lost ``out``."""
    return (
        f"another run ({rival}) has taken over '{out}' while this one was silent: this one stops writing; run the same "
        "command again once the other has ended"
    )
