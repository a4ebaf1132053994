"""From paragraphs to chunks: cut at sentences, never over the limit, nothing lost, nothing doubled.

Equal input gives equal chunks. After an edit the cuts of an earlier plan are kept wherever they still fit, so that
one changed sentence buys one chunk. A chunk never crosses a paragraph unless ``join_paragraphs`` asks for it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise

import regex
from sentencex import segment

from cluster_tts.job import ChunkingSettings
from cluster_tts.model import Chunk, Paragraph

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
KEPT_FROM = 4  # an earlier chunk shorter than limit / 4 is not worth bending the cuts for
PREFIX = 24


def chunk(
    document: str,
    paragraphs: Iterable[Paragraph],
    settings: ChunkingSettings,
    measure: Measure = len,
    earlier: Iterable[str] = (),
) -> Iterator[Chunk]:
    """The chunks of a document, in reading order; their texts put together are the text of ``paragraphs``.

    Args:
        document: the name the chunks carry.
        measure: how the provider counts characters; no chunk measures more than ``settings.max_characters``.
        earlier: texts of the chunks of an earlier plan for this document, whose cuts are kept where they still fit.
    """
    cutter = Cutter(settings.max_characters, settings.language, measure, earlier)
    index = 0
    for number, text in _joined(paragraphs, settings, measure):
        for piece in cutter.cut(text):
            spoken = piece.strip()
            if spoken:
                yield Chunk(document, index, number, spoken)
                index += 1


def _joined(paragraphs: Iterable[Paragraph], settings: ChunkingSettings, measure: Measure) -> Iterator[tuple[int, str]]:
    """Paragraphs with their numbers; with ``join_paragraphs`` as many to a text as one request can carry."""
    waiting: tuple[int, str] | None = None
    for number, paragraph in enumerate(paragraphs):
        if waiting is None:
            waiting = number, paragraph.text
            continue
        together = f"{waiting[1]}\n{paragraph.text}"
        if settings.join_paragraphs and measure(together) <= settings.max_characters:
            waiting = waiting[0], together
        else:
            yield waiting
            waiting = number, paragraph.text
    if waiting is not None:
        yield waiting


class Cutter:
    """Cuts texts into pieces of at most ``limit``, preferring the cuts of earlier pieces where they still fit."""

    def __init__(self, limit: int, language: str, measure: Measure = len, earlier: Iterable[str] = ()) -> None:
        self.limit = limit
        self.language = language
        self.measure = measure
        self._earlier: dict[str, list[str]] = {}
        for text in earlier:
            if limit / KEPT_FROM <= measure(text) <= limit:
                self._earlier.setdefault(text[:PREFIX], []).append(text)

    def cut(self, text: str) -> list[str]:
        """Slices of ``text``, white space included, that put together give it back.

        Sentences are packed greedily; a sentence over the limit is cut at clause marks, then at spaces, then between
        graphemes, and only where one grapheme alone is over the limit inside it.
        """
        if not self._earlier and self.measure(text) <= self.limit:
            return [text]
        atoms = _glue_signs(list(self._atoms(text)), self.limit, self.measure)
        ends = list(accumulate(map(len, atoms)))
        pieces: list[str] = []
        start = first = 0
        while first < len(atoms):
            last = self._earlier_end(text, start, ends, first) or self._packed_end(text, start, ends, first)
            pieces.append(text[start : ends[last - 1]])
            start, first = ends[last - 1], last
        return pieces

    def _packed_end(self, text: str, start: int, ends: list[int], first: int) -> int:
        """How many atoms are used up once as many as fit are packed, stopping where an earlier piece begins."""
        last = first + 1
        while last < len(ends) and self.measure(text[start : ends[last]].rstrip()) <= self.limit:
            if self._earlier_end(text, ends[last - 1], ends, last):
                break
            last += 1
        return last

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
            yield from self._within_limit(sentence, (_at(CLAUSE), _at(SPACE), _graphemes, list))

    def _within_limit(self, text: str, ways: tuple[Callable[[str], list[str]], ...]) -> Iterator[str]:
        if self.measure(text.rstrip()) <= self.limit:
            yield text
            return
        for part in self._packed(ways[0](text)):
            if len(ways) > 1:
                yield from self._within_limit(part, ways[1:])
            else:
                yield part

    def _packed(self, parts: list[str]) -> Iterator[str]:
        """Neighbouring parts put together as long as they stay within the limit."""
        pack: list[str] = []
        size = 0
        for part in parts:
            # Measures are sums over characters, so a running total replaces measuring every prefix again.
            length = self.measure(part)
            if pack and size + length - _trailing(part) > self.limit:
                yield "".join(pack)
                pack, size = [], 0
            pack.append(part)
            size += length
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


def _glue_signs(atoms: list[str], limit: int, measure: Measure) -> list[str]:
    """Atoms with nothing to speak in them (a closing quote, an ellipsis) joined to the one before, where it fits."""
    glued: list[str] = []
    for atom in atoms:
        if glued and not LETTER_OR_DIGIT.search(atom) and measure((glued[-1] + atom).rstrip()) <= limit:
            glued[-1] += atom
        else:
            glued.append(atom)
    return glued
