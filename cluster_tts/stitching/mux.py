"""A copy of a document's video with its speech as a sound track."""

from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_tts.job import MediaSettings


def mux(video: Path, speech: Path, target: Path, settings: MediaSettings, title: str) -> None:
    """Write the copy to ``target``, whatever that is called.

    Raises:
        DocumentError: ``video`` is none, or takes no such track.
        JobError: PyAV is not installed.
    """
    from cluster_tts.media.muxing import add_track

    with TemporaryDirectory() as folder:
        # FFmpeg chooses a container by the suffix, and files that are being written end with another.
        named = Path(folder, f"copy{video.suffix.lower()}")
        named.symlink_to(target.absolute())
        add_track(video, speech, named, settings, title)


def frames_of(video: Path, rate: int) -> int:
    """How long ``video`` lasts, in frames of sound, rounded up."""
    from cluster_tts.media.muxing import duration_s

    return -int(-duration_s(video) * rate // 1)
