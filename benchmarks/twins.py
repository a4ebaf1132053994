"""Two copies of one run on one OUT: the first is stopped at a random moment and woken once the second took over.

    python benchmarks/twins.py [--engine local|ray] [--times N] [--chunks N] [--seed N]

Each row: what came of it beside an undisturbed run of the same job, counted in OUT and at the emulator.
"""

import argparse
import hashlib
import json
import random
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

from quota_runs import Emulator, Job, texts

from cluster_tts.claims import SILENT_S

PATIENCE_S = 240.0
EMULATED = ("--latency", "1", "--max-concurrent", "8")
JOB = ("quota.max_concurrent_requests=8", "quota.adaptive=false")


@dataclass(frozen=True)
class Row:
    engine: str
    stopped_at: int  # requests that had arrived
    different: int  # files of documents that differ from those of the undisturbed run
    lost: int  # chunks without a clip
    repeats: int  # requests for what had been paid
    in_flight: int  # most that could be in flight when the first was stopped
    first: int  # exit codes
    second: int
    silent_s: float  # from the stop until the second owned OUT
    seconds: float  # in all
    undisturbed_s: float


def digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "documents").iterdir()}


def owner_of(out: Path) -> int | None:
    """The process that owns OUT; the highest of the claims that were taken."""
    found = [json.loads(path.read_text()) for path in (out / "manifest/claims").glob("*.json")]
    taken = [claim for claim in found if claim["taken"]]
    return max(taken, key=lambda claim: claim["number"])["owner"]["pid"] if taken else None


def free_port() -> str:
    """The same for both runs of a row, since a server's address is part of what its clips are named by."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def undisturbed(folder: Path, spoken: list[str], settings: tuple[str, ...], port: str) -> tuple[dict[str, str], float]:
    folder.mkdir()
    began = time.monotonic()
    with Emulator(folder, "openai", *EMULATED, "--port", port) as emulator:
        Job("twin", folder, spoken, emulator, *settings).finish(PATIENCE_S)
    return digests(folder / "out-twin"), time.monotonic() - began


def wait(job: Job) -> int:
    return job._process.wait(PATIENCE_S)


def twins(folder: Path, spoken: list[str], engine: str, stop_at: int, awake_s: float) -> Row:
    settings, port = (f"engine={engine}", *JOB), free_port()
    expected, undisturbed_s = undisturbed(folder / "alone", spoken, settings, port)
    began, out = time.monotonic(), folder / "out-twin"
    with Emulator(folder, "openai", *EMULATED, "--port", port) as emulator:
        first = Job("twin", folder, spoken, emulator, *settings)
        while emulator.arrivals() < stop_at:
            first.check()
            time.sleep(0.05)
        first._process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        second = Job("twin", folder, spoken, emulator, *settings)
        try:
            while owner_of(out) != second._process.pid:
                second.check()
                if time.monotonic() > stopped + PATIENCE_S:
                    raise RuntimeError("the second never took over")
                time.sleep(0.1)
            silent_s = time.monotonic() - stopped
            time.sleep(awake_s)
        finally:
            first._process.send_signal(signal.SIGCONT)
        codes = wait(first), wait(second)
        stats = emulator._ask("stats")
    left = digests(out)
    different = sum(left.get(name) != digest for name, digest in expected.items()) + len(left.keys() - expected.keys())
    lost = len(spoken) - len([path for path in (out / "clips").rglob("*") if path.is_file()])
    seconds = time.monotonic() - began
    return Row(
        engine,
        stop_at,
        different,
        lost,
        sum(times - 1 for times in stats["repeats"].values()),
        8,
        *codes,
        silent_s,
        seconds,
        undisturbed_s,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=("local", "ray"))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    names = [field.name for field in fields(Row)]
    print(f"silence that is waited for: {SILENT_S:g} s")
    print(" | ".join(names))
    good = True
    for engine in [asked.engine] if asked.engine else ["local", "ray"]:
        for _ in range(asked.times):
            stop_at, awake_s = chance.randint(10, int(0.85 * asked.chunks)), chance.uniform(0, 6)
            with tempfile.TemporaryDirectory(prefix="twins-") as folder:
                row = twins(Path(folder), texts("twin", asked.chunks), engine, stop_at, awake_s)
            cells = [getattr(row, name) for name in names]
            print(" | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells), flush=True)
            good = good and (row.different, row.lost, row.second) == (0, 0, 0) and row.first in (0, 75)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
