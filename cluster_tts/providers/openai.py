"""OpenAI's ``/v1/audio/speech``, and every server that speaks it (providers.md 1 and 5)."""

import base64
import binascii
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from cluster_tts import keys
from cluster_tts.errors import JobError, RetryLater, nearest
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice, WireFormat
from cluster_tts.providers.answers import Meaning, Row
from cluster_tts.providers.base import Provider
from cluster_tts.providers.checks import number, refuse_unknown_options, with_speed
from cluster_tts.providers.http import Answer, Call, Server, most_bytes, other_server

BASE_URL = "https://api.openai.com/v1"

CONCURRENCY = (  # codes of servers that speak this language; OpenAI itself publishes no such limit
    "concurrency_limit_exceeded",
    "concurrent_limit_exceeded",
    "concurrency_limited",
    "too_many_concurrent_requests",
    "max_parallel_requests",  # LiteLLM's proxy, in a header: proxy/hooks/parallel_request_limiter_v3.py
    "1302",  # Z.AI: docs.z.ai/api-reference/api-code
)
TABLE: tuple[Row, ...] = (
    (429, "insufficient_quota", Meaning.NO_CREDIT),
    (429, "credit_balance_exhausted", Meaning.NO_CREDIT),
    (429, "organization_spend_limit_exceeded", Meaning.NO_CREDIT),
    (429, "project_spend_limit_exceeded", Meaning.NO_CREDIT),
    (429, "organization_usage_limit_exceeded", Meaning.NO_CREDIT),
    (429, "1113", Meaning.NO_CREDIT),  # Z.AI: in arrears
    *((429, code, Meaning.FEWER) for code in CONCURRENCY),
    (429, "slow_down", Meaning.SLOWER),
    (429, "service_tier_capacity_exceeded", Meaning.BUSY),  # Mistral: their capacity, whatever one's own limits
    (503, "server_is_overloaded", Meaning.BUSY),
    (400, "invalid_model", Meaning.MISTAKE),  # Kokoro-FastAPI
)

FORMATS = {
    "wav": WireFormat("wav"),
    "pcm": WireFormat("raw", "pcm_s16le", 24_000),
    "mp3": WireFormat("mp3"),
    "flac": WireFormat("flac"),
    "opus": WireFormat("ogg"),
}
VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
# Taken as an object only: sdk openai types/audio/speech_create_params.py. A digit tells an id from a name.
CUSTOM_VOICE = re.compile(r"voice_(?=\w*\d)\w+")
OPTIONS = ("instructions", "speed", "stream_format")
SLOWEST, FASTEST = 0.25, 4.0
OWN_FIELDS = {
    "input": "it is the text of the documents",
    "model": "set provider.model instead",
    "voice": "set provider.voice instead",
    "response_format": "set provider.format instead",
}


class OpenAI(Provider):
    """Speech by OpenAI, or by the server at ``provider.base_url``, whose further options are not judged here."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        options = settings.options
        if settings.format == "aac":
            raise JobError("provider.format is 'aac', which cannot be checked here: ask for wav, flac, opus or mp3")
        if settings.format not in FORMATS:
            raise JobError(f"provider.format is '{settings.format}': {nearest(settings.format, list(FORMATS))}")
        if not settings.model or not settings.voice:
            raise JobError("provider 'openai' needs provider.model and provider.voice")
        if overridden := [name for name in OWN_FIELDS if name in options]:
            raise JobError(f"provider.options.{overridden[0]}: {OWN_FIELDS[overridden[0]]}")
        if settings.base_url is None:
            refuse_unknown_options("openai", list(options), OPTIONS)
        self._speed = number(options, "speed", 1.0, SLOWEST, FASTEST)
        if options.get("stream_format", "audio") not in ("audio", "sse"):
            raise JobError(f"provider.options.stream_format is {options['stream_format']!r}: must be audio or sse")
        scope = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
        self._server = Server(
            settings,
            BASE_URL,
            TABLE,
            headers={
                "Accept": "application/octet-stream",
                **{header: os.environ[name] for header, name in scope.items() if os.environ.get(name)},
            },
        )

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        """Servers of one's own have voices of their own, and the same names for them."""
        return (settings.base_url or "").rstrip("/") if other_server(settings, "openai.com") else ""

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        return FASTEST / number(settings.options, "speed", 1.0, SLOWEST, FASTEST)

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        return with_speed(settings, "speed", speed, FASTEST)

    def like(self, settings: ProviderSettings) -> "OpenAI":
        other = OpenAI(settings)
        other._server = self._server
        return other

    async def prepare(self) -> None:
        self._server.prepare()

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        wire = FORMATS[self._settings.format]
        call = Call("POST", "/audio/speech", json=self._request(utterance))
        async with self._server.call(call) as answer:
            answer.receipt = replace(answer.receipt, wire=wire, speed=self._speed)
            await answer.save(target, most_bytes(utterance.text))
        if self._settings.options.get("stream_format") == "sse":
            read_events(target, answer)
        return answer.receipt

    async def voices(self) -> Sequence[Voice]:
        if self._settings.base_url is None:
            return [Voice(name) for name in VOICES]
        try:
            content = await self._server.json(Call("GET", "/audio/voices"))
        except JobError as error:
            raise JobError(f"this server does not tell its voices: {error}") from None
        listed = content.get("voices", content.get("data")) if isinstance(content, dict) else content
        return [
            Voice(each) if isinstance(each, str) else Voice(str(each.get("id") or each["name"]), each.get("name") or "")
            for each in listed or ()
        ]

    async def aclose(self) -> None:
        await self._server.aclose()

    def _request(self, utterance: Utterance) -> dict[str, Any]:
        voice = self._settings.voice or ""
        return {
            "input": utterance.text,
            "model": self._settings.model,
            "voice": {"id": voice} if CUSTOM_VOICE.fullmatch(voice) else voice,
            "response_format": self._settings.format,
            **self._settings.options,
        }


def read_events(target: Path, answer: Answer) -> None:
    """Replace the event stream in ``target`` by the audio in it; ``RetryLater`` if it does not come to its end.

    ``speech.audio.done`` is the only sign of completeness that this API has (providers.md 1.2).
    """
    audio = bytearray()
    for line in target.read_bytes().splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            event = json.loads(line.removeprefix(b"data:"))
            if event["type"] == "speech.audio.delta":
                audio += base64.b64decode(event["audio"], validate=True)
            elif event["type"] == "speech.audio.done":
                target.write_bytes(audio)
                return
        except (ValueError, KeyError, TypeError, binascii.Error):
            words = keys.redact(line.decode("utf-8", "replace"))[:100]
            raise RetryLater(f"the event stream holds '{words}'", "not_audio", receipt=answer.receipt) from None
    raise RetryLater("the event stream has no end (speech.audio.done)", "cut_audio", receipt=answer.receipt)
