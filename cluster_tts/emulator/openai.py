"""OpenAI's speech endpoint, and the servers that imitate it (providers.md 1 and 5)."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp.web import StreamResponse

from cluster_tts.emulator.delivery import send
from cluster_tts.emulator.fields import Fields, Invalid, fastapi_list, read_object
from cluster_tts.emulator.limits import Verdict
from cluster_tts.emulator.openai_words import (
    AAC_MESSAGE,
    FIELDS,
    FORMATS,
    LIMIT_NAMES,
    MODELS,
    MOST_CHARACTERS,
    MOST_TOKENS,
    SELF_HOSTED_MODELS,
    SELF_HOSTED_VOICES,
    SHUTDOWN,
    VOICES,
    count_tokens,
    go_duration,
    speech_events,
)
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.wire import (
    JSON,
    Answer,
    Ask,
    Audio,
    Call,
    ErrorRow,
    Refusal,
    Sound,
    Standings,
    Ticket,
    Wire,
    as_json,
    new_id,
)

if TYPE_CHECKING:
    from cluster_tts.emulator.server import Emulator

BAD_REQUEST = ErrorRow(400, (), "invalid_request_error", "Invalid request.")
BAD_KEY = ErrorRow(401, ("invalid_api_key",), "invalid_request_error", "Incorrect API key provided.")
NO_MODEL = ErrorRow(404, ("model_not_found",), "invalid_request_error", "The model does not exist.")
RATE = ErrorRow(429, ("rate_limit_exceeded",), "requests", "Rate limit reached.")
SLOW_DOWN = ErrorRow(429, ("slow_down",), "rate_limit_error", "Too many requests at once. Please slow down.")
NO_MONEY = ErrorRow(
    429,
    ("insufficient_quota",),
    "insufficient_quota",
    "You exceeded your current quota, please check your plan and billing details.",
)


class OpenAI(Wire):
    """``POST /v1/audio/speech`` and the lists of models and voices.

    Refused requests count against the limit (OpenAI's guide on rate limits: unsuccessful requests contribute). There is
    no AAC encoder here: ``aac`` gets a 400 that says so. With ``self_hosted`` errors look as FastAPI's, any model,
    voice and further field is taken, and no limits are told in headers.
    """

    name = "openai"
    base_path = "/v1"
    refusals_count = True
    streamed_sizes = 0xFFFFFFFF  # providers.md 1.2, captured
    busy = "server_is_overloaded"
    errors = (
        BAD_REQUEST,
        BAD_KEY,
        ErrorRow(403, (), "invalid_request_error", "Country, region, or territory not supported."),
        NO_MODEL,
        RATE,
        SLOW_DOWN,
        NO_MONEY,
        ErrorRow(429, ("credit_balance_exhausted",), "insufficient_quota", "Your credit balance is exhausted."),
        ErrorRow(
            429, ("organization_spend_limit_exceeded",), "insufficient_quota", "Organization spend limit reached."
        ),
        ErrorRow(429, ("project_spend_limit_exceeded",), "insufficient_quota", "Project spend limit reached."),
        ErrorRow(
            429, ("organization_usage_limit_exceeded",), "insufficient_quota", "Organization usage limit reached."
        ),
        ErrorRow(
            503, ("server_is_overloaded",), "service_unavailable_error", "The server is overloaded. Try again later."
        ),
        ErrorRow(500, (), "server_error", "The server had an error while processing your request."),
        ErrorRow(502, (), "server_error", "Bad Gateway"),
        ErrorRow(504, (), "server_error", "Gateway Time-out"),
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._free = settings.self_hosted
        self._models = SELF_HOSTED_MODELS if self._free else MODELS

    def mount(self, emulator: "Emulator") -> None:
        emulator.speaks("POST", "/v1/audio/speech")
        emulator.tells("GET", "/v1/models", self._list_models)
        emulator.tells("GET", "/v1/models/*", self._show_model)
        emulator.tells("GET", "/v1/audio/voices", self._list_voices)

    def authorize(self, call: Call) -> None:
        key, given = self.settings.api_key, call.header("Authorization")
        if key is None or given == f"Bearer {key}":
            return
        message = (
            "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
        )
        if not given:
            message = "You didn't provide an API key. You need to provide it in an Authorization header (Bearer)."
        raise Refusal("invalid_api_key", self.error(BAD_KEY, call, message))

    async def read(self, call: Call) -> Ask:
        try:
            if not call.is_json():
                kind = call.header("Content-Type") or ""
                raise Invalid((), f"Invalid Content-Type header ({kind}), expected {JSON}.", "json")
            return self._ask(read_object(await call.request.read()))
        except Invalid as wrong:
            raise self._refusal(wrong, call) from wrong

    def error(self, row: ErrorRow, call: Call, message: str | None = None, param: str | None = None) -> Answer:
        message, code = message or row.message, row.names[0] if row.names else None
        headers = {"x-request-id": new_id("req_")}
        if row is RATE and not self.settings.quiet:
            wait_s = self.settings.retry_after_s
            message = f"{message} Please try again in {wait_s}s." if message == row.message else message
            headers["Retry-After"] = str(wait_s)
        if self._free:
            inner = {"error": code or row.kind, "message": message, "type": row.kind}
            return as_json({"detail": inner}, row.status, headers)
        content = {"error": {"message": message, "type": row.kind, "param": param, "code": code}}
        return as_json(content, row.status, headers)

    def limited(self, verdict: Verdict, ask: Ask, call: Call, standings: Standings) -> Answer:
        """RPM and TPM as the guide on error codes has them; a limit in flight, which is not OpenAI's, as slow_down."""
        if verdict.refused == "concurrency":
            return self.error(SLOW_DOWN, call)
        what, short, kind = LIMIT_NAMES[verdict.refused]
        if self.settings.quiet:
            return self.error(RATE._replace(kind=kind), call)
        most = self._per_minute(verdict.limit)
        counted = f"on {what} per min ({short}): Limit {most}"
        if verdict.limit and math.isinf(verdict.wait_s):
            message = f"Request too large for {ask.model} {counted}, Requested {verdict.requested}."
            return self.error(RATE._replace(kind=kind), call, message)  # no Retry-After: waiting does not help
        wait_s = self.settings.window_s if math.isinf(verdict.wait_s) else verdict.wait_s
        used = min(most, self._per_minute(verdict.used))
        message = (
            f"Rate limit reached for {ask.model} {counted}, Used {used}, Requested {verdict.requested}."
            f" Please try again in {go_duration(wait_s)}."
        )
        answer = self.error(RATE._replace(kind=kind), call, message)
        told = {"Retry-After": str(max(1, math.ceil(wait_s))), **self._told(standings)}
        return replace(answer, headers={**answer.headers, **told})

    def broke(self, ask: Ask, remaining: int, call: Call) -> Answer:
        return self.error(NO_MONEY, call)

    def lost(self, path: str, known: bool, call: Call) -> Answer:
        if self._free:
            status, detail = (405, "Method Not Allowed") if known else (404, "Not Found")
            return as_json({"detail": detail}, status)
        method = call.request.method
        message = f"Not allowed to {method} on {path}." if known else f"Invalid URL ({method} {path})"
        row = ErrorRow(405 if known else 404, ("method_not_supported",) if known else (), BAD_REQUEST.kind, message)
        return self.error(row, call)

    def good(self, ticket: Ticket, audio: Audio, standings: Standings) -> Answer:
        headers = {"x-request-id": new_id("req_"), **self._told(standings)}
        if ticket.ask.shape == "sse":
            return Answer(200, speech_events(ticket.ask, audio), "text/event-stream", headers)
        return Answer(200, audio.data, ticket.ask.sound.media_type, headers)

    def _told(self, standings: Standings) -> dict[str, str]:
        """The headers that tell the limits (providers.md 1.4); the limit per minute, what remains as it is."""
        headers: dict[str, str] = {}
        for what, standing in standings.items() if not (self._free or self.settings.quiet) else ():
            name = LIMIT_NAMES[what][0]
            headers[f"x-ratelimit-limit-{name}"] = str(self._per_minute(standing.limit))
            headers[f"x-ratelimit-remaining-{name}"] = str(standing.remaining)
            headers[f"x-ratelimit-reset-{name}"] = go_duration(standing.reset_s)
        return headers

    def _per_minute(self, count: int) -> int:
        """What is counted in a window as the figure per minute that OpenAI tells."""
        return round(count * 60.0 / self.settings.window_s)

    def _ask(self, body: dict[str, Any]) -> Ask:
        fields = Fields(body)
        if not self._free:
            fields.only(FIELDS)
        model = fields.text("model", "kokoro") if self._free else fields.text("model")
        text = fields.text("input", least=1, most=None if self._free else MOST_CHARACTERS)
        shape = fields.one_of("stream_format", ("audio", "sse"), "audio")
        wanted = fields.one_of("response_format", tuple(FORMATS), "mp3")
        speed = fields.number("speed", 0.25, 4.0, 1.0)
        if not self._free:
            self._check(fields, model, text, shape)
        if wanted == "aac":
            raise Invalid(("response_format",), AAC_MESSAGE, "enum")
        container, media_type = FORMATS[wanted]
        sound = Sound(container, 48_000 if container == "opus" else 24_000, media_type)
        voice = fields.content.get("voice", "")
        said_by = str(voice.get("id", "") if isinstance(voice, dict) else voice)
        return Ask(text, model, sound, speed, shape="sse" if shape == "sse" else "audio", voices=(said_by,))

    def _check(self, fields: Fields, model: str, text: str, shape: str) -> None:
        """What only OpenAI itself is strict about (providers.md 1.1)."""
        if model not in MODELS:
            raise Invalid(("model",), f"The model `{model}` does not exist or you do not have access to it.", "model")
        fields.text("instructions", None, most=MOST_CHARACTERS)
        voice = fields.content.get("voice")
        if isinstance(voice, dict):
            custom = Fields(voice, ("voice",))
            custom.only(("id",))
            if not custom.text("id").startswith("voice_"):
                raise Invalid(("voice", "id"), f"Custom voice '{voice['id']}' does not exist.", "enum")
        else:
            fields.text("voice")
            fields.one_of("voice", VOICES)
        if shape == "sse" and model in ("tts-1", "tts-1-hd"):
            raise Invalid(("stream_format",), f"'sse' is not supported for {model}.", "enum")
        if model.startswith("gpt-4o-mini-tts") and (tokens := count_tokens(text)) > MOST_TOKENS:
            message = f"The input has about {tokens} tokens; the maximum for {model} is {MOST_TOKENS}."
            raise Invalid(("input",), message, "length")

    def _refusal(self, wrong: Invalid, call: Call) -> Refusal:
        if self._free:
            return Refusal("validation_error", fastapi_list(wrong))
        row = NO_MODEL if wrong.kind == "model" else BAD_REQUEST
        message = wrong.message if wrong.kind in ("model", "json", "unknown") else f"'{wrong.param}': {wrong.message}"
        return Refusal(
            row.names[0] if row.names else "invalid_request", self.error(row, call, message, wrong.param or None)
        )

    async def _list_models(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json({"object": "list", "data": [_model(name) for name in self._models]}))

    async def _show_model(self, call: Call) -> StreamResponse:
        name = call.params[0]
        if name not in self._models:
            return await send(call.request, self.error(NO_MODEL, call, f"The model '{name}' does not exist", "model"))
        return await send(call.request, as_json(_model(name)))

    async def _list_voices(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json({"voices": list(SELF_HOSTED_VOICES if self._free else VOICES)}))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_681_940_951, "owned_by": "openai", "shutdown_date": SHUTDOWN}
