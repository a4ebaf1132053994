"""When the speech of each cue begins and how much faster it is heard, so that it fits the times that the file gives.

Speech that is longer than its slot is helped in this order: by the free space before the next cue, by a provider that
was asked to speak faster, by stretching it at its own pitch, and by letting the next cue begin later. What is then
still too long is heard together with what follows: it is reported and never cut, and no run fails for it.

Every bound is counted from the file, hence drift never accumulates: a cue waits for those just before it only, never
longer than ``max_shift_s``, and the first one that has room is on time again. Arithmetic only, in seconds; planning
predicts with it what joining will place. Slots come sorted by their starts.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_tts.job import TimelineSettings
from cluster_tts.model import Slot

SPEED_STEPS = 20  # between 1.0 and 2.0: speeds differ by 0.05
NOTHING_S = 1e-6  # less than a sample: what remains of a time that was subtracted from itself


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be done: the silence left before the next cue, how much speech is sped up, how late it may begin."""

    pause_s: float
    max_stretch: float
    max_shift_s: float

    @classmethod
    def of(cls, settings: TimelineSettings) -> "Bounds":
        """What the user allows; nothing at all where every cue shall begin on time, however long it is."""
        if settings.fit == "starts":
            return cls(0.0, 1.0, 0.0)
        return cls(settings.pause_ms / 1000, settings.max_stretch, settings.max_shift_ms / 1000)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of one cue, or of several that are spoken as one.

    ``stretch`` is how much faster it is heard than it was spoken: its length is what was spoken divided by it. ``did``
    names what it took, in this order, of ``space``, ``speed``, ``stretch``, ``shift`` and ``over``; it is empty where
    the speech fits its slot as it is. ``shift_s`` is how much later than in the file it begins, ``over_s`` for how
    long it is heard together with the cue that follows.
    """

    start_s: float
    stretch: float
    did: tuple[str, ...]
    shift_s: float
    over_s: float


@dataclass(frozen=True, slots=True)
class _Placed:
    """Speech that has its place, while what follows may not have its own yet."""

    slot: Slot
    start_s: float
    end_s: float
    stretch: float
    speed: float
    shift_s: float


def rooms(slots: Sequence[Slot], pause_s: float) -> list[float]:
    """How long the speech of each slot may be at most so that it has ended ``pause_s`` before the next begins.

    Infinite where nothing follows, 0.0 where the next begins within the pause. Whoever speaks at the same time does
    not count as next (see ``_followers``).
    """
    return _rooms(slots, _followers(slots), pause_s)


def fit(slots: Sequence[Slot], spoken_s: Sequence[float], speeds: Sequence[float], bounds: Bounds) -> list[Fitted]:
    """Where the speech of each slot is placed, and what was done to it.

    Args:
        spoken_s: how long the speech of each slot is, as the provider spoke it.
        speeds: how much faster than usual the provider was asked to speak each.
    """
    followers = _followers(slots)
    placed: list[_Placed] = []
    awaited_s = [-math.inf] * (len(slots) + 1)  # for each cue, when those have ended that it has to wait for
    begun_s = -math.inf  # nobody begins before those whose turn was earlier
    cues = zip(slots, _rooms(slots, followers, bounds.pause_s), spoken_s, speeds, followers, strict=True)
    for index, (slot, room_s, spoken, speed, follower) in enumerate(cues):
        late_s = max(begun_s, awaited_s[index]) - slot.start_s
        shift_s = min(late_s, bounds.max_shift_s) if late_s > NOTHING_S else 0.0
        begun_s = slot.start_s + shift_s
        stretch = _stretch(spoken, room_s - shift_s, bounds.max_stretch)
        placed.append(_Placed(slot, begun_s, begun_s + spoken / stretch, stretch, speed, shift_s))
        awaited_s[follower] = max(awaited_s[follower], placed[-1].end_s)
    return [
        _fitted(one, placed[follower] if follower < len(placed) else None)
        for one, follower in zip(placed, followers, strict=True)
    ]


def speed_for(expected_s: float, room_s: float, most: float) -> float:
    """How much faster a provider is asked to speak, from 1.0 to ``most``, where so long a speech has so much room.

    In steps of 0.05, rounded up, so that equal texts with nearly equal room are one clip.
    """
    if expected_s <= room_s:
        return 1.0
    needed = min(most, expected_s / room_s) if room_s > 0 else most
    return min(most, math.ceil(needed * SPEED_STEPS - NOTHING_S) / SPEED_STEPS)


def _followers(slots: Sequence[Slot]) -> list[int]:
    """The index of the first cue by whose start each should have ended; ``len(slots)`` where there is none.

    A cue that begins in the first half of another is a second speaker, who is heard at the same time. One that begins
    later follows, and the overlap is a sloppy end; unless there are other speakers already, and it too is over before
    the first one is.
    """
    starts = [slot.start_s for slot in slots]
    followers = []
    for index, slot in enumerate(slots):
        end_s = max(slot.start_s, slot.end_s)
        half_s = (slot.start_s + end_s) / 2
        follower = max(bisect_left(starts, half_s), bisect_right(starts, slot.start_s))
        if index + 1 < follower < len(slots) and slots[follower].end_s < end_s:
            follower = bisect_left(starts, end_s)
        followers.append(follower)
    return followers


def _rooms(slots: Sequence[Slot], followers: Sequence[int], pause_s: float) -> list[float]:
    return [
        max(0.0, slots[follower].start_s - pause_s - slot.start_s) if follower < len(slots) else math.inf
        for slot, follower in zip(slots, followers, strict=True)
    ]


def _stretch(spoken_s: float, room_s: float, most: float) -> float:
    """As much as is needed, up to ``most``."""
    if spoken_s <= room_s + NOTHING_S:
        return 1.0
    return min(most, spoken_s / room_s) if room_s > 0 else most


def _fitted(speech: _Placed, follower: _Placed | None) -> Fitted:
    """What was done, read from when the speech is heard and when the cue that follows it begins."""
    own_end_s = max(speech.slot.start_s, speech.slot.end_s)
    free_until_s = follower.slot.start_s if follower else math.inf
    over_s = speech.end_s - follower.start_s if follower else 0.0
    over_s = over_s if over_s > NOTHING_S else 0.0
    done = {
        "space": min(speech.end_s, free_until_s) > own_end_s + NOTHING_S,
        "speed": speech.speed > 1.0,
        "stretch": speech.stretch > 1.0,
        "shift": speech.shift_s > 0.0,
        "over": over_s > 0.0,
    }
    did = tuple(word for word, is_so in done.items() if is_so)
    return Fitted(speech.start_s, speech.stretch, did, speech.shift_s, over_s)
