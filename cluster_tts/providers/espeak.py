"""The embedded voice for everything but English: eSpeak NG, 22.05 kHz, over 100 languages (extra ``espeak``)."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from cluster_tts.audio import Samples
from cluster_tts.errors import JobError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice
from cluster_tts.providers import espeak_process
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import (
    installed_version,
    refuse_settings,
    refuse_signs,
    refuse_unknown_voice,
    trim_speech,
    whole_number,
    write_audio,
)

# In a voice file: "name French (France)", "language fr 8", "dictionary no"; the second word is what counts.
DETAIL = re.compile(r"^(name|language|dictionary)\s+(.+?)\s*(?:\(|//|\s\d|$)", re.MULTILINE)

LEAST_SPEED, USUAL_SPEED, MOST_SPEED = 80, 175, 450  # words a minute


class Espeak(Provider):
    """One voice of eSpeak NG, by language (``de``, ``german``, ``zh``), with a variant if wanted (``en+f3``).

    Each text has a process of its own, some 25 ms. In one process the same text sounds different after others;
    loading the library afresh cures that but leaks 170 KB a text in Chinese or Japanese, and two threads abort.
    The weakness: it spells out what its language does not know, and reads no Japanese kanji.
    """

    embedded: ClassVar[bool] = True
    characters_per_second: ClassVar[float] = 18.0

    def __init__(self, settings: ProviderSettings) -> None:
        self.revision(settings)  # not installed: say so first
        import espeakng_loader

        refuse_settings(settings, formats=("wav",), options=("speed", "pitch"))
        self._speed = whole_number(settings.options, "speed", USUAL_SPEED, LEAST_SPEED, MOST_SPEED)
        self._pitch = whole_number(settings.options, "pitch", 50, 0, 100)
        self._library = Path(espeakng_loader.get_library_path())
        self._data = Path(espeakng_loader.get_data_path())
        self._voice = _voice(settings, self._data)

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return "espeakng-loader " + installed_version("espeakng-loader", "pip install 'cluster-tts[espeak]'")

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        return MOST_SPEED / whole_number(settings.options, "speed", USUAL_SPEED, LEAST_SPEED, MOST_SPEED)

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        words = round(settings.options.get("speed", USUAL_SPEED) * speed)
        return replace(settings, options={**settings.options, "speed": min(words, MOST_SPEED)})

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        samples = await asyncio.to_thread(self._samples, utterance.text)
        # Not in the thread: that outlives a cancelled attempt, and would leave a file nobody removes.
        write_audio(samples, espeak_process.RATE, target)
        return Receipt(speed=self._speed / USUAL_SPEED)

    async def voices(self) -> Sequence[Voice]:
        words: dict[str, list[str]] = {}
        for word, name in voices(self._data).items():
            words.setdefault(name, []).append(word)
        return [Voice(name, language=name, description=", ".join(words[name])) for name in sorted(words)]

    def _samples(self, text: str) -> Samples:
        refuse_signs(text)
        arguments = [str(self._library), self._data.name, self._voice, str(self._speed), str(self._pitch)]
        done = subprocess.run(
            [sys.executable, "-I", "-S", espeak_process.__file__, *arguments],
            cwd=self._data.parent,  # and the data by its name: espeak knows no path of 160 characters or more
            input=text.replace("\0", " ").encode(errors="replace"),  # a NUL would end the text
            capture_output=True,
            check=False,
        )
        if done.returncode < 0:
            raise RetryLater(f"espeak was ended by signal {-done.returncode}", kind="crash")
        if done.returncode:
            raise JobError(f"espeak cannot speak: {done.stderr.decode(errors='replace').strip()[-200:]}")
        return trim_speech(np.frombuffer(done.stdout, dtype=np.int16), espeak_process.RATE)


def voices(data: Path) -> dict[str, str]:
    """espeak's own name of a voice by every name a person may use, in lower case: ``de``, ``german``, ``zh``.

    The library finds a voice by the name of its file, not by these, and otherwise goes on in English. A language
    without a dictionary, which it would speak as silence, is not listed.
    """
    files = sorted((file for file in (data / "lang").rglob("*") if file.is_file()), key=lambda file: file.name)
    details = {file.name: DETAIL.findall(file.read_text(encoding="utf-8")) for file in files}
    spoken = [name for name, found in details.items() if (data / f"{_dictionary(name, dict(found))}_dict").exists()]
    known = {name.lower(): name for name in spoken}
    for name in spoken:
        for _, word in details[name]:
            known.setdefault(word.lower(), name)
    return known


def _dictionary(name: str, details: dict[str, str]) -> str:
    return details.get("dictionary", name.partition("-")[0])


def _voice(settings: ProviderSettings, data: Path) -> str:
    known = voices(data)
    language, plus, variant = (settings.voice or "en").partition("+")
    refuse_unknown_voice(settings, language.lower(), list(known))
    if plus:
        refuse_unknown_voice(settings, variant, sorted(file.name for file in (data / "voices" / "!v").iterdir()))
    return f"{known[language.lower()]}{plus}{variant}"
