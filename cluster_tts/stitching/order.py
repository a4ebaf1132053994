"""The pieces of a document in reading order: what stands between two of them, and which of them are one item."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_tts.documents.names import alike, safe
from cluster_tts.job import StitchingSettings
from cluster_tts.model import PLAIN, Role, Sound
from cluster_tts.resampling import resampled_frames
from cluster_tts.stitching.layout import CLIP


class Item(NamedTuple):
    """What an item is told by: the ``id`` that its source gives, or the number of its paragraph if that gives none."""

    id: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of a document, as joining needs it; ``sound`` is what the manifest says of its clip.

    ``speed`` is how much faster than usual it was asked to be spoken.
    """

    index: int
    paragraph: int
    text: str
    clip_id: str
    sound: Sound
    role: Role = PLAIN
    speed: float = 1.0


@dataclass(slots=True)
class Order:
    """What joining has to know of all pieces at once, a few bytes each.

    ``gaps`` are the frames of silence after each, ``near`` is where the next one is cut from the same paragraph.
    ``items`` are the items, ``firsts`` the numbers of the pieces they begin with; ``headings`` the number and text of
    each piece that is one.
    """

    rate: int
    clips: NDArray[np.void]
    gaps: NDArray[np.int64]
    near: NDArray[np.bool_]
    items: list[Item] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)


def read_order(pieces: Iterator[Piece], rate: int, settings: StitchingSettings) -> Order:
    """``pieces`` as they are joined at ``rate``, with clips as the manifest has them: nothing is known of silence."""
    frames, gaps, near = array("q"), array("q"), array("b")
    items: list[Item] = []
    firsts: list[int] = []
    headings: list[tuple[int, str]] = []
    before: Piece | None = None
    for number, piece in enumerate(pieces):
        frames.append(resampled_frames(piece.sound.frames, piece.sound.rate, rate))
        if before is not None:
            gaps.append(round(rate * gap_ms(before, piece, settings) / 1000))
            near.append(is_near(before, piece))
        if settings.each_item and (before is None or item_of(before) != item_of(piece)):
            items.append(item_of(piece))
            firsts.append(number)
        if piece.role.heading:
            text = " ".join(piece.text.split())
            if before is not None and before.role.heading and is_near(before, piece):
                headings[-1] = (headings[-1][0], f"{headings[-1][1]} {text}")
            else:
                headings.append((number, text))
        before = piece
    gaps.append(0)
    near.append(False)
    clips = np.zeros(len(frames), CLIP)
    clips["frames"], clips["gain"] = frames, 1.0
    return Order(rate, clips, np.array(gaps, np.int64), np.array(near, np.bool_), items, firsts, headings)


def gap_ms(before: Piece, after: Piece, settings: StitchingSettings) -> int:
    """The silence between two pieces that follow each other."""
    if is_near(before, after):
        return settings.gap_ms
    if before.role.heading or after.role.heading:
        return settings.heading_gap_ms
    speakers = before.role.ends or before.role.speaker, after.role.begins or after.role.speaker
    return settings.speaker_gap_ms if None not in speakers and len({*speakers}) == 2 else settings.paragraph_gap_ms


def is_near(before: Piece, after: Piece) -> bool:
    """Whether both are cut from one paragraph."""
    return before.paragraph == after.paragraph and before.role.item == after.role.item


def item_of(piece: Piece) -> Item:
    """The item that a piece belongs to."""
    if piece.role.item is not None:
        return Item(piece.role.item, is_own=True)
    return Item(f"{piece.paragraph + 1:04}", is_own=False)


def names_of(pieces: Iterable[Piece]) -> dict[Item, list[str]]:
    """What the files of items are called, without a suffix, no two alike: of each item one for every run of ``pieces``,
    in order. They are all that the document has, so that a name does not hang on which of them are there."""
    names: dict[Item, list[str]] = {}
    taken: set[str] = set()
    for item, _ in groupby(pieces, key=item_of):
        number, name = 1, safe(item.id)
        while alike(name) in taken:  # on some disks "A" is "a"
            number += 1
            name = f"{safe(item.id)}-{number}"
        taken.add(alike(name))
        names.setdefault(item, []).append(name)
    return names
