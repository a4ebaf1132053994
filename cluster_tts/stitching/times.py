"""What is written beside the audio of a document: measured times as JSON, and cues as SubRip and WebVTT.

Rows of the JSON stand in reading order, cues in the order in which they are heard; only rows that come too early are
held.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from cluster_tts.stitching.fit import Timeline
from cluster_tts.stitching.order import Piece

SCHEMA_VERSION = 2
BESIDE = ("json", "srt", "vtt")
"""The suffixes of what stands beside every document."""

MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

_json = partial(json.dumps, ensure_ascii=False)


class Times:
    """The three files while they are written; ``head`` and what ``close`` is given are the JSON's own entries."""

    def __init__(self, files: Sequence[TextIO], head: Mapping[str, Any]) -> None:
        self._json, self._srt, self._vtt = files
        self._rate = int(head["rate"])
        self._cues = 0
        self._rows = 0  # that were written
        self._early: dict[int, str] = {}
        self._json.write(f'{_json(head)[:-1]}, "chunks": [')
        self._vtt.write("WEBVTT\n\n")

    def add(self, number: int, piece: Piece, place: np.void, more: Mapping[str, Any]) -> None:
        """Tell of a piece: where it lies, and ``more`` that its row has to say."""
        self._cue(piece, int(place["start"]) / self._rate, int(place["end"]) / self._rate)
        self._early[number] = _json(_row(piece, place, more))
        while (row := self._early.pop(self._rows, None)) is not None:
            self._json.write(f"{',' if self._rows else ''}\n{row}")
            self._rows += 1

    def close(self, tail: Mapping[str, Any], lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Write the end: ``lists`` have a line for each of their entries, for diff and grep."""
        for name, entries in lists.items():
            self._json.write(f'\n], "{name}": [')
            self._json.write(",".join(f"\n{_json(entry)}" for entry in entries))
        self._json.write(f"\n], {_json(tail)[1:]}\n")

    def _cue(self, piece: Piece, start_s: float, end_s: float) -> None:
        self._cues += 1
        text = "\n".join(line for line in piece.text.splitlines() if line.strip())  # a blank line ends a cue
        start, end = _clock(start_s), _clock(end_s)
        self._srt.write(f"{self._cues}\n{start} --> {end}\n{text}\n\n")
        speaker = " ".join((piece.role.speaker or "").split()).translate(MARKUP)
        said = f"<v {speaker}>{text.translate(MARKUP)}" if speaker else text.translate(MARKUP)
        self._vtt.write(f"{self._cues}\n{start.replace(',', '.')} --> {end.replace(',', '.')}\n{said}\n\n")


@contextmanager
def times(paths: Sequence[Path], head: Mapping[str, Any]) -> Iterator[Times]:
    """``Times`` that are written to ``paths``, one for each of ``BESIDE``."""
    json_path, srt_path, vtt_path = paths
    with (
        json_path.open("w", encoding="utf-8") as measured,
        srt_path.open("w", encoding="utf-8") as srt,
        vtt_path.open("w", encoding="utf-8") as vtt,
    ):
        yield Times((measured, srt, vtt), head)


def timed(number: int, piece: Piece, timeline: Timeline | None) -> dict[str, Any]:
    """What the row of a piece with times says besides: when it was to be heard, and what was done for it."""
    if timeline is None:
        return {}
    unit, fitted = timeline.of(number)
    return {
        "slot": asdict(unit.slot), "stretch": fitted.stretch, "did": list(fitted.did), "shift_s": fitted.shift_s,
        "over_s": fitted.over_s, "speed": piece.speed,
    }  # fmt: skip


def _row(piece: Piece, place: np.void, more: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": piece.index, "paragraph": piece.paragraph, "clip_id": piece.clip_id, **more,
        "start_frame": int(place["start"]), "end_frame": int(place["end"]), "gap_frames": int(place["gap"]),
        "overlap_frames": int(place["overlap"]), "gain": float(place["gain"]), "text": piece.text,
    }  # fmt: skip
    for name, key in ("skip", "skip_frames"), ("fade_in", "fade_in_frames"), ("fade_out", "fade_out_frames"):
        if place[name]:
            row[key] = int(place[name])
    role = piece.role
    row |= {"heading": True} if role.heading else {}
    row |= {"speaker": role.speaker} if role.speaker is not None else {}
    row |= {"item": role.item} if role.item is not None else {}
    return row


def _clock(seconds: float) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{ms:03}"
