"""Peak memory of every process for a text and for one ten times as long.

Wanted: the driver grows by at most 4 bytes a character, everything else by at most 10 %. Spoken by the `tone` voice
with 50 ms a chunk, on the Ray engine. Memory is the resident set without what is shared (USS), sampled twice a
second; a process's peak counts.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

SENTENCES = "Number {n} of these lines tells that the tide came in at {n} and went out again by {m}, as it does. "
RAY_PROCESS = re.compile(r"ray::\w+|raylet|gcs_server|log_monitor|dashboard|monitor|RuntimeEnv")


def write_text(path: Path, characters: int) -> int:
    """A text without repetitions, in paragraphs of 800 characters."""
    with path.open("w") as file:
        n = written = 0
        while written < characters:
            written += file.write("".join(SENTENCES.format(n=n + k, m=n * 7 + k) for k in range(8)) + "\n\n")
            n += 8
    return written


def role(process: psutil.Process, driver: int) -> str | None:
    """What a process is, whatever method it is in; None while it has not taken its name yet."""
    if process.pid == driver:
        return "driver"
    match = RAY_PROCESS.search(" ".join(process.cmdline()) or process.name())
    return match.group() if match else None


def peaks(source: Path, out: Path) -> dict[str, int]:
    """Peak bytes by role; of several processes of one role the largest."""
    run = subprocess.Popen(
        [sys.executable, "-m", "cluster_tts", "run", str(source), "--out", str(out), "provider.name=tone",
         "provider.options.latency_s=0.05", "provider.options.characters_per_second=1000",
         "check.characters_per_second=null", "provider.options.rate=8000"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found: dict[str, int] = defaultdict(int)
    driver = psutil.Process(run.pid)
    while run.poll() is None:
        with suppress(psutil.Error):
            for process in [driver, *driver.children(recursive=True)]:
                with suppress(psutil.Error):
                    if (name := role(process, run.pid)) is None:
                        continue
                    found[name] = max(found[name], process.memory_full_info().uss)
        time.sleep(0.5)
    assert run.returncode == 0, f"the run ended with {run.returncode}"
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=1_500_000)
    characters = parser.parse_args().characters
    with tempfile.TemporaryDirectory() as folder:
        sizes, results = [], []
        for times in (1, 10):
            source = Path(folder, f"text-{times}.txt")
            sizes.append(write_text(source, times * characters))
            start = time.monotonic()
            results.append(peaks(source, Path(folder, f"out-{times}")))
            print(f"{sizes[-1]:,} characters: {time.monotonic() - start:.0f} s")
    small, large = results
    print(f"{'process':24} {'once':>10} {'ten times':>10}")
    for name in sorted(small):
        grown = large.get(name, 0) - small[name]
        told = (
            f"{grown / (sizes[1] - sizes[0]):.2f} bytes a character"
            if name == "driver"
            else f"{grown / small[name]:+.1%}"
        )
        print(f"{name:24} {small[name] / 2**20:8.1f} M {large.get(name, 0) / 2**20:8.1f} M   {told}")
    rest = [sum(size for name, size in result.items() if name != "driver") for result in results]
    print(f"{'all but the driver':24} {rest[0] / 2**20:8.1f} M {rest[1] / 2**20:8.1f} M   {rest[1] / rest[0] - 1:+.1%}")


if __name__ == "__main__":
    main()
