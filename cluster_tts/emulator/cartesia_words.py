"""How requests to Cartesia read, what its events and voices look like (providers.md 3.1, 3.2)."""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster_tts.emulator.fields import Fields, Invalid
from cluster_tts.emulator.wire import Ask, Audio, Call, Sound, new_id

MODEL = re.compile(r"sonic(-[\w.-]+)?", re.ASCII)
GONE = re.compile(r"sonic|sonic-(2|turbo|english|multilingual).*|sonic-3-2025-10-27")  # switched off 2026-10-20
VOICE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
VOICE_IDS_SINCE = "2026-08-14"  # before, a voice was {"mode": "id", ...}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
WORDLESS = re.compile(r"[\W_]*")

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
BIT_RATES = (32_000, 64_000, 96_000, 128_000, 192_000)
ENCODINGS = ("pcm_f32le", "pcm_s16le", "pcm_mulaw", "pcm_alaw")
MEDIA_TYPES = {"raw": "application/octet-stream", "wav": "audio/wav", "mp3": "audio/mpeg"}
VOICES = {
    "e07c00bc-4134-4eae-9ea4-1a55fb45746b": ("Brooke", "feminine", "en"),
    "694f9389-aac1-45b6-b726-9d9369183238": ("Barbershop Man", "masculine", "en"),
    "a0e99841-438c-4a64-b679-ae501e7d6091": ("Barbershop Voice", "masculine", "en"),
    "6ccbfb76-1fc6-48f7-b71d-91ac6298247b": ("Tessa", "feminine", "en"),
    "f786b574-daa5-4673-aa0c-cbe3e8534c02": ("Katie", "feminine", "en"),
    "228fca29-3a0a-435c-8728-5cb483251068": ("Kiefer", "masculine", "en"),
    "c961b81c-a935-4c17-bfb3-ba2239de8c2f": ("Kyle", "masculine", "en"),
    "f9836c6e-a0bd-460e-9d3c-f7299fa60f94": ("Caroline", "feminine", "en"),
    "38aabb6a-f52b-4fb0-a3d1-988518f4dc06": ("Alina", "feminine", "de"),
}
PIECES = 4  # of audio in an event stream
WORD_BYTES = {"pcm_f32le": 4, "pcm_s16le": 2}


def is_voice(voice: str) -> bool:
    """Whether a voice exists: one of the account's own may have any id of this shape."""
    return VOICE_ID.fullmatch(voice) is not None


def read_ask(fields: Fields, call: Call) -> Ask:
    """What a request asks for.

    Raises:
        Invalid: it asks wrongly; kind 'model' or 'voice' where there is no such thing.
    """
    model = fields.text("model_id", least=1)
    if not MODEL.fullmatch(model) or GONE.fullmatch(model):
        raise Invalid(("model_id",), f"there is no model '{model}', or no longer", "model")
    text = fields.text("transcript")
    if WORDLESS.fullmatch(text):
        raise Invalid(("transcript",), "the transcript has no words to speak", "length")
    voice = _read_voice(fields, call.header("Cartesia-Version") or VOICE_IDS_SINCE)
    _read_manner(fields)
    speed = 1.0
    if (config := fields.inner("generation_config", None)) is not None:
        speed = config.number("speed", 0.6, 1.5, 1.0)
        config.number("volume", 0.5, 2.0, 1.0)
        config.text("emotion", None)
    as_events = call.path == "/tts/sse"
    details = {
        "save": fields.flag("save", False),
        "context_id": fields.text("context_id", None),
        "words": fields.flag("add_timestamps", False),
        "phonemes": fields.flag("add_phoneme_timestamps", False),
    }
    sound = _read_sound(fields.inner("output_format"), as_events)
    return Ask(text, model, sound, speed, shape="sse" if as_events else "audio", details=details, voices=(voice,))


def _read_voice(fields: Fields, version: str) -> str:
    voice = fields.content.get("voice")
    if isinstance(voice, dict):
        if version >= VOICE_IDS_SINCE and ("mode" in voice or "embedding" in voice):
            raise Invalid(("voice",), 'a voice is its id or {"id": ...}; mode and embedding are gone', "type")
        voice = Fields(voice, ("voice",)).text("id")
    else:
        voice = fields.text("voice")
    if not is_voice(voice):
        raise Invalid(("voice",), f"there is no voice '{voice}'", "voice")
    return str(voice)


def _read_manner(fields: Fields) -> None:
    language, locale = fields.text("language", None), fields.text("locale", None)
    if language is not None and locale is not None:
        raise Invalid(("locale",), "set language or locale, never both", "unknown")
    for name in ("language", "locale"):
        if (value := fields.text(name, None)) is not None and not LANGUAGE.fullmatch(value):
            raise Invalid((name,), f"'{value}' is no language", "enum")
    normalization = fields.text("normalization", "auto")
    if normalization not in ("auto", "off") and not LANGUAGE.fullmatch(normalization):
        raise Invalid(("normalization",), "must be auto, off or a locale", "enum")
    fields.one_of("speed", ("slow", "normal", "fast"), None)
    fields.text("pronunciation_dict_id", None)


def _read_sound(wanted: Fields | None, as_events: bool) -> Sound:
    assert wanted is not None
    container = wanted.one_of("container", ("raw",) if as_events else tuple(MEDIA_TYPES))
    rate = wanted.one_of("sample_rate", RATES)
    if container == "mp3":
        return Sound("mp3", rate, MEDIA_TYPES["mp3"], kbps=wanted.one_of("bit_rate", BIT_RATES) // 1000)
    return Sound(container, rate, MEDIA_TYPES[container], wanted.one_of("encoding", ENCODINGS))


def spoken(ask: Ask, audio: Audio) -> Iterator[dict[str, Any]]:
    """The events of ``/tts/sse`` (sdk types/tts_sse_event.py). Audio that ends early is never said to be done."""
    common = {"status_code": 206, "context_id": ask.details["context_id"] or new_id()}
    word = WORD_BYTES.get(ask.sound.encoding, 1)
    size = max(1, math.ceil(len(audio.data) / PIECES / word)) * word
    for at in range(0, len(audio.data), size):
        data = base64.b64encode(audio.data[at : at + size]).decode()
        yield {"type": "chunk", "data": data, "done": False, "step_time": 12.5, **common}
    words = ask.text.split()
    for name, kind, wanted in (("words", "word", "words"), ("phonemes", "phoneme", "phonemes")):
        if ask.details[wanted]:
            parts = words if name == "words" else [letter for letter in ask.text if letter.isalpha()]
            each_s = audio.seconds / max(1, len(parts))
            times = {
                name: parts,
                "start": [round(at * each_s, 3) for at in range(len(parts))],
                "end": [round((at + 1) * each_s, 3) for at in range(len(parts))],
            }
            shape = "timestamps" if kind == "word" else "phoneme_timestamps"
            yield {"type": shape, f"{kind}_timestamps": times, "done": False, **common}
    if audio.whole:
        yield {"type": "done", "done": True, **common, "status_code": 200}


def events(contents: "Iterator[dict[str, Any]] | list[dict[str, Any]]") -> bytes:
    """Server-sent events, each with its type twice."""
    return b"".join(_event(content) for content in contents)


def _event(content: Mapping[str, Any]) -> bytes:
    return f"event: {content['type']}\ndata: {json.dumps(content)}\n\n".encode()


def describe_voice(voice: str) -> dict[str, Any]:
    """An entry of ``GET /voices`` (sdk types/voice.py)."""
    name, gender, language = VOICES.get(voice, ("Voice of yours", "gender_neutral", "en"))
    return {
        "id": voice,
        "access": "public" if voice in VOICES else "private",
        "created_at": "2026-01-01T00:00:00Z",
        "description": f"{name}, as far as an emulator goes.",
        "is_owner": voice not in VOICES,
        "language": language,
        "locales": [{"is_native": True, "locale": "en-US" if language == "en" else "de-DE"}],
        "name": name,
        "tagline": "",
        "visibility": "all" if voice in VOICES else "owner",
        "gender": gender,
    }
