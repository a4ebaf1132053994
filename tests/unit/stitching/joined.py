"""Clips made for the occasion, joined and read back."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile as sf

from cluster_tts.checking import probe
from cluster_tts.job import StitchingSettings, TimelineSettings
from cluster_tts.model import PLAIN, Role
from cluster_tts.stitching import Files, Joined, Piece, stitch
from cluster_tts.storage import LocalFolder

RATE = 24_000
GAP, PARAGRAPH_GAP = 6_000, 14_400  # 250 and 600 ms

USUAL_TIMES = TimelineSettings()

MakePiece = Callable[..., Piece]


def noise(frames: int, seed: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20_000, 20_000, (frames, channels), np.int16)


def tone(hertz: float, frames: int, rate: int = RATE) -> np.ndarray:
    return np.rint(12_000 * np.sin(2 * np.pi * hertz * np.arange(frames) / rate)).astype(np.int16)


def loudest_hertz(samples: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


class Scattered:
    """Clips that stand anywhere, in any format."""

    is_local = True

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}

    def absolute(self) -> "Scattered":
        return self

    def address(self, clip: str) -> str:
        return str(self.paths[clip])

    @contextmanager
    def local(self, clip: str) -> Iterator[Path]:
        yield self.paths[clip]


CLIPS = Scattered()


def files(out: Path) -> Files:
    return Files(cast(Any, CLIPS), LocalFolder(out))


@dataclass(frozen=True)
class Written:
    """What came of a joining, and where it stands."""

    joined: Joined
    path: Path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.joined, name)


def join(pieces: list[Piece], out: Path, timeline: TimelineSettings = USUAL_TIMES, **settings: object) -> Written:
    joined = stitch("book", lambda: iter(pieces), files(out), StitchingSettings(**settings), timeline)  # type: ignore[arg-type]
    return Written(joined, out / joined.path)


def measured(out: Path) -> dict[str, Any]:
    """What the JSON beside the document says."""
    return cast(dict[str, Any], json.loads((out / "documents/book.json").read_text(encoding="utf-8")))


def samples_of(joined: Written) -> np.ndarray:
    samples, rate = sf.read(joined.path, dtype="int16")
    assert rate == joined.rate
    return samples


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def maker(folder: Path) -> MakePiece:
    """What makes pieces, each with a clip in ``folder``."""

    def make(
        index: int,
        samples: np.ndarray,
        *,
        rate: int = RATE,
        paragraph: int = 0,
        text: str = "Hello.",
        kind: str = "wav",
        role: Role = PLAIN,
        speed: float = 1.0,
    ) -> Piece:
        path = folder / "clips" / f"c{index}.{kind}"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, samples, rate, "FLOAT" if samples.dtype == np.float32 else None)
        CLIPS.paths[f"clip-{index}"] = path
        return Piece(index, paragraph, text, f"clip-{index}", probe(path), role, speed)

    return make
