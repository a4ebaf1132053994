"""The sound of a new track, from the video's first picture on: speech, or the video's own sound with speech over it.

Both are read as far as they are asked for, so that memory does not grow with the video.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cluster_tts.audio import to_mono
from cluster_tts.decoding import AudioFile
from cluster_tts.media.ducking import MARGIN, STEP_S, Flags, Floats, active, depth, gain, soft_clip
from cluster_tts.media.library import understood
from cluster_tts.media.tracks import Video
from cluster_tts.resampling import resampled, resampled_frames

if TYPE_CHECKING:
    from av.container import InputContainer

UNREADABLE = "has a sound track that cannot be decoded"
JITTER_S = 0.05  # time stamps are rounded to a millisecond in some files; a jump above this is a gap or an overlap

logger = logging.getLogger(__name__)


class Sound(Protocol):
    """What a new track is made of: ``frames`` is how long the speech in it lasts."""

    rate: int
    channels: int
    frames: int

    def take(self, frames: int) -> Floats:
        """The next ``frames`` of it, shaped (frames, channels); silence where it has ended."""
        ...


class Speech:
    """The speech alone, mono, at ``rate``."""

    channels = 1

    def __init__(self, path: Path, rate: int, held: ExitStack) -> None:
        file = held.enter_context(AudioFile(path))
        self.rate = rate
        self.frames = resampled_frames(file.frames, int(file.samplerate), rate)
        mono = resampled(_floats(file), int(file.samplerate), rate)
        self._ahead = _Ahead((block[:, np.newaxis] for block in mono), 1)

    def take(self, frames: int) -> Floats:
        return self._ahead.take(frames)


class Ducked:
    """The video's own sound, ``duck_db`` quieter while somebody speaks, and the speech over it; it never clips.

    ``activity`` says where somebody speaks: a byte for 10 ms is all that is held of the whole.
    """

    def __init__(self, speech: Speech, activity: Flags, original: "Original", duck_db: float) -> None:
        self.rate, self.channels, self.frames = speech.rate, original.channels, speech.frames
        self._speech, self._original, self._active, self._duck_db = speech, original, activity, duck_db
        self._position = 0

    def take(self, frames: int) -> Floats:
        step = step_frames(self.rate)
        first = max(0, self._position // step - MARGIN)
        last = (self._position + frames) // step + MARGIN
        activity = self._active[first:last]
        depths = depth(np.pad(activity, (0, last - first - len(activity))))
        factors = gain(depths, self._duck_db, step, self._position - first * step, frames)
        self._position += frames
        return soft_clip(self._original.take(frames) * factors[:, np.newaxis] + self._speech.take(frames))


def rate_of(path: Path) -> int:
    """The rate of a sound file."""
    with AudioFile(path) as file:
        return int(file.samplerate)


def step_frames(rate: int) -> int:
    return round(rate * STEP_S)


def activity(path: Path, rate: int, heed: Callable[[], object]) -> Flags:
    """Whether somebody speaks, for every 10 ms of the file at ``path``, counted in frames of ``rate``; ``heed`` is
    called for every 10 s."""
    step, parts = step_frames(rate), []
    with ExitStack() as held:
        speech = Speech(path, rate, held)
        for first in range(0, speech.frames, step * 1000):
            heed()
            parts.append(active(speech.take(min(step * 1000, speech.frames - first))[:, 0], step))
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


class Original:
    """A sound track of a video at ``rate``, mono or stereo, from the first picture on."""

    def __init__(self, source: Video, index: int, rate: int, held: ExitStack) -> None:
        import av

        path = source.path
        with understood(path, UNREADABLE):
            file = held.enter_context(av.open(str(path)))
            for other in file.streams:
                if other.index != index:
                    other.discard = av.stream.Discard.all  # nothing of it is even read
            stream: Any = file.streams[index]
            self.channels = min(2, stream.codec_context.layout.nb_channels)
        self._path, self._rate, self._start_s = path, rate, float(source.start_s)
        self._ahead = _Ahead(self._placed(file, stream), self.channels)

    def take(self, frames: int) -> Floats:
        return self._ahead.take(frames)

    def _placed(self, file: "InputContainer", stream: Any) -> Iterator[Floats]:
        """Its blocks, each where its time stamp says: silence stands in gaps, what overlaps is left out."""
        position, jitter = 0, round(self._rate * JITTER_S)
        for block, time_s in self._decoded(file, stream):
            ahead = position if time_s is None else round((time_s - self._start_s) * self._rate)
            if abs(ahead - position) <= jitter and position:
                ahead = position
            if ahead > position:
                yield from _silence(ahead - position, self.channels)
                position = ahead
            yield block[position - ahead :]
            position += len(block[position - ahead :])

    def _decoded(self, file: "InputContainer", stream: Any) -> Iterator[tuple[Floats, float | None]]:
        """Its blocks as they are in the file, each with its time where it has one."""
        import av

        layout = "stereo" if self.channels == 2 else "mono"
        even, shape = av.AudioResampler(format="flt", layout=layout, rate=self._rate), None
        for frame in chain(self._frames(file, stream), [None]):
            with understood(self._path, UNREADABLE):
                evened: list[Any] = []
                if frame is None or (frame.format.name, frame.layout.name, frame.sample_rate) != shape:
                    evened += even.resample(None) if shape else []
                    even = av.AudioResampler(format="flt", layout=layout, rate=self._rate)  # it takes one shape only
                if frame is not None:
                    shape = frame.format.name, frame.layout.name, frame.sample_rate
                    evened += even.resample(frame)
            for each in evened:
                if each is not None:  # with nothing to do, it gives back what says that this is all
                    time_s = None if each.pts is None else float(each.pts * each.time_base)
                    yield each.to_ndarray().reshape(-1, self.channels), time_s

    def _frames(self, file: "InputContainer", stream: Any) -> Iterator[Any]:
        import av

        packets, damaged = file.demux(stream), 0
        while True:
            with understood(self._path, UNREADABLE):
                if (packet := next(packets, None)) is None:
                    break
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    damaged += 1
                    continue
            yield from frames
        if damaged:
            logger.warning("'%s': %d pieces of its sound are damaged, and silent under the speech", self._path, damaged)


class _Ahead:
    """Blocks of any size as blocks of the size that is asked for; silence after the last."""

    def __init__(self, blocks: Iterator[Floats], channels: int) -> None:
        self._blocks, self._left = blocks, np.zeros((0, channels), np.float32)

    def take(self, frames: int) -> Floats:
        parts, missing = [self._left], frames - len(self._left)
        while missing > 0:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((missing, self._left.shape[1]), np.float32)
            parts.append(block)
            missing -= len(block)
        together = np.concatenate(parts)
        self._left = together[frames:]
        return together[:frames]


def _floats(file: AudioFile) -> Iterator[Floats]:
    for block in file.blocks_of():
        yield to_mono(block).astype(np.float32) / np.float32(32_768)


def _silence(frames: int, channels: int) -> Iterator[Floats]:
    for start in range(0, frames, 65_536):
        yield np.zeros((min(65_536, frames - start), channels), np.float32)
