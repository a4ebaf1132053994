"""Forty small videos with their subtitles in one command: every one gets its own speech, and keeps its own pictures.

Each copy must have the video packets of its source, byte for byte and at the same times, and one sound track more: the
first, as long as the video, in which its own cues are heard in their order and nobody else's. Exit code 1 where one
has not.

    python benchmarks/videos.py [--videos 40] [--engine ray]
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import video_files
from heard import DIGITS, digest_of
from quota_runs import Emulator
from shown import SPEECH, Ran, run

from cluster_tts.emulator.speech import read_back

SAME_TIME_S = 0.0011  # Matroska counts milliseconds
PRIMING_S = 0.1  # by which a container that knows no time before 0 may put everything off: what AAC begins with
LENGTH_S = 0.1  # by which a track may differ from its video: a frame of the encoder, one of pictures


def check(source: Path, copy: Path, texts: list[str]) -> list[str]:
    """What is wrong with a copy."""
    if not copy.is_file():
        return [f"{copy.name} is not there"]
    wrong = []
    before, after = video_files.packets(source), video_files.packets(copy)
    if [packet.sha256 for packet in before] != [packet.sha256 for packet in after]:
        wrong.append(f"{copy.name} has other video packets: {len(after)} instead of {len(before)}")
    else:
        shifts = [new.at_s - old.at_s for old, new in zip(before, after, strict=True)]
        if max(shifts) - min(shifts) > SAME_TIME_S or abs(shifts[0]) > PRIMING_S:
            wrong.append(f"{copy.name} shows its pictures at other times: {min(shifts):+.4f} to {max(shifts):+.4f} s")
    if video_files.tracks(copy) != video_files.tracks(source) + 1:
        return [*wrong, f"{copy.name} has {video_files.tracks(copy)} sound tracks"]
    samples, rate = video_files.sound_of(copy, 0)  # which players take
    if abs(len(samples) / rate - video_files.SECONDS) > LENGTH_S:
        wrong.append(f"{copy.name} has a track of {len(samples) / rate:.2f} s")
    heard = [f"{found.digest:0{DIGITS}x}" for found in read_back(samples, rate)]
    if heard != [digest_of(text) for text in texts]:
        wrong.append(f"{copy.name} says something else: {len(heard)} texts, {len(texts)} expected")
    return wrong


def dub(folder: Path, count: int, engine: str) -> tuple[Ran, list[str]]:
    """Make the videos, dub them in one command, and look at each."""
    texts = video_files.write(folder / "videos", count)
    sources = [folder / "videos" / f"{name}.srt" for name in texts]
    with Emulator(folder, "openai", *SPEECH, "--latency", "0.1", "--sigma", "0.5") as emulator:
        ran = run(folder, "dubbing", sources, emulator, engine=engine)
    ran.demand_success()
    wrong = []
    for number, (name, said) in enumerate(texts.items()):
        video = f"{name}{video_files.SUFFIXES[number % 2]}"
        wrong += check(folder / "videos" / video, ran.out / "documents" / video, said)
    return ran, wrong


def main() -> int:
    """Print what was found; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--engine", default="local")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="videos-") as folder:
        ran, wrong = dub(Path(folder), options.videos, options.engine)
    times = sorted(ran.finished_s.values())
    print(
        f"{options.videos} videos of {video_files.SECONDS} s in one command: {ran.seconds:.1f} s, {len(times)} finished"
    )
    print(f"finished after: first {times[0]:.1f} s, median {statistics.median(times):.1f} s, last {times[-1]:.1f} s")
    print(*wrong or ["video packets identical, each with its own speech"], sep="\n")
    return int(bool(wrong) or len(times) != options.videos)


if __name__ == "__main__":
    sys.exit(main())
