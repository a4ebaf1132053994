"""Speech as Ogg Opus and as an audiobook in m4b, a block at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cluster_tts.audio import Samples
from cluster_tts.media.library import require, understood

if TYPE_CHECKING:
    from av.container import OutputContainer

Kind = Literal["opus", "m4b"]

CODECS = {"opus": "libopus", "m4b": "aac"}
RATES = {
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    "m4b": (7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000),
}
"""The rates that each can be written at; whoever has another resamples first."""

# ``voip`` would cut off what lies below 80 Hz and shift phases; ``audio`` leaves voices as they are, at the same cost.
OPUS = {"application": "audio"}
# M4B: a player that reads the brand keeps the place where one stopped. Chapters stand in front, for streams.
M4B = {"movflags": "faststart", "brand": "M4B "}
AUDIOBOOK = {"media_type": "2", "genre": "Audiobook"}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of an audiobook with a name."""

    start_s: float
    end_s: float
    title: str


@contextmanager
def encoder(
    path: Path, kind: Kind, rate: int, chapters: Sequence[Chapter] = (), title: str = ""
) -> Iterator[Callable[[Samples], object]]:
    """What writes 16-bit mono samples to ``path``, in blocks of any size; the file is whole after the context.

    Opus has 48 kbit/s and decodes to as many samples as were written; m4b has 64 kbit/s of AAC, and ``chapters``,
    which are only looked at there. At least one sample has to be written.

    Raises:
        JobError: PyAV is not installed.
        OSError: the file cannot be written, the disk is full. What is at ``path`` then is of no use.
    """
    if rate not in RATES[kind]:
        raise ValueError(f"{kind} at {rate} Hz: it has {RATES[kind]}")
    require()
    import av

    with understood(path, f"cannot be written as {kind}"):
        if kind == "opus":
            with av.open(str(path), "w", format="ogg") as file:
                stream: Any = file.add_stream(CODECS[kind], rate=rate, layout="mono", bit_rate=48_000, options=OPUS)
                stream.metadata.update(_titled(title))  # Ogg knows tags of a stream only
                yield from _written(file, stream)
            return
        options = {**M4B, "movie_timescale": str(rate)}  # else lengths are rounded to a millisecond
        with av.open(str(path), "w", format="mp4", container_options=options) as file:
            stream = file.add_stream(CODECS[kind], rate=rate, layout="mono", bit_rate=64_000)
            file.metadata.update({**AUDIOBOOK, **_titled(title)})
            file.set_chapters([_chapter(number, chapter) for number, chapter in enumerate(chapters, 1)])
            yield from _written(file, stream)


def _written(file: "OutputContainer", stream: Any) -> Iterator[Callable[[Samples], object]]:
    """The function that writes, and once it is done with, the end of ``stream``."""
    import av

    file.start_encoding()  # a folder that is not there shows at once
    position, rate = 0, stream.rate

    def write(samples: Samples) -> None:
        nonlocal position
        if not len(samples):  # FFmpeg has no frames without samples
            return
        samples = np.ascontiguousarray(samples, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        # Our own count: without it packets have no time.
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        file.mux(stream.encode(frame))
        position += samples.size

    yield write
    if not position:
        raise ValueError("no samples were written: neither container can hold none")
    file.mux(stream.encode(None))


def _titled(title: str) -> dict[str, str]:
    return {"title": title} if title else {}


def _chapter(number: int, chapter: Chapter) -> Any:
    start, end = (round(time_s * 1000) for time_s in (chapter.start_s, chapter.end_s))
    return {
        "id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": _titled(chapter.title)
    }  # fmt: skip
