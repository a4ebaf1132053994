"""Small videos, made and looked at with PyAV: grey pictures that change, and a sine for sound."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.media.ducking import Floats

FPS, SOUND_RATE, TONE_HZ, LEVEL = 25, 48_000, 440.0, 0.2
SPEECH_RATE, SPEECH_HZ = 24_000, 1_500.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a video is made of; ``sounds`` is the number of its sound tracks, ``start_s`` when all of it begins."""

    seconds: float = 2.0
    sounds: int = 1
    channels: int = 2
    start_s: float = 0.0
    rotation: int = 0
    picture: str = "mpeg4"
    timecode: str = ""
    gap_s: tuple[float, float] = (0.0, 0.0)  # where there is no sound


def make(path: Path, recipe: Recipe = Recipe()) -> Path:
    path.write_bytes(_made(path.suffix, recipe))
    return path


@cache
def _made(suffix: str, recipe: Recipe) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"video{suffix}")
        _make(path, recipe)
        return path.read_bytes()


def _make(path: Path, recipe: Recipe) -> None:
    av = pytest.importorskip("av")
    sound = "libopus" if path.suffix == ".webm" else "aac"
    layout = "stereo" if recipe.channels == 2 else "mono"
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream(recipe.picture, rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        if recipe.picture.startswith("libvpx"):
            video.options = {"deadline": "realtime", "cpu-used": "8"}
        if recipe.rotation:
            video.set_display_rotation(recipe.rotation)
        if recipe.timecode:
            video.metadata["timecode"] = recipe.timecode
        tracks = [file.add_stream(sound, rate=SOUND_RATE, layout=layout) for _ in range(recipe.sounds)]
        file.start_encoding()
        for number in range(round(recipe.seconds * FPS)):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), number * 7 % 255, np.uint8), format="yuv420p")
            picture.pts, picture.time_base = round(recipe.start_s * FPS) + number, Fraction(1, FPS)
            file.mux(video.encode(picture))
            if not recipe.gap_s[0] <= number / FPS < recipe.gap_s[1]:
                for track in tracks:
                    file.mux(track.encode(_tone(av, number, layout, recipe)))
        for stream in (video, *tracks):
            file.mux(stream.encode(None))


def _tone(av: Any, number: int, layout: str, recipe: Recipe) -> Any:
    frames = SOUND_RATE // FPS
    first = number * frames
    tone = LEVEL * np.sin(2 * np.pi * TONE_HZ * np.arange(first, first + frames) / SOUND_RATE)
    samples = np.repeat(tone.astype(np.float32), recipe.channels).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
    frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
    frame.pts = round(recipe.start_s * SOUND_RATE) + first
    return frame


def make_speech(path: Path, seconds: float, spoken: tuple[float, float], level: float = 0.2) -> Path:
    """A sound file with a tone where somebody speaks, from ``spoken[0]`` to ``spoken[1]``."""
    time_s = np.arange(round(seconds * SPEECH_RATE)) / SPEECH_RATE
    tone = level * np.sin(2 * np.pi * SPEECH_HZ * time_s)
    tone[(time_s < spoken[0]) | (time_s >= spoken[1])] = 0
    sf.write(path, (tone * 32_767).astype(np.int16), SPEECH_RATE)
    return path


@dataclass(frozen=True, slots=True)
class Shown:
    """A packet of pictures as it is in a file."""

    content: bytes
    pts_s: Fraction
    dts_s: Fraction | None
    duration_s: Fraction


def shown(path: Path) -> list[Shown]:
    """The packets of the pictures in ``path``, in order."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        return [
            Shown(
                bytes(each),
                each.pts * each.time_base,
                None if each.dts is None else each.dts * each.time_base,
                each.duration * each.time_base,
            )
            for each in file.demux(file.streams.video[0])
            if each.size
        ]


def tracks(path: Path) -> list[tuple[str, str | None, bool]]:
    """Type, language and default flag of every stream in ``path``."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        return [
            (each.type, each.language, bool(each.disposition & av.stream.Disposition.default)) for each in file.streams
        ]


def heard(path: Path, track: int = 0) -> tuple[Floats, int]:
    """A sound track of ``path`` as floats, shaped (frames, channels), from the first picture on, and its rate."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        picture, stream = file.streams.video[0], file.streams.audio[track]
        frames = list(file.decode(stream))
        start_s = picture.start_time * picture.time_base
    rate = frames[0].sample_rate
    samples = np.concatenate([np.atleast_2d(_float(frame)).T for frame in frames])
    late = round((frames[0].time - start_s) * rate)
    padding = np.zeros((max(0, late), samples.shape[1]), np.float32)
    return np.concatenate([padding, samples[max(0, -late) :]]), rate


def _float(frame: Any) -> Floats:
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


def level_db(samples: Floats, rate: int, hertz: float, start_s: float, end_s: float) -> float:
    """The amplitude of a tone in a stretch of one channel, in decibels of full scale."""
    part = samples[round(start_s * rate) : round(end_s * rate)].astype(np.float64)
    turning = np.exp(-2j * np.pi * hertz * np.arange(len(part)) / rate) * np.hanning(len(part))
    return float(20 * np.log10(max(1e-9, 2 * abs(np.sum(part * turning)) / np.hanning(len(part)).sum())))
