"""The models that an emulated Replicate runs: their inputs as JSON schema, and what they make of them.

providers.md 4.6. Official models are called by name, community models by version only. Any other version of 64 hex
digits is taken for a community model with a ``text`` or ``prompt``, since no emulator knows them all.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster_tts.emulator.fields import Fields, Invalid
from cluster_tts.emulator.wire import Sound

VERSION = re.compile(r"[0-9a-f]{64}")
MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "pcm": "audio/pcm"}
CREATED = "2026-01-01T00:00:00.000000Z"

MINIMAX_INPUT: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": 10_000},
    "voice_id": {"type": "string", "default": "Wise_Woman"},
    "speed": {"type": "number", "minimum": 0.5, "maximum": 2, "default": 1},
    "volume": {"type": "number", "minimum": 0, "maximum": 10, "default": 1},
    "pitch": {"type": "integer", "minimum": -12, "maximum": 12, "default": 0},
    "emotion": {
        "enum": ["auto", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm", "fluent", "neutral"],
        "default": "auto",
    },
    "sample_rate": {"enum": [8_000, 16_000, 22_050, 24_000, 32_000, 44_100], "default": 32_000},
    "bitrate": {"enum": [32_000, 64_000, 128_000, 256_000], "default": 128_000},
    "audio_format": {"enum": ["mp3", "wav", "flac", "pcm"], "default": "mp3"},
    "channel": {"enum": ["mono"], "default": "mono"},
    "language_boost": {"type": "string", "default": "None"},
    "english_normalization": {"type": "boolean", "default": False},
    "subtitle_enable": {"type": "boolean", "default": False},
}
KOKORO_INPUT: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "voice": {"type": "string", "pattern": "[a-z][fm]_[a-z]+", "default": "af_bella"},
    "speed": {"type": "number", "minimum": 0.1, "maximum": 5, "default": 1},
}
CHATTERBOX_INPUT: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string"},
    "audio_prompt": {"type": "string", "format": "uri"},
    "exaggeration": {"type": "number", "minimum": 0.25, "maximum": 2, "default": 0.5},
    "cfg_weight": {"type": "number", "minimum": 0.2, "maximum": 1, "default": 0.5},
    "temperature": {"type": "number", "minimum": 0.05, "maximum": 5, "default": 0.8},
    "seed": {"type": "integer", "minimum": 0, "default": 0},
}
XTTS_INPUT: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "speaker": {"type": "string", "format": "uri"},
    "language": {"type": "string", "pattern": "[a-z]{2}(-[a-z]{2})?", "default": "en"},
    "cleanup_voice": {"type": "boolean", "default": False},
}


@dataclass(frozen=True)
class Model:
    """A model on Replicate: ``properties`` of its input, those ``required``, and whether it goes by its name."""

    name: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    official: bool
    version: str

    @property
    def schema(self) -> dict[str, Any]:
        """What ``openapi_schema`` says of a version."""
        given = {"type": "object", "title": "Input", "required": list(self.required), "properties": self.properties}
        output = {"type": "string", "title": "Output", "format": "uri"}
        return {"openapi": "3.0.2", "components": {"schemas": {"Input": given, "Output": output}}}


def _version_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _model(
    name: str,
    properties: Mapping[str, Mapping[str, Any]],
    required: tuple[str, ...],
    *,
    official: bool,
    version: str | None = None,
) -> Model:
    return Model(name, properties, required, official, version or _version_of(name))


MINIMAX = ("02-hd", "02-turbo", "2.6-hd", "2.6-turbo", "2.8-hd", "2.8-turbo")
KNOWN = [
    *(_model(f"minimax/speech-{which}", MINIMAX_INPUT, ("text",), official=True) for which in MINIMAX),
    _model("resemble-ai/chatterbox", CHATTERBOX_INPUT, ("prompt",), official=True),
    _model(
        "jaaari/kokoro-82m",
        KOKORO_INPUT,
        ("text",),
        official=False,
        version="f559560eb822dc509045f3921a1921234918b91739db4bf3daab2169b71c7a13",
    ),
    _model("lucataco/xtts-v2", XTTS_INPUT, ("text", "speaker"), official=False),
]
MODELS = {model.name: model for model in KNOWN}
VERSIONS = {model.version: model for model in KNOWN}


def by_version(version: str) -> Model | None:
    """The model that ``version`` means: 64 hex digits, or a name, or both with a colon; None: none."""
    name, _, digits = version.rpartition(":") if ":" in version else ("", "", version)
    if digits in MODELS:
        return MODELS[digits]
    if not VERSION.fullmatch(digits):
        return None
    return VERSIONS.get(digits) or Model(name or "community/model", {}, (), False, digits)


def read_input(model: Model, given: Fields) -> tuple[str, Sound, float]:
    """The text to speak, as what, and how fast.

    Raises:
        Invalid: the input does not fit the model's schema.
    """
    for name in model.required:
        if given.content.get(name) is None:
            raise Invalid(("input", name), f"{name} is required", "missing")
    values = {name: _value(given, name, dict(rule)) for name, rule in model.properties.items()}
    text = values.get("text") or values.get("prompt")
    if not model.properties:
        text = given.content.get("text") or given.content.get("prompt")
    if not isinstance(text, str) or not text:
        raise Invalid(("input", "text"), "text is required", "missing")
    form = values.get("audio_format", "wav")
    kbps = values["bitrate"] // 1000 if form == "mp3" else None
    container = "raw" if form == "pcm" else form
    sound = Sound(container, values.get("sample_rate", 24_000), MEDIA_TYPES[form], kbps=kbps)
    return text, sound, float(values.get("speed", 1.0))


def _value(given: Fields, name: str, rule: dict[str, Any]) -> Any:
    default = rule.get("default")
    if "enum" in rule:
        return given.one_of(name, rule["enum"], default)
    least, most = rule.get("minimum", -1e18), rule.get("maximum", 1e18)
    match rule["type"]:
        case "number":
            return given.number(name, least, most, default)
        case "integer":
            return given.integer(name, least, most, default)
        case "boolean":
            return given.flag(name, default)
    value = given.text(name, default, most=rule.get("maxLength"))
    if value is not None and "pattern" in rule and not re.fullmatch(rule["pattern"], value):
        raise Invalid((*given.where, name), f"'{value}' is not allowed", "enum")
    if value is not None and rule.get("format") == "uri" and not value.startswith(("https://", "http://", "data:")):
        raise Invalid((*given.where, name), "Does not match format 'uri'", "enum")
    return value


def describe_version(model: Model, version: str | None = None) -> dict[str, Any]:
    """What ``…/versions/{id}`` answers (sdk version.py)."""
    return {
        "id": version or model.version,
        "created_at": CREATED,
        "cog_version": "0.16.0",
        "openapi_schema": model.schema,
    }


def describe_model(model: Model) -> dict[str, Any]:
    """What ``GET /v1/models/{owner}/{name}`` answers (sdk model.py)."""
    owner, _, name = model.name.partition("/")
    return {
        "url": f"https://replicate.com/{model.name}",
        "owner": owner,
        "name": name,
        "description": f"{model.name}, as far as an emulator goes.",
        "visibility": "public",
        "is_official": model.official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": describe_version(model),
    }
