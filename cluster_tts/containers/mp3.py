"""MP3, read frame by frame: whether the last one is whole, and how many there are.

A frame tells its own length and nothing tells their number, but for the Info (or Xing) frame that some encoders put
first. libsndfile decodes as many as it says; without it as many as the first bitrate makes likely, and no more: of a
streamed MP3 with variable bitrate it gives less than half, without a word.
"""

import re
import struct
from typing import NamedTuple

from cluster_tts.errors import RetryLater

MPEG_1 = 3  # as the two bits of a header have it; 2 is MPEG-2, 0 is MPEG-2.5
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
LAME_TAG = 120  # bytes from the mark of an Info frame to the name of the encoder, which also tells its padding
PADDED_FRAMES = 4  # at most so many are encoders' padding, which a decoder leaves away

_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")


class Frame(NamedTuple):
    """One frame: where it lies, and what its header says."""

    start: int
    end: int
    samples: int
    rate: int
    is_mono: bool
    kbits: int


class Info(NamedTuple):
    """How many frames and bytes there should be; -1 where it does not say."""

    frames: int
    size_bytes: int


def after_tags(content: bytes) -> int:
    """Where the sound begins: after the ID3v2 tags, if there are any."""
    at = 0
    while content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = 0
        for byte in content[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size
    return at


def begins(content: bytes) -> bool:
    """Whether ``content`` begins like an MP3: with a tag, or with a frame after which another begins."""
    return content[:3] == b"ID3" or _is_followed(content, _frame(content, 0))


def least_frames(content: bytes) -> int:
    """How many samples of each channel a decoder must give.

    Raises:
        RetryLater: the last frame is cut, there are fewer than announced, there is none, or they do not fit together.
    """
    frames = _frames(content)
    info = _info(content, frames[0]) if frames else None
    sounding = len(frames) - bool(info)
    end = frames[-1].end if frames else 0
    if frames and (end > len(content) or (content[end : end + 1] == b"\xff" and end + 4 > len(content))):
        raise RetryLater(f"the MP3 ends within its frame number {len(frames)}", kind="cut_audio")
    # Some encoders count the Info frame itself; then the bytes are as many as they should be.
    if info and info.frames > sounding and not 0 <= info.size_bytes <= end - frames[0].start:
        raise RetryLater(f"the MP3 ends after {sounding} of {info.frames} frames", kind="cut_audio")
    if not sounding:
        raise RetryLater("the MP3 holds no sound", kind="empty_audio")
    if len({(frame.rate, frame.is_mono) for frame in frames}) > 1:
        raise RetryLater("the answer is several MP3 files of different formats in a row", kind="not_audio")
    return max(1, sounding - PADDED_FRAMES) * frames[0].samples


def padding(content: bytes) -> int:
    """How many samples at the end may be the encoder's: what fills the last frame, where no LAME tag says how many.

    A frame of 32 kbit/s has no room for that tag, so that a decoder leaves nothing away.
    """
    frames = _frames(content)
    if not frames:
        return 0
    tag = frames[0].start + _info_offset(content[frames[0].start : frames[0].start + 4]) + LAME_TAG
    is_told = _info(content, frames[0]) and content[tag : tag + 4] in (b"LAME", b"Lavf", b"Lavc")
    return 0 if is_told else frames[0].samples


def mended(content: bytes) -> bytes:
    """``content`` with an Info frame that is true, where libsndfile would not decode all of it; else as it is.

    Raises:
        RetryLater: as ``least_frames``; a cut would not be seen any more.
    """
    least_frames(content)
    frames = _frames(content)
    info = _info(content, frames[0])
    if info.frames >= len(frames) - 1 if info else len({frame.kbits for frame in frames}) == 1:
        return content
    sound = [content[frame.start : frame.end] for frame in frames if not _info(content, frame)]
    size = sum(map(len, sound))
    # The first header again, but without checksum (+1) and with a bitrate (the 8th) whose frames have room for it.
    head = bytes((0xFF, sound[0][1] | 1, 0x80 | sound[0][2] & 0x0C, sound[0][3]))
    length = _length(head)
    said = bytes(_info_offset(head)) + struct.pack(">4sIII", b"Xing", 3, len(sound), size + length)
    return b"".join((head, said[4:].ljust(length - 4, b"\0"), *sound))


def _frames(content: bytes) -> list[Frame]:
    """All frames, the last of which may reach beyond the end. What is between them (tags) is passed over."""
    found: list[Frame] = []
    at: int | None = after_tags(content)
    while at is not None and at < len(content):
        if frame := _frame(content, at):
            found.append(frame)
            at = frame.end
        else:
            at = _resync(content, at)
    return found


def _frame(content: bytes, at: int) -> Frame | None:
    """The frame whose header stands at ``at``; None if none does."""
    head = content[at : at + 4]
    if len(head) < 4 or not _SYNC.match(head):
        return None
    if head[2] >> 4 in (0, 15) or head[2] >> 2 & 3 == 3:
        return None
    samples, rate, kbits = _measures(head)
    return Frame(at, at + _length(head), samples, rate, head[3] >> 6 == 3, kbits)


def _measures(head: bytes) -> tuple[int, int, int]:
    """Samples of each channel, sampling rate and kbit/s of the frame with this header."""
    version = head[1] >> 3 & 3
    is_first = version == MPEG_1
    return 1152 if is_first else 576, RATES[version][head[2] >> 2 & 3], KBITS[is_first][head[2] >> 4]


def _length(head: bytes) -> int:
    """The bytes of the frame with this header, which are those of its bitrate and one of padding or none."""
    samples, rate, kbits = _measures(head)
    return samples // 8 * kbits * 1000 // rate + (head[2] >> 1 & 1)


def _resync(content: bytes, at: int) -> int | None:
    """Where from ``at`` on a frame begins after which another does, or which ends where all ends."""
    for sync in _SYNC.finditer(content, at):
        if _is_followed(content, _frame(content, sync.start())):
            return sync.start()
    return None


def _is_followed(content: bytes, frame: Frame | None) -> bool:
    """Whether another frame follows or nothing, for samples of another kind may look like one header."""
    return frame is not None and (frame.end + 4 > len(content) or _frame(content, frame.end) is not None)


def _info(content: bytes, frame: Frame) -> Info | None:
    """What the frame says of all, if it is one that holds no sound."""
    at = frame.start + _info_offset(content[frame.start : frame.start + 4])
    if content[at : at + 4] not in (b"Xing", b"Info") or at + 16 > frame.end:
        return None
    flags, *values = struct.unpack_from(">III", content, at + 4)
    frames = values.pop(0) if flags & 1 else -1
    return Info(frames, values.pop(0) if flags & 2 else -1)


def _info_offset(head: bytes) -> int:
    """Where in a frame with this header the mark stands: after what would describe the sound."""
    is_mono, is_checked = head[3] >> 6 == 3, not head[1] & 1
    side = (17 if is_mono else 32) if head[1] >> 3 & 3 == MPEG_1 else (9 if is_mono else 17)
    return 4 + side + 2 * is_checked
