"""The clips of one document, joined into one audio file, with measured times beside it.

A document may have 50,000 chunks and last a day: nothing is ever held whole, neither audio nor the list of chunks. Of
documents with times the chunks are, and one clip where it is stretched.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cluster_tts.audio import KEPT_S, Samples
from cluster_tts.clips import Clips, digest
from cluster_tts.job import MediaSettings, StitchingSettings, TimelineSettings
from cluster_tts.media import Dub
from cluster_tts.stitching.clearing import clear_files, clear_items
from cluster_tts.stitching.encode import LOSSLESS, Content, encoder, output_rate
from cluster_tts.stitching.fit import Timeline, in_time_order, on_time
from cluster_tts.stitching.layout import Kept, Layout, in_a_row, trimmed
from cluster_tts.stitching.measuring import measure
from cluster_tts.stitching.mixing import Write
from cluster_tts.stitching.mux import frames_of, mux
from cluster_tts.stitching.order import Item, Order, Piece, item_of, names_of, read_order
from cluster_tts.stitching.reading import read_each
from cluster_tts.stitching.times import BESIDE, SCHEMA_VERSION, Times, timed, times
from cluster_tts.stitching.writing import ItemFile, ItemFiles, Writing
from cluster_tts.storage import Folder

Pieces = Callable[[], Iterator[Piece]]

USUAL_TIMES = TimelineSettings()


@dataclass(frozen=True, slots=True)
class Files:
    """Where clips are, and where their documents go; ``may_publish`` raises where nothing may be written any more.

    ``video`` gets the document as a sound track, as ``media`` says. What there is of an earlier joining is replaced,
    where it ``replaces`` one: in a bucket it takes a while to find out that there is nothing. ``heed`` is called every
    few seconds of audio, and raises where nobody wants the document any more.
    """

    clips: Clips
    out: Folder
    may_publish: Callable[[], object] = lambda: None
    video: Path | None = None
    media: MediaSettings = field(default_factory=MediaSettings)
    replaces: bool = True
    heed: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Joined:
    """The finished document; ``path`` is from OUT on: its audio, or its JSON where only its items were wanted.

    ``video`` is the copy of its video that has the sound, from OUT on; ``complaint`` says why there is none although
    it has a video.
    """

    path: str
    frames: int
    rate: int
    size_bytes: int
    sha256: str
    chunks: int
    video: str | None = None
    video_size_bytes: int | None = None
    complaint: str | None = None

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


@dataclass(frozen=True, slots=True)
class _Score:
    """All that is known of a document before it is written."""

    name: str
    order: Order
    layout: Layout
    timeline: Timeline | None
    pieces: Pieces
    settings: StitchingSettings
    names: Mapping[Item, Sequence[str]] = field(default_factory=dict)  # of the files of its items

    @property
    def content(self) -> Content:
        starts = self.layout.places["start"]
        chapters = [(int(starts[number]) / self.layout.rate, text) for number, text in self.order.headings]
        return Content(self.layout.rate, self.layout.frames, self.name, chapters)

    def in_turn(self) -> Iterator[tuple[int, Piece]]:
        """The pieces with their numbers, in the order in which they begin."""
        if self.layout.is_in_reading_order:
            yield from enumerate(self.pieces())
            return
        held = list(self.pieces())
        for number in self.layout.sequence.tolist():
            yield number, held[number]


def stitch(
    name: str, pieces: Pieces, files: Files, settings: StitchingSettings, timeline: TimelineSettings = USUAL_TIMES
) -> Joined:
    """Join ``pieces`` into ``documents/<name>.<format>``, with times in ``<name>.json``, cues in ``.srt`` and ``.vtt``.

    ``pieces`` is called once for each pass and must give the same pieces, at least one. The files take their places
    once all are complete and may be published: what is there of an earlier joining goes, its audio first, then items
    come, the audio last. So where it is, all is whole. Clips inside OUT are named from there.

    Raises:
        DamagedClips: clips are not what the manifest says. It names all of them, and no file is left.
        DocumentError: its video cannot be read, or takes no such track.
        JobError: ``name`` leads out of the folder; PyAV is needed and not installed.
        OSError: the folder cannot be written, the disk is full. No file is left.
    """
    score = _score(name, pieces, files, settings, timeline)
    if settings.each_item:
        score = replace(score, names=names_of(pieces()))
    with ExitStack() as scratch:
        joined, items, ready = _written(score, files, scratch)
        _publish(score, files, items, ready)
        return joined


def stitch_items(
    name: str, pieces: Pieces, files: Files, settings: StitchingSettings, lacking: Collection[Item]
) -> None:
    """Join ``pieces`` of a document into the files of its items, but for those that are ``lacking``: nothing is written
    by which it would pass for whole. Raises like ``stitch``."""

    def there() -> Iterator[Piece]:
        return (piece for piece in pieces() if item_of(piece) not in lacking)

    if next(there(), None) is None:
        return
    score = _score(name, there, files, replace(settings, joined=False, each_item=True), USUAL_TIMES)
    score = replace(score, names=names_of(pieces()))
    with ExitStack() as scratch:
        _, items, _ = _written(score, files, scratch)
        _publish(score, files, items, {})


def _score(name: str, pieces: Pieces, files: Files, settings: StitchingSettings, timeline: TimelineSettings) -> _Score:
    """What is known of a document before it is written: from its texts, and from its clips where they decide it."""
    highest, has_times = 0, False
    for piece in pieces():
        highest = max(highest, piece.sound.rate)
        has_times = has_times or bool(piece.role.cues)
    has_times = has_times and timeline.fit != "none"
    rate = output_rate(highest, settings)
    order = read_order(pieces(), rate, settings)
    least = frames_of(files.video, rate, files.heed) if files.video else 0
    crossfade = round(rate * settings.crossfade_ms / 1000)
    clips = order.clips
    if has_times or crossfade or settings.trim_silence or settings.loudness_lufs is not None:
        clips = measure(pieces(), files.clips, order, settings.loudness_lufs)
    kept = round(rate * KEPT_S)
    if has_times:
        clips, skipped = trimmed(clips, Kept(0, kept))
        places, fitted = on_time(list(pieces()), order, clips, skipped, timeline)
        return _Score(name, order, in_time_order(places, rate, least), fitted, pieces, settings)
    clips, skipped = trimmed(clips, Kept(kept, kept) if settings.trim_silence else Kept())
    places = in_a_row(clips, order.gaps, order.near, crossfade)
    places["skip"] = skipped
    frames = max(least, int(places["end"][-1]))
    places["gap"][-1] = frames - int(places["end"][-1])
    return _Score(name, order, Layout(rate, places, frames), None, pieces, settings)


def _written(score: _Score, files: Files, scratch: ExitStack) -> tuple[Joined, ItemFiles | None, Mapping[str, Path]]:
    """The document written beside its place: what it is, its items, and what else there is to be published."""
    name, settings, folder = score.name, score.settings, files.out / "documents"

    def new(each: str) -> Path:
        return scratch.enter_context(folder.new(each))

    audio = f"{name}.{settings.format}" if settings.joined else None
    ready = {f"{name}.{suffix}": new(f"{name}.{suffix}") for suffix in BESIDE}  # what is published, in this order
    tracks = {settings.format: new(audio)} if audio else {}
    if files.video and not any(suffix in tracks for suffix in LOSSLESS):
        tracks["wav"] = new(f"{name}.wav")
    copy = f"{name}{files.video.suffix.lower()}" if files.video else None
    items = None
    if settings.each_item:
        items = ItemFiles(
            score.order, score.layout, score.names, settings.format, lambda item: new(_item_name(score, item))
        )
    head = {"document": name, "schema_version": SCHEMA_VERSION, "audio": audio, "rate": score.layout.rate}
    with times(list(ready.values()), head) as told:
        _write(score, files, tracks, items, told)
        if files.video and copy:
            track = next(tracks[suffix] for suffix in LOSSLESS if suffix in tracks)
            ready[copy] = new(copy)
            mux(files.video, track, ready[copy], Dub(files.media, name, files.heed))
        sha256 = digest(tracks[settings.format]) if audio else None
        told.close(*_endings(score, sha256, copy, items.items if items else []))
    if audio:
        ready[audio] = tracks[settings.format]
    else:
        ready[f"{name}.json"] = ready.pop(f"{name}.json")
    path, last = list(ready.items())[-1]
    joined = Joined(
        f"documents/{path}", score.layout.frames, score.layout.rate, last.stat().st_size, sha256 or digest(last),
        len(score.layout.places), f"documents/{copy}" if copy else None, ready[copy].stat().st_size if copy else None,
    )  # fmt: skip
    return joined, items, ready


def _write(score: _Score, files: Files, tracks: Mapping[str, Path], items: ItemFiles | None, told: Times) -> None:
    """Write the audio to each of ``tracks``, which are named by their formats, and to ``items``."""
    out = files.out.absolute().address("").rstrip("/")
    clips = files.clips.absolute()

    def tell(number: int, piece: Piece, place: np.void) -> None:
        clip = clips.address(piece.clip_id).removeprefix(f"{out}/")
        told.add(number, piece, place, {"clip": clip, **timed(number, piece, score.timeline)})

    with ExitStack() as held:
        writes = [held.enter_context(encoder(path, suffix, score.content)) for suffix, path in tracks.items()]
        if items:
            held.callback(items.close)
        writing = Writing(score.layout, _all(writes, files.heed), items, tell)
        read_each(score.in_turn(), files.clips, score.layout.rate, writing.piece)
        if writing.pieces != len(score.layout.places):  # the header of a WAV was written by the forecast
            raise RuntimeError(
                f"'{score.name}' became {writing.position} frames where {score.layout.frames} were expected"
            )
        writing.finish()


def _all(writes: Sequence[Write], heed: Callable[[], object]) -> Write:
    """One function that writes to all of them, and heeds before each block: hours of silence may lie between pieces."""

    def write(samples: Samples) -> None:
        heed()
        for each in writes:
            each(samples)

    return write


def _endings(
    score: _Score, sha256: str | None, copy: str | None, items: Sequence[ItemFile]
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """What the JSON says at its end, and the lists that stand before that."""
    tail: dict[str, Any] = {"frames": score.layout.frames, "sha256": sha256}
    lists: dict[str, list[dict[str, Any]]] = {}
    if items:
        lists["items"] = [
            {
                "item": item.item.id, "path": f"documents/{_item_name(score, item.name)}", "start_frame": item.start,
                "end_frame": item.end, "frames": item.end - item.start, "size_bytes": item.size_bytes,
                "sha256": item.sha256,
            }
            for item in items
        ]  # fmt: skip
    if score.timeline:
        lists["cues"] = score.timeline.cues(score.layout)
        tail["timeline"] = score.timeline.summary()
    if copy:
        tail["video"] = f"documents/{copy}"
    return tail, lists


def _item_name(score: _Score, item: str) -> str:
    return f"{score.name}/{item}.{score.settings.format}"


def _publish(score: _Score, files: Files, items: ItemFiles | None, ready: Mapping[str, Path]) -> None:
    """Bring everything to its place, in that order: items, then what is ``ready``."""
    folder = files.out / "documents"
    files.may_publish()
    if files.replaces:
        clear_files(folder, score.name)
    names = {_item_name(score, item.name): item.path for item in items.items} if items else {}
    for name, path in names.items():
        folder.publish(path, name)
    if files.replaces:
        clear_items(folder, score.name, kept=names)
    if items:
        files.may_publish()  # that may have taken long
    for name, path in ready.items():
        folder.publish(path, name)
