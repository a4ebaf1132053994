"""Small videos with their subtitles, made for a test, and what is in a video, packet by packet."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES_S, SECONDS = 64, 48, 12, 5
SOUND_RATE = 24_000
SUFFIXES = (".mp4", ".mkv")


@dataclass(frozen=True)
class Packet:
    """A video packet: when it is shown, and a digest of its bytes."""

    at_s: float
    sha256: str


def write(folder: Path, count: int) -> dict[str, list[str]]:
    """So many videos, every other one MP4 and Matroska, with a subtitle file each: the texts of its cues, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {}
    for number in range(count):
        name = f"clip-{number:02}"
        make(folder / f"{name}{SUFFIXES[number % 2]}", number)
        texts[name] = [f"This is clip number {number}.", f"Nobody else says {number}."]
        times = ("00:00:00,400 --> 00:00:02,400", "00:00:02,700 --> 00:00:04,800")
        cues = enumerate(zip(times, texts[name], strict=True), 1)
        written = "\n".join(f"{at}\n{time}\n{text}\n" for at, (time, text) in cues)
        (folder / f"{name}.srt").write_text(written, encoding="utf-8")
    return texts


def make(path: Path, number: int) -> None:
    """Five seconds of moving stripes, each video with its own, and a low tone."""
    with av.open(str(path), "w") as file:
        picture = file.add_stream("mpeg4", rate=FRAMES_S)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for at in range(FRAMES_S * SECONDS):
            stripes = (np.arange(WIDTH) * (number + 2) + 5 * at) % 256
            pixels = np.repeat(np.tile(stripes.astype(np.uint8), (HEIGHT, 1))[..., np.newaxis], 3, axis=2)
            image = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            image.pts, image.time_base = at, Fraction(1, FRAMES_S)
            file.mux(picture.encode(image))
        file.mux(picture.encode(None))
        tone = 0.05 * np.sin(2 * np.pi * 110 * np.arange(SOUND_RATE * SECONDS) / SOUND_RATE)
        for begin in range(0, len(tone), 1024):
            block = tone[begin : begin + 1024].astype(np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, begin, Fraction(1, SOUND_RATE)
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))


def packets(path: Path) -> list[Packet]:
    """The video packets of a file in the order in which they stand there."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return [
            Packet(float(packet.pts * packet.time_base), hashlib.sha256(bytes(packet)).hexdigest())
            for packet in file.demux(stream)
            if packet.size and packet.pts is not None
        ]


def tracks(path: Path) -> int:
    """How many sound tracks a file has."""
    with av.open(str(path)) as file:
        return len(file.streams.audio)


def sound_of(path: Path, track: int) -> tuple[NDArray[np.float32], int]:
    """A sound track as one channel, decoded by FFmpeg, and its rate."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[track]
        blocks = list(_mono(file.decode(stream)))
        return np.concatenate(blocks), int(stream.rate)


def _mono(frames: Iterator[av.AudioFrame]) -> Iterator[NDArray[np.float32]]:
    for frame in frames:
        samples = frame.to_ndarray()
        scale = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
        channels = samples if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels)).T
        yield (channels / scale).mean(axis=0).astype(np.float32)
