"""How requests to ElevenLabs read, and the rows of its error table that say what is wrong (providers.md 2.2, 2.6)."""

import re

from cluster_tts.emulator.elevenlabs_words import FORMATS, MODELS, NEEDS, STREAMED, VOICES, plan_allows, sound_of
from cluster_tts.emulator.fields import Fields, Invalid
from cluster_tts.emulator.wire import Ask, Call, ErrorRow

TOO_LONG = ErrorRow(400, ("max_character_limit_exceeded",), "validation_error", "The text is too long for one request.")
NO_VOICE = ErrorRow(400, ("voice_not_found",), "not_found", "A voice with this voice_id was not found.")
NO_MODEL = ErrorRow(400, ("model_not_found",), "not_found", "A model with this model_id does not exist.")
UNSUPPORTED = ErrorRow(400, ("unsupported_parameter",), "validation_error", "The model does not support a parameter.")
BAD_KEY = ErrorRow(401, ("invalid_api_key",), "authentication_error", "Invalid API key")
NO_CREDIT = ErrorRow(
    402, ("quota_exceeded",), "payment_required", "You have 0 credits remaining, while 1 credits are required."
)
NO_PLAN = ErrorRow(402, ("paid_plan_required",), "payment_required", "Your plan does not include this feature.")
HIGHER_PLAN = ErrorRow(403, ("only_for_creator+",), "authorization_error", "Only for the Creator plan and above.")
TOO_MANY = ErrorRow(
    429,
    ("too_many_concurrent_requests", "concurrent_limit_exceeded"),
    "rate_limit_error",
    "Too many concurrent requests. Your current subscription does not allow more at once.",
)
BUSY = ErrorRow(
    429, ("system_busy",), "rate_limit_error", "The system is experiencing heavy traffic, please try again."
)
RATE = ErrorRow(429, ("rate_limit_exceeded",), "rate_limit_error", "Rate limit exceeded.")

VOICE_ID = re.compile(r"[A-Za-z0-9]{20}")
LANGUAGE = re.compile(r"[a-z]{2,3}")
MOST_TURNS_TEXT, MOST_VOICES, MOST_CONTEXT, MOST_LISTED = 2_000, 10, 100, 3
MOST_SEED = 4_294_967_295
SHAPES = {"/stream/with-timestamps": "ndjson", "/with-timestamps": "json", "/stream": "stream"}
FLAGS = ("true", "false", "1", "0")


class Wrong(Exception):
    """A request is refused by a row of the table, other than the list that a 422 has."""

    def __init__(self, row: ErrorRow, message: str = "", param: str | None = None) -> None:
        super().__init__(message or row.message)
        self.row, self.param = row, param


def is_voice(voice: str) -> bool:
    """Whether a voice exists: one of the account's own may have any id of this shape."""
    return voice in VOICES or VOICE_ID.fullmatch(voice) is not None


def read_ask(fields: Fields, call: Call, plan: str) -> Ask:
    """What a request asks for.

    Raises:
        Invalid: a field is missing or out of range, which is a 422.
        Wrong: anything else.
    """
    shape = next((shape for ending, shape in SHAPES.items() if call.path.endswith(ending)), "audio")
    wanted = _read_query(call, shape, plan)
    sound = sound_of(wanted, STREAMED if shape in ("stream", "ndjson") else FORMATS)
    read = _read_dialogue if "/text-to-dialogue" in call.path else _read_speech
    model, text, turns, voices, speed = read(fields, call)
    _read_common(fields, model)
    if not plan_allows(plan, wanted):
        message = f"The output format {wanted} is only for the {NEEDS[wanted].title()} plan and above."
        raise Wrong(HIGHER_PLAN, message, "output_format")
    _check_effects(fields, wanted)
    return Ask(text, model, sound, speed, turns, shape, voices=voices)


def _read_query(call: Call, shape: str, plan: str) -> str:
    """The output format; the rest of the query is checked (providers.md 2.1)."""
    query = call.query()
    logging = query.get("enable_logging", "true").lower()
    if logging not in FLAGS:
        raise Invalid(("enable_logging",), "Input should be a valid boolean", "type")
    if logging in ("false", "0") and plan != "enterprise":
        raise Wrong(NO_PLAN, "Zero retention mode is only for enterprise customers.", "enable_logging")
    if query.get("optimize_streaming_latency", "0") not in tuple("01234"):
        raise Invalid(("optimize_streaming_latency",), "Input should be from 0 to 4", "range")
    return query.get("output_format", "mp3_44100_128")


def _read_speech(fields: Fields, call: Call) -> tuple[str, str, tuple[str, ...], tuple[str, ...], float]:
    text = fields.text("text", least=1)
    model = fields.text("model_id", "eleven_multilingual_v2")
    voice = call.params[0]
    speed = 1.0
    if (settings := fields.inner("voice_settings", None)) is not None:
        for name in ("stability", "similarity_boost", "style", "clone_strength"):
            settings.number(name, 0.0, 1.0, None)
        settings.flag("use_speaker_boost", None)
        speed = settings.number("speed", 0.7, 1.2, 1.0)
    fields.text("previous_text", None)
    fields.text("next_text", None)
    fields.flag("apply_language_text_normalization", None)
    _check(model, [voice], len(text), MODELS[model].most if model in MODELS else 0)
    return model, text, (), (voice,), speed


def _read_dialogue(fields: Fields, call: Call) -> tuple[str, str, tuple[str, ...], tuple[str, ...], float]:
    inputs = fields.items("inputs")
    if not inputs:
        raise Invalid(("inputs",), "List should have at least 1 item", "length")
    turns, voices = [], []
    for index, item in enumerate(inputs):
        if not isinstance(item, dict):
            raise Invalid(("inputs", index), "Input should be a valid dictionary", "type")
        turn = Fields(item, ("inputs", index))
        turns.append(turn.text("text", least=1))
        voices.append(turn.text("voice_id"))
    model = fields.text("model_id", "eleven_v3")
    if (settings := fields.inner("settings", None)) is not None:
        for name in ("stability", "similarity", "clone_strength"):
            settings.number(name, 0.0, 1.0, None)
    fields.text("previous_text", None, most=MOST_CONTEXT)
    fields.text("future_text", None, most=MOST_CONTEXT)
    if len(set(voices)) > MOST_VOICES:
        raise Invalid(("inputs",), f"at most {MOST_VOICES} distinct voices, not {len(set(voices))}", "length")
    _check(model, voices, sum(map(len, turns)), MOST_TURNS_TEXT)
    return model, "\n".join(turns), tuple(turns), tuple(voices), 1.0


def _read_common(fields: Fields, model: str) -> None:
    fields.integer("seed", 0, MOST_SEED, None)
    language = fields.text("language_code", None)
    if language is not None and not LANGUAGE.fullmatch(language):
        raise Invalid(("language_code",), "Input should be an ISO 639-1 code", "enum")
    if language is not None and "multilingual_v2" in model:
        raise Wrong(UNSUPPORTED, f"{model} does not support language_code.", "language_code")
    fields.one_of("apply_text_normalization", ("auto", "on", "off"), None)
    fields.flag("use_pvc_as_ivc", None)
    for name in ("previous_request_ids", "next_request_ids"):
        if not all(isinstance(item, str) for item in fields.items(name, MOST_LISTED, None)):
            raise Invalid((name,), "Input should be a valid string", "type")
    name = "pronunciation_dictionary_locators"
    for index, locator in enumerate(fields.items(name, MOST_LISTED, None)):
        if not isinstance(locator, dict):
            raise Invalid((name, index), "Input should be a valid dictionary", "type")
        Fields(locator, (name, index)).text("pronunciation_dictionary_id")


def _check_effects(fields: Fields, wanted: str) -> None:
    """Panned or reverberating speech is stereo, which formats without a header cannot tell (providers.md 2.3)."""
    if (effects := fields.inner("audio_effects", None)) is None:
        return
    pan = effects.number("pan", -1.0, 1.0, 0.0)
    reverb = effects.text("environment_id", None) and effects.number("send_level", 0.0, 1.0, 0.0)
    if (pan or reverb) and wanted.startswith(("pcm", "ulaw", "alaw")):
        raise Wrong(UNSUPPORTED, f"Stereo audio effects are not supported for {wanted}.", "audio_effects")


def _check(model: str, voices: list[str], characters: int, most: int) -> None:
    if model not in MODELS:
        raise Wrong(NO_MODEL, f"A model with model_id {model} does not exist.", "model_id")
    for voice in voices:
        if not is_voice(voice):
            raise Wrong(NO_VOICE, f"A voice with voice_id {voice} was not found.", "voice_id")
    if characters > most:
        message = f"This request has {characters} characters; the most that {model} takes is {most}."
        raise Wrong(TOO_LONG, message, "text")
