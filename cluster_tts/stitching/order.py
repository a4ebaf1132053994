"""The pieces of a document in reading order: what stands between two of them, and which of them are one item."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from cluster_tts.job import StitchingSettings
from cluster_tts.model import PLAIN, Role, Sound
from cluster_tts.stitching.layout import CLIP

LONGEST_NAME = 180  # bytes; with a suffix and what is added while it is written it has to stay below 255
UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]|^\.")  # what the name of a file is better without


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
    ``items`` are the ids of items and the names of their files, ``firsts`` the numbers of the pieces they begin with;
    ``headings`` the number and text of each piece that is one.
    """

    rate: int
    clips: NDArray[np.void]
    gaps: NDArray[np.int64]
    near: NDArray[np.bool_]
    items: list[tuple[str, str]] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)


def read_order(pieces: Iterator[Piece], rate: int, settings: StitchingSettings) -> Order:
    """``pieces`` as they are joined at ``rate``, with clips as the manifest has them: nothing is known of silence."""
    frames, gaps, near = array("q"), array("q"), array("b")
    items: list[tuple[str, str]] = []
    firsts: list[int] = []
    headings: list[tuple[int, str]] = []
    taken: set[str] = set()
    before: Piece | None = None
    for number, piece in enumerate(pieces):
        frames.append(resampled_frames(piece.sound, rate))
        if before is not None:
            gaps.append(round(rate * gap_ms(before, piece, settings) / 1000))
            near.append(is_near(before, piece))
        if settings.each_item and (before is None or item_of(before) != item_of(piece)):
            items.append((item_of(piece), _file_name(item_of(piece), taken)))
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


def item_of(piece: Piece) -> str:
    """The id of the item that a piece belongs to: what its source says, else the number of its paragraph."""
    return piece.role.item if piece.role.item is not None else f"{piece.paragraph + 1:04}"


def resampled_frames(sound: Sound, rate: int) -> int:
    """How many frames ``sound`` has at ``rate``: to the nearest, halves up, exactly as soxr counts."""
    return (2 * sound.frames * rate + sound.rate) // (2 * sound.rate)


def _file_name(item: str, taken: set[str]) -> str:
    """``item`` as a file can be called, unlike all that are ``taken``, and noted there."""
    name = UNFIT.sub("_", item) or "_"
    if len(name.encode()) > LONGEST_NAME:
        name = f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{sha256(item.encode()).hexdigest()[:8]}"
    number, unique = 1, name
    while unique.casefold() in taken:  # on some disks "A" is "a"
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique.casefold())
    return unique
