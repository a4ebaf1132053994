"""From paragraphs to chunks: cut at sentences, never over the limit, nothing lost, nothing doubled.

Equal input gives equal chunks. After an edit the cuts of an earlier plan are kept wherever they still fit, so that
one changed sentence buys one chunk. A chunk never crosses a paragraph unless ``join_paragraphs`` asks for it, and is
made shorter than it might be only where ``balance`` asks for it. What shares a chunk has one speaker and is one item;
but several speakers do where their voice takes a dialogue in one request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from cluster_tts.balance import MOST_ROUNDS, Sizes, balanced
from cluster_tts.cutting import Cutter, Dialogue, Room
from cluster_tts.job import ChunkingSettings, ModelFacts
from cluster_tts.model import PLAIN, Chunk, Paragraph, Role, Speech, Turn, with_turns

UNKNOWN_MODEL = ModelFacts()


def chunk(
    document: str,
    paragraphs: Iterable[Paragraph],
    settings: ChunkingSettings,
    model: ModelFacts = UNKNOWN_MODEL,
    earlier: Iterable[str] = (),
    dialogue: Dialogue | None = None,
) -> Iterator[Chunk]:
    """The chunks of a document, in reading order; their texts put together are the text of ``paragraphs``.

    Args:
        document: the name the chunks carry.
        model: what the voice's model can take; no chunk is longer than that, nor than ``settings`` say.
        earlier: texts of the chunks of an earlier plan for this document, whose cuts are kept where they still fit.
        dialogue: what a request for a dialogue can carry; None: each speaker is asked for apart.
    """
    room = Room.of(settings, model)
    cutter = Cutter(room, settings.language, earlier)
    together = Together.of(room, dialogue, cutter.earlier()) if settings.join_paragraphs else None
    index = 0
    for whole, cutting in _balanced(paragraphs, cutter, together, settings.balance):
        speech = Speech(whole.role.voice, turns=whole.turns)
        for piece in [whole.text] if whole.turns else cutter.cut(whole.text, cutting):
            spoken = piece.strip()
            if spoken:
                yield Chunk(document, index, whole.number, spoken, whole.role, speech)
                index += 1


class _Text(NamedTuple):
    """What is cut by itself: the number of its first paragraph, its words, its role, its turns if it is a dialogue."""

    number: int
    text: str
    role: Role = PLAIN
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Together:
    """Which paragraphs may share a request: those that sound alike, and turns of a dialogue where a voice takes it.

    Requests end where those of an earlier plan did, as far as the texts are still the same.
    """

    room: Room
    dialogue: Dialogue | None
    earlier: Mapping[str, Sequence[str]]
    """The texts of an earlier plan's chunks, by their first paragraph."""

    @classmethod
    def of(cls, room: Room, dialogue: Dialogue | None, earlier: Iterable[str]) -> "Together":
        by_beginning: dict[str, list[str]] = {}
        for text in earlier:
            by_beginning.setdefault(text.partition("\n")[0], []).append(text)
        return cls(room, dialogue, by_beginning)

    def joined(self, text: _Text, paragraph: Paragraph, limit: float) -> _Text | None:
        """``text`` with ``paragraph`` behind it; None where they cannot share a request that is so full at most, or did
        not and need not."""
        ours, theirs = text.role, paragraph.role
        apart = ours.heading or theirs.heading or ours.item != theirs.item or ours.cues or theirs.cues
        words = f"{text.text}\n{paragraph.text}"
        if apart or self.room.share_of(words) > limit or self._parted(text.text, paragraph.text):
            return None
        if not text.turns and (ours.speaker, ours.voice) == (theirs.speaker, theirs.voice):
            return text._replace(text=words)
        turns = (*(text.turns or _turns(text.text, ours)), *_turns(paragraph.text, theirs))
        if self.dialogue is None or not all(turn.voice for turn in turns):
            return None
        if len(words) > self.dialogue.characters or len({turn.voice for turn in turns}) > self.dialogue.voices:
            return None
        return _Text(text.number, words, with_turns(ours, turns), turns)

    def _parted(self, text: str, paragraph: str) -> bool:
        """Whether an earlier chunk ended with ``text``, or one began with ``paragraph``, and none had both."""
        with_text = self.earlier.get(text.partition("\n")[0], ())
        if any(f"{each}\n".startswith(f"{text}\n{paragraph}\n") for each in with_text):
            return False
        return text in with_text or paragraph in self.earlier


def _turns(text: str, role: Role) -> tuple[Turn, ...]:
    return (Turn(text, role.voice or "", role.speaker),)


def _balanced(
    paragraphs: Iterable[Paragraph], cutter: Cutter, together: Together | None, places: int | None
) -> Iterator[tuple[_Text, Sequence[int]]]:
    """As ``_texts``, with the atoms after which to cut so that so many places are busy to the same moment; none: full.

    A document too long for this to matter is not held to find it out.
    """
    room, coming = cutter.room, iter(paragraphs)
    held: list[Paragraph] = []
    share = 0.0
    for paragraph in coming:
        held.append(paragraph)
        share += room.share_of(paragraph.text)
        if places is None or share > MOST_ROUNDS * places:
            for text in _texts(chain(held, coming), together):
                yield text, ()
            return
    known: dict[str, Sizes] = {}  # what must stay whole does not depend on how full requests are

    def atoms(text: str) -> Sizes:
        if text not in known:
            known[text] = [room.share_of(atom) for atom in cutter.atoms(text)]
        return known[text]

    def texts_at(limit: float) -> list[Sizes]:
        return [atoms(text.text) for text in _texts(held, together, limit)]

    limit, cuttings = balanced(texts_at, places or 1)
    yield from zip(_texts(held, together, limit), cuttings, strict=True)


def _texts(paragraphs: Iterable[Paragraph], together: Together | None, limit: float = 1.0) -> Iterator[_Text]:
    """What is cut by itself: paragraphs, or with ``together`` as many to a text as make a request so full."""
    waiting: _Text | None = None
    for number, paragraph in enumerate(paragraphs):
        joined = together.joined(waiting, paragraph, limit) if together and waiting else None
        if joined is None and waiting is not None:
            yield waiting
        waiting = joined or _Text(number, paragraph.text, paragraph.role)
    if waiting is not None:
        yield waiting
