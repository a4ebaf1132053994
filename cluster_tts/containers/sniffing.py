"""What an answer is, by its first bytes: names and types that servers give are not trusted."""

import codecs

from cluster_tts.containers import mp3
from cluster_tts.keys import redact

NAMES = {"wav": "WAV", "mp3": "MP3", "flac": "FLAC", "ogg": "Ogg", "aac": "AAC", "mp4": "MP4"}
WORDS = {"json": "JSON", "html": "HTML or XML", "text": "text"}
"""Kinds that ``container`` tells, as a person calls them: audio, and what comes instead of it."""

HEAD_BYTES = 256
QUOTED_CHARACTERS = 200
LONGEST_KEY = 1_000


def container(content: bytes) -> str:
    """A key of ``NAMES`` or ``WORDS``, or an empty string where ``content`` is neither."""
    if content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE":
        return "wav"
    if content[:4] == b"OggS":
        return "ogg"
    if content[mp3.after_tags(content) :][:4] == b"fLaC":
        return "flac"
    if mp3.begins(content):
        return "mp3"
    if content[4:8] == b"ftyp":
        return "mp4"
    if _is_adts(content):
        return "aac"
    return _words(content)


def quoted(content: bytes) -> str:
    """The beginning of ``content`` on one line, short and printable, for a message."""
    # Whole, as far as a key may reach: a part of it would not be known again.
    line = " ".join(redact(content[: 4 * QUOTED_CHARACTERS + LONGEST_KEY].decode("utf-8-sig", "replace")).split())
    return "".join(character for character in line if character.isprintable())[:QUOTED_CHARACTERS]


def _words(content: bytes) -> str:
    """What kind of writing ``content`` is, if any. All of its head must be printable: samples may begin with "{"."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()  # lets the head end within a character
    try:
        head = decoder.decode(content[:HEAD_BYTES]).lstrip()
    except UnicodeDecodeError:
        return ""
    if not all(character.isprintable() or character.isspace() for character in head):
        return ""
    if head[:1] in ("{", "["):
        return "json"
    if head[:1] == "<":
        return "html"
    return "text" if " " in head else ""  # A-law has silence that reads "UUUU"


def _is_adts(content: bytes) -> bool:
    """Whether a frame of AAC stands at the beginning and another where it ends."""
    if len(content) < 7 or content[0] != 0xFF or content[1] & 0xF6 != 0xF0:
        return False
    length = (content[3] & 3) << 11 | content[4] << 3 | content[5] >> 5
    return length >= 7 and content[length : length + 2] in (content[:2], b"")
