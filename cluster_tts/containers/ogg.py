"""Ogg (Vorbis, Opus), read page by page: the last one bears the mark of the end, or the file is cut."""

from cluster_tts.errors import RetryLater

FIRST, LAST = 2, 4  # flags of a page


def least_frames(content: bytes) -> int:
    """1: how many frames there are only the decoder knows. libsndfile gives what is there of a cut file without a word.

    Raises:
        RetryLater: the end is missing, there is no sound, or there are several streams (only one would be decoded).
    """
    at = streams = flags = 0
    sounds = False
    while at < len(content) and content[at : at + 4] == b"OggS":
        segments = content[at + 26] if at + 26 < len(content) else 255
        end = at + 27 + segments + sum(content[at + 27 : at + 27 + segments])
        if end > len(content):
            raise RetryLater(f"the Ogg ends within a page, after {len(content)} bytes", kind="cut_audio")
        flags = content[at + 5]
        streams += bool(flags & FIRST)
        sounds |= int.from_bytes(content[at + 6 : at + 14], "little", signed=True) > 0
        at = end
    if streams > 1:
        raise RetryLater("the answer is several Ogg files in a row: only the first would be heard", kind="not_audio")
    if not sounds:
        raise RetryLater("the Ogg holds no sound", kind="empty_audio")
    if not flags & LAST:
        raise RetryLater(f"the Ogg ends without its end mark, after {at} bytes", kind="cut_audio")
    return 1
