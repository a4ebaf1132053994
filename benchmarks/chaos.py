"""Kill anything, lose nothing, pay once: 40 runs of 200 chunks, somebody killed in each, continued until whole.

    python benchmarks/chaos.py                          all victims, five runs each, about 25 minutes
    python benchmarks/chaos.py --victim worker --runs 2 --seed 7
    python benchmarks/chaos.py --s3                     one run for each victim, OUT on an S3 server that fails 5 %
    python benchmarks/chaos.py --json chaos.json --keep FOLDER

Victims: a worker's process, a node with all its processes, the queue's actor, the limiter's, a task that joins, the
driver, everything at once (a power cut), and SIGTERM to the driver. Each falls at a moment drawn from ``--seed``. Then
the same command is started until it ends with 0. Every case has an emulator, an OUT and a state folder of its own; two
run side by side. Rows are measured by an undisturbed run of the same lane. A row that breaks a promise is marked with
``!``, each broken promise is told as it is found, and makes the exit code 1.
"""

import argparse
import json
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import chaos_cases as cases
import chaos_figures as figures
import chaos_nodes as nodes
import chaos_s3 as s3
import chaos_victims as victims
from chaos_figures import Kill, Told
from chaos_places import Place
from chaos_strikes import strike

VICTIMS = ("worker", "node", "queue", "limiter", "join", "driver", "power", "sigterm")
LANES = 2
MOST_DRAWS = 3  # of a moment: a victim that is gone by then cannot be hit
NODES_S = 1500.0


@dataclass(frozen=True)
class Wanted:
    """What is to be done, as it was asked for."""

    victims: tuple[str, ...]
    runs: int
    seed: int
    s3: bool
    folder: Path
    keeps: bool


class Telling:
    """Results as they come, from several lanes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.told: list[Told] = []
        self.good = True

    def add(self, one: Told) -> None:
        broken = one.broken()
        kills = " ".join(kill.to_tell() for kill in one.kills) or "-"
        line = (
            f"{one.victim:<8} #{one.number}  hit {kills:<16} exits {' '.join(map(str, one.exit_codes)):<8} "
            f"paid again {one.repaid}/{one.bound}  lost {one.lost_s:+.1f} s  "
            f"{'! ' + '; '.join(broken) if broken else 'kept'}"
        )
        with self._lock:
            self.told.append(one)
            self.good = self.good and not broken
            print(line, file=sys.stderr, flush=True)
            if broken:
                for words in one.said:
                    print(f"             said: {words}", file=sys.stderr, flush=True)

    def fail(self, what: str) -> None:
        with self._lock:
            self.good = False
            print(f"! {what}", file=sys.stderr, flush=True)


def measure(place: Place, victim: str, number: int, wanted: Wanted, than: cases.Undisturbed) -> Told:
    """One case; drawn again where the victim was gone by the moment that was drawn."""
    for draw in range(MOST_DRAWS):
        told = cases.disturbed(place, victim, number + 100 * draw, wanted.seed, than, [strike(victim)])
        if told.kills or told.broken() != ["nobody was hit"]:
            break
        forget(place, victim)
    if not wanted.keeps and not told.broken():
        forget(place, victim)  # 150 MB
    return replace(told, number=number)


def forget(place: Place, victim: str) -> None:
    """Remove what the cases of a victim left."""
    for folder in place.folder.glob(f"{victim}-*"):
        shutil.rmtree(folder)


def lane(place: Place, todo: "queue.SimpleQueue[tuple[str, int]]", wanted: Wanted, telling: Telling) -> None:
    """Work off cases over one place until none is left."""
    than = cases.undisturbed(place)
    print(f"undisturbed: {than.took_s:.1f} s, {len(than.digests)} files", file=sys.stderr, flush=True)
    while True:
        try:
            victim, number = todo.get_nowait()
        except queue.Empty:
            return
        try:
            telling.add(measure(place, victim, number, wanted, than))
        except Exception as error:  # noqa: BLE001  # a case that breaks must not take the others with it
            traceback.print_exc()
            telling.fail(f"{victim} #{number} could not be measured: {type(error).__name__}: {error}")


def lane_of_nodes(wanted: Wanted, telling: Telling) -> None:
    """The runs in which a node falls: in a network namespace, where a Ray head may listen on all interfaces."""
    if not nodes.can_unshare():
        telling.fail("node: not measured; needs unshare and ip, and the right to make a network namespace")
        return
    command = [sys.executable, __file__, "--inside", str(wanted.folder), "--runs", str(wanted.runs),
               "--seed", str(wanted.seed), *(["--s3"] if wanted.s3 else []),
               *(["--keep", str(wanted.folder)] if wanted.keeps else [])]  # fmt: skip
    for line in nodes.inside_namespace(command, NODES_S):
        content = json.loads(line)
        kills = tuple(Kill(**kill) for kill in content.pop("kills"))
        lists = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
        telling.add(Told(**{**content, **lists, "kills": kills}))
    if missing := wanted.runs - sum(one.victim == "node" for one in telling.told):
        telling.fail(f"node: {missing} runs could not be measured, see above")


def inside(wanted: Wanted) -> int:
    """The same, inside: each case as a line of JSON on stdout."""
    with ExitStack() as stack:
        folder = wanted.folder / "nodes"
        place = place_of(folder, stack.enter_context(storage(folder, wanted)))
        cluster = stack.enter_context(nodes.cluster(folder))
        than = cases.undisturbed(cluster.place(place))
        print(f"undisturbed on two nodes: {than.took_s:.1f} s", file=sys.stderr, flush=True)
        for number in range(wanted.runs):
            told = measure(cluster.place(place), "node", number, wanted, than)
            print(json.dumps(asdict(told)), flush=True)
    return 0


@contextmanager
def storage(folder: Path, wanted: Wanted) -> Iterator[str | None]:
    """The bucket that takes every OUT, if any."""
    folder.mkdir(parents=True, exist_ok=True)
    if not wanted.s3:
        yield None
        return
    with s3.server(wanted.seed) as url:
        yield url


def place_of(folder: Path, url: str | None) -> Place:
    """Where a lane's cases run."""
    folder.mkdir(parents=True, exist_ok=True)
    return Place(folder, free_port(), url=url and f"{url}/{folder.name}")


def free_port() -> int:
    """One port for all emulators of a lane: the address of a provider is part of a clip's name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def work_off(wanted: Wanted, lanes: int) -> Telling:
    """All cases, in lanes side by side; those with nodes are one lane's, before it takes part in the others."""
    telling, todo = Telling(), queue.SimpleQueue[tuple[str, int]]()
    for number in range(wanted.runs):  # victims in turn, so that whoever interrupts has seen each
        for victim in wanted.victims:
            if victim != "node":
                todo.put((victim, number))

    def one(number: int) -> None:
        try:
            if number == 0 and "node" in wanted.victims:
                lane_of_nodes(wanted, telling)
            if not todo.empty():
                lane(place_of(wanted.folder / f"lane-{number}", url), todo, wanted, telling)
        except Exception as error:  # noqa: BLE001  # a lane that breaks must not take the others with it
            traceback.print_exc()
            telling.fail(f"lane {number}: {type(error).__name__}: {error}")

    with storage(wanted.folder, wanted) as url:
        threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return telling


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victim", action="append", choices=VICTIMS, help="only this one (may be given again)")
    parser.add_argument("--runs", type=int, help="runs for each victim (default 5; with --s3 one)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default 1)")
    parser.add_argument("--s3", action="store_true", help="OUT and clips on an S3 server that fails 5 %% of requests")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"runs side by side (default {LANES})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every case there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave what the runs left and said there")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as made:
        runs = given.runs or (1 if given.s3 else 5)
        folder = (given.inside or given.keep or Path(made)).absolute()
        wanted = Wanted(tuple(given.victim or VICTIMS), runs, given.seed, given.s3, folder, given.keep is not None)
        if given.inside:
            return inside(wanted)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            telling = work_off(wanted, given.lanes)
        except KeyboardInterrupt:
            victims.strike_children()
            return 130
    told = sorted(telling.told, key=lambda one: (VICTIMS.index(one.victim), one.number))
    print("\n" + "\n".join(figures.table(told)))
    print(f"\n{len(told)} runs in {time.monotonic() - begin:.0f} s, seed {given.seed}")
    if given.json:
        cases_told = [{**asdict(one), "broken": one.broken()} for one in told]
        given.json.write_text(json.dumps(cases_told, indent=1) + "\n")
    return 0 if telling.good else 1


if __name__ == "__main__":
    sys.exit(main())
