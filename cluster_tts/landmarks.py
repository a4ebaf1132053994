"""Whether another machine sees the folders that a run writes to, by a file that the run leaves in each of them, and
those that its videos are in.

A path means the same to every machine only where the same disk is mounted. Where it is not, each machine would pay
for clips and store them where nobody finds them; so whoever comes to work looks for the files first.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster_tts import storage
from cluster_tts.clips import Clips
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.storage import Folder

APPEARS_S = 20.0  # so long a disk in a network may take to show elsewhere what was written here
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Landmark:
    """The hidden file ``path`` that a run has left in ``folder``, which ``setting`` names."""

    path: Path
    folder: Folder
    setting: str


@dataclass(frozen=True, slots=True)
class Landmarks:
    """What a machine must see, and the folders that it must be able to write to, before it works for a run. It can be
    sent there."""

    files: tuple[Landmark, ...]
    folders: tuple[Folder, ...]
    videos: tuple[Path, ...] = ()  # one of each folder

    def refresh(self) -> None:
        """Bring them up to date: in a folder of many runs, others sweep away what is long out of date."""
        for each in self.files:
            each.path.touch()

    def require(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        """Return if all is well on this machine.

        Raises:
            JobError: it is not, however long it is waited for; the machine is named.
        """
        deadline, host = clock() + APPEARS_S, socket.gethostname()
        for path, what, otherwise in self._looked_for():
            while not path.is_file():
                if clock() >= deadline:
                    raise JobError(
                        f"host '{host}' does not see '{what}' as the host of the run does, and was given nothing to "
                        f"do: mount the same folder at that path on every node, or {otherwise}"
                    )
                sleep(LOOK_S)
        for folder in self.folders:
            try:
                folder.make()
            except OSError as error:
                raise JobError(
                    f"host '{host}' cannot write to '{folder}', and was given nothing to do: "
                    f"{error.strerror or error}; mend it, or choose another folder that every node can write to"
                ) from None

    def _looked_for(self) -> Iterator[tuple[Path, object, str]]:
        """Each file that has to be there, what is missing where it is not, and what else can be done about that."""
        for each in self.files:
            yield each.path, each.folder, f"give {each.setting} as a URL (s3://bucket/folder)"
        for video in self.videos:
            yield video, video, "set media.video=none"


@contextmanager
def left_in(job: Job, videos: Iterable[Path] = ()) -> Iterator[Landmarks]:
    """The landmarks of a job whose places are absolute, there for as long as the block lasts. Of its ``videos`` one in
    each folder is one.

    They are named like files that are being written, so that what a killed run leaves is swept away by the next.
    """
    out, clips = storage.at(job.out), Clips.of(job).folder
    named = [(out / "manifest", out, "--out"), *([(clips, clips, "clips.dir")] if job.clips.dir else [])]
    with ExitStack() as stack:
        files = tuple(
            Landmark(stack.enter_context(where.new("landmark")), folder, setting)
            for where, folder, setting in named
            if folder.is_local
        )
        landmarks = Landmarks(files, (out, clips), tuple({video.parent: video for video in videos}.values()))
        landmarks.refresh()
        yield landmarks
