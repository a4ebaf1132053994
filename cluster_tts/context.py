"""What is read out around a chunk, for providers whose intonation follows from it."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol, TypeVar


class Spoken(Protocol):
    """A chunk, planned or not."""

    @property
    def text(self) -> str: ...


S = TypeVar("S", bound=Spoken)


def in_context(chunks: Iterable[S], characters: int) -> Iterator[tuple[S, str, str]]:
    """Each chunk of a document with the end of the one before it and the beginning of the one after it.

    Of either at most so many characters, whole words where there are words. Holds three chunks, not the document.
    """
    before, here = "", None
    for after in chain(chunks, [None]):
        if here is not None:
            yield here, before, _beginning(after.text, characters) if after is not None else ""
            before = _end(here.text, characters)
        here = after


def _beginning(text: str, characters: int) -> str:
    part = text[:characters]
    if len(text) <= characters or not part or text[characters].isspace() or part[-1].isspace():
        return part.strip()
    return part.rsplit(None, 1)[0]


def _end(text: str, characters: int) -> str:
    part = text[max(0, len(text) - characters) :]
    if len(text) <= characters or not part or text[-characters - 1].isspace() or part[0].isspace():
        return part.strip()
    return part.split(None, 1)[-1]
