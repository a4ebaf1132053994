"""FLAC: how many samples it says it has, and how many it has where it was sent before they were counted."""

import re

from cluster_tts.containers.mp3 import after_tags
from cluster_tts.errors import RetryLater

TAIL_BYTES = 1 << 18  # a last frame is not longer
TOTAL = slice(21, 26)  # after the mark: four bits of something else, then 36 bits of count

_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_SYNC = re.compile(rb"\xff[\xf8\xf9]")


def _remainder(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
    return crc


_REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def least_frames(content: bytes) -> int:
    """How many frames a decoder must give: as many as are announced.

    Raises:
        RetryLater: nothing follows the header, or another file follows (only the first would be decoded).
    """
    total = _total(content)
    if _sound_start(content) >= len(content):
        if total:
            raise RetryLater("the FLAC ends with its header", kind="cut_audio")
        raise RetryLater("the FLAC holds no samples", kind="empty_audio")
    if len(_BEGINNING.findall(content)) > 1:
        raise RetryLater("the answer is several FLAC files in a row: only the first would be heard", kind="not_audio")
    return max(1, total)


def mended(content: bytes) -> bytes:
    """``content`` with its true number of samples, where it says 0: libsndfile reads no FLAC that does not say it.

    Raises:
        RetryLater: as ``least_frames``; or the last frame of such a file is cut.
    """
    least_frames(content)
    if _total(content):
        return content
    total = _counted(content)
    start = after_tags(content)
    head = bytearray(content[start : start + 26])
    head[TOTAL] = ((head[21] & 0xF0) << 32 | total).to_bytes(5)
    return content[:start] + head + content[start + 26 :]


def _total(content: bytes) -> int:
    """How many samples are announced; 0 where they were not counted."""
    start = after_tags(content)
    return int.from_bytes(content[start : start + 26][TOTAL]) & 0xF_FFFF_FFFF


def _sound_start(content: bytes) -> int:
    """Where the blocks of metadata end."""
    at, is_last = after_tags(content) + 4, False
    while not is_last and at < len(content):
        is_last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4])
    return at


def _counted(content: bytes) -> int:
    """How many samples there are: the last frame says how many came before it, and its checksum that it is whole."""
    start = _sound_start(content)
    tail = max(start, len(content) - TAIL_BYTES)
    for sync in reversed([found.start() for found in _SYNC.finditer(content, tail)]):
        frame = content[sync:]
        if not _crc16(frame):
            return _samples_until_end_of(frame, block=int.from_bytes(content[after_tags(content) :][8:10]))
    raise RetryLater("the FLAC ends within a frame", kind="cut_audio")


def _samples_until_end_of(frame: bytes, block: int) -> int:
    """Samples up to the end of ``frame``, in a stream whose frames have ``block`` each if they are all alike."""
    ones = 8 - (frame[4] ^ 0xFF).bit_length()  # a number written as UTF-8 writes a character
    number, width = frame[4] & 0x7F >> ones, max(1, ones)
    for byte in frame[5 : 4 + width]:
        number = number << 6 | byte & 0x3F
    code, after = frame[2] >> 4, frame[4 + width : 6 + width]
    if code in (6, 7):
        length = int.from_bytes(after[: code - 5]) + 1
    else:
        length = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    is_variable = frame[1] & 1
    return (number if is_variable else number * block) + length


def _crc16(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc = (crc << 8 & 0xFF00) ^ _REMAINDERS[crc >> 8 ^ byte]
    return crc
