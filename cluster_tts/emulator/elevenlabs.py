"""ElevenLabs: speech and dialogue, whole or streamed, with or without timestamps (providers.md 2)."""

import math
from typing import TYPE_CHECKING, Any

from aiohttp.web import StreamResponse

from cluster_tts.emulator.delivery import send
from cluster_tts.emulator.elevenlabs_asking import (
    BAD_KEY,
    BUSY,
    HIGHER_PLAN,
    NO_CREDIT,
    NO_PLAN,
    NO_VOICE,
    RATE,
    TOO_LONG,
    TOO_MANY,
    Wrong,
    is_voice,
    read_ask,
)
from cluster_tts.emulator.elevenlabs_words import (
    MEDIA_TYPE,
    MODELS,
    VOICES,
    credits_of,
    describe_model,
    describe_subscription,
    describe_voice,
    timed,
)
from cluster_tts.emulator.fields import Fields, Invalid, fastapi_list, read_object
from cluster_tts.emulator.limits import Verdict
from cluster_tts.emulator.wire import (
    Answer,
    Ask,
    Audio,
    Call,
    ErrorRow,
    Refusal,
    Standings,
    Ticket,
    Wire,
    as_json,
    new_id,
)

if TYPE_CHECKING:
    from cluster_tts.emulator.server import Emulator

QUERY = ("output_format", "enable_logging", "optimize_streaming_latency")
MOST_PAGE = 100


class ElevenLabs(Wire):
    """Characters are credits, concurrency is the quota; refusals name no time to wait (providers.md 2.5).

    A voice exists if it has the shape of an id, since no emulator knows an account's own voices. ``plan`` allows
    formats; concurrency is what ``max_concurrent`` says, for all models together.
    """

    name = "elevenlabs"
    streamed_sizes = 0x7FFFFFFF  # providers.md 2.3, captured
    busy = "system_busy"
    errors = (
        TOO_LONG,
        NO_VOICE,
        BAD_KEY,
        ErrorRow(401, ("missing_permissions",), "authentication_error", "The API key lacks a permission."),
        ErrorRow(401, ("detected_unusual_activity",), "authentication_error", "Unusual activity detected."),
        NO_CREDIT,
        NO_PLAN,
        HIGHER_PLAN,
        ErrorRow(404, (), "not_found", "Not Found"),
        ErrorRow(422, (), "validation_error", "Input should be valid"),
        TOO_MANY,
        BUSY,
        RATE,
        ErrorRow(500, (), "internal_error", "Internal Server Error"),
        ErrorRow(502, (), "internal_error", "Bad Gateway"),
        ErrorRow(503, (), "internal_error", "Service Unavailable"),
        ErrorRow(504, (), "internal_error", "Gateway Time-out"),
    )

    def mount(self, emulator: "Emulator") -> None:
        self._emulator = emulator
        for ending in ("", "/stream", "/with-timestamps", "/stream/with-timestamps"):
            emulator.speaks("POST", f"/v1/text-to-dialogue{ending}")
            emulator.speaks("POST", f"/v1/text-to-speech/*{ending}")
        emulator.tells("GET", "/v1/models", self._list_models)
        emulator.tells("GET", "/v1/voices", self._list_all_voices)
        emulator.tells("GET", "/v1/voices/*", self._show_voice)
        emulator.tells("GET", "/v2/voices", self._search_voices)
        emulator.tells("GET", "/v1/user", self._show_user)
        emulator.tells("GET", "/v1/user/subscription", self._show_subscription)

    def authorize(self, call: Call) -> None:
        key = self.settings.api_key
        if key is not None and call.header("xi-api-key") != key:
            raise Refusal("invalid_api_key", self.error(BAD_KEY, call))

    async def read(self, call: Call) -> Ask:
        try:
            if not call.is_json():
                raise Invalid((), "Input should be a valid dictionary sent as application/json", "type")
            return read_ask(Fields(read_object(await call.request.read())), call, self.settings.plan)
        except Wrong as wrong:
            raise Refusal(wrong.row.names[0], self.error(wrong.row, call, str(wrong), wrong.param)) from wrong
        except Invalid as wrong:
            place = "query" if wrong.param in QUERY else "body"
            raise Refusal("validation_error", fastapi_list(wrong, place)) from wrong

    def row(self, name: str) -> ErrorRow | None:
        """As the table says; the status of an empty purse, by its code, is a setting (providers.md 2.6: 401 or 402)."""
        found = super().row(name)
        return found._replace(status=self.settings.credit_status) if found and name in NO_CREDIT.names else found

    def error(self, row: ErrorRow, call: Call, message: str | None = None, param: str | None = None) -> Answer:
        message, status = message or row.message, row.status
        request_id = new_id()
        headers = {"request-id": request_id}
        if status == 422:
            return fastapi_list(Invalid(("text",), message, "type"))
        if not row.names:
            return as_json({"detail": message}, status, headers)
        detail = {"type": row.kind, "code": row.names[-1], "status": row.names[0], "message": message}
        return as_json({"detail": {**detail, "request_id": request_id, "param": param}}, status, headers)

    def limited(self, verdict: Verdict, ask: Ask, call: Call, standings: Standings) -> Answer:
        if verdict.refused == "concurrency":
            counted = "" if self.settings.quiet else f" (running: {verdict.used}, at most {verdict.limit})"
            answer = self.error(TOO_MANY, call, TOO_MANY.message + counted)
            return Answer(answer.status, answer.body, headers={**answer.headers, **self._places(verdict.used)})
        return self.error(RATE, call)

    def broke(self, ask: Ask, remaining: int, call: Call) -> Answer:
        left = math.floor(remaining * MODELS[ask.model].credits)
        message = (
            f"This request exceeds your quota. You have {left} credits remaining, while {credits_of(ask)} credits are"
            " required for this request."
        )
        return self.error(NO_CREDIT._replace(status=self.settings.credit_status), call, message)

    def lost(self, path: str, known: bool, call: Call) -> Answer:
        return as_json({"detail": "Method Not Allowed" if known else "Not Found"}, 405 if known else 404)

    def good(self, ticket: Ticket, audio: Audio, standings: Standings) -> Answer:
        ask = ticket.ask
        headers = {"request-id": new_id(), "character-cost": str(credits_of(ask)), **self._places(ticket.place)}
        if ask.shape == "json":
            return as_json(timed(ask, audio)[0], headers=headers)
        if ask.shape == "ndjson":
            lines = [as_json(piece).body + b"\n" for piece in timed(ask, audio)]
            return Answer(200, b"".join(lines), "application/json", headers)
        return Answer(200, audio.data, MEDIA_TYPE, headers)

    def _places(self, used: int) -> dict[str, str]:
        """The headers that tell the concurrency; the maximum only where there is one."""
        if self.settings.quiet:
            return {}
        headers = {"current-concurrent-requests": str(used)}
        if self.settings.max_concurrent is not None:
            headers["maximum-concurrent-requests"] = str(self.settings.max_concurrent)
        return headers

    async def _list_models(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json([describe_model(name) for name in MODELS]))

    async def _list_all_voices(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json({"voices": [describe_voice(voice) for voice in VOICES]}))

    async def _show_voice(self, call: Call) -> StreamResponse:
        voice = call.params[0]
        known = as_json(describe_voice(voice)) if is_voice(voice) else self.error(NO_VOICE, call)
        return await send(call.request, known)

    async def _search_voices(self, call: Call) -> StreamResponse:
        """A page of voices (sdk voices/raw_client.py, ``search``)."""
        query = call.query()
        try:
            size = int(query.get("page_size", "10"))
            start = int(query.get("next_page_token") or 0)
        except ValueError:
            size, start = 0, 0
        if not 0 < size <= MOST_PAGE:
            wrong = Invalid(("page_size",), f"Input should be from 1 to {MOST_PAGE}", "range")
            return await send(call.request, fastapi_list(wrong, "query"))
        found = [voice for voice in map(describe_voice, VOICES) if _matches(voice, query)]
        rest = start + size < len(found)
        page = {
            "voices": found[start : start + size],
            "has_more": rest,
            "total_count": len(found),
            "next_page_token": str(start + size) if rest else None,
        }
        return await send(call.request, as_json(page))

    async def _show_user(self, call: Call) -> StreamResponse:
        user = {"user_id": "emulated", "is_new_user": False, "can_use_delayed_payment_methods": False}
        rest = {"subscription": self._subscription(), "xi_api_key": None, "is_onboarding_completed": True}
        return await send(call.request, as_json({**user, **rest}))

    async def _show_subscription(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json(self._subscription()))

    def _subscription(self) -> dict[str, Any]:
        used = self._emulator.admission.stats.charged_characters
        return describe_subscription(self.settings.plan, used, self.settings.out_of_credit_after)


def _matches(voice: dict[str, Any], query: dict[str, str]) -> bool:
    words = f"{voice['name']} {voice['description']} {voice['category']} {voice['labels']}".lower()
    return (
        query.get("search", "").lower() in words
        and query.get("category", voice["category"]) == voice["category"]
        and query.get("voice_ids", voice["voice_id"]) == voice["voice_id"]
        and all(query.get(label, value) == value for label, value in voice["labels"].items())
    )
