"""How long speech of a text can last: its letters, and how many of them a second are believed. Plain arithmetic."""

import unicodedata

from cluster_tts.errors import RetryLater
from cluster_tts.model import Sound

DIGIT_LETTERS = 4.0  # "7" is read as a word
LETTERS: tuple[tuple[int, int, float], ...] = (
    (0x3005, 0x3007, 3.5),
    (0x3041, 0x30FF, 2.0),
    (0x3400, 0x9FFF, 3.5),
    (0xAC00, 0xD7A3, 2.7),
    (0xF900, 0xFAFF, 3.5),
    (0xFF66, 0xFF9D, 2.0),
    (0x20000, 0x3FFFF, 3.5),
)
"""How many Latin letters last as long as one kana, Hangul or Han character, by code point.

Voices speak 15 letters, 4 to 5 Han characters, 7 or 8 kana, 5 or 6 Hangul syllables a second.
"""

SHORT_S, LONG_S = 0.5, 3.0  # slack below and above, that keeps single words out of it
HURRY = 1.45  # what varies between voices and texts: letters a second against what is usual
HURRY_SHORT_S = 0.25


def letters(text: str, digit: float = 1.0) -> float:
    """How long ``text`` is in speech, in Latin letters; marks on letters and invisible characters are none."""
    return sum(_letters(character, digit) for character in text)


def refuse_implausible(sound: Sound, text: str, band: list[float] | None, speed: float = 1.0) -> None:
    """Raise ``RetryLater`` if ``sound`` is too short or too long to be speech of ``text``.

    ``band`` is the least and most letters a second that are believed, at a ``speed`` of 1. A digit counts as four
    against the upper bound and as one against the lower: "2,000,000" is said in as many letters as it has.
    """
    if band is None:
        return
    least = letters(text) / (band[1] * speed) - SHORT_S
    most = letters(text, DIGIT_LETTERS) / (band[0] * speed) + LONG_S
    if not least <= sound.seconds <= most:
        hurry = "" if speed == 1 else f" at speed {speed:g}"
        raise RetryLater(
            f"{sound.seconds:.1f} s of audio cannot be {len(text)} characters of speech{hurry} "
            f"(believed: {max(least, 0):.1f} to {most:.1f} s, see check.characters_per_second)",
            kind="implausible_length",
        )


def refuse_cut_off(sound: Sound, text: str, pace: float) -> None:
    """Raise ``RetryLater`` if ``sound``, which stops at the level of speech, is also short for ``text``.

    ``pace`` is how many letters a second are usual. Neither fact alone would do: some voices hurry, some clips are
    trimmed to the last sample; a cut that leaves more than two thirds is not told from them.
    """
    usual = letters(text) / pace
    if sound.seconds + HURRY_SHORT_S < usual / HURRY:
        raise RetryLater(
            f"the speech breaks off: {sound.seconds:.1f} s where {usual:.1f} s are usual for {len(text)} characters, "
            "and it is still loud at the end",
            kind="cut_audio",
        )


def _letters(character: str, digit: float) -> float:
    if character.isdigit():
        return digit
    if character.isascii():
        return 1.0
    point = ord(character)
    for first, last, worth in LETTERS:
        if first <= point <= last:
            return worth
    return 0.0 if unicodedata.category(character)[0] in "MC" else 1.0
