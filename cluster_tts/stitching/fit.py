"""Pieces of a document with times, each where its cues say: what ``timeline`` decides, in frames."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_tts.job import TimelineSettings
from cluster_tts.model import Slot
from cluster_tts.stitching.layout import PLACE, Layout, with_neighbours
from cluster_tts.stitching.order import Order, Piece
from cluster_tts.timeline import Bounds, Fitted, fit

WORDS = ("space", "speed", "stretch", "shift", "over")


@dataclass(slots=True)
class Unit:
    """Pieces from ``first`` to ``last`` that are spoken as one over the ``cues`` they share.

    Pieces without a time follow the one before them; where there is none, they begin with the document.
    """

    first: int
    last: int
    slot: Slot
    cues: tuple[Slot, ...]
    speed: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """A document with times: its units, what was done to each, and by the number of a piece which one it is in."""

    units: list[Unit]
    fitted: list[Fitted]
    unit_of: NDArray[np.intp]

    def of(self, number: int) -> tuple[Unit, Fitted]:
        unit = int(self.unit_of[number])
        return self.units[unit], self.fitted[unit]

    def summary(self) -> dict[str, Any]:
        """How many cues needed what, and which share that is; the largest delay and overlap."""
        cues = sum(len(unit.cues) for unit in self.units)
        needed = Counter[str]()
        for unit, fitted in zip(self.units, self.fitted, strict=True):
            needed.update({word: len(unit.cues) for word in fitted.did or ("nothing",)})
        return {
            "cues": cues,
            "needed": {
                word: {"cues": needed[word], "share": round(needed[word] / max(1, cues), 4)}
                for word in ("nothing", *WORDS)
            },
            "largest_shift_s": max(fitted.shift_s for fitted in self.fitted),
            "largest_stretch": max(fitted.stretch for fitted in self.fitted),
            "largest_over_s": max(fitted.over_s for fitted in self.fitted),
        }

    def cues(self, layout: Layout) -> list[dict[str, Any]]:
        """An entry for each cue, in the order of the file; only the first of a unit has a frame that it begins at."""
        entries = []
        for unit, fitted in zip(self.units, self.fitted, strict=True):
            start: int | None = int(layout.places["start"][unit.first])
            for cue in unit.cues:
                entries.append({**asdict(cue), "chunk": unit.first, "start_frame": start, "did": list(fitted.did)})
                start = None
        return entries


def units_of(pieces: Sequence[Piece]) -> list[Unit]:
    """What is spoken as one: pieces of one paragraph, for a cue may be too long for one request."""
    units: list[Unit] = []
    for number, piece in enumerate(pieces):
        cues, slot, before = piece.role.cues, piece.role.slot, pieces[number - 1] if number else None
        if units and (slot is None or (before and _is_continued(before, piece))):
            units[-1].last = number
            units[-1].speed = max(units[-1].speed, piece.speed)
        else:
            units.append(Unit(number, number, slot or Slot(0.0, 0.0), cues, piece.speed))
    return units


def _is_continued(before: Piece, piece: Piece) -> bool:
    return before.paragraph == piece.paragraph and before.role.cues == piece.role.cues


def on_time(
    pieces: Sequence[Piece], order: Order, clips: NDArray[np.void], skipped: NDArray[np.int64],
    settings: TimelineSettings,
) -> tuple[NDArray[np.void], Timeline]:  # fmt: skip
    """Places for ``clips`` over the cues of their pieces, in reading order."""
    units = units_of(pieces)
    spoken = [int(clips["frames"][unit.first : unit.last + 1].sum() + _inner(order, unit).sum()) for unit in units]
    sequence = sorted(range(len(units)), key=lambda number: units[number].slot.start_s)
    timed = fit(
        [units[number].slot for number in sequence],
        [spoken[number] / order.rate for number in sequence],
        [units[number].speed for number in sequence],
        Bounds.of(settings),
    )
    fitted = [one for _, one in sorted(zip(sequence, timed, strict=True), key=lambda pair: pair[0])]
    places = np.zeros(len(clips), PLACE)
    places["taken"], places["skip"], places["gain"] = clips["frames"], skipped, clips["gain"]
    for unit, one in zip(units, fitted, strict=True):
        at = round(one.start_s * order.rate)
        gaps = [*_inner(order, unit).tolist(), 0]
        for number, gap in zip(range(unit.first, unit.last + 1), gaps, strict=True):
            frames = _stretched(int(clips["frames"][number]), one.stretch)
            places["start"][number], places["end"][number] = at, at + frames
            at += frames + round(gap / one.stretch)
    unit_of = np.repeat(np.arange(len(units)), [unit.last - unit.first + 1 for unit in units])
    return places, Timeline(units, fitted, unit_of)


def in_time_order(places: NDArray[np.void], rate: int, least: int) -> Layout:
    """``places`` with their neighbours known, in a document of at least so many frames."""
    frames = max(least, int(places["end"].max()))
    sequence = np.argsort(places["start"], kind="stable")
    known = places.copy()
    known[sequence] = with_neighbours(places[sequence], frames)
    return Layout(rate, known, frames, times=True)


def _inner(order: Order, unit: Unit) -> NDArray[np.int64]:
    """The gaps between the pieces of a unit."""
    return order.gaps[unit.first : unit.last]


def _stretched(frames: int, stretch: float) -> int:
    return max(-(-frames // 2), round(frames / stretch))  # and never faster than twice, which is the most that can be
