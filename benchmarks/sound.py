"""What a second of audio costs: time stretch and loudness, against ffmpeg's on the same samples in the same run.

    python benchmarks/sound.py [--minutes 5]

Time is that of a core, not of the clock: of ffmpeg what it takes beyond reading the file and throwing it away.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile as sf

from cluster_tts.audio import Samples
from cluster_tts.loudness import Meter
from cluster_tts.stretch import stretched

RATE = 24_000
ROUNDS = 3
CLIP_S = 10
BLOCK = 65_536
LIMIT_MS = 4.0  # a core's milliseconds for a second that comes in


def voice(seconds: int) -> Samples:
    """Pulses of a gliding pitch through two resonances, in syllables, with a breath of noise: as costly as speech."""
    time_s = np.arange(RATE * seconds) / RATE
    phase = np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.3 * time_s)) / RATE
    decay = np.exp(-(phase % 1) * 6)
    sound = decay * (np.sin(2 * np.pi * 700 * time_s) + 0.5 * np.sin(2 * np.pi * 1_800 * time_s))
    sound += 0.05 * np.random.default_rng(0).standard_normal(len(time_s))
    return np.rint(8_000 * sound * np.abs(np.sin(2 * np.pi * 2 * time_s))).clip(-32_768, 32_767).astype(np.int16)


def stretch_clips(samples: Samples, speed: float) -> None:
    for first in range(0, len(samples), CLIP_S * RATE):
        clip = samples[first : first + CLIP_S * RATE]
        stretched(clip, RATE, round(len(clip) / speed))


def measure_loudness(samples: Samples) -> None:
    meter = Meter(RATE)
    for first in range(0, len(samples), BLOCK):
        meter.add(samples[first : first + BLOCK])
    meter.integrated()


def ours_s(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ffmpeg_s(path: Path, filters: str) -> float:
    """A core's seconds of ffmpeg with these filters."""
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-af", filters, "-f", "null", "-"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=5)
    minutes = parser.parse_args().minutes
    samples = voice(60 * minutes)
    work: dict[str, tuple[Callable[[], None], str]] = {
        f"stretch {speed:g}": (lambda speed=speed: stretch_clips(samples, speed), f"atempo={speed:g}")
        for speed in (0.8, 1.1, 1.2, 1.35)
    }
    work["loudness"] = (lambda: measure_loudness(samples), "ebur128=framelog=verbose")
    with TemporaryDirectory() as folder:
        path = Path(folder, "voice.wav")
        sf.write(path, samples, RATE)
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in work}
        for _ in range(ROUNDS):
            reading_s = ffmpeg_s(path, "anull") if shutil.which("ffmpeg") else 0.0
            for what, (ours, theirs) in work.items():
                theirs_s = ffmpeg_s(path, theirs) - reading_s if shutil.which("ffmpeg") else float("nan")
                times[what].append((ours_s(ours), theirs_s))
    print(f"{minutes} min, {RATE} Hz mono 16 bit, a core's ms for a second of it; medians of {ROUNDS}")
    medians = {what: [statistics.median(column) for column in zip(*rows, strict=True)] for what, rows in times.items()}
    for what, (ours_took, theirs_took) in medians.items():
        here, there = (1000 * seconds / (60 * minutes) for seconds in (ours_took, theirs_took))
        print(f"{what:<14}{here:7.2f} ms{there:9.2f} ms ({work[what][1]}){here / there:7.2f} x")
    if not shutil.which("ffmpeg"):
        print("ffmpeg was not measured: it is not installed")
    return int(any(1000 * ours_took / (60 * minutes) > LIMIT_MS for ours_took, _ in medians.values()))


if __name__ == "__main__":
    raise SystemExit(main())
