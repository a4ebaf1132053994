"""The clips of a document as samples at its rate, checked against the manifest, those of the next pieces under way.

Clips are digested in one other thread, a few ahead of the one that decodes (on two cores more are slower), and fetched
from a bucket by several.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf

from cluster_tts.audio import Samples, to_int16, to_mono
from cluster_tts.clips import Clips, digest
from cluster_tts.decoding import AudioFile
from cluster_tts.errors import DamagedClips
from cluster_tts.resampling import resampled
from cluster_tts.stitching.order import Piece

READ_AHEAD = 8  # clips that are fetched and digested before they are joined


class _Fetched(NamedTuple):
    """A clip as a local file, its digest, and what is to be closed once it has been read."""

    path: Path
    sha256: str
    held: ExitStack


_Ahead = tuple[int, Piece, Future[_Fetched]]

Work = Callable[[int, Piece, Iterator[Samples]], object]


def read_each(pieces: Iterator[tuple[int, Piece]], clips: Clips, rate: int, work: Work) -> None:
    """Call ``work`` for each piece with its number and its samples at ``rate``, a block at a time.

    Raises:
        DamagedClips: clips are missing or not what the manifest says. It names all of them: from the first on they are
            only checked, and ``work`` is not called any more.
    """
    damaged: dict[str, None] = {}  # a set that keeps the order
    for number, piece, fetching in _fetched(pieces, clips):
        try:
            with (fetched := _arrived(piece, fetching)).held:
                blocks = _at_rate(_decoded(piece, fetched.path), piece.sound.rate, rate)
                if damaged:
                    deque(blocks, 0)
                else:
                    work(number, piece, blocks)
        except DamagedClips:
            damaged[piece.clip_id] = None
    if damaged:
        what = f"clips missing or not what the manifest says: {len(damaged)}, the first is {next(iter(damaged))}"
        raise DamagedClips(what, tuple(damaged))


def _fetched(pieces: Iterator[tuple[int, Piece]], clips: Clips) -> Iterator[_Ahead]:
    """Each piece and its clip; those of the next few pieces are under way."""
    ahead: deque[_Ahead] = deque()
    with ThreadPoolExecutor(1 if clips.is_local else READ_AHEAD, "fetch") as threads:
        try:
            for number, piece in pieces:
                ahead.append((number, piece, threads.submit(_fetch, clips, piece.clip_id)))
                if len(ahead) > READ_AHEAD:
                    yield ahead.popleft()
            while ahead:
                yield ahead.popleft()
        finally:
            for _, _, left in ahead:
                if not left.cancel() and left.exception() is None:
                    left.result().held.close()


def _fetch(clips: Clips, clip_id: str) -> _Fetched:
    held = ExitStack()
    try:
        path = held.enter_context(clips.local(clip_id))
        return _Fetched(path, digest(path), held)
    except BaseException:
        held.close()
        raise


def _arrived(piece: Piece, fetching: Future[_Fetched]) -> _Fetched:
    """The clip, for whoever closes it; ``DamagedClips`` where it is not the one it should be."""
    try:
        fetched = fetching.result()
    except FileNotFoundError:
        raise DamagedClips(piece.clip_id) from None
    if fetched.sha256 != piece.sound.sha256:
        fetched.held.close()
        raise DamagedClips(piece.clip_id)
    return fetched


def _decoded(piece: Piece, path: Path) -> Iterator[Samples]:
    """The samples of a clip; ``DamagedClips`` where they are not as many as the manifest says."""
    frames = 0
    try:
        with AudioFile(path) as clip:
            for block in clip.blocks_of():
                frames += len(block)
                yield to_mono(block)
    except sf.LibsndfileError:
        raise DamagedClips(piece.clip_id) from None
    if frames != piece.sound.frames:
        raise DamagedClips(piece.clip_id)


def _at_rate(blocks: Iterator[Samples], rate: int, wanted: int) -> Iterator[Samples]:
    if rate == wanted:
        return blocks
    floats = (block.astype(np.float32) / np.float32(32768) for block in blocks)
    return map(to_int16, resampled(floats, rate, wanted))
