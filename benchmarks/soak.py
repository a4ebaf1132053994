"""A long run on Ray: no process grows, no file stays open, twice the chunks take twice the time.

    python benchmarks/soak.py [--quick]

20,000 short texts against an emulator that answers in 30 ms and knows no limits, 64 in flight; every second each
process of the run is looked at. What may not grow is its own memory (private and written to: PSS also moves when
strangers map the same libraries); growth is the rise of a line fitted to it from the first quarter of the chunks on.
The same for fewer chunks comes first, and the run times are held against a straight line. Last four digests of long
chunks at once: the sum of PSS over all processes. Exits with 1 where a bound is missed. About five minutes on two idle
cores; `--quick` takes two, with fewer chunks and hence less certain lines.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from ancestors import narrative
from quota_runs import OURS, Emulator, environment, texts

CHUNKS = (1_000, 2_500, 5_000, 10_000, 20_000)
QUICK = (500, 1_000, 2_000, 4_000)
A_DOCUMENT = 500  # chunks
IN_FLIGHT = 64
LATENCY_S = "0.03"
MOST_GROWTH, MOST_GROWTH_MB, MOST_FILES = 0.05, 4.0, 2.0
MOST_DEVIATION, MOST_DEVIATION_S = 0.10, 2.0
MOST_DIGESTS_MB = 2048.0
ACTOR = re.compile(r"(ray::\w+)")
SERVICE = re.compile(r"(raylet|gcs_server|log_monitor|monitor|dashboard/agent|dashboard/dashboard|runtime_env)\b")


@dataclass(slots=True)
class Process:
    """What was seen of one process: by moment the chunks done, resident, proportional and own memory, open files."""

    role: str
    done: list[int] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    pss: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def growth(self, what: Sequence[float], since: int) -> tuple[float, float]:
        """Mean since so many chunks were done, and how much a line fitted to it rises until the end."""
        done = np.array(self.done)
        late = done >= since
        if late.sum() < 3 or done[late][0] == done[late][-1]:
            return float(np.mean(what)), 0.0
        slope = np.polyfit(done[late], np.array(what)[late], 1)[0]
        return float(np.array(what)[late].mean()), float(slope * (done[late][-1] - done[late][0]))


@dataclass(slots=True)
class Watched:
    """One run and all processes that belonged to it."""

    processes: dict[int, Process] = field(default_factory=dict)
    seconds: float = 0.0
    peak_pss: float = 0.0  # of the sum at one moment
    at_peak: dict[str, float] = field(default_factory=dict)

    def look(self, driver: psutil.Process, done: int) -> None:
        """One sample of every process there is."""
        now: dict[str, float] = {}
        for process in [driver, *driver.children(recursive=True)]:
            with suppress(psutil.Error, OSError):
                if (role := role_of(process, driver.pid)) is None:
                    continue
                seen = self.processes.setdefault(process.pid, Process(role))
                if seen.role == "ray::IDLE":  # it has got work to do
                    seen.role = role
                rss, pss, own = memory_of(process.pid)
                seen.done.append(done)
                seen.pss.append(pss)
                seen.rss.append(rss)
                seen.own.append(own)
                seen.files.append(process.num_fds())
                seen.cpu_s = sum(process.cpu_times()[:2])
                now[f"{role} {process.pid}"] = pss
        if sum(now.values()) > self.peak_pss:
            self.peak_pss, self.at_peak = sum(now.values()), now


def role_of(process: psutil.Process, driver: int) -> str | None:
    """What a process is; None for what has not taken its name yet and for shells."""
    if process.pid == driver:
        return "driver"
    command = " ".join(process.cmdline()) or process.name()
    found = ACTOR.match(command) or SERVICE.search(command.partition(" --")[0])
    return found.group(1) if found else None


def memory_of(pid: int) -> tuple[float, float, float]:
    """Resident memory, its share of what it shares with others (PSS), and what it alone has written to, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return int(sizes["Rss"]) / 1024, int(sizes["Pss"]) / 1024, int(sizes["Private_Dirty"]) / 1024


def watch(folder: Path, source: Path, emulator: Emulator, *settings: str) -> Watched:
    """One run of ``source`` on Ray, looked at every second until it ends."""
    out = folder / "out"
    command = [
        *(sys.executable, "-m", "cluster_tts", "run", str(source), "--out", str(out)),
        *(f"provider.name={emulator.provider}", f"provider.base_url={emulator.url}", *OURS, "engine=ray", *settings),
    ]
    watched, start = Watched(), time.perf_counter()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env=environment(CLUSTER_TTS_STATE_DIR=str(folder / "state"))
        )
    emulator.children.append(process)
    driver = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            watched.look(driver, done_of(out))
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    watched.seconds = time.perf_counter() - start
    if process.returncode:
        last = (folder / "said").read_text(errors="replace").strip().splitlines()[-5:]
        raise RuntimeError(f"the run ended with {process.returncode}: {' | '.join(last)}")
    return watched


def done_of(out: Path) -> int:
    """How many chunks the run has spoken, by its report."""
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((out / "report.json").read_text())["totals"]["spoken"])
    return 0


def soak(chunks: int) -> Watched:
    """One run of so many short chunks, in documents of ``A_DOCUMENT``."""
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        folder = Path(scratch)
        source = folder / "texts"
        source.mkdir()
        spoken = texts("soak", chunks, (60, 100))
        for first in range(0, chunks, A_DOCUMENT):
            (source / f"{first:06}.txt").write_text("\n\n".join(spoken[first : first + A_DOCUMENT]) + "\n")
        with Emulator(folder, "openai", "--latency", LATENCY_S) as emulator:
            return watch(folder, source, emulator, f"quota.max_concurrent_requests={IN_FLIGHT}")


def told_growth(watched: Watched, since: int) -> bool:
    """Print what grew; whether nothing did."""
    kept = True
    head = f"{'MB, files':22}{'RSS':>8}{'PSS':>8}{'own':>8}{'grown':>8}{'':8}{'files':>8}{'grown':>8}{'CPU s':>8}"
    print(f"memory and open files per process since {since:,} chunks\n{head}")
    for process in sorted(watched.processes.values(), key=lambda process: process.role):
        if len(process.done) < 5 or process.done[-1] < since:
            continue
        own, grown = process.growth(process.own, since)
        files, more = process.growth(process.files, since)
        good = grown <= max(MOST_GROWTH_MB, MOST_GROWTH * own) and more <= MOST_FILES
        kept = kept and good
        print(
            f"{process.role:22}{process.rss[-1]:8.1f}{process.pss[-1]:8.1f}{own:8.1f}{grown:+8.1f}{grown / own:+8.1%}"
            f"{files:8.1f}{more:+8.1f}{process.cpu_s:8.1f}{'' if good else '   MISSED'}"
        )
    return kept


def told_times(seconds: dict[int, float]) -> bool:
    """Print the run times beside the line fitted to them; whether they are near it."""
    each, fixed = np.polyfit(list(seconds), list(seconds.values()), 1)
    kept = True
    print(
        f"run time: a line of {fixed:.1f} s + {each * 1000:.2f} s a thousand chunks\n{'chunks':>8}{'s':>8}{'line':>8}"
    )
    for chunks, took in seconds.items():
        line = fixed + each * chunks
        good = abs(took - line) <= max(MOST_DEVIATION * line, MOST_DEVIATION_S)
        kept = kept and good
        print(f"{chunks:8,}{took:8.1f}{line:8.1f}{took / line - 1:+8.1%}{'' if good else '   MISSED'}")
    return kept


def digests(chunks: int) -> bool:
    """Four digests of so many chunks of nearly three minutes each: whether all processes together stay small."""
    with tempfile.TemporaryDirectory(prefix="digests-") as scratch:
        folder = Path(scratch)
        source = folder / "texts"
        source.mkdir()
        for number in range(4):
            (source / f"digest-{number}.txt").write_text(narrative(number * 100, chunks, 2_400) + "\n")
        account = ("--max-concurrent", "10", "--latency-per-character", "0.001", "--characters-per-second", "15")
        with Emulator(folder, "elevenlabs", *account) as emulator:
            settings = ("chunking.max_characters=2500", "quota.max_concurrent_requests=10")
            watched = watch(folder, source, emulator, *settings)
        audio_s = sum(json.loads(path.read_text())["frames"] for path in (folder / "out" / "documents").glob("*.json"))
    good = watched.peak_pss <= MOST_DIGESTS_MB
    print(
        f"four digests of {chunks} chunks, {audio_s / 24_000 / 60:.0f} minutes of audio, in {watched.seconds:.0f} s: "
        f"sum of PSS at most {watched.peak_pss:.0f} MB (wanted: {MOST_DIGESTS_MB:.0f}){'' if good else '   MISSED'}"
    )
    for name, pss in sorted(watched.at_peak.items(), key=lambda item: -item[1]):
        print(f"  {name:34}{pss:8.1f}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two minutes, less certain")
    quick = parser.parse_args().quick
    kept, seconds = True, dict[int, float]()
    for chunks in QUICK if quick else CHUNKS:
        watched = soak(chunks)
        seconds[chunks] = watched.seconds
        print(f"{chunks:,} chunks: {watched.seconds:.1f} s", flush=True)
    kept = told_growth(watched, chunks // 4) and kept
    kept = told_times(seconds) and kept
    kept = digests(6 if quick else 30) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
