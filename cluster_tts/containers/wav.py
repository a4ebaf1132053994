"""WAV, read chunk by chunk: what its samples are and where they lie, however its sizes were filled in."""

import re
import struct
from dataclasses import dataclass
from itertools import pairwise

from cluster_tts.errors import RetryLater

UNKNOWN_SIZE = 2**32 - 1  # in RF64: "see ds64", where sizes have 64 bits
STREAMED_LENGTH = 0x7FFF_0000  # from here on a WAV's length means "unknown": it was sent before it was measured
PLACEHOLDERS = (0, 2_000_000_000)  # mean the same, where bytes follow

SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}
"""libsndfile's name of an encoding by format tag and bits of a sample."""

EXTENSIBLE = 0xFFFE
HIGHEST_RATE = 384_000
MOST_CHANNELS = 16

_HEADER = re.compile(rb"R(?:IFF|F64).{4}WAVE", re.DOTALL)
_TRAILER = re.compile(rb"LIST|C2PA|id3 |ID3 |bext|iXML|axml|_PMX|cue |smpl|inst|JUNK|PAD |PEAK|fact")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the samples of a WAV are written."""

    subtype: str
    frame_bytes: int
    channels: int
    rate: int


@dataclass(frozen=True, slots=True)
class Wav:
    """The samples of a WAV: how they are written, and from where to where in the file, in whole frames."""

    encoding: Encoding
    spans: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> int:
        return sum(end - start for start, end in self.spans) // self.encoding.frame_bytes


def header(size_bytes: int, rate: int) -> bytes:
    """What stands before so many bytes of 16-bit mono samples: RIFF, or RF64 where the size is beyond 32 bits."""
    form = struct.pack("<4sIHHIIHH4s", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data")
    if 36 + size_bytes < UNKNOWN_SIZE:
        return struct.pack("<4sI4s", b"RIFF", 36 + size_bytes, b"WAVE") + form + struct.pack("<I", size_bytes)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size_bytes, size_bytes, size_bytes // 2, 0)
    return struct.pack("<4sI4s", b"RF64", UNKNOWN_SIZE, b"WAVE") + sizes + form + struct.pack("<I", UNKNOWN_SIZE)


def read(content: bytes) -> Wav:
    """Where the samples of a WAV are. Some servers send one whole WAV per sentence: the samples of all are meant.

    Raises:
        RetryLater: there is no sample, there are less than the header says, or they cannot be understood.
    """
    starts = [found.start() for found in _HEADER.finditer(content)]
    pieces = [_piece(content, start, end) for start, end in pairwise([*starts, len(content)])]
    encodings = {encoding for encoding, _ in pieces}
    if len(encodings) > 1:
        raise RetryLater("the answer is several WAV files of different formats in a row", kind="not_audio")
    wav = Wav(encodings.pop(), tuple(span for _, span in pieces))
    if not wav.frames:
        raise RetryLater("the WAV holds no samples", kind="empty_audio")
    return wav


def least_frames(content: bytes) -> int:
    """How many frames a decoder must give."""
    return read(content).frames


def _piece(content: bytes, start: int, end: int) -> tuple[Encoding, tuple[int, int]]:
    """What the one WAV from ``start`` to ``end`` says, and where its samples lie."""
    encoding: Encoding | None = None
    wide: int | None = None
    at = start + 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", content, at)
        body = at + 8
        if name == b"ds64" and body + 16 <= end:  # of RF64: what does not fit into 32 bits
            wide = struct.unpack_from("<Q", content, body + 8)[0]
        elif name == b"fmt ":
            encoding = _encoding(content[body : min(body + length, end)])
        elif name == b"data" and encoding:
            declared = length if wide is None or length != 0xFFFF_FFFF else wide
            size = _data_end(content, start, body, declared, end) - body
            return encoding, (body, body + size - size % encoding.frame_bytes)
        at = body + length + length % 2
    if not encoding:
        raise RetryLater("the WAV does not say what its samples are", kind="not_audio")
    return encoding, (end, end)


def _encoding(form: bytes) -> Encoding:
    if len(form) < 16:
        raise RetryLater("the header of the WAV is cut", kind="cut_audio")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack_from("<H", form, 24)[0]
    if not (1 <= channels <= MOST_CHANNELS and 1 <= rate <= HIGHEST_RATE):
        raise RetryLater(f"the WAV claims {channels} channels at {rate} Hz", kind="not_audio")
    if (tag, bits) not in SUBTYPES:
        raise RetryLater(
            f"the WAV is encoded as format {tag:#x} with {bits} bits, which is not supported: ask for 16-bit PCM",
            kind="wrong_format",
        )
    return Encoding(SUBTYPES[tag, bits], channels * bits // 8, channels, rate)


def _data_end(content: bytes, start: int, body: int, declared: int, end: int) -> int:
    """Where the samples end that begin at ``body``, for a WAV from ``start`` to ``end``."""
    if declared < STREAMED_LENGTH and declared not in PLACEHOLDERS:
        if body + declared > len(content):
            raise RetryLater(f"the WAV ends after {len(content) - body} of {declared} bytes", kind="cut_audio")
        return min(body + declared, end)
    # Nobody measured the data; somebody may have measured the whole. Not so where that ends before the first sample:
    # then it was written before it. To lose speech is worse than to keep a click, so all else stays.
    whole = start + 8 + int.from_bytes(content[start + 4 : start + 8], "little")
    if body < whole < end:
        end = whole
    return _before_trailers(content, body, end)


def _before_trailers(content: bytes, body: int, end: int) -> int:
    """Where the chunks begin that end exactly at ``end``; ``end`` if there are none.

    Samples that look like a known name and then like a length that fits would be a chance of one in 2**60.
    """
    for found in _TRAILER.finditer(content, body, end):
        at = found.start()
        while at + 8 <= end and content[at : at + 4].isascii():
            length = int.from_bytes(content[at + 4 : at + 8], "little")
            at += 8 + length
            at += length % 2 if at < end else 0  # the last may lack its padding
        if at == end:
            return found.start()
    return end
