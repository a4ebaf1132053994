"""Which documents are whole, and what each is still waiting for.

Made for a million chunks: clips are small integers, the sounds of a document travel as one packed array, and what
nobody needs any more is let go of.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cluster_tts.model import Sound

SOUND_DTYPE = np.dtype([("frames", "<u8"), ("rate", "<u4"), ("size_bytes", "<u8"), ("sha256", "V32")])
"""One ``Sound``, packed; what a document's joining needs to know of each clip."""


def pack(sounds: Iterable[Sound]) -> NDArray[np.void]:
    """``sounds`` as one array of ``SOUND_DTYPE``."""
    rows = [(s.frames, s.rate, s.size_bytes, bytes.fromhex(s.sha256)) for s in sounds]
    return np.array(rows, dtype=SOUND_DTYPE)


def unpack(row: np.void) -> Sound:
    """One row of ``pack`` as a ``Sound``."""
    return Sound(int(row["frames"]), int(row["rate"]), int(row["size_bytes"]), bytes(row["sha256"]).hex())


@dataclass(slots=True)
class _Document:
    clips: "array[int]" = field(default_factory=lambda: array("L"))  # in reading order, repeats included
    missing: int = 0  # distinct clips without a sound, those given up included
    failed: int = 0  # distinct clips given up


class Completion:
    """Counts distinct clips, not chunks: equal chunks are one clip, and may belong to many documents."""

    def __init__(self) -> None:
        self.clips = 0  # distinct clips that the known documents are made of
        self.there = 0  # how many of them have a sound
        self._numbers: dict[str, int] = {}
        self._sounds: list[Sound | None] = []
        self._characters = array("L")
        self._failed: set[int] = set()
        self._wanted_by: list[tuple[str, ...]] = []
        self._documents: dict[str, _Document] = {}

    def __repr__(self) -> str:
        return f"<Completion {len(self._documents)} documents, {self.there} of {self.clips} clips there>"

    def add(self, document: str) -> None:
        """Make a document known, as yet without chunks."""
        self._documents[document] = _Document()

    def need(self, document: str, clip_id: str, characters: int = 0) -> None:
        """Append the clip of the document's next chunk, which is of so many characters."""
        entry = self._documents[document]
        number = self._numbers.setdefault(clip_id, len(self._sounds))
        if number == len(self._sounds):
            self._sounds.append(None)
            self._wanted_by.append(())
            self._characters.append(characters)
        self.clips += not self._wanted_by[number]
        entry.clips.append(number)
        if document not in self._wanted_by[number]:
            self._wanted_by[number] = (*self._wanted_by[number], document)
            entry.missing += self._sounds[number] is None
            entry.failed += number in self._failed

    def needs(self, clip_id: str) -> bool:
        """Whether some document still waits for this clip, and it was not given up."""
        number = self._numbers.get(clip_id)
        return (
            number is not None
            and self._sounds[number] is None
            and number not in self._failed
            and bool(self._wanted_by[number])
        )

    def have(self, clip_id: str, sound: Sound) -> list[str]:
        """Note that a clip is there; the documents for which nothing more can come, now that it is."""
        number = self._numbers.get(clip_id)
        if number is None or not self._wanted_by[number]:
            return []
        new, self._sounds[number] = self._sounds[number] is None, sound
        if not new:
            return []
        self.there += 1
        for name in self._wanted_by[number]:
            self._documents[name].missing -= 1
            self._documents[name].failed -= number in self._failed
        self._failed.discard(number)
        return self._settled(number)

    def fail(self, clip_id: str) -> list[str]:
        """Note that a clip was given up; the documents for which nothing more can come, now that it is."""
        number = self._numbers.get(clip_id)
        if number is None or number in self._failed or self._sounds[number] is not None:
            return []
        self._failed.add(number)
        for name in self._wanted_by[number]:
            self._documents[name].failed += 1
        return self._settled(number)

    def lose(self, clip_id: str) -> None:
        """Note that a clip is not there after all."""
        number = self._numbers[clip_id]
        if self._sounds[number] is not None:
            self._sounds[number] = None
            self.there -= 1
            for name in self._wanted_by[number]:
                self._documents[name].missing += 1

    def sounds(self, document: str) -> NDArray[np.void]:
        """The sounds of a whole document in reading order, packed (see ``SOUND_DTYPE``)."""
        return pack(sound for number in self._documents[document].clips if (sound := self._sounds[number]) is not None)

    def is_whole(self, document: str) -> bool:
        return not self._documents[document].missing

    def is_settled(self, document: str) -> bool:
        """Whether nothing more can come for it: whole, or all that is missing was given up."""
        return self._documents[document].missing == self._documents[document].failed

    def missing(self, document: str) -> int:
        """How many distinct clips the document lacks."""
        return self._documents[document].missing

    def lacking(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Every clip without a sound that some document needs: its id, its characters, those documents."""
        for clip_id, number in self._numbers.items():
            if self._sounds[number] is None and self._wanted_by[number]:
                yield clip_id, self._characters[number], self._wanted_by[number]

    def release(self, document: str) -> None:
        """Forget a document, and the sounds that only it needed."""
        for number in set(self._documents.pop(document).clips):
            self._wanted_by[number] = tuple(name for name in self._wanted_by[number] if name != document)
            if not self._wanted_by[number]:
                self.clips -= 1
                self.there -= self._sounds[number] is not None
                self._sounds[number] = None

    def _settled(self, number: int) -> list[str]:
        return [name for name in self._wanted_by[number] if self.is_settled(name)]
