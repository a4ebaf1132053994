"""The audio file of a document: what writes samples to it, and at which rate that can be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import soundfile as sf

from cluster_tts import media
from cluster_tts.containers import wav
from cluster_tts.decoding import BLOCK_FRAMES
from cluster_tts.errors import JobError
from cluster_tts.job import StitchingSettings
from cluster_tts.resampling import rate_for
from cluster_tts.stitching.mixing import Write

LOSSLESS = ("wav", "flac")
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
RATES = {"mp3": MP3_RATES, **media.RATES}
ENCODERS: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    # 64 kbit/s at 16 to 24 kHz, 160 above; libsndfile's own choice would be a variable 47
    "mp3": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.6},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is to hold: so many frames at a rate, under a title; where chapters begin (seconds), and their
    names."""

    rate: int
    frames: int
    title: str = ""
    chapters: Sequence[tuple[float, str]] = ()


def require_format(settings: StitchingSettings) -> None:
    """Nothing, where documents can be written in ``stitching.format`` here.

    Raises:
        JobError: it takes an extra that is not installed.
    """
    if settings.format == "m4b" and find_spec("av") is None:
        raise JobError("'stitching.format' is m4b, which needs PyAV: pip install 'cluster-tts[media]'")


def output_rate(highest: int, settings: StitchingSettings) -> int:
    """The rate of the joined file where ``highest`` is that of its clips: the next one that the format knows."""
    rate = settings.sample_rate or highest
    known = RATES.get(settings.format)
    return rate_for(rate, known) if known else rate


@contextmanager
def encoder(path: Path, suffix: str, content: Content) -> Iterator[Write]:
    """What writes samples to ``path``, in blocks of at most ``decoding.BLOCK_FRAMES``: Vorbis crashes on larger ones.

    WAV is our own: twice as fast, and the length is known before. PyAV takes a third of soundfile's time for Opus.
    """
    if suffix == "wav":
        with path.open("wb") as file:
            file.write(wav.header(2 * content.frames, content.rate))
            yield lambda samples: file.write(samples.data)
    elif suffix == "m4b" or (suffix == "opus" and find_spec("av")):
        with _by_pyav(path, suffix, content) as write:
            yield write
    else:
        with _by_soundfile(path, suffix, content.rate) as write:
            yield write


@contextmanager
def _by_soundfile(path: Path, suffix: str, rate: int) -> Iterator[Write]:
    try:
        with sf.SoundFile(path, "w", rate, 1, **ENCODERS[suffix]) as encoded:
            yield encoded.write
    except sf.LibsndfileError:
        # It says "error 2" of a full disk; the system says more when it is asked for the same again.
        with path.open("ab") as file:
            file.write(bytes(BLOCK_FRAMES))
        raise


@contextmanager
def _by_pyav(path: Path, suffix: str, content: Content) -> Iterator[Write]:
    begins = list(content.chapters)
    if not begins or begins[0][0] > 0:
        begins.insert(0, (0.0, content.title))
    ends = [*(start_s for start_s, _ in begins[1:]), content.frames / content.rate]
    chapters = [media.Chapter(start_s, end_s, title) for (start_s, title), end_s in zip(begins, ends, strict=True)]
    kind: Literal["opus", "m4b"] = "opus" if suffix == "opus" else "m4b"
    with media.encoder(path, kind, content.rate, chapters, content.title) as write:
        yield write
