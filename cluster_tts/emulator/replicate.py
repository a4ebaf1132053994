"""Replicate: predictions that are created, waited for, polled, canceled, and their files (providers.md 4)."""

import asyncio
import base64
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp.web import BaseRequest, StreamResponse

from cluster_tts.emulator.delivery import deliver, reset, send, spoilt, stall
from cluster_tts.emulator.faults import CHARGED
from cluster_tts.emulator.fields import Fields, Invalid, read_object
from cluster_tts.emulator.limits import Verdict
from cluster_tts.emulator.predictions import GOOD_FAULTS, ONCE_ONLY, Prediction, Predictions, read_duration
from cluster_tts.emulator.replicate_models import (
    KNOWN,
    MODELS,
    Model,
    by_version,
    describe_model,
    describe_version,
    read_input,
)
from cluster_tts.emulator.replicate_words import (
    BAD_KEY,
    BUSY,
    INVALID,
    NO_CREDIT,
    NOT_FOUND,
    THROTTLED,
    invalid,
    page,
    read_wait,
    read_webhook,
    throttled,
)
from cluster_tts.emulator.sounding import sound
from cluster_tts.emulator.wire import Answer, Ask, Call, ErrorRow, Handler, Refusal, Standings, Ticket, Wire, as_json

if TYPE_CHECKING:
    from cluster_tts.emulator.server import Emulator

SHOWN = 100
VOICE_INPUTS = ("voice_id", "voice", "speaker")  # what models call it
FILES = "/files/*/*"


class Replicate(Wire):
    """Creates have the limit that is set, everything else a larger one of its own (providers.md 4.4).

    A place in flight is held from the create to the final status. What breaks audio elsewhere breaks the file here:
    a download that is cut or stalls is whole the next time, a bad file stays bad. Files are on this same host, under
    another path, as ``http`` URLs. Failed and aborted predictions are not charged (of failed ones: unverified).
    Webhooks are checked and never called.
    """

    name = "replicate"
    busy = "503"
    errors = (
        THROTTLED,
        NO_CREDIT,
        BAD_KEY,
        NOT_FOUND,
        INVALID,
        ErrorRow(500, (), "Internal server error", "An error occurred."),
        ErrorRow(502, (), "Bad gateway", "Bad Gateway"),
        BUSY,
        ErrorRow(504, (), "Gateway time-out", "Gateway Time-out"),
    )
    own_faults = (*GOOD_FAULTS, "failed", "canceled", "aborted", "expired", "file_404")
    free_faults = frozenset({"failed", "aborted"})

    def mount(self, emulator: "Emulator") -> None:
        self._emulator = emulator
        self._predictions = Predictions(self.settings.expire_after_s, self._ended)
        for path in ("/v1/predictions", "/v1/models/*/*/predictions", "/v1/deployments/*/*/predictions"):
            emulator.routes.add("POST", path, self._create)
        emulator.routes.add("GET", FILES, self._send_file)
        tells: list[tuple[str, str, Handler]] = [
            ("GET", "/v1/predictions", self._list),
            ("GET", "/v1/predictions/*", self._show),
            ("POST", "/v1/predictions/*/cancel", self._cancel),
            ("GET", "/v1/models", self._list_models),
            ("GET", "/v1/models/*/*", self._show_model),
            ("GET", "/v1/models/*/*/versions", self._list_versions),
            ("GET", "/v1/models/*/*/versions/*", self._show_version),
            ("GET", "/v1/account", self._show_account),
        ]
        for method, path, handler in tells:
            emulator.tells(method, path, self._within_polls(handler))

    def authorize(self, call: Call) -> None:
        key = self.settings.api_key
        if key is not None and call.header("Authorization") != f"Bearer {key}":
            raise Refusal("unauthenticated", self.error(BAD_KEY, call))

    async def read(self, call: Call) -> Ask:
        try:
            if not call.is_json():
                raise Invalid((), "the Content-Type must be application/json", "json")
            body = Fields(read_object(await call.request.read()))
            model = self._model(body, call)
            given = body.inner("input")
            assert given is not None
            read_webhook(body)
            text, wanted, speed = read_input(model, given)
            details = {"model": model, "input": dict(given.content), "wait_s": read_wait(call)}
            said_by = next((str(given.content[name]) for name in VOICE_INPUTS if name in given.content), "")
            return Ask(text, model.name, wanted, speed, details=details, voices=(said_by,))
        except Invalid as wrong:
            raise Refusal("validation_failed", invalid(wrong)) from wrong

    def error(self, row: ErrorRow, call: Call, message: str | None = None, param: str | None = None) -> Answer:
        if row is THROTTLED:
            return self._throttled(self.settings.retry_after_s)
        if row is INVALID:
            return invalid(Invalid(("input",), "the input is invalid", "type"))
        title = {"title": row.kind} if row.kind else {}
        return as_json({**title, "detail": message or row.message, "status": row.status}, row.status)

    def limited(self, verdict: Verdict, ask: Ask, call: Call, standings: Standings) -> Answer:
        if verdict.refused == "concurrency":
            return self._throttled(1)
        return self._throttled(self.settings.window_s if math.isinf(verdict.wait_s) else verdict.wait_s)

    def broke(self, ask: Ask, remaining: int, call: Call) -> Answer:
        return self.error(NO_CREDIT, call)

    def lost(self, path: str, known: bool, call: Call) -> Answer:
        row = ErrorRow(405, (), "", f'Method "{call.request.method}" not allowed.') if known else NOT_FOUND
        return self.error(row, call)

    def _throttled(self, wait_s: float) -> Answer:
        return throttled(None if self.settings.quiet else wait_s)

    def _model(self, body: Fields, call: Call) -> Model:
        """The model that a create is for; a community model has to be called by its version (providers.md 4.1)."""
        if not call.params:
            version = body.text("version")
            if (model := by_version(version)) is None:
                raise Refusal("not_found", self.error(NOT_FOUND, call, f"There is no version '{version}'."))
            return model
        model = MODELS.get("/".join(call.params))
        if model is None or (not model.official and "/models/" in call.path):
            raise Refusal("not_found", self.error(NOT_FOUND, call))
        return model

    async def _create(self, arrived: Call) -> StreamResponse:
        try:
            call, ticket = await self._emulator.admit(arrived.request, arrived.params)
        except Refusal as refusal:
            return await send(arrived.request, refusal.answer)
        if failure := self._emulator.failure(call, ticket):
            self._emulator.admission.leave(ticket)
            return await send(call.request, failure)
        if ticket.fault in ("reset", "hang"):
            return await self._vanish(call.request, ticket)
        model: Model = ticket.ask.details["model"]
        prediction = Prediction(ticket, model.name, model.version, ticket.ask.details["input"], fault=ticket.fault)
        deadline_s = read_duration(call.header("Cancel-After") or "")
        self._predictions.start(prediction, *self._emulator.admission.latency_s(ticket), deadline_s)
        return await self._show_created(call, prediction)

    async def _vanish(self, request: BaseRequest, ticket: Ticket) -> StreamResponse:
        try:
            if ticket.fault == "hang":
                return await stall(request, None, self._emulator.stopping)
            self._emulator.admission.leave(ticket)
            return await reset(request)
        finally:
            self._emulator.admission.leave(ticket)

    async def _show_created(self, call: Call, prediction: Prediction) -> StreamResponse:
        """201 once finished or unless waited for, 202 when the wait ran out: still ``starting`` then, whatever it is
        (sdk run.py)."""
        wait_s, origin = prediction.ticket.ask.details["wait_s"], self._emulator.origin
        if wait_s is None:
            return await send(call.request, as_json(prediction.as_dict(origin, "starting", filled=False), 201))
        if prediction.fault != "starting" and not prediction.done.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(prediction.done.wait(), wait_s)
        if prediction.fault == "starting" or not prediction.done.is_set():
            return await send(call.request, as_json(prediction.as_dict(origin, "starting", filled=False), 202))
        return await self._send_prediction(call, prediction, 201)

    async def _send_prediction(self, call: Call, prediction: Prediction, status: int = 200) -> StreamResponse:
        if prediction.fault == "data_output" and prediction.data_uri is None and not prediction.removed:
            answer = await self._file(prediction, None)
            prediction.data_uri = f"data:{answer.media_type};base64,{base64.b64encode(answer.body).decode()}"
        shown = None
        if prediction.fault == "processing" and prediction.done.is_set() and not prediction.shown:
            shown, prediction.shown = "processing", True  # with its output filled (sdk run.py)
        return await send(call.request, as_json(prediction.as_dict(self._emulator.origin, shown), status))

    async def _show(self, call: Call) -> StreamResponse:
        if (prediction := self._predictions.get(call.params[0])) is None:
            return await send(call.request, self.error(NOT_FOUND, call))
        if prediction.fault == "poll_429" and not prediction.polled:
            prediction.polled = True
            return await send(call.request, self._throttled(self.settings.retry_after_s))
        return await self._send_prediction(call, prediction)

    async def _cancel(self, call: Call) -> StreamResponse:
        if (prediction := self._predictions.get(call.params[0])) is None:
            return await send(call.request, self.error(NOT_FOUND, call))
        self._predictions.cancel(prediction)
        return await self._send_prediction(call, prediction)

    def _ended(self, prediction: Prediction) -> None:
        admission = self._emulator.admission
        admission.leave(prediction.ticket)
        if prediction.status == "aborted":
            admission.refund(prediction.ticket)
        if prediction.status == "succeeded" and (prediction.fault is None or prediction.fault in GOOD_FAULTS):
            admission.stats.serve(admission.now())

    async def _send_file(self, call: Call) -> StreamResponse:
        """A file, to whoever knows its name: whether the key is needed is unverified (providers.md 4.2)."""
        prediction = self._predictions.get(call.params[0])
        known = prediction is not None and prediction.status == "succeeded" and prediction.file_name == call.params[1]
        if prediction is None or not known or prediction.removed or prediction.fault == "file_404":
            return await send(call.request, self.error(NOT_FOUND, call))
        fault = prediction.fault
        if fault in ONCE_ONLY:
            prediction.fault, prediction.broken = None, True
        stats = self._emulator.admission.stats
        stats.downloads += 1
        answer = await self._file(prediction, fault)
        if fault not in CHARGED:
            if prediction.broken:  # whole at last
                prediction.broken = False
                stats.serve(self._emulator.admission.now())
            return await send(call.request, answer)
        return await deliver(call.request, spoilt(answer, fault), fault, self._emulator.stopping)

    async def _file(self, prediction: Prediction, fault: str | None) -> Answer:
        ask = prediction.ticket.ask
        audio = await sound(ask, self.settings.characters_per_second, fault, self.streamed_sizes)
        return Answer(200, audio.data, ask.sound.media_type)

    def _within_polls(self, handler: Handler) -> Handler:
        async def limited(call: Call) -> StreamResponse:
            if wait_s := self._emulator.admission.poll():
                return await send(call.request, self._throttled(wait_s))
            return await handler(call)

        return limited

    async def _list(self, call: Call) -> StreamResponse:
        shown = [prediction.as_dict(self._emulator.origin) for prediction in self._predictions.latest(SHOWN)]
        return await send(call.request, page(shown))

    async def _list_models(self, call: Call) -> StreamResponse:
        return await send(call.request, page([describe_model(model) for model in KNOWN]))

    async def _show_model(self, call: Call) -> StreamResponse:
        model = MODELS.get("/".join(call.params))
        return await send(call.request, as_json(describe_model(model)) if model else self.error(NOT_FOUND, call))

    async def _list_versions(self, call: Call) -> StreamResponse:
        model = MODELS.get("/".join(call.params))
        return await send(call.request, page([describe_version(model)]) if model else self.error(NOT_FOUND, call))

    async def _show_version(self, call: Call) -> StreamResponse:
        model = MODELS.get("/".join(call.params[:2])) or by_version(call.params[2])
        if model is None or by_version(call.params[2]) is None:
            return await send(call.request, self.error(NOT_FOUND, call))
        return await send(call.request, as_json(describe_version(model, call.params[2])))

    async def _show_account(self, call: Call) -> StreamResponse:
        account = {"type": "user", "username": "emulated", "name": "Emulated", "github_url": None}
        return await send(call.request, as_json(account))
