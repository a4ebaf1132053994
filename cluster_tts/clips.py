"""Clips on disk: ``<folder>/<aa>/<clip id>.<format>``, named by what decides their sound, there only when whole.

A clip is written beside its place, decoded to its end, and only then renamed into it. So a file that exists was
checked, and two workers who make the same clip at once do no harm.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cluster_tts import storage
from cluster_tts.errors import JobError
from cluster_tts.job import Job, ProviderSettings
from cluster_tts.model import Turn
from cluster_tts.storage import Folder

ID_LENGTH = 32  # hex digits: 128 bits, so that two texts never meet in one name

CLIP_ID = re.compile(r"\w[\w-]*", re.ASCII)  # it becomes part of a path


def clip_id(
    settings: ProviderSettings, revision: str, text: str, before: str = "", after: str = "", turns: Sequence[Turn] = ()
) -> str:
    """The name of the sound that ``text`` has with these settings: a digest of everything that decides it.

    ``before`` and ``after`` are its context, where that is sent along, ``turns`` who says what of it in a dialogue. The
    clip's own bytes do not count: an embedded voice computes others on another processor.
    """
    identity = [settings.name, revision, settings.model, settings.voice, settings.format, settings.options, text]
    if before or after:
        identity += [before, after]
    if turns:
        identity.append({"turns": [[turn.text, turn.voice] for turn in turns]})
    if settings.inputs:
        identity.append({"inputs": settings.inputs})
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:ID_LENGTH]


def file_name(clip: str, suffix: str) -> str:
    """The name of a clip's file in its folder."""
    if not CLIP_ID.fullmatch(clip):
        raise JobError(f"{clip!r} is no clip: the manifest was not written by this program; use another OUT")
    return f"{clip[:2]}/{clip}.{suffix}"


def digest(path: Path) -> str:
    """SHA-256 of the file at ``path``, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips in one folder. Safe for many processes: every change is one rename, or one PUT."""

    folder: Folder
    suffix: str

    @classmethod
    def of(cls, job: Job) -> "Clips":
        """Those of a job: in OUT, or where ``clips.dir`` says."""
        folder = storage.at(job.clips.dir) if job.clips.dir else storage.at(job.out) / "clips"
        return cls(folder, job.provider.suffix)

    def absolute(self) -> "Clips":
        """The same for every process, wherever it was started."""
        return Clips(self.folder.absolute(), self.suffix)

    @property
    def is_local(self) -> bool:
        """Whether looking at a name takes microseconds."""
        return self.folder.is_local

    def address(self, clip: str) -> str:
        """Where the clip of this id stands, or would stand, for a person."""
        return self.folder.address(self._name(clip))

    def has(self, clip: str) -> bool:
        """Whether the clip is there."""
        return self.folder.size(self._name(clip)) is not None

    def local(self, clip: str) -> AbstractContextManager[Path]:
        """The clip as a local file, for as long as the block lasts; raises ``FileNotFoundError`` if it is not there."""
        return self.folder.local(self._name(clip))

    def temporary(self, clip: str) -> AbstractContextManager[Path]:
        """A local path to write the clip to; whatever is left there at the end is removed."""
        return self.folder.new(self._name(clip))

    def publish(self, temporary: Path, clip: str) -> None:
        """Give the checked file its name; from here on it exists."""
        self.folder.publish(temporary, self._name(clip))

    def remove(self, clip: str) -> None:
        """Forget a clip that turned out not to be what it should."""
        self.folder.remove(self._name(clip))

    def listing(self) -> dict[str, int]:
        """Size in bytes by clip id of all that is there, from names alone: nothing is opened."""
        found: dict[str, int] = {}
        for entry in self.folder.files():
            shelf, _, name = entry.name.partition("/")
            stem, dot, suffix = name.rpartition(".")
            if dot and suffix == self.suffix and len(stem) == ID_LENGTH and stem.startswith(shelf):
                found[stem] = entry.size_bytes
        return found

    def _name(self, clip: str) -> str:
        return file_name(clip, self.suffix)
