"""Dialogue scripts: who says what. Stage directions stay silent.

A turn is a line ``NAME: words`` and what follows up to the next, over blank lines too. Everything in square brackets
is a stage direction, also what some providers take for a command (``[laughs]``). In parentheses it is one behind the
name (``NAME (softly): words``, ``NAME: (softly) words``) and where it has a line of its own; elsewhere it is spoken.
"""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cluster_tts.documents.reading import Reading
from cluster_tts.documents.text import LONGEST_PARAGRAPH, SPEAKABLE, Block, endless, unwrap
from cluster_tts.errors import JobError
from cluster_tts.model import Paragraph, Role

SUFFIXES = (".dialogue", ".script")
# Possessive, or a run of blanks would be divided among its parts in every way there is.
LABEL = re.compile(r"[ \t]*+(?P<name>[^\W_][^:：()\[\]]{0,59}?)[ \t]*+(?:\([^()]*+\)[ \t]*+)?(?::(?=\s|$)|：)[ \t]*+")
PARTS_OF_NAMES = " -‐‑'’.\u00b7"
MOST_WORDS = 4  # of a name that is neither in capitals nor has a voice
BRACKETED = re.compile(r"\[[^\[\]]*\]")
DEEPEST = 5  # directions within directions
ALONE = re.compile(r"^[ \t]*\([^()]*\)[ \t]*$", re.MULTILINE)
AT_START = re.compile(r"\s*\([^()]*\)")
LINE_END = re.compile("[\n\v]")
MOST_NAMED = 12

Blocks = Callable[[], Iterable[Block]]
"""The text, as often as it is asked for."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Said:
    """A line, or a paragraph, of what one name says, without directions. ``number`` is its first line; a turn
    ``begins`` with it, or a paragraph before it ``goes_on``, or neither. The name is None outside of any turn."""

    name: str | None
    text: str
    number: int
    begins: bool = False
    goes_on: bool = False
    heading: bool = False


def is_dialogue(blocks: Blocks, path: Path, speakers: frozenset[str]) -> bool:
    """Whether all text in ``blocks`` belongs to turns, at least two, of names in capitals or among ``speakers``.

    Where there are no ``speakers``, who would be missed, somebody has to speak again: ``TODO:`` and ``FIXME:`` are no
    dialogue. No more is read than it takes to see that it is none.
    """
    begun: Counter[str] = Counter()
    stranger: _Said | None = None
    for line in _lines(blocks(), speakers, always=False):
        if line.name is None and not line.heading and SPEAKABLE.search(line.text):
            return False
        if line.name and line.begins:
            if _is_proper(line.name, speakers):
                begun[line.name.casefold()] += 1
            else:
                stranger = stranger or line
    if begun.total() < 2 or (not speakers and not 1 < len(begun) < begun.total()):
        return False
    if stranger:
        log.warning(
            "'%s' is not read as a dialogue: the name in line %d is neither in capitals nor has a voice; "
            "set reading.dialogue to always or never",
            path,
            stranger.number,
        )
    return not stranger


def turns(blocks: Blocks, path: Path, reading: Reading) -> Iterator[Paragraph]:
    """The turns in ``blocks`` of the file at ``path``. What stands outside of turns, as headings do, has no speaker.

    Raises:
        JobError: a speaker has no voice.
        DocumentError: a paragraph is too long to be held.
    """
    always = reading.dialogue == "always"
    _refuse_voiceless(_lines(blocks(), reading.speakers, always), path, reading.speakers)
    spellings: dict[str, str] = {}
    for said in _paragraphs(_lines(blocks(), reading.speakers, always), path):
        direction = AT_START.match(said.text) if said.begins else None
        text = said.text[direction.end() :] if direction else said.text
        name = spellings.setdefault(said.name.casefold(), said.name) if said.name else None
        if SPEAKABLE.search(text):
            yield Paragraph(unwrap(LINE_END.split(text)), Role(heading=said.heading, speaker=name))


def _refuse_voiceless(parts: Iterable[_Said], path: Path, known: frozenset[str]) -> None:
    without: dict[str, _Said] = {}
    for said in parts:
        if said.name and said.name.casefold() not in known:
            without.setdefault(said.name.casefold(), said)
    if without:
        first, *others = without.values()
        names = [f"{first.name} (line {first.number})", *(said.name or "" for said in others[: MOST_NAMED - 1])]
        setting = f"voices[{first.name}]" if "." in (first.name or "") else f"voices.{first.name}"
        is_script = path.suffix.lower() in SUFFIXES
        otherwise = "name the file .txt" if is_script else "set reading.dialogue=never"
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        raise JobError(
            f"'{path}' is a dialogue in which {', '.join(names)}{more} {'has' if not others else 'have'} no voice: "
            f"choose with '{setting}=...', or {otherwise} if it is none"
        )


def _paragraphs(lines: Iterable[_Said], path: Path) -> Iterator[_Said]:
    paragraph: list[_Said] = []
    characters = 0
    for line in lines:
        if paragraph and not line.goes_on:
            yield replace(paragraph[0], text="\n".join(each.text for each in paragraph))
            paragraph, characters = [], 0
        paragraph.append(line)
        characters += len(line.text)
        if characters > LONGEST_PARAGRAPH:
            raise endless(path, "paragraph")
    if paragraph:
        yield replace(paragraph[0], text="\n".join(each.text for each in paragraph))


def _lines(blocks: Iterable[Block], known: frozenset[str], always: bool) -> Iterator[_Said]:
    name: str | None = None
    for block in blocks:
        text = _without_directions(block.text)
        if block.heading:
            name = None
            yield _Said(None, text, block.number, heading=True)
            continue
        goes_on = block.goes_on
        for number, line in enumerate(LINE_END.split(text), block.number):
            label = LABEL.match(line)
            if label and _is_name(label["name"], known, always):
                name = " ".join(label["name"].split())
                yield _Said(name, line[label.end() :], number, begins=True)
            else:
                yield _Said(name, line, number, goes_on=goes_on)
            goes_on = True


def _without_directions(text: str) -> str:
    """``text`` with as many lines as before."""
    for _ in range(DEEPEST):
        text, found = BRACKETED.subn(_line_ends, text)
        if not found:
            break
    return ALONE.sub(_line_ends, text)


def _line_ends(direction: re.Match[str]) -> str:
    return "".join(LINE_END.findall(direction[0])) or " "


def _is_proper(name: str, known: frozenset[str]) -> bool:
    """Whether ``name`` has a voice, or is in capitals."""
    in_capitals = name.upper() == name and name.lower() != name
    return name.casefold() in known or (in_capitals and _is_of_letters(name))


def _is_name(label: str, known: frozenset[str], always: bool) -> bool:
    """Whether what stands before a colon is a name at all, and not the beginning of a sentence."""
    name = " ".join(label.split())
    if _is_proper(name, known):
        return True
    words = name.split()
    capital = all(word[0].upper() == word[0] for word in words)
    return _is_of_letters(name) and len(words) <= MOST_WORDS and (capital or (always and len(words) == 1))


def _is_of_letters(name: str) -> bool:
    kinds = {unicodedata.category(sign)[0] for sign in name if sign not in PARTS_OF_NAMES}
    return "L" in kinds and kinds <= {"L", "M", "N"}
