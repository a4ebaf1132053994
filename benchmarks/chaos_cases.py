"""One case: a run of 200 chunks over an emulator of its own, somebody killed in it, and the same command until it is
whole."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import chaos_figures as figures
import chaos_left as left
import chaos_results as results
import chaos_s3 as s3
import chaos_victims as victims
from chaos_figures import Kill, Told
from chaos_places import TOLD, Place, emulator_at, write_texts
from chaos_watch import Watch
from quota_runs import Emulator, environment

from cluster_tts.emulator.log import MOST_TEXT

MOST_STARTS = 5
START_S = 150.0  # of one start: after that it hangs


@dataclass(frozen=True)
class Undisturbed:
    """The run that all others are measured by."""

    took_s: float
    asks_after_s: float  # from the start to its first request
    digests: dict[str, str]


class Case:
    """A run in a folder of its own: start it, strike it, start it again, look at what it left."""

    def __init__(self, place: Place, name: str, emulator: Emulator) -> None:
        self._place, self._emulator = place, emulator
        self.folder = place.folder / name
        self.out = place.out(name)
        self.texts = write_texts(self.folder / "texts")
        self._command = [
            *(sys.executable, "-m", "cluster_tts", "run", str(self.folder / "texts"), "--out", self.out, *TOLD),
            *(f"provider.base_url={emulator.url}", *place.settings),
        ]
        self._state = Path(place.variables.get("CLUSTER_TTS_STATE_DIR", str(self.folder / "state")))
        self._said = self.folder / "said.log"
        self.begun = 0.0
        self.drivers: list[subprocess.Popen[bytes]] = []
        self.exit_codes: list[int] = []
        self.words: list[str] = []
        self.watch = Watch(lambda: self.sessions, self.now_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch.stop()

    @property
    def sessions(self) -> tuple[int, ...]:
        """Those of all its drivers, and of the cluster they joined."""
        return (*(driver.pid for driver in self.drivers), *self._place.sessions)

    @property
    def cluster_sessions(self) -> tuple[int, ...]:
        """Of the cluster's nodes, the head's first."""
        return self._place.sessions

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        return self.drivers[-1]

    def over(self) -> bool:
        return self.driver.poll() is not None

    def start(self) -> None:
        """Start the command; it is always the same."""
        self.begun = self.begun or time.monotonic()
        more = {"CLUSTER_TTS_STATE_DIR": str(self._state), **self._place.variables}
        with self._said.open("ab") as said:
            said.write(f"--- start {len(self.drivers) + 1}\n".encode())
            self.drivers.append(
                subprocess.Popen(
                    self._command, cwd=self.folder, env=environment(**more), stdout=said, stderr=said,
                    start_new_session=True,
                )
            )  # fmt: skip
        self._emulator.children.append(self.driver)

    def wait(self) -> str:
        """Until the driver has ended; a complaint where it does not."""
        try:
            self.exit_codes.append(self.driver.wait(START_S))
            return ""
        except subprocess.TimeoutExpired:
            victims.strike_all(self.sessions)
            self.exit_codes.append(self.driver.wait())
            return f"start {len(self.drivers)} hangs (over {START_S:g} s)"
        finally:
            self.words.append(self._last_words())

    def until_whole(self) -> str:
        """Start the command until it ends with 0; a complaint where it never does. The first start is under way."""
        while True:
            if complaint := self.wait():
                return complaint
            if self.exit_codes[-1] == 0:
                return ""
            if len(self.drivers) == MOST_STARTS:
                return f"not whole after {MOST_STARTS} starts: {self.words[-1]}"
            self.start()

    def now_s(self) -> float:
        """By the emulator's clock."""
        return self._emulator.now()

    def sleep_until_asked(self, requests: int = 1) -> bool:
        """Until so many requests have come; False where the run was over before."""
        while not self.over():
            if self._emulator.arrivals() >= requests:
                return True
            time.sleep(0.05)
        return False

    def sleep(self, seconds: float) -> bool:
        """For so long; False where the run was over before."""
        with suppress(subprocess.TimeoutExpired):
            self.driver.wait(max(0.0, seconds))
        return not self.over()

    def exists(self) -> bool:
        """Whether the run has begun to leave something, so that there is something to continue."""
        return (self.folder / "out").exists() or self._place.url is not None

    def left_behind(self) -> list[str]:
        """Processes, temporary files and folders, claims, places, reservations: what should have gone with the run."""
        own = [driver.pid for driver in self.drivers]
        found = left.processes(own) + left.actors(self._place.sessions) + left.scratch(self.watch.seen)
        if self._place.url is None:
            found += left.half_written(self.folder / "out")
        else:
            found += s3.half_written(self.out)
        found += left.half_written(self._state)
        return found + left.claims(self.out) + left.permits(self._state) + left.reservations(self.out)

    def _last_words(self) -> str:
        lines = self._said.read_text(errors="replace").strip().splitlines()
        return " | ".join(line for line in lines[-4:] if not line.startswith(("---", "documents ")))


def undisturbed(place: Place, name: str = "undisturbed") -> Undisturbed:
    """Run without anybody being hurt; everything that others are measured by is checked here, by listening."""
    with emulator_at(place, place.folder / name) as emulator, Case(place, name, emulator) as case:
        case.start()
        if (complaint := case.wait()) or case.exit_codes != [0]:
            raise RuntimeError(f"the undisturbed run failed: {complaint or case.words}")
        took_s = time.monotonic() - case.begun
        log, stats = emulator.log(), emulator._ask("stats")
        begin_s = emulator.now() - (time.monotonic() - case.begun)
    digests = results.digests(case.out)
    lost = results.lost_chunks(case.out, case.texts, [f"{name}.wav" for name in case.texts])
    stays = case.left_behind()
    if lost or stats["repeats"] or stays:
        raise RuntimeError(f"the undisturbed run is not: lost {lost}, paid again {stats['repeats']}, left {stays}")
    return Undisturbed(took_s, float(log[0]["arrival_s"]) - begin_s, digests)


Strike = Callable[[Case, random.Random, Undisturbed], Kill | None]


def disturbed(place: Place, victim: str, number: int, seed: int, than: Undisturbed, strikes: Sequence[Strike]) -> Told:
    """A run that is struck, and continued until it is whole."""
    chance = random.Random(f"{seed} {victim} {number}")
    name = f"{victim}-{number}"
    with emulator_at(place, place.folder / name) as emulator, Case(place, name, emulator) as case:
        case.start()
        kills = []
        for strike in strikes:
            if kill := strike(case, chance, than):
                kills.append(kill)
        complaint = case.until_whole()
        took_s = time.monotonic() - case.begun
        log, stats = emulator.log(), emulator._ask("stats")
    different = results.different(results.digests(case.out), than.digests)
    kills = [replace(kill, orphans_s=case.watch.orphans_s.get(kill)) for kill in kills]
    asked = set().union(*(figures.in_flight(log, kill) for kill in kills))
    return Told(
        victim=victim,
        number=number,
        kills=tuple(kills),
        exit_codes=tuple(case.exit_codes),
        lost_chunks=results.lost_chunks(case.out, case.texts, different),
        different=different,
        repaid=figures.paid_again(stats["repeats"]),
        in_flight=len(asked),
        repaid_unasked=figures.not_in_flight(stats["repeats"], asked, MOST_TEXT),
        refused=sum(stats["refused"].values()),
        lost_s=took_s - than.took_s,
        left_behind=tuple(case.left_behind()),
        complaint=complaint,
        said=tuple(case.words),
    )
