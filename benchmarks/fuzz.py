"""Mutated inputs, in process: no traceback, no hang, no write outside OUT, memory bounded.

    python benchmarks/fuzz.py [--inputs 10000] [--seed 1] [--kind text] [--number 17] [--keep FOLDER]

Every input follows from seed, kind and number alone. One that fails is kept in FOLDER (``out/fuzz``) beside the
command that tries it again. It exits with 1 if there is one.
"""

import argparse
import contextlib
import faulthandler
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from cluster_tts.errors import CTTSError

sys.path.insert(0, str(Path(__file__).parent))
import fuzz_targets as targets

SECONDS = 60  # the most an input may take: a claim that was damaged is waited for for 30 s, and a machine may be busy
MOST_GROWTH_MB = 300  # of the largest memory so far, by one input
SHARES = {"text": 24, "markdown": 12, "settings": 18, "env": 6, "clip": 20, "answer": 18, "out": 2}


@dataclass(frozen=True)
class Finding:
    """One input that did harm; ``command`` tries it again."""

    kind: str
    number: int
    what: str
    command: str


@dataclass(frozen=True)
class Tally:
    """What came of the inputs of one kind."""

    kind: str
    inputs: int
    refused: int
    seconds: float
    findings: list[Finding]


class Hang(BaseException):
    """An input took too long. No ``Exception``, so that nothing swallows it."""


def fuzz(kind: str, numbers: range, seed: int, keep: Path) -> Tally:
    """Try the inputs ``numbers`` of ``kind``."""
    refused, findings, start = 0, [], time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, surroundings(Path(folder)) as place:  # noqa: SIM117
        with targets.opened(kind, place.parent / "seeds") as target:
            for number in numbers:
                what, was_refused = _tried(target, Random(f"{seed} {kind} {number}"), place)
                refused += was_refused
                if what:
                    command = f"python benchmarks/fuzz.py --seed {seed} --kind {kind} --number {number}"
                    findings.append(Finding(kind, number, what, command))
                    _keep(keep / f"{kind}-{number}", target.last, what, command)
    return Tally(kind, len(numbers), refused, time.perf_counter() - start, findings)


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[Path]:
    """A place to work in inside a folder that must stay as it is; state is kept below it too."""
    place, before = folder / "sentinel" / "deep" / "place", Path.cwd()
    place.mkdir(parents=True)
    (folder / "seeds").mkdir()
    for sentinel in (folder / "sentinel", folder / "sentinel" / "deep"):
        for name in ("x", "x.wav", "x.json", "x.srt", "HARM.txt"):
            (sentinel / name).write_text("stays")
    names = {name: os.environ.get(name) for name in ("CLUSTER_TTS_STATE_DIR", "HOME")}
    os.environ.update(CLUSTER_TTS_STATE_DIR=str(folder / "state"), HOME=str(folder / "sentinel"))
    os.chdir(place)
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield place
    finally:
        logging.disable(level)
        os.chdir(before)
        for name, value in names.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def snapshot(place: Path) -> Mapping[str, object]:
    """What lies around ``place``, which itself may change: names, sizes and times."""
    found: dict[str, object] = {}
    for folder, names, files in os.walk(place.parent.parent):
        if Path(folder) == place:
            names.clear()
            continue
        for name in (*names, *files):
            if (path := Path(folder, name)) != place:
                status = path.lstat()
                found[str(path)] = (status.st_mode, status.st_size, None if path.is_dir() else status.st_mtime_ns)
    return found


def _tried(target: "targets.Target", random: Random, place: Path) -> tuple[str, bool]:
    """What harm one input did, if any, and whether it was refused in words."""
    before, memory = snapshot(place), _peak_mb()
    refused, what = False, ""
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)  # code in C that no signal reaches
    try:
        with _alarm():
            target.attempt(random, place)
    except CTTSError as error:
        refused = True
        if not str(error).strip():
            what = f"{type(error).__name__} without a word"
    except (Exception, Hang):  # noqa: BLE001 - whatever it is, it is what is looked for
        what = traceback.format_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()
    after = snapshot(place)
    if after != before:
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        what += f"\nwritten outside: {changed[:5]}"
    if (grown := _peak_mb() - memory) > MOST_GROWTH_MB:
        what += f"\nmemory grew by {grown:.0f} MB"
    return what, refused


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def raise_hang(*_: object) -> None:
        raise Hang(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, raise_hang)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _keep(folder: Path, content: bytes, what: str, command: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input").write_bytes(content)
    (folder / "what.txt").write_text(f"{command}\n\n{what}\n", encoding="utf-8", errors="backslashreplace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(SHARES))
    parser.add_argument("--number", type=int, help="only this one, of --kind")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"))
    given = parser.parse_args()
    if given.number is not None and not given.kind:
        parser.error("--number needs --kind")
    keep, start, tallies = given.keep.absolute(), time.perf_counter(), []
    print(f"{'kind':10} {'inputs':>7} {'refused':>8} {'a second':>9} {'findings':>9}")
    for kind in [given.kind] if given.kind else SHARES:
        count = given.inputs if given.kind else given.inputs * SHARES[kind] // sum(SHARES.values())
        numbers = range(count) if given.number is None else range(given.number, given.number + 1)
        tally = fuzz(kind, numbers, given.seed, keep)
        tallies.append(tally)
        speed = tally.inputs / tally.seconds
        print(f"{kind:10} {tally.inputs:7} {tally.refused:8} {speed:9.0f} {len(tally.findings):9}", flush=True)
    for finding in (finding for tally in tallies for finding in tally.findings[:5]):
        print(f"\n{finding.command}\n{finding.what.strip()[-1500:]}")
    inputs, found = sum(tally.inputs for tally in tallies), sum(len(tally.findings) for tally in tallies)
    print(f"\n{inputs} inputs in {time.perf_counter() - start:.0f} s, at most {_peak_mb():.0f} MB, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
