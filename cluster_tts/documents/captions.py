"""What is spoken of a cue: its words, without marks, signs of music, sounds that are described, and hidden controls."""

import html
import re

from cluster_tts.documents.cues import Written
from cluster_tts.documents.text import SPEAKABLE, unwrap

VOICE = re.compile(r"<v(?:\.[^\s<>]*+)?\s++([^<>]++)>", re.IGNORECASE)
OVERRIDE = re.compile(r"(\{[^{}]*\})")
DRAWING = re.compile(r"\\p(\d+)")
TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|<[\d:.]+>")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
BREAK = re.compile(r"\\[nN]")
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MUSIC = re.compile("[\u2669-\u266f\U0001f3b5\U0001f3b6\U0001f3bc]")
DASH = re.compile(r"[ \t]*[-‐‑–—]+[ \t]*(?![\s\d‐‑–—-])")  # before a speaker, not before a number
SOUND = re.compile(r"\[[^\[\]]*\]|（[^（）]*）|【[^【】]*】")
SOUND_ALONE = re.compile(r"^[ \t]*+[-‐‑–—]*+[ \t]*+\([^()]*+\)[ \t]*$", re.MULTILINE)


def speech(cue: Written) -> tuple[str, str | None]:
    """The words of ``cue``, none if it has none, and who says them, if it tells of one.

    Square brackets hold sounds and directions wherever they stand, parentheses where nothing else is in the line.
    """
    raw = "\n".join(cue.lines)
    named = {name for found in VOICE.findall(raw) if (name := _unmarked(found))}
    text = SOUND_ALONE.sub("", SOUND.sub(" ", _unmarked(TAG.sub("", _drawn_out(raw)))))
    words = unwrap([" ".join(line[dash.end() :] if (dash := DASH.match(line)) else line for line in text.split("\n"))])
    speaker = cue.speaker or (named.pop() if len(named) == 1 else "")
    return words if SPEAKABLE.search(words) else "", speaker or None


def _drawn_out(text: str) -> str:
    """Without overrides of Advanced SubStation Alpha, and without what is drawn between two of them."""
    drawn = False
    kept: list[str] = []
    for part in OVERRIDE.split(text):
        if part.startswith("{") and part.endswith("}"):
            for scale in DRAWING.findall(part):
                drawn = int(scale) > 0
        elif not drawn:
            kept.append(part)
    return BREAK.sub("\n", "".join(kept)).replace(r"\h", " ")


def _unmarked(text: str) -> str:
    return MUSIC.sub(" ", DIRECTIONS.sub("", ENTITY.sub(lambda found: html.unescape(found[0]), text))).strip()
