"""Clips on disk: ``<folder>/<aa>/<clip id>.<format>``, named by what decides their sound, there only when whole.

A clip is written beside its place, decoded to its end, and only then renamed into it. So a file that exists was
checked, and two workers who make the same clip at once do no harm.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import soundfile as sf

from cluster_tts.errors import RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Sound

BLOCK_FRAMES = 65_536
STREAMED_LENGTH = 0x7FFF_0000  # from here on a WAV's length means "unknown": it was sent before it was measured
ID_LENGTH = 32  # hex digits: 128 bits, so that two texts never meet in one name


def clip_id(settings: ProviderSettings, revision: str, text: str) -> str:
    """The name of the sound that ``text`` has with these settings: a digest of everything that decides it.

    The clip's own bytes do not count: an embedded voice computes others on another processor.
    """
    identity = [settings.name, revision, settings.model, settings.voice, settings.format, settings.options, text]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:ID_LENGTH]


def digest(path: Path) -> str:
    """SHA-256 of the file at ``path``, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def probe(path: Path) -> Sound:
    """What is in the audio file at ``path``, after decoding all of it.

    Raises:
        RetryLater: the file is empty, no audio, without samples, or shorter than its own header says.
    """
    size = path.stat().st_size
    if not size:
        raise RetryLater("the audio is empty (0 bytes)", kind="empty_audio")
    try:
        with sf.SoundFile(path) as file:
            rate, declared, frames = int(file.samplerate), int(file.frames), 0
            while read := len(file.read(BLOCK_FRAMES, dtype="int16", always_2d=True)):
                frames += read
    except (sf.LibsndfileError, RuntimeError) as error:
        raise RetryLater(f"this is no audio file: {error}", kind="not_audio") from None
    if not frames:
        raise RetryLater("the audio holds no samples", kind="empty_audio")
    if frames < declared:
        raise RetryLater(f"the audio ends after {frames} of {declared} frames", kind="cut_audio")
    if size < (whole := _declared_size(path)):
        raise RetryLater(f"the audio ends after {size} of {whole} bytes", kind="cut_audio")
    return Sound(frames, rate, size, digest(path))


def _declared_size(path: Path) -> int:
    """Where the samples of a WAV end by its header, in bytes; 0 where it does not say.

    libsndfile shortens a cut WAV to what is there without a word, so its count of frames proves nothing.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return file.tell() + length if length < STREAMED_LENGTH else 0
            file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def refuse_implausible(sound: Sound, text: str, band: list[float] | None) -> None:
    """Raise ``RetryLater`` if ``sound`` is too short or too long to be speech of ``text``.

    ``band`` is the least and most characters a second that are believed. Half a second of slack below and three
    above keep single words out of it, and a digit counts as four characters, for "7" is read as a word.
    """
    if band is None:
        return
    length = len(text) + 3 * sum(character.isdigit() for character in text)
    least, most = len(text) / band[1] - 0.5, length / band[0] + 3.0
    if not least <= sound.seconds <= most:
        raise RetryLater(
            f"{sound.seconds:.1f} s of audio cannot be {len(text)} characters of speech "
            f"(believed: {max(least, 0):.1f} to {most:.1f} s, see check.characters_per_second)",
            kind="implausible_length",
        )


class Clips:
    """The clips in one folder. Safe for many processes: every change is one rename."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder = folder
        self.suffix = suffix

    def path(self, clip: str) -> Path:
        """Where the clip of this id stands, or would stand."""
        return self.folder / clip[:2] / f"{clip}.{self.suffix}"

    @contextmanager
    def temporary(self, clip: str) -> Iterator[Path]:
        """A path beside the clip's place to write to; whatever is left there at the end is removed."""
        final = self.path(clip)
        final.parent.mkdir(parents=True, exist_ok=True)
        path = final.with_name(f".{clip}.{uuid.uuid4().hex[:8]}.part")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def publish(self, temporary: Path, clip: str) -> None:
        """Give the checked file its name; from here on it exists."""
        temporary.replace(self.path(clip))

    def remove(self, clip: str) -> None:
        """Forget a clip that turned out not to be what it should."""
        self.path(clip).unlink(missing_ok=True)

    def listing(self) -> dict[str, int]:
        """Size in bytes by clip id of all that is there, from names alone: nothing is opened."""
        found: dict[str, int] = {}
        for shelf in _entries(self.folder):
            for entry in _entries(shelf) if shelf.is_dir() else ():
                stem, dot, suffix = entry.name.rpartition(".")
                if dot and suffix == self.suffix and len(stem) == ID_LENGTH and stem.startswith(shelf.name):
                    with suppress(FileNotFoundError):  # another run may remove a clip meanwhile
                        found[stem] = entry.stat().st_size
        return found


def _entries(folder: Path | os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from entries
