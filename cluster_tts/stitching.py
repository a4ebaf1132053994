"""The clips of one document in reading order, joined into one audio file, with measured times beside it.

A document may have 50,000 chunks and last a day: nothing is ever held whole, neither audio nor the list of chunks.
Clips are digested in one other thread, a few ahead of the one that decodes and writes (on two cores more are slower),
and fetched from a bucket by several.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
import soxr

from cluster_tts.audio import Samples, to_int16, to_mono
from cluster_tts.clips import Clips, digest
from cluster_tts.containers import wav
from cluster_tts.decoding import BLOCK_FRAMES, AudioFile
from cluster_tts.errors import DamagedClips
from cluster_tts.job import StitchingSettings
from cluster_tts.model import PLAIN, Role, Sound
from cluster_tts.storage import Folder

SCHEMA_VERSION = 1
READ_AHEAD = 8  # clips that are fetched and digested before they are joined
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
ENCODERS: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    # 64 kbit/s at 16 to 24 kHz, 160 above; libsndfile's own choice would be a variable 47
    "mp3": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.6},
}

_json = partial(json.dumps, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of a document, as joining needs it; ``sound`` is what the manifest says of its clip."""

    index: int
    paragraph: int
    text: str
    clip_id: str
    sound: Sound
    role: Role = PLAIN


@dataclass(frozen=True, slots=True)
class Files:
    """Where clips are, and where their documents go; ``may_publish`` raises where nothing may be written any more."""

    clips: Clips
    out: Folder
    may_publish: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Joined:
    """The finished audio file of one document; ``path`` is from OUT on."""

    path: str
    frames: int
    rate: int
    size_bytes: int
    sha256: str
    chunks: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


class _Placed(NamedTuple):
    """Where a piece lies in the joined file, in frames."""

    piece: Piece
    start: int
    end: int
    gap: int


Write = Callable[[Samples], object]


class _Fetched(NamedTuple):
    """A clip as a local file, its digest, and what is to be closed once it has been read."""

    path: Path
    sha256: str
    held: ExitStack


_Ahead = tuple[Piece, int, Future[_Fetched]]


def stitch(name: str, pieces: Callable[[], Iterator[Piece]], files: Files, settings: StitchingSettings) -> Joined:
    """Join ``pieces`` into ``documents/<name>.<format>``, with times in ``<name>.json`` and cues in ``<name>.srt``.

    ``pieces`` is called once for each pass and must give the same pieces, at least one. The files take their places
    once all are complete and may be published, the audio last: where it is, all is whole. Clips inside OUT are named
    from there.

    Raises:
        DamagedClips: clips are not what the manifest says. It names all of them, and no file is left.
        JobError: ``name`` leads out of the folder.
        OSError: the folder cannot be written, the disk is full. No file is left.
    """
    rate = output_rate(max(piece.sound.rate for piece in pieces()), settings)
    frames = sum(resampled_frames(piece.sound, rate) + gap for piece, gap in _with_gaps(pieces(), rate, settings))
    folder, names = files.out / "documents", [f"{name}.{suffix}" for suffix in ("json", "srt", settings.format)]
    with ExitStack() as scratch:
        times, cues, audio = (scratch.enter_context(folder.new(each)) for each in names)
        with times.open("w", encoding="utf-8") as times_file, cues.open("w", encoding="utf-8") as cues_file:
            head = {"document": name, "schema_version": SCHEMA_VERSION, "audio": names[-1], "rate": rate}
            times_file.write(f'{_json(head)[:-1]}, "chunks": [')
            with _encoder(audio, settings.format, rate, frames) as write:
                joining = _join(_fetched(_with_gaps(pieces(), rate, settings), files.clips), rate, write)
                for chunks, placed in enumerate(joining, 1):
                    times_file.write(f"{',' if chunks > 1 else ''}\n{_times(placed, files)}")
                    cues_file.write(_cue(chunks, placed, rate))
            if placed.end != frames:  # the header of a WAV was written by the forecast
                raise RuntimeError(f"'{name}' became {placed.end} frames where {frames} were expected")
            path = f"documents/{names[-1]}"
            joined = Joined(path, frames, rate, audio.stat().st_size, digest(audio), chunks)
            times_file.write(f"\n], {_json({'frames': frames, 'sha256': joined.sha256})[1:]}\n")
        files.may_publish()
        for written, each in zip((times, cues, audio), names, strict=True):
            folder.publish(written, each)
    return joined


def output_rate(highest: int, settings: StitchingSettings) -> int:
    """The rate of the joined file where ``highest`` is that of its clips: for MP3 the next one that MP3 knows."""
    rate = settings.sample_rate or highest
    known = (mp3_rate for mp3_rate in MP3_RATES if mp3_rate >= rate)
    return min(known, default=MP3_RATES[-1]) if settings.format == "mp3" else rate


def resampled_frames(sound: Sound, rate: int) -> int:
    """How many frames ``sound`` has at ``rate``: to the nearest, halves up, exactly as soxr counts."""
    return (2 * sound.frames * rate + sound.rate) // (2 * sound.rate)


def _with_gaps(pieces: Iterator[Piece], rate: int, settings: StitchingSettings) -> Iterator[tuple[Piece, int]]:
    """Each piece with the frames of silence after it."""
    previous = next(pieces)
    for piece in pieces:
        gap_ms = settings.gap_ms if piece.paragraph == previous.paragraph else settings.paragraph_gap_ms
        yield previous, round(rate * gap_ms / 1000)
        previous = piece
    yield previous, 0


def _fetched(pieces: Iterator[tuple[Piece, int]], clips: Clips) -> Iterator[_Ahead]:
    """Each piece, its gap, and its clip; those of the next few pieces are under way."""
    ahead: deque[_Ahead] = deque()
    with ThreadPoolExecutor(1 if clips.is_local else READ_AHEAD, "fetch") as threads:
        try:
            for piece, gap in pieces:
                ahead.append((piece, gap, threads.submit(_fetch, clips, piece.clip_id)))
                if len(ahead) > READ_AHEAD:
                    yield ahead.popleft()
            while ahead:
                yield ahead.popleft()
        finally:
            for _, _, left in ahead:
                if not left.cancel() and left.exception() is None:
                    left.result().held.close()


def _fetch(clips: Clips, clip_id: str) -> _Fetched:
    held = ExitStack()
    try:
        path = held.enter_context(clips.local(clip_id))
        return _Fetched(path, digest(path), held)
    except BaseException:
        held.close()
        raise


def _join(pieces: Iterator[_Ahead], rate: int, write: Write) -> Iterator[_Placed]:
    """Write one piece after the other and say where it lies; from the first damaged one on they are only checked."""
    damaged: dict[str, None] = {}  # a set that keeps the order
    position = 0
    for piece, gap, fetching in pieces:
        start = position
        try:
            with (fetched := fetching.result()).held:
                if fetched.sha256 != piece.sound.sha256:
                    raise DamagedClips(piece.clip_id)
                decoded = _decoded(piece, fetched.path)
                for samples in decoded if piece.sound.rate == rate else _resampled(decoded, piece.sound.rate, rate):
                    position += len(samples)
                    if not damaged:
                        _write_in_blocks(samples, write)
        except (DamagedClips, FileNotFoundError):
            damaged[piece.clip_id] = None
        if not damaged:
            _write_in_blocks(np.zeros(gap, np.int16), write)
            yield _Placed(piece, start, position, gap)
            position += gap
    if damaged:
        what = f"clips missing or not what the manifest says: {len(damaged)}, the first is {next(iter(damaged))}"
        raise DamagedClips(what, tuple(damaged))


def _decoded(piece: Piece, path: Path) -> Iterator[Samples]:
    """The samples of a clip; ``DamagedClips`` where they are not as many as the manifest says."""
    frames = 0
    try:
        with AudioFile(path) as clip:
            for block in clip.blocks_of():
                frames += len(block)
                yield to_mono(block)
    except sf.LibsndfileError:
        raise DamagedClips(piece.clip_id) from None
    if frames != piece.sound.frames:
        raise DamagedClips(piece.clip_id)


def _resampled(blocks: Iterator[Samples], rate: int, wanted: int) -> Iterator[Samples]:
    """``blocks`` at the rate ``wanted``, the same samples in every run."""
    # In floats, for soxr dithers 16-bit samples with a seed taken from the clock.
    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield to_int16(stream.resample_chunk(block.astype(np.float32) / 32768))
    yield to_int16(stream.resample_chunk(np.empty(0, np.float32), last=True))


def _write_in_blocks(samples: Samples, write: Write) -> None:
    for start in range(0, len(samples), BLOCK_FRAMES):
        write(samples[start : start + BLOCK_FRAMES])


@contextmanager
def _encoder(path: Path, suffix: str, rate: int, frames: int) -> Iterator[Write]:
    """What writes samples to ``path``. WAV is our own: twice as fast, and the length is known before."""
    if suffix == "wav":
        with path.open("wb") as file:
            file.write(wav.header(2 * frames, rate))
            yield lambda samples: file.write(samples.data)
        return
    try:
        with sf.SoundFile(path, "w", rate, 1, **ENCODERS[suffix]) as encoded:
            yield encoded.write
    except sf.LibsndfileError:
        # It says "error 2" of a full disk; the system says more when it is asked for the same again.
        with path.open("ab") as file:
            file.write(bytes(BLOCK_FRAMES))
        raise


def _times(placed: _Placed, files: Files) -> str:
    piece, out = placed.piece, files.out.absolute().address("").rstrip("/")
    clip = files.clips.absolute().address(piece.clip_id).removeprefix(f"{out}/")
    what = {"index": piece.index, "paragraph": piece.paragraph, "clip_id": piece.clip_id}
    where = {"start_frame": placed.start, "end_frame": placed.end, "gap_frames": placed.gap, "overlap_frames": 0}
    return _json({**what, "clip": clip, **where, "gain": 1.0, "text": piece.text})


def _cue(number: int, placed: _Placed, rate: int) -> str:
    text = "\n".join(line for line in placed.piece.text.splitlines() if line.strip())  # a blank line ends a cue
    return f"{number}\n{_clock(placed.start / rate)} --> {_clock(placed.end / rate)}\n{text}\n\n"


def _clock(seconds: float) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{ms:03}"
