"""One document's joining as something that can be sent: where its plan stands and what its clips measure."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cluster_tts.clips import Clips
from cluster_tts.completion import unpack
from cluster_tts.documents.urls import fetched
from cluster_tts.errors import DocumentError, Interrupted
from cluster_tts.job import MediaSettings, StitchingSettings, TimelineSettings
from cluster_tts.manifest import PlanLocation
from cluster_tts.stitching import Files, Joined, Piece, item_of, stitch, stitch_items
from cluster_tts.storage import Folder, is_url


class Standing(Protocol):
    """Whether a run still owns OUT, wherever its documents are joined."""

    def check(self) -> None:
        """Return if it may write; raises ``Interrupted``."""


@dataclass(frozen=True, slots=True)
class JoinOrder:
    """All that joining one whole document takes. Texts and audio are read where it is carried out.

    ``video`` is the path or URL of the video that it is the sound of. With ``only_items`` the document lacks clips,
    whose sounds have no frames, and only those of its items are joined that lack none. It ``replaces`` what an earlier
    joining may have left.
    """

    document: str
    plan: PlanLocation
    sounds: NDArray[np.void]  # in reading order, see completion.SOUND_DTYPE
    out: Folder
    clips: Clips
    settings: StitchingSettings
    fence: Standing | None = None
    timeline: TimelineSettings = field(default_factory=TimelineSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    video: Path | str | None = None
    only_items: bool = False
    replaces: bool = True

    def pieces(self) -> Iterator[Piece]:
        """The document's chunks in reading order, each with its clip."""
        for chunk, row in zip(self.plan, self.sounds, strict=True):
            yield Piece(
                chunk.index, chunk.paragraph, chunk.text, chunk.clip_id, unpack(row), chunk.role, chunk.speech.speed
            )


def join(order: JoinOrder, is_stopped: Callable[[], bool] = lambda: False) -> Joined | None:
    """Join a document into ``OUT/documents``; None where only items were. Where its video takes no sound track, its
    audio is there all the same, and what is joined has a ``complaint``.

    ``is_stopped`` is looked at before every clip, and every few seconds of audio.

    Raises:
        DamagedClips: clips are missing or not what the manifest says; nothing was written.
        Interrupted: another run owns OUT by now, or it was stopped; nothing was written.
    """

    def heed() -> None:
        if is_stopped():
            raise Interrupted(f"'{order.document}' was not joined to its end: run the same command again")

    def pieces() -> Iterator[Piece]:
        for piece in order.pieces():
            heed()
            yield piece

    may_publish = order.fence.check if order.fence else lambda: None
    files = Files(order.clips, order.out, may_publish, media=order.media, replaces=order.replaces, heed=heed)
    if order.only_items:
        lacking = {item_of(piece) for piece in pieces() if not piece.sound.frames}
        stitch_items(order.document, pieces, files, order.settings, lacking)
        return None
    try:
        with _here(order.video) as video:
            return stitch(order.document, pieces, replace(files, video=video), order.settings, order.timeline)
    except DocumentError as error:  # of the video, which may be the last that was looked at
        if order.video is None:
            raise
        alone = stitch(order.document, pieces, files, order.settings, order.timeline)
        return replace(alone, complaint=str(error))


@contextmanager
def _here(video: Path | str | None) -> Iterator[Path | None]:
    """The video as a file of this machine, for as long as the block lasts.

    Raises:
        DocumentError: it is not there, or cannot be opened.
    """
    if video is None:
        yield None
    elif isinstance(video, str) and is_url(video):
        with ExitStack() as held:
            try:
                path = held.enter_context(fetched(video))
            except FileNotFoundError:
                raise DocumentError(f"there is no video '{video}' any more: bring it back") from None
            try:
                yield path
            except DocumentError as error:
                raise DocumentError(str(error).replace(str(path), video)) from None
    else:
        try:
            with Path(video).open("rb"):
                pass
        except OSError as error:
            raise DocumentError(f"the video '{video}' cannot be read: {error.strerror}; bring it back") from None
        yield Path(video)
