"""How fast joined speech is encoded, against ffmpeg on the same samples in the same run.

    python benchmarks/encoding.py [--minutes 10] [--rounds 3]

FLAC by soundfile and Opus by PyAV, each alone; MP3 as a run encodes it, two documents side by side in two threads,
against ffmpeg encoding both one after another. Wall-clock seconds: give it a machine with two idle cores.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile as sf

from cluster_tts.audio import Samples
from cluster_tts.decoding import BLOCK_FRAMES
from cluster_tts.job import ProviderSettings
from cluster_tts.media import encoder
from cluster_tts.model import Utterance
from cluster_tts.providers.hibari import Hibari
from cluster_tts.stitching.encode import ENCODERS

RATE = 24_000
FFMPEG = {  # the same codec at the same bit rate
    "FLAC": ("flac", ["-c:a", "flac"]),
    "Opus": ("opus", ["-c:a", "libopus", "-b:a", "48k", "-application", "audio"]),
    "MP3": ("mp3", ["-c:a", "libmp3lame", "-b:a", "64k"]),
}
LIMITS = {"FLAC": 1.0, "Opus": 1.0, "MP3": 1.1}  # times ffmpeg


async def spoken(seconds: float, paragraphs: Iterator[str], folder: Path) -> Samples:
    """So much speech by the embedded voice: an encoder's speed depends on what it is given."""
    provider, path = Hibari(ProviderSettings()), folder / "paragraph.wav"
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * RATE:
        await provider.speak(Utterance(next(paragraphs)), path)
        parts += [sf.read(path, dtype="int16")[0], np.zeros(RATE * 6 // 10, np.int16)]
    return np.concatenate(parts)[: round(seconds * RATE)]


def read_paragraphs() -> Iterator[str]:
    text = (Path(__file__).parent.parent / "samples/alice-in-wonderland-i-v.txt").read_text(encoding="utf-8")
    return (" ".join(paragraph.split()) for paragraph in text.split("\n\n") if 100 < len(paragraph) < 500)


def in_blocks(samples: Samples, write: Callable[[Samples], object]) -> None:
    for start in range(0, len(samples), BLOCK_FRAMES):
        write(samples[start : start + BLOCK_FRAMES])


def by_soundfile(samples: Samples, path: Path, options: dict[str, Any]) -> None:
    with sf.SoundFile(path, "w", RATE, 1, **options) as file:
        in_blocks(samples, file.write)


def by_pyav(samples: Samples, path: Path) -> None:
    with encoder(path, "opus", RATE) as write:
        in_blocks(samples, write)


def side_by_side(documents: list[Samples], folder: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        works = [
            threads.submit(by_soundfile, samples, folder / f"ours{number}.mp3", ENCODERS["mp3"])
            for number, samples in enumerate(documents)
        ]
        for work in works:
            work.result()


def by_ffmpeg(sources: list[Path], form: str) -> None:
    suffix, options = FFMPEG[form]
    for source in sources:
        target = str(source.with_suffix(f".{suffix}"))
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, target], check=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(documents: list[Samples], sources: list[Path], folder: Path) -> Iterator[tuple[str, float, float]]:
    """One round: the format, our seconds and ffmpeg's."""
    one, first = documents[0], sources[:1]
    flac = timed(lambda: by_soundfile(one, folder / "ours.flac", ENCODERS["flac"]))
    yield "FLAC", flac, timed(lambda: by_ffmpeg(first, "FLAC"))
    yield "Opus", timed(lambda: by_pyav(one, folder / "ours.opus")), timed(lambda: by_ffmpeg(first, "Opus"))
    yield "MP3", timed(lambda: side_by_side(documents, folder)), timed(lambda: by_ffmpeg(sources, "MP3"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("ffmpeg"):
        print("not measured: ffmpeg is not installed")
        return 0
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        paragraphs = read_paragraphs()
        documents = [asyncio.run(spoken(options.minutes * 60, paragraphs, Path(folder))) for _ in range(2)]
        sources = [Path(folder, f"document{number}.wav") for number in range(2)]
        for samples, source in zip(documents, sources, strict=True):
            by_soundfile(samples, source, {"subtype": "PCM_16"})
        for _ in range(options.rounds):
            for form, our_s, their_s in measure(documents, sources, Path(folder)):
                ours.setdefault(form, []).append(our_s)
                theirs.setdefault(form, []).append(their_s)
    print(f"{options.minutes:g} minutes of speech, {RATE} Hz mono 16 bit; medians of {options.rounds}; MP3: two such")
    ratios = {form: statistics.median(ours[form]) / statistics.median(theirs[form]) for form in ours}
    for form, ratio in ratios.items():
        seconds = f"{statistics.median(ours[form]):8.2f} s, ffmpeg {statistics.median(theirs[form]):6.2f} s"
        print(f"{form:<6}{seconds}{ratio:8.2f} x   (limit {LIMITS[form]:g})")
    return int(any(ratio > LIMITS[form] for form, ratio in ratios.items()))


if __name__ == "__main__":
    raise SystemExit(main())
