"""What the programs that show issue 6 have in common: a run of many documents over an emulator, timed and weighed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from quota_runs import Emulator, environment

LOOK_S = 0.25
EXAMPLES = Path(__file__).parents[1] / "examples"
JOBS = Path(__file__).parents[1] / "conf" / "job"
SPEECH = ("--characters-per-second", "15", "--log", "100000")  # as long as speech is, and every request told


@dataclass(frozen=True)
class Ran:
    """A run that has ended. ``finished_s`` is when each document was there, from the start, by the name of its JSON."""

    out: Path
    exit_code: int
    seconds: float
    most_bytes: int
    finished_s: dict[str, float]
    said: str

    def demand_success(self) -> None:
        if self.exit_code:
            raise RuntimeError(f"the run ended with {self.exit_code}: {self.said}")


def run(
    folder: Path,
    job: str,
    sources: Sequence[str | Path],
    emulator: Emulator | None,
    *settings: str,
    engine: str = "local",
) -> Ran:
    """``cluster-tts run`` with a job file over an emulator, as a process: its OUT is ``folder/out``."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "out"
    command = [sys.executable, "-m", "cluster_tts", "run", *map(str, sources), "-c", str(JOBS / f"{job}.yaml")]
    command += ["--out", str(out), f"engine={engine}", *settings]
    if emulator is not None:
        command += [f"provider.base_url={emulator.url}", "provider.api_key_env=null"]
    own = environment(CLUSTER_TTS_STATE_DIR=str(folder / "state"))
    log, start = folder / "run.log", time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=said, stderr=said)
    seen: dict[str, float] = {}
    most_bytes = 0
    try:
        while process.poll() is None:
            most_bytes = max(most_bytes, weight(process.pid))
            for path in (out / "documents").glob("*.json"):
                seen.setdefault(path.stem, time.monotonic() - start)
            time.sleep(LOOK_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    seconds = time.monotonic() - start
    for path in (out / "documents").glob("*.json"):
        seen.setdefault(path.stem, seconds)
    last = " | ".join(log.read_text(errors="replace").strip().splitlines()[-4:])
    return Ran(out, process.returncode, seconds, most_bytes, seen, last)


def weight(pid: int) -> int:
    """Memory of a process and all that it started: what they share counts once (PSS)."""
    total = 0
    with suppress(psutil.Error):
        driver = psutil.Process(pid)
        for process in (driver, *driver.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total
