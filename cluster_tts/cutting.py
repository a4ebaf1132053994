"""Texts cut into pieces that a request can carry, at sentences where one ends in time. Nothing is lost or doubled."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

import regex
from sentencex import segment

from cluster_tts.job import ChunkingSettings, ModelFacts

Measure = Callable[[str], int]
"""How long a text is as the provider counts it."""

MEASURES: dict[str, Measure] = {
    "codepoint": len,
    "utf16": lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "byte": lambda text: len(text.encode("utf-8", "surrogatepass")),
}

WINDOW = 2_000  # sentencex is quadratic on text without spaces: 240,000 Chinese characters took 11.5 s in one piece
CLAUSE = re.compile(r"(?<=[,;:—–،؛])\s+|(?<=[—、，；：。！？])")  # not in "1,000"; CJK marks have no blank behind them
SPACE = re.compile(r"(?<=\s)(?=\S)")
GRAPHEME = regex.compile(r"\X")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")
KEPT_FROM = 1 / 4  # an earlier chunk that fills less of a request is not worth bending the cuts for
PREFIX = 24


@dataclass(frozen=True, slots=True)
class Room:
    """What one request can carry: so many code points and, where its model has a limit, so many of the model's units.

    Both are sums over characters, so sizes of parts add up to that of the whole.
    """

    characters: int
    units: int | None = None
    measure: Measure = len

    @classmethod
    def of(cls, settings: ChunkingSettings, model: ModelFacts) -> "Room":
        """What the user asks for, within what the model takes."""
        return cls(settings.max_characters, model.max_characters, MEASURES[model.unit])

    def size(self, text: str) -> tuple[int, int]:
        """Code points, and the model's units where they count."""
        return len(text), 0 if self.units is None else self.measure(text)

    def share(self, characters: int, units: int) -> float:
        """How much of a request this takes up: above 1, it is too long."""
        return max(characters / self.characters, 0 if self.units is None else units / self.units)

    def share_of(self, text: str) -> float:
        return self.share(*self.size(text))

    def holds(self, text: str) -> bool:
        return self.share_of(text) <= 1


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What one request for a dialogue can carry at most: so many code points in all, so many different voices, and so
    much of what is read out before and after it."""

    characters: int
    voices: int
    context: int = 0


class Cutter:
    """Cuts texts into pieces that ``room`` holds, preferring the cuts of earlier pieces where they still fit."""

    def __init__(self, room: Room, language: str, earlier: Iterable[str] = ()) -> None:
        self.room = room
        self.language = language
        self._earlier: dict[str, list[str]] = {}
        for text in earlier:
            if KEPT_FROM <= room.share_of(text) <= 1:
                self._earlier.setdefault(text[:PREFIX], []).append(text)

    def earlier(self) -> Iterator[str]:
        """The earlier pieces that are worth keeping."""
        return chain.from_iterable(self._earlier.values())

    def cut(self, text: str, cutting: Sequence[int] = ()) -> list[str]:
        """Slices of ``text``, white space included, that put together give it back.

        Sentences are packed greedily; a sentence that is too long is cut at clause marks, then at spaces, then between
        graphemes, and only where one grapheme alone is too long inside it. After the atoms
        that ``cutting`` names a piece ends although there is room for more.
        """
        if not self._earlier and len(cutting) < 2 and self.room.holds(text):
            return [text]
        atoms = self.atoms(text)
        ends = list(accumulate(map(len, atoms)))
        stops = frozenset(cutting)
        pieces: list[str] = []
        start = first = 0
        while first < len(atoms):
            last = self._earlier_end(text, start, ends, first) or self._packed_end(text, start, ends, first, stops)
            pieces.append(text[start : ends[last - 1]])
            start, first = ends[last - 1], last
        return pieces

    def atoms(self, text: str) -> list[str]:
        """The pieces of ``text`` that packing works with."""
        return _glue_signs(list(self._atoms(text)), self.room)

    def _packed_end(self, text: str, start: int, ends: list[int], first: int, stops: frozenset[int]) -> int:
        """How many atoms are used up once as many as fit are packed, stopping where an earlier piece begins, else at
        the first of ``stops``: between two pieces that are kept, one takes what is left."""
        last = first + 1
        stop = last if last in stops else None
        while last < len(ends) and self.room.holds(text[start : ends[last]].rstrip()):
            if stop is not None and not self._earlier:
                break
            if self._earlier_end(text, ends[last - 1], ends, last):
                return last
            last += 1
            stop = stop or (last if last in stops else None)
        return stop or last

    def _earlier_end(self, text: str, start: int, ends: list[int], first: int) -> int | None:
        """How many atoms are used up by an earlier piece that stands at ``start`` and ends where an atom does."""
        for piece in self._earlier.get(text[start : start + PREFIX], ()):
            if text.startswith(piece, start):
                reach = start + len(piece)
                for last in range(first, len(ends)):
                    if len(text[start : ends[last]].rstrip()) == reach - start:
                        return last + 1
                    if ends[last] > reach + 1:
                        break
        return None

    def _atoms(self, text: str) -> Iterator[str]:
        """The smallest pieces that packing works with: sentences, or parts of those that are too long."""
        for sentence in _sentences(text, self.language):
            yield from self._small_enough(sentence, (_at(CLAUSE), _at(SPACE), _graphemes, list))

    def _small_enough(self, text: str, ways: tuple[Callable[[str], list[str]], ...]) -> Iterator[str]:
        if self.room.holds(text.rstrip()):
            yield text
            return
        for part in self._packed(ways[0](text)):
            if len(ways) > 1:
                yield from self._small_enough(part, ways[1:])
            else:
                yield part

    def _packed(self, parts: list[str]) -> Iterator[str]:
        """Neighbouring parts put together as long as there is room for them."""
        pack: list[str] = []
        characters = units = 0
        for part in parts:
            # Sizes add up, so running totals replace measuring every prefix again. A trailing blank is not sent.
            length, cost = self.room.size(part)
            blanks = _trailing(part)
            if pack and self.room.share(characters + length - blanks, units + cost - blanks) > 1:
                yield "".join(pack)
                pack, characters, units = [], 0, 0
            pack.append(part)
            characters, units = characters + length, units + cost
        if pack:
            yield "".join(pack)


def _sentences(text: str, language: str) -> Iterator[str]:
    """Sentences of ``text``, white space behind them included, window by window."""
    position = 0
    while position < len(text):
        window = text[position : position + WINDOW]
        sentences = segment(language, window)
        if "".join(sentences) != window:  # a cut that is missed is a small flaw, a lost character is a bug
            sentences = [window]
        if position + WINDOW < len(text) and len(sentences) > 1:
            sentences.pop()  # it may go on behind the window: the next one begins with it
        yield from sentences
        position += sum(map(len, sentences))


def _at(boundary: re.Pattern[str]) -> Callable[[str], list[str]]:
    def parts(text: str) -> list[str]:
        cuts = [0, *(match.end() for match in boundary.finditer(text)), len(text)]
        return [text[a:b] for a, b in pairwise(cuts) if a < b]

    return parts


def _graphemes(text: str) -> list[str]:
    return [match.group() for match in GRAPHEME.finditer(text)]


def _trailing(part: str) -> int:
    return len(part) - len(part.rstrip())


def _glue_signs(atoms: list[str], room: Room) -> list[str]:
    """Atoms with nothing to speak in them (a closing quote, an ellipsis) joined to the one before, where it fits."""
    glued: list[str] = []
    for atom in atoms:
        if glued and not LETTER_OR_DIGIT.search(atom) and room.holds((glued[-1] + atom).rstrip()):
            glued[-1] += atom
        else:
            glued.append(atom)
    return glued
