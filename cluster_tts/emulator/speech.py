"""Sound as long as the speech of a text would be, with the digest of that text in it; and the digests found in sound.

::

    100 ms quiet | 256 ms of tones: the digest | murmur for as long as the speech lasts | 100 ms quiet

The tones are 8 symbols of 32 ms. A symbol is 8 tones at once, one of the 4 of each of 8 groups: 2 bits a group, 16 a
symbol. The 32 tones are 93.75 Hz apart, from 375 to 3281 Hz, inside what a telephone carries. The first 4 symbols are
64 bits: 40 of the SHA-256 of the text, then 24 of the CRC-32 of those 40. The other 4 say the same again, the bits of
each group four groups higher or lower, so that a weak spot in time or pitch is made good in another.

Nothing announces the digest: every 4 ms the reader asks whether both tellings begin here. What is no digest would have
to be one clear tone in nearly all groups, both times the same bits, and then still meet the CRC, which chance does once
in 16 million. The murmur has every tone of a group about as loud as the next.
"""

import hashlib
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from cluster_tts.audio import Samples, to_int16
from cluster_tts.decoding import AudioFile
from cluster_tts.plausibility import letters

LEAST_RATE, MOST_RATE = 8_000, 48_000
MARGIN_S = 0.1  # of silence at each edge, which a trimmer may take

DIGEST_BYTES, CHECK_BYTES = 5, 3
GROUPS, CHOICES, SYMBOLS = 8, 4, 4  # symbols of one telling; there are two
SYMBOL_S = 0.032
TONES_S = 2 * SYMBOLS * SYMBOL_S
LOWEST_HZ, SPACING_HZ = 375.0, 93.75
TURNED = (np.arange(GROUPS) + GROUPS // 2) % GROUPS  # which group's bits a group carries the second time
SHIFTS = np.array([6, 4, 2, 0], np.uint8)  # two bits each, the high ones first, four to a byte

TONE_PEAK = 0.5 / GROUPS  # of full scale, so that even a gain of 6 dB clips nothing
RAMP_S = 0.003  # a symbol fades in and out, or its edges would click in all groups
PITCH_HZ = 94  # as far apart as the tones, so that the murmur sounds all of them alike
OVERTONES = 36  # up to 3384 Hz: above all tones
SYLLABLES_HZ = 4
MURMUR_PEAK = 0.4

LISTENING_RATE = 8_000
WINDOW = round(SYMBOL_S * LISTENING_RATE)
STEP = WINDOW // 8
SYMBOL_STEPS = WINDOW // STEP
TONES = slice(round(LOWEST_HZ * SYMBOL_S), None, round(SPACING_HZ * SYMBOL_S))
CLEAR = 0.75  # mean share of the loudest tone of a group: over 0.9 in speech, 0.63 in any other chords, 0.43 in noise
BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True)
class Heard:
    """The digest of one speech in a recording, and where its tones begin."""

    digest: int
    start_s: float


def digest_of(text: str) -> int:
    """The 40 bits that speech of exactly this ``text`` carries: the first of its SHA-256 (lone surrogates allowed)."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES], "big")


def speech(text: str, rate: int, characters_per_second: float = 15.0) -> Samples:
    """``text`` as sound of ``letters(text) / characters_per_second`` seconds, or the 0.456 that its digest takes."""
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"speech at {rate} Hz: must be from {LEAST_RATE} to {MOST_RATE}")
    if not characters_per_second > 0:
        raise ValueError(f"speech of {characters_per_second} characters per second: must be more than 0")
    tones = _tones(digest_of(text), rate)
    begin = math.ceil(MARGIN_S * rate)
    length = max(round(letters(text) / characters_per_second * rate), len(tones) + 2 * begin)
    end = length - begin
    samples = np.empty(length, np.int16)
    samples[:begin] = 0
    samples[begin : begin + len(tones)] = tones
    _repeat(_murmur(rate), samples[begin + len(tones) : end])
    samples[end:] = 0
    return samples


def read_back(samples: NDArray[Any], rate: int) -> list[Heard]:
    """Every digest in ``samples``, integers or floats, in the order heard: mono, or shaped (frames, channels)."""
    return _read((samples[at : at + BLOCK_FRAMES] for at in range(0, len(samples), BLOCK_FRAMES)), rate)


def read_back_file(path: Path) -> list[Heard]:
    """Every digest in the audio file at ``path``, in the order heard. Memory does not grow with its length."""
    with AudioFile(path) as file:
        return _read(file.blocks_of(BLOCK_FRAMES), file.samplerate)


def _word(digest: int) -> bytes:
    """The 64 bits sent: the digest and what checks it."""
    told = digest.to_bytes(DIGEST_BYTES, "big")
    return told + zlib.crc32(told).to_bytes(4, "big")[-CHECK_BYTES:]


def _tones(digest: int, rate: int) -> Samples:
    octets = np.frombuffer(_word(digest), np.uint8)
    once = (octets[:, np.newaxis] >> SHIFTS & 3).reshape(SYMBOLS, GROUPS)
    choices = np.concatenate([once, once[:, TURNED]])
    tones: Samples = _tone_table(rate)[np.arange(GROUPS), choices].sum(axis=1, dtype=np.int16).reshape(-1)
    return tones


@cache
def _tone_table(rate: int) -> Samples:
    """One symbol of every tone, shaped (groups, choices, samples)."""
    moments = np.arange(round(SYMBOL_S * rate)) / rate
    number = np.arange(GROUPS * CHOICES)[:, np.newaxis]
    phase = math.pi * (number // CHOICES) ** 2 / GROUPS  # Newman's: tones that start together make high peaks
    waves = np.sin(2 * math.pi * (LOWEST_HZ + SPACING_HZ * number) * moments + phase)
    from_edge_s = np.minimum(moments, moments[::-1])
    envelope = np.sin(math.pi / 2 * np.clip(from_edge_s / RAMP_S, 0, 1)) ** 2
    return to_int16(TONE_PEAK * envelope * waves).reshape(GROUPS, CHOICES, -1)


@cache
def _murmur(rate: int) -> Samples:
    """One second of a hummed vowel, which has no seam when repeated: whole periods of all there is in it.

    At its softest it is half as loud as at its loudest, so that a file that was cut ends loud.
    """
    moments = np.arange(rate) / rate
    hum = np.zeros(rate)
    for overtone in range(1, OVERTONES + 1):
        phase = math.pi * overtone**2 / OVERTONES
        hum += np.sin(2 * math.pi * PITCH_HZ * overtone * moments + phase) / math.sqrt(overtone)
    hum *= 0.75 + 0.25 * np.sin(2 * math.pi * SYLLABLES_HZ * moments)
    return to_int16(MURMUR_PEAK * hum / np.abs(hum).max())


def _repeat(loop: Samples, target: Samples) -> None:
    """Fill ``target`` with ``loop`` over and over, without a copy in between."""
    whole = len(target) // len(loop) * len(loop)
    target[:whole].reshape(-1, len(loop))[:] = loop
    target[whole:] = loop[: len(target) - whole]


def _read(blocks: Iterable[NDArray[Any]], rate: int) -> list[Heard]:
    heard: list[Heard] = []
    clearest = 0.0
    for found, clearness in _candidates(_listening(blocks, rate)):
        last = heard[-1] if heard else None
        if last and last.digest == found.digest and found.start_s - last.start_s < TONES_S / 2:
            if clearness <= clearest:  # the same tones, heard a step later
                continue
            heard.pop()
        heard.append(found)
        clearest = clearness
    return heard


def _listening(blocks: Iterable[NDArray[Any]], rate: int) -> Iterator[NDArray[np.float32]]:
    """``blocks`` as mono at the listening rate, and a little silence for tones that reach the very end."""
    stream = soxr.ResampleStream(rate, LISTENING_RATE, 1, dtype="float32")
    for block in blocks:
        mono = block if block.ndim == 1 else block.mean(axis=1)
        yield stream.resample_chunk(np.ascontiguousarray(mono, np.float32))
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
    yield np.zeros(WINDOW, np.float32)


def _candidates(blocks: Iterable[NDArray[np.float32]]) -> Iterator[tuple[Heard, float]]:
    """Every step from which a digest is heard, several for each speech, and how clearly."""
    span = 2 * SYMBOLS * WINDOW
    rest, passed = np.empty(0, np.float32), 0
    for block in blocks:
        window = np.concatenate([rest, block])
        starts = max(0, (len(window) - span) // STEP + 1)
        if starts:
            for start, digest, clearness in _digests(_shares(window), starts):
                yield Heard(digest, (passed + start * STEP) / LISTENING_RATE), clearness
        rest = window[starts * STEP :]
        passed += starts * STEP


def _shares(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each group's energy is in each of its tones, for every step: (steps, groups, choices)."""
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP] * hann
    lines = np.fft.rfft(framed)[:, TONES][:, : GROUPS * CHOICES]
    energy = (lines.real**2 + lines.imag**2).reshape(-1, GROUPS, CHOICES)
    whole = energy.sum(axis=2, keepdims=True) + np.float32(
        1e-12
    )  # under all that 16 bits can say, and silence is no 0/0
    shares: NDArray[np.float32] = energy / whole
    return shares


def _digests(shares: NDArray[np.float32], starts: int) -> Iterator[tuple[int, int, float]]:
    """(start, digest, clearness) for each of the first ``starts`` steps that a word begins at and checks."""
    second = SYMBOLS * SYMBOL_STEPS
    both = (shares[:-second] + shares[second:, TURNED]) / 2
    choices = both.argmax(axis=2).astype(np.uint8)
    clear = both.max(axis=2).mean(axis=1)
    symbols = np.arange(SYMBOLS) * SYMBOL_STEPS
    clearness = sum(clear[at : at + starts] for at in symbols) / SYMBOLS
    for start in np.flatnonzero(clearness > CLEAR):
        pairs = choices[start + symbols].reshape(-1, len(SHIFTS))
        word = np.bitwise_or.reduce(pairs << SHIFTS, axis=1).tobytes()
        digest = int.from_bytes(word[:DIGEST_BYTES], "big")
        if word == _word(digest):
            yield int(start), digest, float(clearness[start])
