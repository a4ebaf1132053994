"""Audio is checked before it is believed: made readable, decoded to its end, and held against its text.

A status of 200 promises nothing. It has come with no byte, with an error in JSON, a page of HTML, a header without
samples, sizes that were never filled in, speech that stops in mid-sentence. Each of these is a ``RetryLater``.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from cluster_tts.audio import Samples, to_mono
from cluster_tts.containers import flac, mp3, ogg, wav
from cluster_tts.containers.sniffing import NAMES, WORDS, container, quoted
from cluster_tts.decoding import AudioFile
from cluster_tts.errors import RetryLater
from cluster_tts.model import Sound, WireFormat
from cluster_tts.plausibility import refuse_cut_off, refuse_implausible

WINDOW_S = 0.02  # longer than one period of the lowest voice
SPEECH_LEVEL = 10 ** (-25 / 20)  # an end above this share of the loud parts is no ending

RAW: dict[str, tuple[str, int]] = {
    "pcm_s16le": ("PCM_16", 2),
    "pcm_f32le": ("FLOAT", 4),
    "ulaw": ("ULAW", 1),
    "alaw": ("ALAW", 1),
}
"""libsndfile's name and the bytes of a sample, by ``WireFormat.encoding``."""

LEAST_FRAMES: dict[str, Callable[[bytes], int]] = {
    "wav": wav.least_frames,
    "mp3": mp3.least_frames,
    "ogg": ogg.least_frames,
    "flac": flac.least_frames,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What decoding a clip to its end gave: its measures, and whether it stops at the level of speech."""

    sound: Sound
    ends_abruptly: bool


def believe(
    path: Path,
    wire: WireFormat | None,
    text: str,
    band: list[float] | None,
    speed: float = 1.0,
    pace: float | None = None,
) -> Sound:
    """What was measured of the answer at ``path``, after it was made a clip that can be believed to speak ``text``.

    ``wire`` is what was asked for (None: any audio), ``speed`` how much faster than usual. ``band`` is the least and
    most letters a second that are believed (None: nothing is judged by its text), ``pace`` how many are usual.

    Raises:
        RetryLater: it is not what was asked for, no audio, cut, or too short or too long for its text.
    """
    settle(path, wire)
    heard = listen(path)
    refuse_implausible(heard.sound, text, band, speed)
    if band is not None and pace is not None and heard.ends_abruptly:
        refuse_cut_off(heard.sound, text, pace * speed)
    return heard.sound


def settle(path: Path, wire: WireFormat | None) -> None:
    """Make of what a server sent, in place, a file that says of itself what is true. What does so is left untouched.

    Raw samples and every kind of WAV become 16-bit mono WAV; MP3 and FLAC get the count of frames they lack.

    Raises:
        RetryLater: it is empty, no audio, in another format than was asked for, or visibly cut.
    """
    content = path.read_bytes()
    kind = _audio_kind(content, wire)
    if not kind and wire and wire.container == "raw":
        if wire.rate is None:
            raise ValueError("raw samples have no rate of their own: WireFormat must name it")
        subtype, width = RAW[wire.encoding]
        whole = len(content) - len(content) % width
        _write_wav(path, content[:whole], wav.Encoding(subtype, width, 1, wire.rate))
    elif kind == "wav":
        found = wav.read(content)
        size = 2 * found.frames
        if content[:44] != wav.header(size, found.encoding.rate) or len(content) != 44 + size:
            _write_wav(path, b"".join(content[start:end] for start, end in found.spans), found.encoding)
    elif kind in ("mp3", "flac"):
        mended = mp3.mended(content) if kind == "mp3" else flac.mended(content)
        if mended is not content:
            path.write_bytes(mended)


def probe(path: Path) -> Sound:
    """What is in the audio file at ``path``, after decoding all of it.

    Raises:
        RetryLater: the file is empty, no audio, without samples, or shorter than it says of itself.
    """
    return listen(path).sound


def listen(path: Path) -> Heard:
    """What is in the audio file at ``path`` and how it ends, after decoding all of it once; raises like ``probe``.

    A file can be cut so that nothing shows it: an MP3 without Info frame, between two frames.
    """
    content = path.read_bytes()
    if not content:
        raise RetryLater("the audio is empty (0 bytes)", kind="empty_audio")
    kind = container(content)
    least = LEAST_FRAMES[kind](content) if kind in LEAST_FRAMES else 1  # of bytes first: mpg123 writes to stderr
    is_open = False
    try:
        with AudioFile(path) as file:
            is_open = True
            rate = int(file.samplerate)
            if kind != "mp3":  # whose count is a guess where nothing says it
                least = max(least, int(file.frames))
            frames, ends_abruptly = _heard(file.blocks_of(), rate, mp3.padding(content) if kind == "mp3" else 0)
    except sf.LibsndfileError as error:
        if is_open:
            raise RetryLater(f"the audio is cut or damaged: {error.error_string}", kind="cut_audio") from None
        raise RetryLater(f"this is no audio file: {error.error_string}", kind="not_audio") from None
    if not frames:
        raise RetryLater("the audio holds no samples", kind="empty_audio")
    if frames < least:
        raise RetryLater(f"the audio ends after {frames} of {least} frames", kind="cut_audio")
    return Heard(Sound(frames, rate, len(content), hashlib.sha256(content).hexdigest()), ends_abruptly)


def _audio_kind(content: bytes, wire: WireFormat | None) -> str:
    """A key of ``NAMES``, or nothing where bytes without a known beginning are what may have been asked for."""
    if not content:
        raise RetryLater("the answer is empty (0 bytes)", kind="empty_audio")
    kind = container(content)
    if kind in WORDS:
        raise RetryLater(f"the answer is {WORDS[kind]}, not audio: {quoted(content)}", kind="not_audio")
    if wire is None or kind == ("" if wire.container == "raw" else wire.container):
        return kind
    if not kind:
        begins = content[:16].hex(" ")
        raise RetryLater(f"the answer is not {wire.container} nor other known audio: {begins}", kind="not_audio")
    got = f"asked for {wire.container}, got {NAMES[kind]}"
    if kind not in LEAST_FRAMES:
        raise RetryLater(f"{got}, which cannot be read here", kind="wrong_format")
    asking = "opus" if kind == "ogg" else kind  # servers name it by what is in it
    raise RetryLater(f"{got}; if this server always sends {NAMES[kind]}, set provider.format={asking}", "wrong_format")


def _write_wav(path: Path, data: bytes, encoding: wav.Encoding) -> None:
    """Write the samples in ``data`` as plain WAV: 16 bits, mono, true sizes, nothing else."""
    if not data:
        raise RetryLater("the answer holds no samples", kind="empty_audio")
    form: dict[str, str | int] = {
        "samplerate": encoding.rate,
        "channels": encoding.channels,
        "subtype": encoding.subtype,
    }
    with AudioFile(io.BytesIO(data), format="RAW", endian="LITTLE", **form) as file:
        blocks = [to_mono(block) for block in file.blocks_of()]
    with path.open("wb") as target:
        target.write(wav.header(2 * sum(map(len, blocks)), encoding.rate))
        target.writelines(block.astype("<i2").tobytes() for block in blocks)


def _heard(blocks: Iterator[Samples], rate: int, padding: int) -> tuple[int, bool]:
    """How many frames there are, and whether 20 ms are about as loud as the loud parts that end with the last sample,
    or earlier by up to ``padding`` samples."""
    window = max(2, round(rate * WINDOW_S))
    frames = 0
    levels = [np.zeros(0)]
    tail = np.zeros(0)
    for block in blocks:
        frames += len(block)
        mono = to_mono(block).astype(np.float64)
        levels.append(_levels(mono[: len(mono) // window * window], window))
        tail = np.concatenate((tail, mono))[-window - padding :]
    loud = np.percentile(np.concatenate(levels), 95) if frames >= window else 0.0
    half = window // 2
    ends = range(len(tail), max(2 * half, len(tail) - padding) - 1, -half)
    last = max((_levels(tail[end - 2 * half : end], half).min() for end in ends), default=0.0)  # lower in a decay
    return frames, bool(last > SPEECH_LEVEL * loud)


def _levels(samples: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The root mean square of each ``window`` frames."""
    levels: NDArray[np.float64] = np.sqrt(np.square(samples).reshape(-1, window).mean(axis=1))
    return levels
