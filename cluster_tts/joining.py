"""One document's joining as something that can be sent: where its plan stands and what its clips measure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cluster_tts.clips import Clips
from cluster_tts.completion import unpack
from cluster_tts.errors import Interrupted
from cluster_tts.job import StitchingSettings
from cluster_tts.manifest import PlanLocation
from cluster_tts.stitching import Files, Joined, Piece, stitch
from cluster_tts.storage import Folder


class Standing(Protocol):
    """Whether a run still owns OUT, wherever its documents are joined."""

    def check(self) -> None:
        """Return if it may write; raises ``Interrupted``."""


@dataclass(frozen=True, slots=True)
class JoinOrder:
    """All that joining one whole document takes. Texts and audio are read where it is carried out."""

    document: str
    plan: PlanLocation
    sounds: NDArray[np.void]  # in reading order, see completion.SOUND_DTYPE
    out: Folder
    clips: Clips
    settings: StitchingSettings
    fence: Standing | None = None

    def pieces(self) -> Iterator[Piece]:
        """The document's chunks in reading order, each with its clip."""
        for chunk, row in zip(self.plan, self.sounds, strict=True):
            yield Piece(chunk.index, chunk.paragraph, chunk.text, chunk.clip_id, unpack(row), chunk.role)


def join(order: JoinOrder, is_stopped: Callable[[], bool] = lambda: False) -> Joined:
    """Join a document into ``OUT/documents``. ``is_stopped`` is looked at before every clip.

    Raises:
        DamagedClips: clips are missing or not what the manifest says; nothing was written.
        Interrupted: another run owns OUT by now, or it was stopped; nothing was written.
    """

    def pieces() -> Iterator[Piece]:
        for piece in order.pieces():
            if is_stopped():
                raise Interrupted(f"'{order.document}' was not joined to its end: run the same command again")
            yield piece

    may_publish = order.fence.check if order.fence else lambda: None
    return stitch(order.document, pieces, Files(order.clips, order.out, may_publish), order.settings)
