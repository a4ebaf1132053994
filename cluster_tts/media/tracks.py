"""What a video has, carried over into a copy of it: its streams packet by packet, its chapters and its tags."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_tts.errors import DocumentError
from cluster_tts.media.library import understood

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

UNREADABLE = "is no video that can be read"
NO_PICTURE = "has no picture in it: give a video"
OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"}  # and not of what is in it
DURATION = "DURATION"  # Matroska's tag of a stream: when it ends
CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
CUT_S = 1  # a video that ends so much earlier than it says is cut
USUAL_RATE = Fraction(25)
# Without these names Apple's players show no HEVC; all others follow from what is in the stream.
KEPT_NAMES = {"hvc1", "dvh1"}

# FFmpeg writes QuickTime's own list of languages into MOV; these have another name there, others none.
MOV_LANGUAGES = {
    "bod": "tib", "cym": "wel", "cze": "ces", "deu": "ger", "ell": "gre", "eus": "baq", "fas": "per", "fre": "fra",
    "hye": "arm", "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut", "rum": "ron",
    "slo": "slk", "sqi": "alb", "swe": "sve", "zho": "chi",
}  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Video:
    """A video that is read; ``pictures`` are its streams that move, and times go by the first of them."""

    path: Path
    file: "InputContainer"
    pictures: list[Any]

    @property
    def picture(self) -> Any:
        return self.pictures[0]

    @property
    def start_s(self) -> Fraction:
        """When its first picture is shown, by its own clock."""
        return Fraction((self.picture.start_time or 0) * self.picture.time_base)

    def end_s(self, packet: Any) -> Fraction:
        """When the picture in ``packet`` is over."""
        if packet.pts is None:
            return self.start_s
        shown_s = (
            packet.duration * packet.time_base if packet.duration else 1 / (packet.stream.average_rate or USUAL_RATE)
        )
        return Fraction(packet.pts * packet.time_base + shown_s)

    def others(self, *, sounds: bool) -> list[Any]:
        """Its streams that are no pictures, in order; data that no copy can have are left out, and sounds on demand."""
        kinds = {"video", "subtitle", "attachment"} | ({"audio"} if sounds else set())
        return [each for each in self.file.streams if each.type in kinds and each not in self.pictures]

    def packets(self, streams: list[Any]) -> Iterator[Any]:
        """The packets of ``streams`` from where it is on; of the others nothing is read."""
        from av.stream import Discard

        with understood(self.path, UNREADABLE):
            for each in self.file.streams:
                each.discard = Discard.default if each in streams else Discard.all
            for packet in self.file.demux(streams):
                if packet.is_corrupt:
                    raise DocumentError(f"'{self.path}' is cut or damaged: copy it again")
                if packet.size:  # PyAV ends each stream with an empty one
                    yield packet

    def seek_to_end(self) -> None:
        """Go to the last picture that others do not depend on; where that cannot be found, stay."""
        import av

        if self.file.duration:
            with suppress(av.FFmpegError):  # then all of it is read
                self.file.seek(self.file.duration + max(0, self.file.start_time or 0))

    def refuse_cut(self, ended_s: Fraction) -> None:
        """Raise ``DocumentError`` where pictures that ended at ``ended_s`` are none, or should have lasted longer."""
        if ended_s <= self.start_s:
            raise DocumentError(f"'{self.path}' {NO_PICTURE}")
        said_s = None
        if self.picture.duration:
            said_s = self.start_s + self.picture.duration * self.picture.time_base
        elif found := CLOCK.match(self.picture.metadata.get(DURATION, "")):
            hours, minutes, seconds = found.groups()
            said_s = 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
        if said_s is not None and ended_s < said_s - CUT_S:
            raise DocumentError(
                f"'{self.path}' is cut: it ends after {float(ended_s):.1f} of {float(said_s):.1f} s, copy it again"
            )


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    """The video at ``path``.

    Raises:
        DocumentError: it is none, or has nothing but sound.
        OSError: it cannot be read.
    """
    import av
    from av.stream import Disposition

    with understood(path, UNREADABLE):
        file = av.open(str(path))
    with file:
        pictures = [each for each in file.streams.video if not each.disposition & Disposition.attached_pic]
        if not pictures:
            raise DocumentError(f"'{path}' {NO_PICTURE}")
        yield Video(path, file, pictures)


def order(packets: Iterable[Any]) -> Iterator[Any]:
    """``packets`` with a time to decode each, which never goes back within a stream.

    Matroska says none for the first pictures, and a muxer takes no stream that goes back.
    """
    streams: dict[int, _Order] = {}
    for packet in packets:
        yield from streams.setdefault(packet.stream.index, _Order()).add(packet)
    for stream in streams.values():
        yield from stream.rest()


@dataclass(slots=True)
class _Order:
    """The packets of one stream: those without a time wait for the next that has one, and are counted back from it."""

    last: int | None = None
    waiting: list[Any] = field(default_factory=list)

    def add(self, packet: Any) -> Iterator[Any]:
        self.waiting.append(packet)
        if packet.dts is not None:
            yield from self.rest()

    def rest(self) -> Iterator[Any]:
        known = self.waiting[-1].dts if self.waiting else None
        for before, packet in zip(reversed(range(len(self.waiting))), self.waiting, strict=True):
            if packet.dts is None:
                packet.dts = packet.pts if known is None else known - before * (packet.duration or 1)
            if packet.dts is not None:
                packet.dts = packet.dts if self.last is None else max(packet.dts, self.last)
                self.last = packet.dts
            yield packet
        self.waiting.clear()


def copy_tags(source: Video, copy: "OutputContainer") -> None:
    """Give ``copy`` the tags and chapters of ``source``."""
    tags = source.file.metadata
    copy.metadata.update({name: text for name, text in tags.items() if name not in OF_THE_FILE})
    if chapters := source.file.chapters():
        copy.set_chapters(chapters)


def add_copy(copy: "OutputContainer", stream: Any, source: Video) -> Any:
    """A stream of ``copy`` for the packets of ``stream``, or None where there is no place for them.

    Covers and fonts in Matroska have no packets: they are copied here.
    """
    from av.stream import Disposition

    try:
        if "mimetype" in stream.metadata:
            return _attach(copy, stream, source)
        new: Any = copy.add_stream_from_template(stream, opaque=True)
    except ValueError:  # it says so in PyAV's words
        logger.warning("'%s': its track %d (%s) has no place in the copy", source.path, stream.index + 1, stream.type)
        return None
    tell(new, copy, {name: text for name, text in stream.metadata.items() if name != DURATION})
    new.disposition = stream.disposition
    if stream.type == "audio":
        new.disposition &= ~Disposition.default
    if stream.type == "video":
        if stream.average_rate:
            new.codec_context.framerate = stream.average_rate  # by it Matroska knows how long a picture is shown
        if stream.codec_context.codec_tag in KEPT_NAMES and copy.format.name in ("mp4", "mov"):
            new.codec_context.codec_tag = stream.codec_context.codec_tag
    return new


def tell(stream: Any, copy: "OutputContainer", tags: Mapping[str, str]) -> None:
    """Give ``stream`` of ``copy`` its ``tags``, the language by the name that it has there."""
    stream.metadata.update(tags)
    if copy.format.name == "mov" and "language" in tags:
        stream.metadata["language"] = MOV_LANGUAGES.get(tags["language"], tags["language"])


def _attach(copy: "OutputContainer", stream: Any, source: Video) -> None:
    import av

    if copy.format.name != "matroska":
        raise ValueError("only Matroska has attachments")
    if stream.type == "attachment":
        copy.add_stream_from_template(stream)
        return
    with av.open(str(source.path)) as again:  # a cover is a packet here, and has to be there before the first one
        cover = next(packet for packet in again.demux(again.streams[stream.index]))
        copy.add_attachment(stream.metadata.get("filename", "cover"), stream.metadata["mimetype"], bytes(cover))
