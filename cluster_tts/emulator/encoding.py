"""Samples as the bytes that a provider would send: raw, WAV, MP3, FLAC, Ogg Opus.

The same samples give the same bytes, but for Opus: each Ogg file has a serial number of its own.
"""

import io
import struct
from functools import cache

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from cluster_tts.audio import Samples

FORMAT_TAGS = {"pcm_s16le": 1, "pcm_f32le": 3, "pcm_alaw": 6, "pcm_mulaw": 7}
ENCODED = {"mp3": ("MP3", "MPEG_LAYER_III"), "flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}
CONTAINERS = ("raw", "wav", *ENCODED)

OPUS_RATE = 48_000
OPUS_KBPS = (6, 256)  # what libsndfile makes of its compression levels 1 and 0, for one channel
MP3_KBPS = {32_000: (32, 320), 16_000: (8, 160), 0: (8, 64)}  # the same: from this rate on, MPEG-1, MPEG-2, MPEG-2.5
LAST_LEVEL = 0.9999  # for MP3, level 1.0 is refused
WRITE_FRAMES = 65_536  # libsndfile crashes when given a large Vorbis file at once; what it gets is never larger


def encode(
    samples: Samples,
    rate: int,
    container: str,
    encoding: str = "pcm_s16le",
    kbps: int | None = None,
    streamed_sizes: int | None = None,
) -> bytes:
    """16-bit mono ``samples`` as a whole file, or bare (``raw``).

    Args:
        encoding: of the samples in ``raw`` and ``wav``; the others have but one.
        kbps: near which ``mp3`` (constant) and ``opus`` (on average) stay; None leaves it to the encoder.
        streamed_sizes: stands in both size fields of ``wav``, as from a server that cannot know them yet.
    """
    if container in ENCODED:
        return _compressed(samples, rate, container, kbps)
    if container not in CONTAINERS:
        raise ValueError(f"no encoder for '{container}' here: there is one for {', '.join(CONTAINERS)}")
    if encoding not in FORMAT_TAGS:
        raise ValueError(f"no samples of '{encoding}': there are {', '.join(FORMAT_TAGS)}")
    coded = _coded(samples, encoding)
    if container == "raw":
        return coded.tobytes()
    padding = b"\0" * (coded.nbytes % 2) if streamed_sizes is None else b""  # RIFF chunks have even sizes
    header = _wav_header(rate, encoding, coded.itemsize, coded.nbytes, streamed_sizes)
    return b"".join((header, coded.data, padding))


def _coded(samples: Samples, encoding: str) -> NDArray[np.generic]:
    match encoding:
        case "pcm_mulaw":
            return _mulaw_table()[samples.view(np.uint16)]
        case "pcm_alaw":
            return _alaw_table()[samples.view(np.uint16)]
        case "pcm_f32le":
            return (samples / np.float32(32768)).astype("<f4", copy=False)
        case _:
            return np.ascontiguousarray(samples, "<i2")


def _wav_header(rate: int, encoding: str, sample_bytes: int, data_bytes: int, streamed_sizes: int | None) -> bytes:
    """The 44 bytes before the samples."""
    riff_size, data_size = (36 + data_bytes + data_bytes % 2, data_bytes)
    if streamed_sizes is not None:
        riff_size = data_size = streamed_sizes
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", riff_size, b"WAVE"),
        *(b"fmt ", 16, FORMAT_TAGS[encoding], 1, rate, rate * sample_bytes, sample_bytes, 8 * sample_bytes),
        *(b"data", data_size),
    )


@cache
def _mulaw_table() -> NDArray[np.uint8]:
    """The G.711 mu-law byte of each 16-bit sample, by the sample's bits read as unsigned."""
    sample = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(sample) >> 2, 8158) + 33
    segment = _highest_bit(biased) - 5
    code = segment << 4 | biased >> (segment + 1) & 0x0F | np.where(sample < 0, 0x80, 0)
    table: NDArray[np.uint8] = (~code & 0xFF).astype(np.uint8)
    return table


@cache
def _alaw_table() -> NDArray[np.uint8]:
    """The G.711 A-law byte of each 16-bit sample, by the sample's bits read as unsigned."""
    sample = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample) >> 4, 2047)
    segment = np.maximum(_highest_bit(magnitude) - 3, 0)
    code = segment << 4 | magnitude >> np.maximum(segment - 1, 0) & 0x0F | np.where(sample < 0, 0, 0x80)
    table: NDArray[np.uint8] = (code ^ 0x55).astype(np.uint8)
    return table


def _highest_bit(numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """The place of the highest bit set; -1 for 0."""
    return np.frexp(numbers)[1].astype(np.int32) - 1


def _compressed(samples: Samples, rate: int, container: str, kbps: int | None) -> bytes:
    if container == "opus" and rate != OPUS_RATE:
        raise ValueError(f"Opus at {rate} Hz: it is sent at {OPUS_RATE}")
    form, subtype = ENCODED[container]
    mode = "CONSTANT" if container == "mp3" and kbps is not None else None
    level = _compression_level(rate, container, kbps)
    file = io.BytesIO()
    with sf.SoundFile(file, "w", rate, 1, subtype, format=form, compression_level=level, bitrate_mode=mode) as sound:
        for begin in range(0, len(samples), WRITE_FRAMES):
            sound.write(samples[begin : begin + WRITE_FRAMES])
    return file.getvalue()


def _compression_level(rate: int, container: str, kbps: int | None) -> float | None:
    """What libsndfile must be told for about ``kbps``: it spreads its bit rates evenly over levels from 0 to 1."""
    if kbps is None or container == "flac":
        return None
    least, most = OPUS_KBPS if container == "opus" else next(MP3_KBPS[from_] for from_ in MP3_KBPS if rate >= from_)
    return min(max((most - kbps) / (most - least), 0.0), LAST_LEVEL)
