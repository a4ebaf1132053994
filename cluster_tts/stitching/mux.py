"""A copy of a document's video with its speech as a sound track."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_tts.media import Dub, add_track, duration_s


def mux(video: Path, speech: Path, target: Path, dub: Dub) -> None:
    """Write the copy to ``target``, whatever that is called.

    Raises:
        DocumentError: ``video`` is none, or takes no such track.
        JobError: PyAV is not installed.
    """
    with TemporaryDirectory() as folder:
        # FFmpeg chooses a container by the suffix, and files that are being written end with another.
        named = Path(folder, f"copy{video.suffix.lower()}")
        named.symlink_to(target.absolute())
        add_track(video, speech, named, dub)


def frames_of(video: Path, rate: int, heed: Callable[[], object]) -> int:
    """How long ``video`` lasts, in frames of sound, rounded up; ``heed`` is called meanwhile."""
    return -int(-duration_s(video, heed) * rate // 1)
