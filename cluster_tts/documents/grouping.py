"""Which cues are spoken as one: those of one sentence, as long as they follow each other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import regex
from sentencex import segment

from cluster_tts.model import Slot

LONGEST_GAP_S = 1.0  # between two cues of one sentence
MOST_OVERLAP_S = 0.1
LONGEST_SLOT_S = 15.0
MOST_CUES = 8
# In any script, and with closing quotes and brackets behind; German closes with what opens elsewhere.
FINAL = regex.compile(r"\p{Sentence_Terminal}[\p{Pe}\p{Pf}\p{Pi}\"']*\Z")
GOES_ON = regex.compile(r"(?:\.\.|…|‥)[\p{Pe}\p{Pf}\p{Pi}\"']*\Z")
ABBREVIATED = regex.compile(r"\w\.\Z")
LOOK = 80  # characters around the end of a cue, to tell an abbreviation from the end of a sentence


@dataclass(frozen=True, slots=True)
class Cue:
    """When something is to be heard, its words, who says them."""

    slot: Slot
    text: str
    speaker: str | None = None


def grouped(cues: Iterable[Cue], language: str, max_characters: int) -> Iterator[list[Cue]]:
    """``cues`` in their order, each once, together where one sentence runs over them.

    A group stays below ``max_characters``, fifteen seconds and eight cues, unless it is one cue. Cues of different
    speakers, with a second between them, or at the same time, stay apart.
    """
    group: list[Cue] = []
    for cue in cues:
        if group and _goes_on(group, cue, language, max_characters):
            group.append(cue)
            continue
        if group:
            yield group
        group = [cue]
    if group:
        yield group


def joined(group: Sequence[Cue]) -> str:
    """The words of ``group`` as one text."""
    return " ".join(cue.text for cue in group)


def _goes_on(group: Sequence[Cue], cue: Cue, language: str, max_characters: int) -> bool:
    end_s = max(each.slot.end_s for each in group)
    fits = (
        len(group) < MOST_CUES
        and group[-1].speaker == cue.speaker
        and -MOST_OVERLAP_S <= round(cue.slot.start_s - end_s, 6) <= LONGEST_GAP_S
        and max(end_s, cue.slot.end_s) - group[0].slot.start_s <= LONGEST_SLOT_S
        and len(joined(group)) + 1 + len(cue.text) <= max_characters
    )
    return fits and not ends_sentence(group[-1].text, cue.text, lambda text: segment(language, text))


def ends_sentence(text: str, following: str, sentences: Callable[[str], Sequence[str]]) -> bool:
    """Whether ``text`` ends one; ``sentences`` knows abbreviations, and is asked where ``text`` may end with one."""
    if GOES_ON.search(text) or not FINAL.search(text):
        return False
    if not ABBREVIATED.search(text):
        return True
    return len(sentences(f"{text[-LOOK:]} {following[:LOOK]}")) > len(sentences(text[-LOOK:]))
