"""Audio files to samples, a block at a time: 16 bits, all channels, whatever the file holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import soundfile as sf

from cluster_tts.audio import Samples, to_int16

BLOCK_FRAMES = 65_536


class AudioFile(sf.SoundFile):  # type: ignore[misc]  # it carries no types
    """A sound file that is read from its beginning to its end.

    soundfile seeks to where it already is after every read. In MP3 that seek loses what earlier frames hold for later
    ones: of a file of variable bit rate 85 of 102 blocks began damaged, 660 ms of 27 s were wrong.
    """

    def __init__(self, file: Path | BinaryIO, **form: str | int) -> None:
        """``form`` says what a file without a header cannot: as ``soundfile.SoundFile`` takes it."""
        super().__init__(file, "r", **form)

    def seekable(self) -> bool:
        return False

    def blocks_of(self, frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """The samples, shaped (frames, channels), in blocks of ``frames``; the last may be shorter."""
        # libsndfile does not scale floats that it is asked for as integers: 0.5 would become 0.
        is_float = self.subtype in ("FLOAT", "DOUBLE")
        while len(block := self.read(frames, "float64" if is_float else "int16", always_2d=True)):
            yield to_int16(block) if is_float else block
