"""Which documents are whole, and what each is still waiting for.

Made for a million chunks: clips and documents are small integers, and what was measured of clips is one packed array.
"""

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cluster_tts.model import Sound

SOUND_DTYPE = np.dtype([("frames", "<u8"), ("rate", "<u4"), ("size_bytes", "<u8"), ("sha256", "V32")])
"""One ``Sound``, packed; what a document's joining needs to know of each clip."""


def unpack(row: np.void) -> Sound:
    """One element of such an array as a ``Sound``."""
    return Sound(int(row["frames"]), int(row["rate"]), int(row["size_bytes"]), bytes(row["sha256"]).hex())


@dataclass(slots=True)
class _Document:
    name: str
    number: int
    clips: "array[int]" = field(default_factory=lambda: array("L"))  # in reading order, repeats included
    missing: int = 0  # distinct clips without a sound, those given up included
    failed: int = 0  # distinct clips given up


class Completion:
    """Counts distinct clips, not chunks: equal chunks are one clip, and may belong to many documents."""

    def __init__(self) -> None:
        self.clips = 0  # distinct clips that the known documents are made of
        self.there = 0  # how many of them have a sound
        self._numbers: dict[str, int] = {}
        self._is_there = bytearray()  # by number, as the next three arrays
        self._sounds: NDArray[np.void] = np.zeros(1024, SOUND_DTYPE)  # with room to grow
        self._characters = array("L")
        self._wanted_by = array("L")  # the number of a document; 0: of none
        self._shared: dict[int, dict[int, None]] = {}  # all documents, in order, of each clip that several wanted
        self._failed: set[int] = set()
        self._documents: dict[str, _Document] = {}
        self._by_number: dict[int, _Document] = {}
        self._added = 0

    def __repr__(self) -> str:
        return f"<Completion {len(self._documents)} documents, {self.there} of {self.clips} clips there>"

    def add(self, document: str) -> None:
        """Make a document known, as yet without chunks."""
        self._added += 1
        self._documents[document] = self._by_number[self._added] = _Document(document, self._added)

    def need(self, document: str, clip_id: str, characters: int = 0) -> None:
        """Append the clip of the document's next chunk, which is of so many characters."""
        entry = self._documents[document]
        number = self._numbers.setdefault(clip_id, len(self._is_there))
        if number == len(self._is_there):
            self._is_there.append(False)
            self._wanted_by.append(0)
            self._characters.append(characters)
            if number == len(self._sounds):
                self._sounds = np.concatenate([self._sounds, np.zeros_like(self._sounds)])
        self.clips += not self._wanted_by[number]
        entry.clips.append(number)
        wanting = self._wanting(number)
        if entry.number not in wanting:
            if wanting:
                self._shared.setdefault(number, dict.fromkeys(wanting))[entry.number] = None
            else:
                self._wanted_by[number] = entry.number
            entry.missing += not self._is_there[number]
            entry.failed += number in self._failed

    def needs(self, clip_id: str) -> bool:
        """Whether some document still waits for this clip, and it was not given up."""
        number = self._numbers.get(clip_id)
        return (
            number is not None
            and not self._is_there[number]
            and number not in self._failed
            and bool(self._wanted_by[number])
        )

    def have(self, clip_id: str, sound: Sound) -> list[str]:
        """Note that a clip is there; the documents for which nothing more can come, now that it is."""
        number = self._numbers.get(clip_id)
        if number is None or not self._wanted_by[number]:
            return []
        self._sounds[number] = (sound.frames, sound.rate, sound.size_bytes, bytes.fromhex(sound.sha256))
        if self._is_there[number]:
            return []
        self._is_there[number] = True
        self.there += 1
        for entry in self._entries(number):
            entry.missing -= 1
            entry.failed -= number in self._failed
        self._failed.discard(number)
        return self._settled(number)

    def fail(self, clip_id: str) -> list[str]:
        """Note that a clip was given up; the documents for which nothing more can come, now that it is."""
        number = self._numbers.get(clip_id)
        if number is None or number in self._failed or self._is_there[number]:
            return []
        self._failed.add(number)
        for entry in self._entries(number):
            entry.failed += 1
        return self._settled(number)

    def lose(self, clip_id: str) -> None:
        """Note that a clip is not there after all."""
        number = self._numbers[clip_id]
        if self._is_there[number]:
            self._is_there[number] = False
            self.there -= 1
            for entry in self._entries(number):
                entry.missing += 1

    def sounds(self, document: str) -> NDArray[np.void]:
        """The sounds of a document in reading order, packed (see ``SOUND_DTYPE``); zeros for what is not there."""
        numbers = np.asarray(self._documents[document].clips)
        packed: NDArray[np.void] = self._sounds[numbers]
        packed[np.frombuffer(self._is_there, np.uint8)[numbers] == 0] = np.zeros(1, SOUND_DTYPE)
        return packed

    def sound(self, clip_id: str) -> Sound | None:
        """What was measured of a clip; None while it is not there."""
        number = self._numbers.get(clip_id)
        return unpack(self._sounds[number]) if number is not None and self._is_there[number] else None

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
            if not self._is_there[number] and self._wanted_by[number]:
                yield clip_id, self._characters[number], tuple(entry.name for entry in self._entries(number))

    def release(self, document: str) -> None:
        """Forget a document, and that the clips only it needed are there."""
        released = self._documents.pop(document)
        del self._by_number[released.number]
        for number in set(released.clips):
            wanting = self._shared.get(number, {})
            wanting.pop(released.number, None)
            if not wanting:
                self._shared.pop(number, None)
                self._wanted_by[number] = 0
                self.clips -= 1
                self.there -= self._is_there[number]
                self._is_there[number] = False

    def _settled(self, number: int) -> list[str]:
        return [entry.name for entry in self._entries(number) if entry.missing == entry.failed]

    def _entries(self, number: int) -> Iterator[_Document]:
        return map(self._by_number.__getitem__, self._wanting(number))

    def _wanting(self, number: int) -> Collection[int]:
        """The numbers of the documents that the clip belongs to, in the order they asked for it."""
        if shared := self._shared.get(number):
            return shared
        return (self._wanted_by[number],) if self._wanted_by[number] else ()
