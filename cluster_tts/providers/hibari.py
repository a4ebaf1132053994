"""The embedded neural voice: English, 24 kHz, from a 14 MB wheel, no download (hibari-tts)."""

import asyncio
import re
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import Any, ClassVar

import numpy as np

from cluster_tts.audio import Samples, to_int16
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import (
    installed_version,
    number,
    refuse_settings,
    refuse_signs,
    refuse_unknown_voice,
    trim_speech,
    whole_number,
    write_audio,
)

RATE = 24_000
MAX_PHONEMES = 600  # at once; each takes 0.35 MB, and 400 characters of bare numbers are 3,700
OTHER_LANGUAGES = "other languages are spoken by provider.name=espeak (provider.voice=de, german, fr, ...)"

MARKUP = re.compile(r"\[[^\]]+\]\(/[^)]*/\)")  # hibari's own "[word](/phonemes/)": what is in it, it need not read
READABLE = {"", "LATIN", "MODIFIER", "GREEK"}  # first words of Unicode names; "" is what is no letter


class Hibari(Provider):
    """One English voice, computed on one core. The same text gives the same bytes on the same kind of processor.

    A text with a word in another script is refused, because hibari leaves such words out without an error. What is
    still left out are emoji, arrows and the like, and phonetic letters inside a word. It holds 180 MB, and 60 to
    100 MB more for each text that is spoken at the same time.
    """

    embedded: ClassVar[bool] = True
    characters_per_second: ClassVar[float] = 17.0

    def __init__(self, settings: ProviderSettings) -> None:
        self.revision(settings)  # not installed: say so first
        refuse_settings(settings, formats=("wav",), options=("speed", "seed"))
        self._speed = number(settings.options, "speed", 1.0, 0.8, 1.5)
        self._seed = whole_number(settings.options, "seed", 0, 0, 2**32 - 1)
        self._voice = settings.voice or "heart"
        self._model = _model_file(settings, self._voice)
        self._engine: Any = None
        self._loading = threading.Lock()

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return "hibari-tts " + installed_version("hibari-tts", "pip install hibari-tts==0.2.1")

    async def prepare(self) -> None:
        await asyncio.to_thread(self._load)

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        samples = await asyncio.to_thread(self._samples, utterance.text)
        # Not in the thread: that outlives a cancelled attempt, and would leave a file nobody removes.
        write_audio(samples, RATE, target)
        return Receipt(speed=self._speed)

    async def voices(self) -> Sequence[Voice]:
        from hibari.voices import VOICES, voice_path

        there = []
        for name in VOICES:
            with suppress(FileNotFoundError):  # those are downloads, and nothing is downloaded
                voice_path(name, download_missing=False)
                there.append(Voice(name, language="en"))
        return there

    async def aclose(self) -> None:
        self._engine = None

    def _samples(self, text: str) -> Samples:
        text = _prepare(text)
        refuse_signs(text, f": hibari speaks English; {OTHER_LANGUAGES}")
        refuse_foreign_words(text)
        engine = self._load()
        try:
            sentences = engine.phonemize(text)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # such as a number of 70 digits
            raise ChunkError(f"hibari cannot read this text ({error}); provider.name=espeak may") from error
        noise = np.random.default_rng(self._seed)
        spoken = [np.zeros(0, np.float32)]
        for sentence in sentences:
            for part in wrap(sentence, MAX_PHONEMES, break_on_hyphens=False):
                spoken.append(engine.from_ids(engine.ids(part), self._speed, noise))
        return trim_speech(to_int16(np.concatenate(spoken)), RATE)

    def _load(self) -> Any:
        """The engine with all its parts, which it would otherwise load one by one while threads share it."""
        with self._loading:
            if self._engine is None:
                from hibari import Hibari as Engine
                from hibari.g2p import ASSETS, G2P
                from hibari.g2p.oov import OOV
                from hibari.voices import VOICES

                british = VOICES[self._voice]["british"]
                speller = OOV(str(Path(ASSETS, "oov_gb.onnx" if british else "oov.onnx")))
                g2p = G2P(oov=partial(_sound_out, speller), british=british)
                self._engine = Engine(self._voice, model=self._model, g2p=g2p)
            return self._engine


def refuse_foreign_words(text: str) -> None:
    """Raise ``ChunkError`` for a word not in Latin letters; a single Greek letter (π, kΩ) passes as a symbol."""
    for word in MARKUP.sub(" ", text).split():
        letters = unicodedata.normalize("NFKC", word)
        scripts = [unicodedata.name(letter, "").split(" ")[0] if letter.isalpha() else "" for letter in letters]
        if not READABLE.issuperset(scripts) or ("GREEK", "GREEK") in pairwise(scripts):
            raise _unreadable(word)


def _prepare(text: str) -> str:
    """``text`` with é as one character, as hibari knows it, and with ¹ as 1, which it fails at after a quote."""
    return "".join(
        f" {unicodedata.digit(character)} "
        if character.isdigit() and not character.isdecimal() and character not in "²³"  # "squared" and "cubed"
        else character
        for character in unicodedata.normalize("NFC", text)
    )


def _sound_out(speller: Any, word: str) -> str:
    """The phonemes of a word that is in no dictionary, by hibari's net, but all of it.

    The net itself skips letters it does not know, such as the ễ in Nguyễn, and all that follows the 24th.
    """
    known = "".join(letter if letter in speller.cin else unicodedata.normalize("NFD", letter)[0] for letter in word)
    if not any(letter in speller.cin for letter in known):
        raise _unreadable(word)
    parts = (known[start : start + speller.maxlen] for start in range(0, len(known), speller.maxlen))
    return "".join(speller(part) or "" for part in parts)


def _unreadable(word: str) -> ChunkError:
    return ChunkError(f"hibari reads English only and would leave out '{word[:40]}': {OTHER_LANGUAGES}")


def _model_file(settings: ProviderSettings, voice: str) -> str:
    """The voice's model on this machine. hibari would download the others; we never do."""
    from hibari.voices import VOICES, voice_path

    refuse_unknown_voice(settings, voice, list(VOICES), f"; {OTHER_LANGUAGES}")
    try:
        return str(voice_path(voice, download_missing=False))
    except FileNotFoundError as missing:
        raise JobError(
            f"hibari's voice '{voice}' is not on this machine, and nothing is downloaded: "
            f"put its model at {missing} or use provider.voice=heart"
        ) from None
