"""Where every piece of a document lies, as arithmetic on what is known of its clips. No audio, no files."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLIP = np.dtype([("frames", "<i8"), ("head", "<i8"), ("tail", "<i8"), ("gain", "<f8")])
"""A clip at the rate of the document: its length, how much of that is silence at either edge, what to multiply by."""

PLACE = np.dtype(
    [(name, "<i8") for name in ("start", "end", "skip", "taken", "gap", "overlap", "fade_in", "fade_out")]
    + [("gain", "<f8")]
)
"""Where a piece lies, in frames: from ``start`` to ``end`` stand ``taken`` frames of its clip, all but ``skip`` at its
beginning; ``gap`` are those of silence after it, ``overlap`` those it has in common with what is before it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How much silence stays at the edges of clips, in frames; None: as much as there is."""

    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """How a piece begins or ends: over its neighbour by so many frames, or ``touches`` it without silence between."""

    overlap: int = 0
    touches: bool = False


class Layout:
    """A whole document: ``places`` in reading order, ``frames`` in all.

    ``sequence`` are the numbers of the pieces in the order in which they begin. Pieces that overlap are crossfaded, or
    with ``times``, where everybody speaks for himself, only mixed.
    """

    def __init__(self, rate: int, places: NDArray[np.void], frames: int, times: bool = False) -> None:
        self.rate = rate
        self.places = places
        self.frames = frames
        self.sequence = np.argsort(places["start"], kind="stable")
        self._turns = np.argsort(self.sequence)  # of each piece, when it begins
        self._times = times

    @property
    def is_in_reading_order(self) -> bool:
        return bool(np.all(self.sequence[1:] > self.sequence[:-1]))

    def until(self, number: int) -> int:
        """The frame before which those that begin after the piece of this number have nothing to say."""
        following = self._at(int(self._turns[number]) + 1)
        return self.frames if following is None else int(following["start"])

    def edges(self, number: int) -> tuple[Edge, Edge]:
        """How the piece of this number meets what is before it, and what is behind it."""
        turn, place = int(self._turns[number]), self.places[number]
        return self._edge(self._at(turn - 1), place), self._edge(place, self._at(turn + 1))

    def _at(self, turn: int) -> np.void | None:
        """The place of the piece whose turn it is to begin."""
        return self.places[self.sequence[turn]] if 0 <= turn < len(self.places) else None

    def _edge(self, before: np.void | None, after: np.void | None) -> Edge:
        """Between two that begin one after the other; None: there is none."""
        if before is None or after is None:
            return Edge()
        overlap = 0 if self._times else int(after["overlap"])
        return Edge(overlap, touches=not overlap and int(before["gap"]) == 0)

    def spans(self, firsts: list[int]) -> list[tuple[int, int]]:
        """From where to where the pieces lie of each run of them; a run ends where the next one begins."""
        starts = np.minimum.reduceat(self.places["start"], firsts)
        ends = np.maximum.reduceat(self.places["end"], firsts)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


def trimmed(clips: NDArray[np.void], kept: Kept) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """``clips`` with no more silence at their edges than is ``kept``, and how many frames of each are skipped.

    Of one that is nothing but silence as much is left as of that at one edge, where any is taken away at all: no file
    can hold nothing.
    """
    if kept == Kept():
        return clips, np.zeros(len(clips), np.int64)
    left = clips.copy()
    silent = clips["head"] == clips["frames"]
    if kept.after is not None:
        left["tail"] = np.minimum(clips["tail"], kept.after)
    if kept.before is not None:
        least = np.minimum(clips["frames"], max(kept.before, kept.after or 0))
        left["head"] = np.where(silent, 0, np.minimum(clips["head"], kept.before))
        left["tail"] = np.where(silent, least, left["tail"])
    left["frames"] -= (clips["head"] - left["head"]) + (clips["tail"] - left["tail"])
    return left, np.where(silent, 0, clips["head"] - left["head"])


def in_a_row(
    clips: NDArray[np.void], gaps: NDArray[np.int64], near: NDArray[np.bool_], crossfade: int = 0
) -> NDArray[np.void]:
    """Places of ``clips`` one after the other, ``gaps`` apart.

    With a ``crossfade``, those that are ``near`` the next have no gap before it: the two overlap by so many frames, but
    only as far as both have silence there.
    """
    places = np.zeros(len(clips), PLACE)
    places["taken"], places["gain"], places["gap"] = clips["frames"], clips["gain"], gaps
    if crossfade:
        silence = np.minimum(clips["tail"][:-1], clips["head"][1:])
        places["overlap"][1:] = np.where(near[:-1], np.minimum(silence, crossfade), 0)
        places["gap"][:-1][near[:-1]] = 0
    places["gap"][-1] = 0
    ends = np.cumsum(clips["frames"] + places["gap"] - places["overlap"]) - places["gap"]
    places["start"], places["end"] = ends - clips["frames"], ends
    return places


def with_neighbours(places: NDArray[np.void], frames: int) -> NDArray[np.void]:
    """``places``, in the order in which they begin, with the silence after each, and how much of each lies over what
    began before it and is still going on."""
    places = places.copy()
    ends = np.maximum.accumulate(places["end"])
    places["gap"] = np.maximum(0, np.append(places["start"][1:], frames) - ends)
    places["overlap"][1:] = np.clip(ends[:-1] - places["start"][1:], 0, places["end"][1:] - places["start"][1:])
    return places
