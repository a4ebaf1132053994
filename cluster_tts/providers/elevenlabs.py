"""ElevenLabs: speech and dialogue (providers.md 2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from cluster_tts.cutting import Dialogue
from cluster_tts.errors import ChunkError, JobError, nearest
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice, WireFormat
from cluster_tts.providers.answers import Meaning, Row
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import number, refuse_unknown_options, with_speed
from cluster_tts.providers.http import Answer, Call, Server, most_bytes, other_server

BASE_URL = "https://api.elevenlabs.io"

TABLE: tuple[Row, ...] = (
    ("*", "quota_exceeded", Meaning.NO_CREDIT),  # 401 was seen, 402 is documented
    (400, "max_character_limit_exceeded", Meaning.HOPELESS),
    ("4xx", "voice_not_found", Meaning.HOPELESS),
    (401, "", Meaning.REFUSED),  # invalid_api_key, missing_permissions, detected_unusual_activity
    (402, "paid_plan_required", Meaning.REFUSED),
    (403, "only_for_creator+", Meaning.REFUSED),
    (429, "too_many_concurrent_requests", Meaning.FEWER),
    (429, "concurrent_limit_exceeded", Meaning.FEWER),
    (429, "system_busy", Meaning.BUSY),
    (429, "rate_limit_exceeded", Meaning.LATER),
)

# sdk elevenlabs text_to_speech/types: every output_format there is. libsndfile reads Opus at 48 kHz as it comes.
FORMATS = (
    *("mp3_22050_32", "mp3_24000_48", *(f"mp3_44100_{kbps}" for kbps in (32, 64, 96, 128, 192))),
    *(f"opus_48000_{kbps}" for kbps in (32, 64, 96, 128, 192)),
    *(f"{kind}_{rate}" for kind in ("pcm", "wav") for rate in (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)),
    *("ulaw_8000", "alaw_8000"),
)
SHORT_FORMATS = {"wav": "wav_24000", "pcm": "pcm_24000", "mp3": "mp3_44100_128", "opus": "opus_48000_96"}

SPEECH_QUERY = ("enable_logging", "optimize_streaming_latency")
DIALOGUE_QUERY = ("enable_logging",)
BOTH_OPTIONS = (
    "seed", "language_code", "apply_text_normalization", "pronunciation_dictionary_locators",
    "previous_request_ids", "next_request_ids", "use_pvc_as_ivc", "audio_effects",
)  # fmt: skip
SPEECH_OPTIONS = (*BOTH_OPTIONS, "voice_settings", "apply_language_text_normalization")
DIALOGUE_OPTIONS = (*BOTH_OPTIONS, "settings")
DIALOGUE_CONTEXT = 100  # characters of previous_text and future_text: sdk elevenlabs text_to_dialogue/raw_client.py
DIALOGUE_VOICES = 10
DIALOGUE_CHARACTERS = 2_000  # of all turns: more may end a stream early (providers.md 2.2)
DIALOGUE_MODEL = "eleven_v3"
SLOWEST, FASTEST = 0.7, 1.2
PAGE = 100


class ElevenLabs(Provider):
    """Speech by one voice, or a dialogue of several where the utterance has turns."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0
    takes_context: ClassVar[bool] = True

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._format = SHORT_FORMATS.get(settings.format, settings.format)
        if self._format not in FORMATS:
            raise JobError(f"provider.format is '{settings.format}': {nearest(settings.format, FORMATS)}")
        if not settings.voice:
            raise JobError("provider 'elevenlabs' needs provider.voice: `cluster-tts voices` lists those you can use")
        known = (*SPEECH_QUERY, *SPEECH_OPTIONS, "settings")
        refuse_unknown_options("elevenlabs", list(settings.options), known)
        self._speed = number(settings.options, "voice_settings.speed", 1.0, SLOWEST, FASTEST)
        self._server = Server(settings, BASE_URL, TABLE, auth=("xi-api-key", "{}"))

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return other_server(settings, "elevenlabs.io")

    @classmethod
    def canonical(cls, settings: ProviderSettings) -> ProviderSettings:
        return replace(settings, format=SHORT_FORMATS.get(settings.format, settings.format))

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        return FASTEST / number(settings.options, "voice_settings.speed", 1.0, SLOWEST, FASTEST)

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        return with_speed(settings, "voice_settings.speed", speed, FASTEST)

    @classmethod
    def dialogue(cls, settings: ProviderSettings) -> Dialogue | None:
        is_for_dialogue = (settings.model or "").startswith(DIALOGUE_MODEL)
        return Dialogue(DIALOGUE_CHARACTERS, DIALOGUE_VOICES, DIALOGUE_CONTEXT) if is_for_dialogue else None

    @classmethod
    def sent(cls, settings: ProviderSettings, dialogue: bool) -> ProviderSettings:
        names = (*DIALOGUE_QUERY, *DIALOGUE_OPTIONS) if dialogue else (*SPEECH_QUERY, *SPEECH_OPTIONS)
        options = {name: value for name, value in settings.options.items() if name in names}
        return replace(settings, options=options, voice=None if dialogue else settings.voice)

    def like(self, settings: ProviderSettings) -> "ElevenLabs":
        other = ElevenLabs(settings)
        other._server = self._server
        return other

    async def prepare(self) -> None:
        self._server.prepare()

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        call = self._dialogue(utterance) if utterance.turns else self._speech(utterance)
        async with self._server.call(call) as answer:
            answer.receipt = self._receipt(answer)
            await answer.save(target, most_bytes(utterance.text))
            return answer.receipt

    async def voices(self) -> Sequence[Voice]:
        voices: list[Voice] = []
        query = {"page_size": str(PAGE)}
        while True:
            page = await self._server.json(Call("GET", "/v2/voices", query=query))
            voices += [
                Voice(each["voice_id"], each.get("name") or "", *_described(each)) for each in page.get("voices", ())
            ]
            token = page.get("next_page_token")
            if not page.get("has_more") or token in (None, "", query.get("next_page_token")):
                return voices
            query["next_page_token"] = token

    async def aclose(self) -> None:
        await self._server.aclose()

    def _speech(self, utterance: Utterance) -> Call:
        body = {
            "text": utterance.text,
            "model_id": self._settings.model,
            "previous_text": utterance.before or None,
            "next_text": utterance.after or None,
            **self._options(SPEECH_OPTIONS),
        }
        return self._call(f"/v1/text-to-speech/{quote(self._settings.voice or '', safe='')}", SPEECH_QUERY, body)

    def _dialogue(self, utterance: Utterance) -> Call:
        if len({turn.voice for turn in utterance.turns}) > DIALOGUE_VOICES:
            raise ChunkError(f"more than {DIALOGUE_VOICES} voices share one dialogue", "refused_text")
        body = {
            "inputs": [{"text": turn.text, "voice_id": turn.voice} for turn in utterance.turns],
            "model_id": self._settings.model,
            "previous_text": utterance.before[-DIALOGUE_CONTEXT:] or None,
            "future_text": utterance.after[:DIALOGUE_CONTEXT] or None,
            **self._options(DIALOGUE_OPTIONS),
        }
        return self._call("/v1/text-to-dialogue", DIALOGUE_QUERY, body)

    def _call(self, path: str, query_options: Sequence[str], body: Mapping[str, Any]) -> Call:
        query = {"output_format": self._format}
        for name, value in self._options(query_options).items():
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
        return Call("POST", path, json={name: value for name, value in body.items() if value is not None}, query=query)

    def _options(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name, value in self._settings.options.items() if name in names}

    def _receipt(self, answer: Answer) -> Receipt:
        cost = answer.headers.get("character-cost", "")
        return replace(
            answer.receipt,
            billed_characters=int(cost) if re.fullmatch(r"\d{1,12}", cost, re.ASCII) else None,
            wire=wire_format(self._format),
            speed=self._speed,
        )


def wire_format(output_format: str) -> WireFormat:
    """What an ``output_format`` asks for. PCM is signed 16 bit, little-endian, mono (providers.md 2.3)."""
    kind, rate = output_format.split("_")[:2]
    if kind in ("mp3", "wav"):
        return WireFormat(kind)
    if kind == "opus":
        return WireFormat("ogg")
    return WireFormat("raw", "pcm_s16le" if kind == "pcm" else kind, int(rate))


def _described(voice: Mapping[str, Any]) -> tuple[str, str]:
    labels = voice.get("labels") or {}
    words = (labels.get(name) for name in ("accent", "gender", "age", "use_case"))
    return labels.get("language") or "", ", ".join(word for word in (voice.get("category"), *words) if word)
