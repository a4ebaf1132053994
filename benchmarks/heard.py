"""What finished documents say of themselves, and what is heard in them. Nothing here knows how they were made.

Reads ``documents/<name>.json`` and the audio beside it. An emulator's speech carries the digest of its text as tones;
those are read back by the emulator's own ear, everything else is reckoned here.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from cluster_tts.emulator.speech import read_back, read_back_file

DIGITS = 10  # 40 bits of the SHA-256 of a text
LOUD = 10 ** (-40 / 20)  # the emulators' edges are silent, their tones begin far above this
QUIET_BEFORE_S = 0.02  # a sound begins where there was none for so long
TONES_S = 0.26  # what a digest takes


@dataclass(frozen=True)
class Finished:
    """A document that is there: what its JSON says, and the path of its audio, if it was joined."""

    name: str
    audio: Path | None
    rate: int
    frames: int
    chunks: list[dict[str, Any]]
    cues: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All its chunks in reading order, a blank between them."""
        return " ".join(chunk["text"] for chunk in self.chunks)


def finished(out: Path) -> dict[str, Finished]:
    """Every document in OUT, by name."""
    return {path.stem: read(path) for path in sorted((out / "documents").glob("*.json"))}


def read(path: Path) -> Finished:
    told = json.loads(path.read_text(encoding="utf-8"))
    audio = path.parent / told["audio"] if told["audio"] else None
    return Finished(path.stem, audio, told["rate"], told["frames"], told["chunks"], told.get("cues", []))


def digest_of(text: str) -> str:
    """What speech of exactly this text carries, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGITS]


def digests(path: Path) -> list[tuple[str, float]]:
    """Every digest heard in an audio file and the second at which its tones begin, in order."""
    return [(f"{found.digest:0{DIGITS}x}", found.start_s) for found in read_back_file(path)]


def digests_between(file: sf.SoundFile, start_s: float, end_s: float) -> list[tuple[str, float]]:
    """The same for a piece of a file; seconds count from the beginning of the file."""
    samples, begin_s = _between(file, start_s, end_s)
    return [(f"{found.digest:0{DIGITS}x}", begin_s + found.start_s) for found in read_back(samples, file.samplerate)]


def onset_s(file: sf.SoundFile, around_s: float, before_s: float, after_s: float) -> float | None:
    """When sound begins after a silence, the first time near ``around_s``; None: there is no silence, or no sound."""
    samples, begin_s = _between(file, around_s - before_s, around_s + after_s)
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    quiet_before = np.diff(loud, prepend=-1 if begin_s > 0 else -file.samplerate) - 1
    begun = loud[quiet_before >= QUIET_BEFORE_S * file.samplerate]
    return begin_s + float(begun[0]) / file.samplerate if len(begun) else None


def loud_ends(path: Path) -> tuple[float, float]:
    """From when to when anything is heard in a file."""
    samples, rate = sf.read(path, dtype="float32")
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return (float(loud[0]) / rate, float(loud[-1] + 1) / rate) if len(loud) else (0.0, 0.0)


def letters(text: str) -> str:
    """A text without anything that is no letter or digit: what no reader of files may lose."""
    return "".join(sign for sign in unicodedata.normalize("NFC", text) if sign.isalnum())


def covered(chunks: list[dict[str, Any]], rate: int, guard_s: float = 0.03) -> list[bool]:
    """For each chunk, whether another is heard just before its beginning or while its tones sound."""
    spans = [(chunk["start_frame"], chunk["end_frame"]) for chunk in chunks]
    guard, tones = round(guard_s * rate), round((TONES_S + guard_s) * rate)
    order = sorted(range(len(spans)), key=lambda at: spans[at])
    found = [False] * len(spans)
    latest_end, previous = -1, -1
    for at in order:
        start = spans[at][0]
        if latest_end > start - guard:
            found[at] = True
        if previous >= 0 and start < spans[previous][0] + tones:
            found[previous] = True
        latest_end, previous = max(latest_end, spans[at][1]), at
    return found


def silent_between(file: sf.SoundFile, start: int, end: int) -> bool:
    """Whether nothing is heard from one frame to another."""
    file.seek(start)
    return not np.any(np.abs(file.read(end - start, dtype="float32")) > LOUD)


def voices_by_digest(log: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """With which voices each text was asked for, by its digest, as an emulator's log tells."""
    found: dict[str, set[str]] = {}
    for entry in log:
        for digest, voice in entry["said"]:
            found.setdefault(digest, set()).add(voice)
    return found


def _between(file: sf.SoundFile, start_s: float, end_s: float) -> tuple[NDArray[np.float32], float]:
    """Samples of a file and the second at which they begin."""
    begin = min(max(0, round(start_s * file.samplerate)), file.frames)
    file.seek(begin)
    samples: NDArray[np.float32] = file.read(max(0, round(end_s * file.samplerate) - begin), dtype="float32")
    return samples, begin / file.samplerate
