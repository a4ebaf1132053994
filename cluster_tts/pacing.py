"""How fast a provider is asked to speak what has a time to fit in, told before anything is spoken: asking again for
the same words, faster, would be paid twice."""

import math
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
    if most <= 1 or settings.fit != "slots":
        yield from coming
        return
    for chunk in coming:
        if chunk.role.cues:
            yield from _hurried(chain([chunk], coming), settings, characters_per_second, most)
            return
        yield chunk  # a text without times is not held


def _hurried(
    chunks: Iterable[Chunk], settings: TimelineSettings, characters_per_second: float, most: float
) -> Iterator[Chunk]:
    units = [list(unit) for _, unit in groupby(chunks, key=lambda chunk: chunk.paragraph)]
    slots = {number: slot for number, unit in enumerate(units) if (slot := unit[0].role.slot)}
    in_time = sorted(slots, key=lambda number: slots[number].start_s)
    room_s = dict(zip(in_time, rooms([slots[number] for number in in_time], settings.pause_ms / 1000), strict=True))
    for number, unit in enumerate(units):
        expected_s = sum(len(chunk.text) for chunk in unit) / characters_per_second
        speed = speed_for(expected_s, room_s.get(number, math.inf), most)
        yield from (replace(chunk, speech=replace(chunk.speech, speed=speed)) for chunk in unit)
