"""The pass that writes: pieces into the document, and into the files of their items."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cluster_tts.audio import Samples, scaled
from cluster_tts.clips import digest
from cluster_tts.stitching.encode import Content, encoder
from cluster_tts.stitching.layout import Layout
from cluster_tts.stitching.mixing import Mixer, Write
from cluster_tts.stitching.order import Item, Order, Piece
from cluster_tts.stitching.seams import Seams
from cluster_tts.stretch import stretched


@dataclass(slots=True)
class ItemFile:
    """The file of an item, called ``name`` without its suffix, from one frame of the document to another; ``left`` of
    its pieces are yet to be written."""

    item: Item
    name: str
    path: Path
    start: int
    end: int
    left: int
    size_bytes: int = 0
    sha256: str = ""


class ItemFiles:
    """The files of items, each open from its first piece to its last."""

    def __init__(
        self, order: Order, layout: Layout, names: Mapping[Item, Sequence[str]], suffix: str, new: Callable[[str], Path]
    ) -> None:
        """``names`` are those of files, see ``names_of``; ``new`` gives the path to write one of that name to."""
        self._rate = order.rate
        self._suffix = suffix
        lengths = np.diff([*order.firsts, len(layout.places)])
        self._item_of = np.repeat(np.arange(len(order.items)), lengths)
        self._open: dict[int, tuple[Mixer, ExitStack]] = {}
        spans = layout.spans(order.firsts)
        left_of = {item: iter(each) for item, each in names.items()}
        named = [(item, next(left_of[item])) for item in order.items]
        self.items = [
            ItemFile(item, name, new(name), start, end, int(left))
            for (item, name), (start, end), left in zip(named, spans, lengths, strict=True)
        ]

    def mixer(self, number: int) -> Mixer:
        """What the piece of that number is written to."""
        item = int(self._item_of[number])
        if item not in self._open:
            held, what = ExitStack(), self.items[item]
            content = Content(self._rate, what.end - what.start, what.name)
            self._open[item] = Mixer(held.enter_context(encoder(what.path, self._suffix, content)), what.start), held
        return self._open[item][0]

    def wrote(self, number: int) -> None:
        """Close the file of the piece's item where it was the last one."""
        item = int(self._item_of[number])
        what = self.items[item]
        what.left -= 1
        if not what.left:
            mixer, held = self._open.pop(item)
            with held:
                mixer.finish(what.end)
            what.size_bytes, what.sha256 = what.path.stat().st_size, digest(what.path)

    def close(self) -> None:
        """Give up what is still open; nothing is, where all pieces were written."""
        for _, held in self._open.values():
            held.close()


class Writing:
    """Puts the samples of one piece after the other where the layout has them."""

    def __init__(
        self, layout: Layout, write: Write, items: ItemFiles | None, tell: Callable[[int, Piece, np.void], object]
    ) -> None:
        """``tell`` is called with the number of a piece, the piece and its place, once that is written."""
        self.pieces = 0  # that were written
        self._layout = layout
        self._mixer = Mixer(write)
        self._items = items
        self._tell = tell

    def piece(self, number: int, piece: Piece, blocks: Iterator[Samples]) -> None:
        place, until = self._layout.places[number], self._layout.until(number)
        mixers = [self._mixer, self._items.mixer(number)] if self._items else [self._mixer]
        seams = Seams(self._layout.rate, *self._layout.edges(number))
        at = int(place["start"])
        for block in seams.of(_placed(blocks, place, self._layout.rate)):
            for mixer in mixers:
                mixer.add(at, block, until)
            at += len(block)
        place["fade_in"], place["fade_out"] = seams.fade_in, seams.fade_out
        self.pieces += at == place["end"]
        if self._items:
            self._items.wrote(number)
        self._tell(number, piece, place)

    @property
    def position(self) -> int:
        """How many frames were written."""
        return self._mixer.position

    def finish(self) -> None:
        """Write what is left, and silence up to the end of the document."""
        self._mixer.finish(self._layout.frames)


def _placed(blocks: Iterator[Samples], place: np.void, rate: int) -> Iterator[Samples]:
    """What stands of a clip in its place: a part of it, louder or quieter, faster."""
    skip, taken, gain = int(place["skip"]), int(place["taken"]), float(place["gain"])
    blocks = _part(blocks, skip, skip + taken)
    if gain != 1.0:
        blocks = (scaled(block, gain) for block in blocks)
    if (frames := int(place["end"] - place["start"])) == taken:
        return blocks
    return iter([stretched(np.concatenate([np.zeros(0, np.int16), *blocks]), rate, frames)])


def _part(blocks: Iterator[Samples], start: int, end: int) -> Iterator[Samples]:
    """The frames from ``start`` to ``end``; the rest is read too, for only then is it known that the clip is whole."""
    position = 0
    for block in blocks:
        part = block[max(0, start - position) : max(0, end - position)]
        position += len(block)
        if len(part):
            yield part
