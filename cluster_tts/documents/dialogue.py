"""Dialogue scripts: who says what. Stage directions stay silent.

A turn is a line ``NAME: words`` and what follows up to the next, over blank lines too. Everything in square brackets
is a stage direction, also what some providers take for a command (``[laughs]``). In parentheses it is one behind the
name (``NAME (softly): words``, ``NAME: (softly) words``) and where it has a line of its own; elsewhere it is spoken.
"""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster_tts.documents.reading import Reading
from cluster_tts.documents.text import SPEAKABLE, Block, unwrap
from cluster_tts.errors import JobError
from cluster_tts.model import Paragraph, Role

LABEL = re.compile(r"[ \t]*(?P<name>[^\W_][^:：()\[\]]{0,59}?)[ \t]*(?:\([^()]*\))?[ \t]*(?::(?=\s|$)|：)[ \t]*")
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
    """A paragraph of what one name says, without directions. ``number`` is its line; a turn ``begins`` with it, or goes
    on. The name is None outside of any turn."""

    name: str | None
    text: str
    number: int
    begins: bool = False
    heading: bool = False


def is_dialogue(blocks: Blocks, path: Path, speakers: frozenset[str]) -> bool:
    """Whether all text in ``blocks`` belongs to turns, at least two, of names in capitals or among ``speakers``."""
    begun = 0
    stranger: _Said | None = None
    for said in _said(blocks(), speakers, always=False):
        if said.name is None and not said.heading and SPEAKABLE.search(said.text):
            return False
        if said.name and said.begins:
            if _is_proper(said.name, speakers):
                begun += 1
            else:
                stranger = stranger or said
    if stranger and begun > 1:
        log.warning(
            "'%s' is not read as a dialogue: the name in line %d is neither in capitals nor has a voice; "
            "set reading.dialogue to always or never",
            path,
            stranger.number,
        )
    return begun > 1 and not stranger


def turns(blocks: Blocks, path: Path, reading: Reading) -> Iterator[Paragraph]:
    """The turns in ``blocks`` of the file at ``path``. What stands outside of turns, as headings do, has no speaker.

    Raises:
        JobError: a speaker has no voice.
    """
    always = reading.dialogue == "always"
    _refuse_voiceless(_said(blocks(), reading.speakers, always), path, reading.speakers)
    spellings: dict[str, str] = {}
    for said in _said(blocks(), reading.speakers, always):
        text = AT_START.sub("", said.text, count=1) if said.begins else said.text
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
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        raise JobError(
            f"'{path}' is a dialogue in which {', '.join(names)}{more} {'has' if not others else 'have'} no voice: "
            f"choose with 'voices.{first.name}=...', or set reading.dialogue=never if it is none"
        )


def _said(blocks: Iterable[Block], known: frozenset[str], always: bool) -> Iterator[_Said]:
    name: str | None = None
    for block in blocks:
        if block.heading:
            yield _Said(None, _without_directions(block.text), block.number, heading=True)
            name = None
            continue
        begun, begins, lines = block.number, False, list[str]()
        for number, line in enumerate(LINE_END.split(_without_directions(block.text)), block.number):
            label = LABEL.match(line)
            if label and _is_name(label["name"], known, always):
                yield _Said(name, "\n".join(lines), begun, begins)
                name = " ".join(label["name"].split())
                begun, begins, lines = number, True, [line[label.end() :]]
            else:
                lines.append(line)
        yield _Said(name, "\n".join(lines), begun, begins)


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
