"""How fast a provider is asked to speak what has a time to fit in, told before anything is spoken: asking again for
the same words, faster, would be paid twice."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby

from cluster_tts.job import TimelineSettings
from cluster_tts.model import Chunk
from cluster_tts.timeline import rooms, speed_for


def paced(
    chunks: Iterable[Chunk], settings: TimelineSettings, characters_per_second: float, most: float
) -> Iterator[Chunk]:
    """``chunks`` of one document, with the speed of those that would not have ended by the time the next cue begins.

    Args:
        characters_per_second: how fast the voice usually is.
        most: the highest speed that it can be asked for.
    """
    most, coming = min(most, settings.max_speed), iter(chunks)
    first = next(coming, None)
    if first is None:
        return
    if most <= 1 or settings.fit != "slots" or not first.role.cues:
        yield from chain([first], coming)
        return
    units = [list(unit) for _, unit in groupby(chain([first], coming), key=lambda chunk: chunk.paragraph)]
    timed = [unit[0].role.slot for unit in units]
    left = iter(rooms([slot for slot in timed if slot is not None], settings.pause_ms / 1000))
    for unit, slot in zip(units, timed, strict=True):
        expected_s = sum(len(chunk.text) for chunk in unit) / characters_per_second
        speed = 1.0 if slot is None else speed_for(expected_s, next(left), most)
        yield from (replace(chunk, speech=replace(chunk.speech, speed=speed)) for chunk in unit)
