"""Cartesia: bytes and server-sent events, and its list of voices (providers.md 3). No WebSocket, no infill."""

import re
from typing import TYPE_CHECKING, Any

from aiohttp.web import StreamResponse

from cluster_tts.emulator.cartesia_words import VOICES, describe_voice, events, is_voice, read_ask, spoken
from cluster_tts.emulator.delivery import send
from cluster_tts.emulator.fields import Fields, Invalid, read_object
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

BAD_REQUEST = ErrorRow(400, (), "Bad request", "The request is invalid.")
BAD_KEY = ErrorRow(401, (), "Invalid API key", "The API key or access token is not valid.")
NO_CREDIT = ErrorRow(402, ("quota_exceeded",), "Quota exceeded", "You have no credits left. Upgrade your plan.")
NO_MODEL = ErrorRow(404, ("model_not_found",), "Model not found", "The model does not exist, or no longer.")
NO_VOICE = ErrorRow(404, (), "Voice not found", "The voice does not exist.")
TOO_MANY = ErrorRow(
    429, ("concurrency_limited",), "Too many concurrent requests", "Your plan does not allow more requests at once."
)
RATE = ErrorRow(429, (), "Too many requests", "Please slow down.")
BUSY = ErrorRow(503, (), "Service unavailable", "The service is overloaded. Please try again.")

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
JSON_ERRORS_SINCE = "2026-03-01"
DOCS = "https://docs.cartesia.ai/use-the-api/api-errors"
MOST_PAGE = 100


class Cartesia(Wire):
    """One credit a character, concurrency is the quota (providers.md 3.4, 3.7). Which version speaks, a header says.

    A voice exists if it has the shape of an id, since no emulator knows an account's own voices. Older versions get
    their errors as plain text and may still say ``{"mode": "id"}``. Codes that nobody has documented are null.
    """

    name = "cartesia"
    streamed_sizes = 0xFFFFFFFF  # providers.md 3.2: of the RIFF size captured, of the data size unverified
    busy = "503"
    errors = (
        BAD_REQUEST,
        BAD_KEY,
        NO_CREDIT,
        ErrorRow(403, (), "Forbidden", "The API key is not allowed to do this."),
        NO_MODEL,
        ErrorRow(422, (), "Unprocessable entity", "The request cannot be processed."),
        TOO_MANY,
        ErrorRow(500, (), "Internal server error", "Something went wrong on our side."),
        ErrorRow(502, (), "Bad gateway", "Bad Gateway"),
        BUSY,
        ErrorRow(504, (), "Gateway time-out", "Gateway Time-out"),
    )

    def mount(self, emulator: "Emulator") -> None:
        emulator.speaks("POST", "/tts/bytes")
        emulator.speaks("POST", "/tts/sse")
        emulator.tells("GET", "/voices", self._list_voices)
        emulator.tells("GET", "/voices/*", self._show_voice)
        emulator.tells("GET", "/", self._show_status)

    def authorize(self, call: Call) -> None:
        key = self.settings.api_key
        if key is not None and call.header("Authorization") != f"Bearer {key}":
            raise Refusal("invalid_api_key", self.error(BAD_KEY, call))
        version = call.header("Cartesia-Version")
        if version is None or not VERSION.fullmatch(version):
            message = "The Cartesia-Version header is required, a date such as 2026-08-14."
            raise Refusal("invalid_version", self.error(BAD_REQUEST, call, message))

    async def read(self, call: Call) -> Ask:
        try:
            if not call.is_json():
                raise Invalid((), "the Content-Type must be application/json", "json")
            return read_ask(Fields(read_object(await call.request.read())), call)
        except Invalid as wrong:
            row = {"model": NO_MODEL, "voice": NO_VOICE}.get(wrong.kind, BAD_REQUEST)
            message = f"{wrong.param}: {wrong.message}" if wrong.param else wrong.message
            cause = row.names[0] if row.names else "voice_not_found" if row is NO_VOICE else "bad_request"
            raise Refusal(cause, self.error(row, call, message)) from wrong

    def error(self, row: ErrorRow, call: Call, message: str | None = None, param: str | None = None) -> Answer:
        message = message or row.message
        if (call.header("Cartesia-Version") or JSON_ERRORS_SINCE) < JSON_ERRORS_SINCE:
            return Answer(row.status, f"{row.kind}: {message}".encode(), "text/plain")
        return as_json(_error(row, message), row.status)

    def limited(self, verdict: Verdict, ask: Ask, call: Call, standings: Standings) -> Answer:
        """No time to wait is named (providers.md 3.4: no ``Retry-After`` documented)."""
        if verdict.refused == "concurrency" and self.settings.quiet:
            return self.error(TOO_MANY, call)
        if verdict.refused == "concurrency":
            return self.error(TOO_MANY, call, f"Your plan allows {verdict.limit} requests at once.")
        return self.error(RATE, call)

    def broke(self, ask: Ask, remaining: int, call: Call) -> Answer:
        return self.error(NO_CREDIT, call)

    def lost(self, path: str, known: bool, call: Call) -> Answer:
        title = "Method not allowed" if known else "Not found"
        return self.error(ErrorRow(405 if known else 404, (), title, f"{call.request.method} {path}"), call)

    def good(self, ticket: Ticket, audio: Audio, standings: Standings) -> Answer:
        ask = ticket.ask
        headers = {"Cartesia-File-ID": new_id("file_")} if ask.details["save"] else {}
        if ask.shape == "audio":
            return Answer(200, audio.data, ask.sound.media_type, headers)
        if ticket.fault == "json":  # an error can arrive inside a 200 stream (providers.md 3.2)
            error = {"type": "error", "done": True, "status_code": 500, **_error(BUSY, "The generation failed.")}
            return Answer(200, events([error]), "text/event-stream", spoilt=True)
        return Answer(200, events(spoken(ask, audio)), "text/event-stream")

    async def _list_voices(self, call: Call) -> StreamResponse:
        """A page of voices by cursor (sdk types/voice_list_params.py)."""
        query = call.query()
        limit = query.get("limit", "10")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= MOST_PAGE:
            return await send(call.request, self.error(BAD_REQUEST, call, f"limit must be from 1 to {MOST_PAGE}"))
        found = [voice for voice in map(describe_voice, VOICES) if _matches(voice, query)]
        ids = [voice["id"] for voice in found]
        after, before = query.get("starting_after"), query.get("ending_before")
        if after is not None:
            rest = found[ids.index(after) + 1 :] if after in ids else []
            page, more = rest[: int(limit)], len(rest) > int(limit)
        else:
            rest = found[: ids.index(before)] if before in ids else [] if before is not None else found
            page = rest[-int(limit) :] if before is not None else rest[: int(limit)]
            more = len(rest) > len(page)
        cursor = page[-1]["id"] if more else None
        return await send(call.request, as_json({"data": page, "has_more": more, "next_page": cursor}))

    async def _show_voice(self, call: Call) -> StreamResponse:
        voice = call.params[0]
        known = as_json(describe_voice(voice)) if is_voice(voice) else self.error(NO_VOICE, call)
        return await send(call.request, known)

    async def _show_status(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json({"ok": True, "version": "emulator"}))


def _error(row: ErrorRow, message: str) -> dict[str, Any]:
    code = row.names[0] if row.names else None
    return {"error_code": code, "title": row.kind, "message": message, "request_id": new_id(), "doc_url": DOCS}


def _matches(voice: dict[str, Any], query: dict[str, str]) -> bool:
    words = f"{voice['name']} {voice['description']} {voice['id']}".lower()
    owned = query.get("is_owner", "").lower()
    return (
        query.get("q", "").lower() in words
        and query.get("gender", voice["gender"]) == voice["gender"]
        and owned in ("", str(voice["is_owner"]).lower())
    )
