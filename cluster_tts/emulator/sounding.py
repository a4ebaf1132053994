"""The audio of an ``Ask``: as long as speech of it would be, encoded as asked for, or as a fault has it."""

import asyncio
import math

import numpy as np

from cluster_tts.emulator.encoding import encode
from cluster_tts.emulator.faults import QUIETLY_LEFT
from cluster_tts.emulator.speech import speech
from cluster_tts.emulator.wire import Ask, Audio, Sound

HEADER_BYTES = 44  # of a plain WAV file; of any other container it is not much more than a header either
INLINE_CHARACTERS = 400  # of uncompressed audio: about a millisecond, less than handing it to a thread and back
UNCOMPRESSED = ("raw", "wav")


async def sound(ask: Ask, pace: float, fault: str | None, streamed_sizes: int | None) -> Audio:
    """The audio of ``ask`` at ``pace`` characters a second; what is long to make is made in a thread."""
    if ask.characters <= INLINE_CHARACTERS and ask.sound.container in UNCOMPRESSED:
        return make(ask, pace, fault, streamed_sizes)
    return await asyncio.to_thread(make, ask, pace, fault, streamed_sizes)


def make(ask: Ask, pace: float, fault: str | None, streamed_sizes: int | None) -> Audio:
    """The audio of ``ask``, deterministic: each turn carries its own digest."""
    asked = ask.sound
    turns = [speech(text, asked.rate, pace * ask.speed) for text in ask.turns or (ask.text,)]
    samples = turns[0] if len(turns) == 1 else np.concatenate(turns)
    seconds = len(samples) / asked.rate
    if fault == "empty":
        return Audio(b"", seconds, whole=False)
    if fault == "cut_quietly":
        samples = samples[: math.ceil(len(samples) * QUIETLY_LEFT)]
    if fault == "wrong_format":
        asked = Sound("wav" if asked.container == "mp3" else "mp3", asked.rate, asked.media_type)
    data = encode(samples, asked.rate, asked.container, asked.encoding, asked.kbps, streamed_sizes)
    return Audio(data[:HEADER_BYTES] if fault == "header_only" else data, seconds, whole=fault is None)
