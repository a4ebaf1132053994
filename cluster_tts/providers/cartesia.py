"""Cartesia's ``/tts/bytes`` (providers.md 3)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from cluster_tts.errors import JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice, WireFormat
from cluster_tts.providers.answers import Meaning, Row
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import number, refuse_unknown_options, with_speed
from cluster_tts.providers.http import Call, Server, most_bytes, other_server

BASE_URL = "https://api.cartesia.ai"
VERSION = "2026-08-14"  # what current SDKs send: sdk cartesia 4.2.0 _client.py

TABLE: tuple[Row, ...] = (
    ("*", "quota_exceeded", Meaning.NO_CREDIT),  # its status is unverified
    (404, "voice_not_found", Meaning.HOPELESS),
    (404, "model_not_found", Meaning.MISTAKE),
    (429, "concurrency_limited", Meaning.FEWER),
    (429, "", Meaning.FEWER),  # older versions answer in plain words, and concurrency is all they limit
)

ENCODINGS = {"pcm_s16le": "pcm_s16le", "pcm_f32le": "pcm_f32le", "pcm_mulaw": "ulaw", "pcm_alaw": "alaw"}
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
KILOBITS = (32, 64, 96, 128, 192)
OPTIONS = (
    "language", "locale", "generation_config", "speed", "normalization", "pronunciation_dict_id", "save",
)  # fmt: skip
SLOW_AND_FAST = {"slow": 0.8, "normal": 1.0, "fast": 1.25}  # roughly: nobody says how slow and how fast
PAGE = 100

SLOWEST, FASTEST = 0.6, 1.5  # of generation_config.speed


class Cartesia(Provider):
    """Speech by Cartesia. ``provider.format`` is ``wav``, ``raw`` or ``mp3``, refined as in ``wav_44100``,
    ``raw_pcm_f32le_48000`` or ``mp3_44100_128``."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        options = settings.options
        self._format = output_format(settings.format)
        if not settings.model or not settings.voice:
            raise JobError("provider 'cartesia' needs provider.model and provider.voice")
        refuse_unknown_options("cartesia", list(options), OPTIONS)
        if "language" in options and "locale" in options:
            raise JobError("provider.options has both language and locale: Cartesia takes one of them")
        number(options, "generation_config.volume", 1.0, 0.5, 2.0)
        usual = SLOW_AND_FAST.get(str(options.get("speed")), 1.0)
        self._speed = number(options, "generation_config.speed", usual, SLOWEST, FASTEST)
        self._server = Server(settings, BASE_URL, TABLE, headers={"Cartesia-Version": VERSION})

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return other_server(settings, "cartesia.ai")

    @classmethod
    def canonical(cls, settings: ProviderSettings) -> ProviderSettings:
        return replace(settings, format="_".join(str(value) for value in output_format(settings.format).values()))

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        """Sonic 3 and later can be asked (providers.md 3.2); where the older word for it is given, it stays."""
        if not re.match(r"sonic-[3-9]", settings.model or "") or "speed" in settings.options:
            return 1.0
        return FASTEST / number(settings.options, "generation_config.speed", 1.0, SLOWEST, FASTEST)

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        return with_speed(settings, "generation_config.speed", speed, FASTEST)

    def like(self, settings: ProviderSettings) -> "Cartesia":
        other = Cartesia(settings)
        other._server = self._server
        return other

    async def prepare(self) -> None:
        self._server.prepare()

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        body = {
            "model_id": self._settings.model,
            "transcript": utterance.text,
            "voice": self._settings.voice,
            "output_format": self._format,
            **self._settings.options,
        }
        async with self._server.call(Call("POST", "/tts/bytes", json=body)) as answer:
            answer.receipt = replace(
                answer.receipt,
                wire=wire_format(self._format),
                speed=self._speed,
            )
            await answer.save(target, most_bytes(utterance.text))
            return answer.receipt

    async def voices(self) -> Sequence[Voice]:
        voices: list[Voice] = []
        query = {"limit": str(PAGE)}
        while True:
            page = await self._server.json(Call("GET", "/voices", query=query))
            listed = page.get("data", ()) if isinstance(page, dict) else page
            voices += [
                Voice(each["id"], each.get("name", ""), each.get("language") or "", each.get("description") or "")
                for each in listed
            ]
            last = listed[-1]["id"] if listed else None
            whole = not isinstance(page, dict) or page.get("has_more") is False
            if whole or last in (None, query.get("starting_after")):
                return voices
            query["starting_after"] = last

    async def aclose(self) -> None:
        await self._server.aclose()


def output_format(text: str) -> dict[str, Any]:
    """The ``output_format`` object that ``text`` stands for: a container, then what of it is not as usual.

    Raises:
        JobError: Cartesia has no such format.
    """
    container, _, rest = text.partition("_")
    container = "raw" if container == "pcm" else container
    encoding = next((name for name in ENCODINGS if rest.startswith(name)), None)
    numbers = [part for part in rest.removeprefix(encoding or "").split("_") if part]
    usual = 44_100 if container == "mp3" else 24_000
    try:
        rate, *kbps = [int(number) for number in numbers] or [usual]
    except ValueError:
        rate, kbps = 0, []
    if container == "mp3" and rate in RATES and encoding is None and len(kbps) < 2 and set(kbps) <= set(KILOBITS):
        return {"container": "mp3", "sample_rate": rate, "bit_rate": 1000 * (kbps[0] if kbps else 128)}
    if container in ("wav", "raw") and rate in RATES and not kbps:
        return {"container": container, "encoding": encoding or "pcm_s16le", "sample_rate": rate}
    raise JobError(
        f"provider.format is '{text}': Cartesia has wav, raw and mp3, refined as wav_44100, raw_pcm_f32le_48000 or "
        f"mp3_44100_128; rates {', '.join(map(str, RATES))}; encodings {', '.join(ENCODINGS)}; "
        f"kbit/s {', '.join(map(str, KILOBITS))}"
    )


def wire_format(asked: dict[str, Any]) -> WireFormat:
    """What an ``output_format`` object asks for."""
    encoding = ENCODINGS[asked.get("encoding", "pcm_s16le")]
    return WireFormat(asked["container"], encoding, asked["sample_rate"])
