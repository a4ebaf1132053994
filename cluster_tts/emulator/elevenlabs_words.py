"""What ElevenLabs knows: models and their limits, voices, formats and who may have them, timestamps."""

import base64
import math
from dataclasses import dataclass
from typing import Any

from cluster_tts.emulator.fields import Invalid
from cluster_tts.emulator.settings import PLANS
from cluster_tts.emulator.wire import Ask, Audio, Sound


@dataclass(frozen=True)
class Model:
    """A model: characters per request (providers.md 2.4), credits per character (2.9), whose concurrency it shares."""

    name: str
    most: int
    credits: float = 1.0
    group: str = "standard"


MODELS = {
    "eleven_multilingual_v2": Model("Eleven Multilingual v2", 10_000),
    "eleven_multilingual_v1": Model("Eleven Multilingual v1", 10_000),
    "eleven_monolingual_v1": Model("Eleven English v1", 10_000),
    "eleven_flash_v2_5": Model("Eleven Flash v2.5", 40_000, 0.5, "turbo"),
    "eleven_turbo_v2_5": Model("Eleven Turbo v2.5", 40_000, 0.5, "turbo"),
    "eleven_flash_v2": Model("Eleven Flash v2", 30_000, 0.5, "turbo"),
    "eleven_turbo_v2": Model("Eleven Turbo v2", 30_000, 0.5, "turbo"),
    "eleven_v3": Model("Eleven v3", 5_000),
    "eleven_v3_conversational": Model("Eleven v3 Conversational", 5_000),
    "eleven_v4": Model("Eleven v4", 2_000),
    "eleven_v4_turbo": Model("Eleven v4 Turbo", 10_000),
}
VOICES = {
    "21m00Tcm4TlvDq8ikWAM": ("Rachel", "female", "en"),
    "JBFqnCBsd6RMkjVDRZzb": ("George", "male", "en"),
    "EXAVITQu4vr4xnSDxMaL": ("Sarah", "female", "en"),
    "IKne3meq5aSn9XLyUdCD": ("Charlie", "male", "en"),
    "XB0fDUnXU5powFXDhCwa": ("Charlotte", "female", "en"),
    "pNInz6obpgDQGcFmaJgB": ("Adam", "male", "en"),
    "onwK4e9ZLuTAKqWW03F9": ("Daniel", "male", "en"),
    "pFZP5JQG7iQjIQuC4Bku": ("Lily", "female", "en"),
    "nPczCjzI2devNBz1zQrb": ("Brian", "male", "en"),
    "cgSgspJ2msm6clMCkdW9": ("Jessica", "female", "en"),
    "TX3LPaxmHKxFdv7VOQHJ": ("Liam", "male", "en"),
    "Xb7hH8MSUJpSbSDYk0k2": ("Alice", "female", "en"),
}
PLAN_CREDITS = dict(
    zip(PLANS, (10_000, 30_000, 121_000, 600_000, 1_800_000, 6_000_000, 100_000_000), strict=True)
)  # providers.md 2.9
MP3 = ("22050_32", "24000_48", "44100_32", "44100_64", "44100_96", "44100_128", "44100_192")
RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
STREAMED = tuple(
    [f"mp3_{rest}" for rest in MP3]
    + [f"opus_48000_{kbps}" for kbps in (32, 64, 96, 128, 192)]
    + [f"pcm_{rate}" for rate in RATES]
    + ["ulaw_8000", "alaw_8000"]
)
FORMATS = (*STREAMED, *(f"wav_{rate}" for rate in RATES))  # wav not on /stream (providers.md 2.3)
NEEDS = {"mp3_44100_192": "creator", "pcm_44100": "pro", "wav_44100": "pro"}
CONTAINERS = {
    "mp3": ("mp3", "pcm_s16le"),
    "opus": ("opus", "pcm_s16le"),
    "pcm": ("raw", "pcm_s16le"),
    "wav": ("wav", "pcm_s16le"),
    "ulaw": ("raw", "pcm_mulaw"),
    "alaw": ("raw", "pcm_alaw"),
}
MEDIA_TYPE = "audio/mpeg"  # documented for all formats (providers.md 2.3)
PIECES = 4  # of a stream with timestamps


def sound_of(output_format: str, known: tuple[str, ...]) -> Sound:
    """The audio that a name like ``mp3_44100_128`` asks for.

    Raises:
        Invalid: the endpoint has no such format.
    """
    if output_format not in known:
        raise Invalid(("output_format",), f"Input should be {', '.join(map(repr, known))}", "enum")
    kind, rate, *kbps = output_format.split("_")
    container, encoding = CONTAINERS[kind]
    return Sound(container, int(rate), MEDIA_TYPE, encoding, int(kbps[0]) if kbps else None)


def plan_allows(plan: str, output_format: str) -> bool:
    """Whether a plan may have a format (providers.md 2.3)."""
    return PLANS.index(plan) >= PLANS.index(NEEDS.get(output_format, "free"))


def credits_of(ask: Ask) -> int:
    return math.ceil(ask.characters * MODELS[ask.model].credits)


def describe_model(name: str) -> dict[str, Any]:
    """An entry of ``GET /v1/models`` (sdk types/model.py)."""
    model = MODELS[name]
    return {
        "model_id": name,
        "name": model.name,
        "can_be_finetuned": False,
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": False,
        "can_use_style": True,
        "can_use_speaker_boost": True,
        "serves_pro_voices": False,
        "token_cost_factor": model.credits,
        "description": f"{model.name}, as far as an emulator goes.",
        "requires_alpha_access": False,
        "max_characters_request_free_user": 2_500,
        "max_characters_request_subscribed_user": 5_000,
        "maximum_text_length_per_request": model.most,
        "languages": [{"language_id": "en", "name": "English"}, {"language_id": "de", "name": "German"}],
        "model_rates": {"character_cost_multiplier": model.credits, "cost_discount_multiplier": 1.0},
        "concurrency_group": model.group,
    }


def describe_voice(voice_id: str) -> dict[str, Any]:
    """An entry of ``GET /v2/voices`` (sdk types/voice.py)."""
    name, gender, language = VOICES.get(voice_id, ("Voice of yours", "neutral", "en"))
    return {
        "voice_id": voice_id,
        "name": name,
        "category": "premade" if voice_id in VOICES else "cloned",
        "labels": {"gender": gender, "language": language},
        "description": f"{name}, as far as an emulator goes.",
        "preview_url": None,
        "settings": None,
        "is_owner": voice_id not in VOICES,
    }


def describe_subscription(plan: str, used: int, limit: int | None) -> dict[str, Any]:
    """``GET /v1/user/subscription`` (sdk types/subscription.py)."""
    return {
        "tier": plan,
        "character_count": used,
        "character_limit": PLAN_CREDITS[plan] if limit is None else limit,
        "max_credit_limit_extension": 0,
        "can_extend_character_limit": False,
        "allowed_to_extend_character_limit": False,
        "next_character_count_reset_unix": 1_800_000_000,
        "voice_slots_used": 0,
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": 10,
        "voice_add_edit_counter": 0,
        "professional_voice_limit": 0,
        "can_extend_voice_limit": False,
        "can_use_instant_voice_cloning": plan != "free",
        "can_use_professional_voice_cloning": False,
        "currency": "usd",
        "current_overage": {"amount": "0", "currency": "usd"},
        "status": "active" if plan != "free" else "free",
        "billing_period": "monthly_period",
        "character_refresh_period": "monthly_period",
        "open_invoices": [],
        "has_open_invoices": False,
    }


def timed(ask: Ask, audio: Audio) -> list[dict[str, Any]]:
    """The audio in pieces with the times of their characters, evenly spread (providers.md 2.8).

    One piece, except for a stream. Times go on from piece to piece; so do the indices of voice segments.
    """
    turns = ask.turns or (ask.text,)
    characters = "".join(turns)
    each_s = audio.seconds / max(1, len(characters))
    pieces = min(PIECES, len(characters)) if ask.shape == "ndjson" else 1
    step, size = math.ceil(len(characters) / pieces), math.ceil(len(audio.data) / pieces)
    found = []
    for piece in range(pieces):
        first, last = piece * step, min((piece + 1) * step, len(characters))
        alignment = {
            "characters": list(characters[first:last]),
            "character_start_times_seconds": [round(at * each_s, 3) for at in range(first, last)],
            "character_end_times_seconds": [round((at + 1) * each_s, 3) for at in range(first, last)],
        }
        data = audio.data[piece * size : (piece + 1) * size]
        entry: dict[str, Any] = {"audio_base64": base64.b64encode(data).decode()}
        entry.update(alignment=alignment, normalized_alignment=alignment)
        if ask.turns:
            entry["voice_segments"] = _segments(ask, each_s, first, last)
        found.append(entry)
    return found


def _segments(ask: Ask, each_s: float, first: int, last: int) -> list[dict[str, Any]]:
    """Who speaks from character ``first`` to ``last``."""
    segments, begin = [], 0
    for index, (turn, voice) in enumerate(zip(ask.turns, ask.voices, strict=True)):
        start, end = max(begin, first), min(begin + len(turn), last)
        begin += len(turn)
        if start < end:
            segments.append(
                {
                    "voice_id": voice,
                    "start_time_seconds": round(start * each_s, 3),
                    "end_time_seconds": round(end * each_s, 3),
                    "character_start_index": start,
                    "character_end_index": end,
                    "dialogue_input_index": index,
                }
            )
    return segments
