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

from cluster_tts.job import ProviderSettings

ID_LENGTH = 32  # hex digits: 128 bits, so that two texts never meet in one name


def clip_id(settings: ProviderSettings, revision: str, text: str, before: str = "", after: str = "") -> str:
    """The name of the sound that ``text`` has with these settings: a digest of everything that decides it.

    ``before`` and ``after`` are its context, where that is sent along. The clip's own bytes do not count: an embedded
    voice computes others on another processor.
    """
    identity = [settings.name, revision, settings.model, settings.voice, settings.format, settings.options, text]
    if before or after:
        identity += [before, after]
    if settings.inputs:
        identity.append({"inputs": settings.inputs})
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:ID_LENGTH]


def file_name(clip: str, suffix: str) -> str:
    """The name of a clip's file in its folder."""
    return f"{clip[:2]}/{clip}.{suffix}"


def digest(path: Path) -> str:
    """SHA-256 of the file at ``path``, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Clips:
    """The clips in one folder. Safe for many processes: every change is one rename."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder = folder
        self.suffix = suffix

    def path(self, clip: str) -> Path:
        """Where the clip of this id stands, or would stand."""
        return self.folder / file_name(clip, self.suffix)

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
