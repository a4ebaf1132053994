"""Runs that contend for one OUT, in a storage and a time of their own: every access may be the last for a while."""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from cluster_tts.claims import BEAT_S, Owner, State
from cluster_tts.errors import Interrupted
from cluster_tts.fencing import Fence, Machine
from cluster_tts.storage import Entry

FOREVER = float("inf")


class Killed(BaseException):
    """What a killed run meets at its next access to storage."""


class World:
    """Storage, time, and a scheduler that lets one run at a time go on to its next access."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.files: dict[str, bytes] = {}
        self.runs: list[Run] = []
        self.highest: tuple[int, str] = (0, "")
        self.told: list[str] = []  # what must not be

    def start(self, writes: int, seen_dead: bool) -> None:
        self.runs.append(Run(self, f"run-{self.random.random():.6f}-{len(self.runs)}", writes, seen_dead))

    def go_on(self, slowness: float) -> bool:
        """Let some run that can do its next access; False where none will ever."""
        able = [run for run in self.runs if not run.over and run.wakes_at < FOREVER]
        if not able:
            return False
        awake = [run for run in able if run.wakes_at <= self.now]
        if not awake:
            self.now = min(run.wakes_at for run in able)
            return True
        self.now += self.random.expovariate(1) * slowness
        self.random.choice(awake).one_access()
        return True

    def befall(self, often: float) -> None:
        """With a chance of ``often`` stop a run for so long or for good, or kill it."""
        run = self.random.choice(self.runs)
        if not run.over and self.random.random() < often:
            if self.random.random() < 0.2:
                run.kill()
            else:
                run.wakes_at = self.now + self.random.choice((5, 14, 16, 29, 31, 33, 60, 100, FOREVER))

    def owned(self, fence: Fence, first: bool) -> None:
        """Note that the run owns OUT and is about to write, or has just been told so."""
        rank = (fence.term, fence._run.claim.run_id)
        if rank < self.highest:
            self.told.append(f"{rank} writes at {self.now:.1f} after {self.highest} took over")
        if first and rank[0] <= self.highest[0]:
            self.told.append(f"{rank} has no term of its own, {self.highest} had it")
        self.highest = max(rank, self.highest)

    def close(self) -> None:
        for run in self.runs:
            run.kill()


@dataclass
class Run(Machine):
    """One run: waits for its turn, writes so many times, and gives OUT back."""

    world: World
    name: str
    writes: int
    seen_dead: bool
    """Whether others can see that its process has ended."""

    ended: str = ""  # done | lost
    killed: bool = False
    wakes_at: float = 0.0
    is_local: bool = True
    fault: BaseException | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _parked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self._offset = self.world.random.uniform(0, 1e6)  # no two clocks agree
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        self._parked.acquire()

    @property
    def over(self) -> bool:
        return self.killed or bool(self.ended)

    def kill(self) -> None:
        self.killed = True
        self.one_access()

    def one_access(self) -> None:
        if self._thread.is_alive() and not self.ended:
            self._go.release()
            self._parked.acquire()

    def now(self) -> float:
        return self.world.now + self._offset

    slept = now

    def owner(self) -> Owner:
        return Owner(1, "", self.name, "")

    def is_dead(self, owner: Owner) -> bool:
        (run,) = (run for run in self.world.runs if run.name == owner.host)
        return run.seen_dead and run.over

    # As a folder, with a moment before each access:

    def __str__(self) -> str:
        return "OUT"

    def __truediv__(self, name: str) -> "Run":
        return self

    def absolute(self) -> "Run":
        return self

    def write(self, name: str, content: bytes) -> None:
        self._moment()
        self.world.files[name] = content
        self._moment()

    def read(self, name: str) -> bytes:
        self._moment()
        if name not in self.world.files:
            raise FileNotFoundError(name)
        return self.world.files[name]

    def files(self, below: str = "") -> Iterator[Entry]:
        self._moment()
        return iter([Entry(name, 1, 0.0) for name in self.world.files])

    def remove(self, name: str) -> None:
        self._moment()
        self.world.files.pop(name, None)

    def _moment(self, pause_s: float = 0.0) -> None:
        self.wakes_at = max(self.wakes_at, self.world.now + pause_s)
        self._parked.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    def _live(self) -> None:
        try:
            self._moment()
            fence = Fence(self, self.name, machine=self)  # type: ignore[arg-type]
            try:
                self._work(fence)
                self.ended = "done"
            except Interrupted:
                self.ended = "lost"
            ended, self.ended = self.ended, ""
            fence.release()
            self.ended = ended
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - told by the test
            self.fault = error
        finally:
            self.ended = self.ended or "killed"
            self._parked.release()

    def _work(self, fence: Fence) -> None:
        while (state := fence.step()) is not State.OWNS:
            if state is State.WAITS:
                self._moment(1.0)
        fence.check()  # it may have been stopped since
        self.world.owned(fence, first=True)
        beats = 0
        for _ in range(self.writes):
            self._moment(2.0)
            fence.check()
            self.world.owned(fence, first=False)
            beats += 2
            if beats >= BEAT_S and fence.step() is State.LOST:
                fence.check()
            beats %= int(BEAT_S)


def contend(seed: int) -> World:
    """A random story of two to four runs: stops at any access, wakes, kills; at the end those that live may go on."""
    world = World(seed)
    slowness = world.random.choice((0.0, 0.02, 0.3, 1.0))
    for _ in range(world.random.randint(2, 4)):
        world.start(world.random.randint(1, 30), world.random.random() < 0.5)
        for _ in range(world.random.choice((0, 3, 30, 300))):
            world.go_on(slowness)
            world.befall(world.random.choice((0.0, 0.01, 0.1)))
    while world.now < FOREVER and world.go_on(min(slowness, 0.02)):
        pass
    return world
