"""How fast a long document is joined, against a raw copy of the same bytes, measured in the same run; and as FLAC and
Opus against ffmpeg, which only encodes the WAV that was joined.

    python benchmarks/joining.py [--clips 2000] [--seconds 10]

Needs twice the size of the clips in the folder for temporary files (TMPDIR) and leaves nothing there.
"""

import argparse
import hashlib
import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import soundfile as sf

from cluster_tts.checking import probe
from cluster_tts.clips import Clips
from cluster_tts.job import StitchingSettings
from cluster_tts.stitching import Files, Piece, stitch
from cluster_tts.storage import LocalFolder

RATE = 24_000
ROUNDS = 3
ENCODED = ("flac", "opus")
LIMITS = {"joining thread alone": 3.0, "all, with digests": 5.0}  # times the raw copy


def path_of(piece: Piece, folder: Path) -> Path:
    return Path(Clips(LocalFolder(folder / "clips"), "wav").address(piece.clip_id))


def make_pieces(folder: Path, clips: int, seconds: float) -> list[Piece]:
    random = np.random.default_rng(0)
    pieces = []
    for index in range(clips):
        name = hashlib.md5(str(index).encode()).hexdigest()  # spread over the shelves as digests are
        path = folder / "clips" / name[:2] / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, random.integers(-8000, 8000, round(RATE * seconds), np.int16), RATE)
        pieces.append(Piece(index, index // 10, f"Chunk {index}.", name, probe(path)))
    return pieces


def copy(pieces: list[Piece], out: Path) -> None:
    with out.open("wb") as file:
        for piece in pieces:
            file.write(path_of(piece, out.parent).read_bytes())


def run_ffmpeg(pieces: list[Piece], out: Path) -> None:
    names = out.with_suffix(".txt")
    names.write_text("".join(f"file '{path_of(piece, out.parent)}'\n" for piece in pieces))
    command = ["ffmpeg", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", str(names), "-c", "copy", str(out)]
    subprocess.run(command, check=True)


def encode_by_ffmpeg(wav: Path, out: Path) -> None:
    bitrate = ["-b:a", "48k"] if out.suffix == ".opus" else []
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(wav), *bitrate, str(out)], check=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(pieces: list[Piece], folder: Path) -> Iterator[tuple[str, float]]:
    """One round: what was done, and the seconds it took."""

    def join(suffix: str = "wav") -> None:
        files = Files(Clips(LocalFolder(folder / "clips"), "wav"), LocalFolder(folder))
        stitch("joined", lambda: iter(pieces), files, StitchingSettings(format=suffix))

    known = {path_of(piece, folder): piece.sound.sha256 for piece in pieces}
    yield "raw copy", timed(lambda: copy(pieces, folder / "copy"))
    (folder / "copy").unlink()
    digests = ("cluster_tts.stitching.reading.digest", "cluster_tts.stitching.join.digest")
    with ExitStack() as patched:
        for each in digests:
            patched.enter_context(mock.patch(each, lambda path: known.get(path, "")))
        yield "joining thread alone", timed(join)
    (folder / "documents/joined.wav").unlink()
    yield "all, with digests", timed(join)
    for suffix in ENCODED:
        yield f"all, as {suffix}", timed(partial(join, suffix))
        if shutil.which("ffmpeg"):
            target = folder / f"ffmpeg.{suffix}"
            yield f"ffmpeg, to {suffix}", timed(partial(encode_by_ffmpeg, folder / "documents/joined.wav", target))
    (folder / "documents/joined.wav").unlink()
    if shutil.which("ffmpeg"):
        yield "ffmpeg -c copy", timed(lambda: run_ffmpeg(pieces, folder / "ffmpeg.wav"))
        (folder / "ffmpeg.wav").unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        pieces = make_pieces(Path(folder), options.clips, options.seconds)
        copy(pieces, Path(folder, "copy"))  # warms the cache
        for _ in range(ROUNDS):
            for what, seconds in measure(pieces, Path(folder)):
                times.setdefault(what, []).append(seconds)
    medians = {what: statistics.median(values) for what, values in times.items()}
    print(f"{options.clips} clips of {options.seconds:g} s, {RATE} Hz mono 16 bit; medians of {ROUNDS}")
    for what, seconds in medians.items():
        ratio = seconds / medians["raw copy"]
        print(f"{what:<22}{seconds:8.2f} s{ratio:8.2f} x" + (f"   (limit {LIMITS[what]:g})" if what in LIMITS else ""))
    if "ffmpeg -c copy" not in medians:
        print("ffmpeg -c copy        not measured: ffmpeg is not installed")
    slow = any(medians[what] > limit * medians["raw copy"] for what, limit in LIMITS.items())
    behind = any(medians[f"all, as {each}"] > medians.get(f"ffmpeg, to {each}", math.inf) for each in ENCODED)
    return int(slow or behind)


if __name__ == "__main__":
    raise SystemExit(main())
