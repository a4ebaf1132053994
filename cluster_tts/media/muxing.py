"""Speech as a sound track of a copy of a video, whose pictures are copied bit by bit."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_tts.errors import DocumentError
from cluster_tts.job import MediaSettings
from cluster_tts.media.encoding import CODECS, RATES, Kind
from cluster_tts.media.library import require, understood
from cluster_tts.media.mixing import Ducked, Original, Sound, Speech, activity, rate_of
from cluster_tts.media.tracks import Video, add_copy, copy_tags, opened, order, tell
from cluster_tts.resampling import rate_for

if TYPE_CHECKING:
    from av.container import OutputContainer

__all__ = ["Dub", "add_track", "check", "duration_s", "refuse_container", "require"]

CONTAINERS: dict[str, tuple[str, Kind]] = {
    ".mp4": ("mp4", "m4b"),
    ".m4v": ("mp4", "m4b"),
    ".mov": ("mov", "m4b"),
    ".mkv": ("matroska", "m4b"),
    ".webm": ("webm", "opus"),
}
"""By suffix what FFmpeg calls the container, and what a sound track in it is encoded as."""

OPTIONS = {"mp4": {"movflags": "faststart"}, "mov": {"movflags": "faststart"}}
LAYOUTS = {1: ("mono", 128_000), 2: ("stereo", 192_000)}
BLOCK_S = 0.25  # so much is encoded at once
MOST_FRAMES = 65_536
KEPT_S = 0.1  # speech that outlasts the pictures by more is kept whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dub:
    """How a copy is made: by which settings, and under which title its new track goes.

    ``heed`` is called again and again meanwhile, and raises where nobody wants the copy any more.
    """

    settings: MediaSettings
    title: str = ""
    heed: Callable[[], object] = lambda: None


def add_track(video: Path, speech: Path, target: Path, dub: Dub) -> None:
    """A copy of ``video`` at ``target`` with ``speech`` as its first and default sound track.

    ``speech`` is a sound file that soundfile reads, and starts with the first picture. Pictures, subtitles, covers,
    chapters and rotation are copied, and so are the other sound tracks, behind the new one, unless ``media.track``
    is "instead". With ``media.duck_db`` the video's own sound is in the new track too, quieter while somebody
    speaks; where the sum would clip it is bent (a soft clip). The track is as long as the pictures: silence is
    added, and speech that outlasts them by more than 0.1 s is kept whole, with a warning. Time codes of MOV are
    written anew, other data tracks are left out. Memory does not grow with the video.

    Raises:
        JobError: PyAV is not installed.
        DocumentError: ``video`` is no video, is cut, or is of a kind that takes no such track.
        OSError: it cannot be read, ``target`` cannot be written, the disk is full.
    After an error there is nothing at ``target``.
    """
    require()
    form, kind = _container(video, target.suffix)
    with ExitStack() as held:
        source = held.enter_context(opened(video))
        sound = _sound(source, speech, kind, dub, held)
        with _created(target, form, video) as copy:
            streams = {each.index: add_copy(copy, each, source) for each in source.pictures}
            if None in streams.values():
                raise DocumentError(f"'{video}' has pictures that {target.suffix} cannot hold: convert it to mkv")
            track = _Track(copy, sound, kind, source.start_s, dub.heed)
            track.name(dub.title, dub.settings.language)
            for each in source.others(sounds=dub.settings.track == "beside"):
                streams[each.index] = add_copy(copy, each, source)
            copy_tags(source, copy)
            _copy(source, {index: stream for index, stream in streams.items() if stream is not None}, copy, track)


def refuse_container(video: Path | str, suffix: str) -> None:
    """Raise ``DocumentError`` where a video whose name ends with ``suffix`` takes no sound track here."""
    _container(video, suffix)


def check(video: Path, settings: MediaSettings) -> None:
    """Nothing, where ``video`` will take a sound track, as far as can be told before there is one.

    Raises:
        JobError: PyAV is not installed.
        DocumentError: it is no video, is cut, or is of a kind that takes no such track.
        OSError: it cannot be read.
    """
    require()
    refuse_container(video, video.suffix)
    with opened(video) as source:
        _own(source, settings)
    duration_s(video)


def duration_s(video: Path, heed: Callable[[], object] = lambda: None) -> float:
    """How long the pictures of ``video`` last.

    Its last pictures are looked at, for not every container says it; where those cannot be found, all of them, and
    ``heed`` is called meanwhile.

    Raises:
        JobError: PyAV is not installed.
        DocumentError: it is no video that can be read, or is cut.
        OSError: it cannot be read.
    """
    require()
    with opened(video) as source:
        source.seek_to_end()
        ended_s = source.start_s
        for packet in source.packets([source.picture]):
            heed()
            ended_s = max(ended_s, source.end_s(packet))
        source.refuse_cut(ended_s)
        return float(ended_s - source.start_s)


def _container(video: Path | str, suffix: str) -> tuple[str, Kind]:
    try:
        return CONTAINERS[suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise DocumentError(f"'{video}' is none of {known}, which get a sound track here: convert it to mkv") from None


def _sound(source: Video, speech: Path, kind: Kind, dub: Dub, held: ExitStack) -> Sound:
    """What the new track is made of, at a rate that its encoder knows: that of the speech, or of the video's sound."""
    own, duck_db = _own(source, dub.settings), dub.settings.duck_db
    wanted = rate_of(speech) if own is None else own.rate
    rate = rate_for(wanted, RATES[kind])
    said = Speech(speech, rate, held)
    if own is None or duck_db is None:
        return said
    original = Original(source, own.index, rate, held)
    return Ducked(said, activity(speech, rate, dub.heed), original, duck_db)


def _own(source: Video, settings: MediaSettings) -> Any:
    """The stream of the video's own sound that is heard below the speech, None where none is."""
    own = source.file.streams.best("audio")
    if settings.duck_db is None or own is None:
        return None
    if own.codec_context is None:
        raise DocumentError(f"'{source.path}' has a sound track that nothing here decodes: set media.duck_db=null")
    return own


@contextmanager
def _created(target: Path, form: str, video: Path) -> Iterator["OutputContainer"]:
    """The file that the copy goes to; it is gone after an error."""
    import av

    try:
        with (
            understood(target, f"cannot be written with what is in '{video}'"),
            av.open(str(target), "w", format=form, container_options=OPTIONS.get(form, {})) as copy,
        ):
            yield copy
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(source: Video, streams: dict[int, Any], copy: "OutputContainer", track: "_Track") -> None:
    """Every packet of ``streams``, which go by their number in ``source``, and ``track`` between them."""
    ended_s = source.start_s
    for packet in order(source.packets([source.file.streams[index] for index in streams])):
        if packet.stream is source.picture:
            ended_s = max(ended_s, source.end_s(packet))
        if packet.dts is not None:
            track.follow(min(ended_s, packet.dts * packet.time_base))
        packet.stream = streams[packet.stream.index]
        copy.mux(packet)
    source.refuse_cut(ended_s)
    track.finish(ended_s, source.path)


class _Track:
    """The new sound track, encoded as far as it is asked for. It starts at ``start_s`` of the video's clock."""

    def __init__(
        self, copy: "OutputContainer", sound: Sound, kind: Kind, start_s: Fraction, heed: Callable[[], object]
    ) -> None:
        layout, bit_rate = LAYOUTS[sound.channels]
        self._stream: Any = copy.add_stream(CODECS[kind], rate=sound.rate, layout=layout, bit_rate=bit_rate)
        self._copy, self._sound, self._layout, self._start_s, self._heed = copy, sound, layout, start_s, heed
        self._position = 0

    def name(self, title: str, language: str | None) -> None:
        """Put its name and its language where players look for them."""
        from av.stream import Disposition

        self._stream.disposition = Disposition.default
        tags = {"title": title, "handler_name": title} if title else {}
        tell(self._stream, self._copy, tags | ({"language": language} if language else {}))

    def follow(self, time_s: Fraction) -> None:
        """Write what comes before ``time_s`` of the video's clock, once it is worth it."""
        self._heed()
        frames = self._frames(time_s)
        if frames - self._position >= BLOCK_S * self._sound.rate:
            self._write(frames)

    def finish(self, ended_s: Fraction, video: Path) -> None:
        """Write the rest: up to ``ended_s``, the end of the pictures, or that of the speech."""
        frames = self._frames(ended_s)
        over_s = (self._sound.frames - frames) / self._sound.rate
        if over_s > KEPT_S:
            logger.warning("'%s' is %.2f s shorter than its speech: the new track goes on after it", video, over_s)
            frames = self._sound.frames
        elif over_s > 0:
            logger.warning("'%s' is %.4f s shorter than its speech, which is cut off by as much", video, over_s)
        self._write(frames)
        self._copy.mux(self._stream.encode(None))

    def _frames(self, time_s: Fraction) -> int:
        return round((time_s - self._start_s) * self._sound.rate)

    def _write(self, until: int) -> None:
        import av

        rate = self._sound.rate
        while self._position < until:
            self._heed()
            block = self._sound.take(min(MOST_FRAMES, until - self._position))
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=self._layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(self._start_s * rate) + self._position  # our own count: packets would have no time
            self._copy.mux(self._stream.encode(frame))
            self._position += len(block)
