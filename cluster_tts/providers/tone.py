"""A test signal in place of speech: the in-memory twin of a remote provider, for tests and benchmarks."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from cluster_tts.audio import Samples, to_int16
from cluster_tts.errors import RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import number, refuse_settings, refuse_unknown_voice, whole_number, write_audio

VOICES = ("sine", "square")
LEAST_SECONDS = 0.1
FASTEST = 2.0
LOUDNESS = 0.3  # of full scale
FADE_S = 0.005  # at either edge, as speech has no other: joining then has no click to take away


class Tone(Provider):
    """Answers after ``latency_s`` with two tones whose pitch and phase are a digest of the text: same text, same bytes.

    ``fail`` is the share of texts whose first attempt is turned away; their next attempt at this instance succeeds.
    """

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, settings: ProviderSettings) -> None:
        options = settings.options
        refuse_settings(settings, ("wav", "flac"), ("latency_s", "characters_per_second", "fail", "rate"))
        self._voice = settings.voice or "sine"
        refuse_unknown_voice(settings, self._voice, VOICES)
        self._format = settings.format.upper()
        self._latency_s = number(options, "latency_s", 0.05, 0, 3600)
        self._pace = number(options, "characters_per_second", self.characters_per_second, 0.1, 1000)
        self._fail = number(options, "fail", 0, 0, 1)
        self._rate = whole_number(options, "rate", 24_000, 8_000, 48_000)
        self._turned_away: set[bytes] = set()

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return "tone 2"

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        await asyncio.sleep(self._latency_s)
        digest = hashlib.sha256(utterance.text.encode()).digest()
        if _fraction(digest, 0) < self._fail and digest not in self._turned_away:
            self._turned_away.add(digest)
            raise RetryLater("the tone was told to fail (provider.options.fail)")
        samples = self._samples(digest, max(len(utterance.text) / self._pace, LEAST_SECONDS))
        write_audio(samples, self._rate, target, self._format)
        return Receipt(billed_characters=len(utterance.text), speed=self._pace / self.characters_per_second)

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        return FASTEST

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        pace = number(settings.options, "characters_per_second", cls.characters_per_second, 0.1, 1000)
        return replace(settings, options={**settings.options, "characters_per_second": min(pace * speed, 1000)})

    async def voices(self) -> Sequence[Voice]:
        return [Voice(name) for name in VOICES]

    def _samples(self, digest: bytes, seconds: float) -> Samples:
        """One second of sound, repeated: both pitches are whole numbers of hertz, so that no seam is heard."""
        moments = np.arange(self._rate) / self._rate
        low, high = (
            np.sin(2 * np.pi * (_hertz(digest, part) * moments + _fraction(digest, part + 1))) for part in (1, 3)
        )
        wave = (low + high) / 2
        second = to_int16(LOUDNESS * (np.sign(wave) if self._voice == "square" else wave))
        samples = np.resize(second, round(seconds * self._rate))
        fade = round(FADE_S * self._rate)
        ramp = np.arange(fade) / fade
        samples[:fade] = np.rint(samples[:fade] * ramp)
        samples[-fade:] = np.rint(samples[-fade:] * ramp[::-1])
        return samples


def _fraction(digest: bytes, part: int) -> float:
    """A number in [0, 1) from the digest's four bytes number ``part``."""
    return int.from_bytes(digest[4 * part : 4 * part + 4]) / 2**32


def _hertz(digest: bytes, part: int) -> int:
    return 110 + int(770 * _fraction(digest, part))
