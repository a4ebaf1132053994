"""An emulator as a running server, for the command line (``serve``) and inside a program (``running``).

aiohttp's low-level server without its router and access log: the way in has to be short to keep up with 2,000 requests
a second.
"""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import StreamReader
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web import BaseRequest, RequestHandler, Server, ServerRunner, StreamResponse, TCPSite

from cluster_tts.emulator import wire_class
from cluster_tts.emulator.admission import Admission
from cluster_tts.emulator.delivery import deliver, reset, send, spoilt, stall
from cluster_tts.emulator.fields import Invalid, read_object
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.sounding import sound
from cluster_tts.emulator.wire import Answer, Call, Handler, Refusal, Routes, Ticket, as_json, html_page
from cluster_tts.errors import JobError, nearest

BACKLOG = 4096
MOST_BODY_BYTES = 64 << 20
GRACE_S = 1.0  # for answers under way when the server stops
OWN = "/_emulator/"
LIMITS = ("requests_per_minute", "characters_per_minute", "max_concurrent")
PROXY_ERRORS = (502, 504)  # a proxy's own, with its page (providers.md 1.5)


class Emulator:
    """One account at one provider, on this machine. ``url`` is what an SDK or ``provider.base_url`` is given."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.wire = wire_class(settings.provider)(settings)
        self.admission = Admission(settings, self.wire, time.monotonic)
        self.stopping = asyncio.Event()
        self.origin = ""
        self.routes = Routes()
        for path in {"", self.wire.base_path}:
            self.routes.add("GET", f"{path}{OWN}stats", self._show_stats)
            self.routes.add("GET", f"{path}{OWN}log", self._show_log)
            self.routes.add("POST", f"{path}{OWN}limits", self._change)
            self.routes.add("POST", f"{path}{OWN}reset", self._reset)
        self.wire.mount(self)
        self._runner: ServerRunner | None = None

    def __repr__(self) -> str:
        return f"<Emulator of {self.settings.provider} at {self.url}>"

    @property
    def url(self) -> str:
        return self.origin + self.wire.base_path

    def stats(self) -> dict[str, Any]:
        """What ``GET /_emulator/stats`` answers."""
        return self.admission.stats.as_dict()

    def log(self) -> dict[str, Any]:
        """What ``GET /_emulator/log`` answers: the time it is, and the last requests, see ``log.Entry``."""
        return {"now_s": self.admission.now(), "requests": self.admission.log.as_list()}

    def change(self, /, **limits: float | None) -> None:
        """Hold other limits from now on, any of ``LIMITS``; None: no such limit. What was counted stays counted.

        Raises:
            JobError: there is no such limit, or its value makes no sense.
        """
        for name, value in limits.items():
            if name not in LIMITS:
                raise JobError(f"no limit '{name}' can be changed: {nearest(name, list(LIMITS))}")
            wanted = int if name == "max_concurrent" else int | float
            if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
                raise JobError(f"{name} {value!r} must be a number, or null for no such limit")
        self.settings = self.wire.settings = self.admission.change(limits)

    def reset(self) -> None:
        """Forget all counts: of the stats, the log, the limits and the credit."""
        self.admission.reset()

    async def start(self) -> None:
        """Listen.

        Raises:
            JobError: the port is taken, or the address is none of this machine's.
        """
        host = self.settings.host
        server = Server(self._answer, request_factory=_request, handler_cancellation=True, access_log=None)
        self._runner = ServerRunner(server, shutdown_timeout=GRACE_S)
        await self._runner.setup()
        try:
            await TCPSite(self._runner, host, self.settings.port, backlog=BACKLOG).start()
        except OSError as error:
            await self._runner.cleanup()
            raise JobError(f"port {self.settings.port} of {host} cannot be used: {error.strerror or error}") from error
        port = self._runner.addresses[0][1]
        self.origin = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Let answers end for a moment, then close everything."""
        self.stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def speaks(self, method: str, pattern: str) -> None:
        """Have a path answered with audio."""
        self.routes.add(method, pattern, self._speak)

    def tells(self, method: str, pattern: str, handler: Handler) -> None:
        """Have a path answered by ``handler``, to those with the right key."""

        async def guarded(call: Call) -> StreamResponse:
            try:
                self.wire.authorize(call)
            except Refusal as refusal:
                return await send(call.request, refusal.answer)
            return await handler(call)

        self.routes.add(method, pattern, guarded)

    async def admit(self, request: BaseRequest, params: tuple[str, ...]) -> tuple[Call, Ticket]:
        """Read a request to speak and let it in.

        Raises:
            Refusal: it is not let in; already counted.
        """
        call = Call(request, params, self.admission.arrive(request.remote or ""))
        try:
            self.wire.authorize(call)
            return call, await self.admission.enter(call, await self.wire.read(call))
        except Refusal as refusal:
            self.admission.refuse(call, refusal.cause)
            raise

    def failure(self, call: Call, ticket: Ticket) -> Answer | None:
        """The answer that a fault out of the provider's table is."""
        row = self.wire.row(ticket.fault) if ticket.fault else None
        if row is None:
            return None
        if row.status in PROXY_ERRORS and not row.names:
            return html_page(row.status, row.message)
        return self.wire.error(row, call)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        path = request.raw_path.partition("?")[0]
        found = self.routes.find(path)
        handler = found and found[0].get(request.method)
        if self.settings.travel_s and OWN not in path:
            await asyncio.sleep(self.admission.travel_s())
        if found and handler:
            return await handler(Call(request, found[1]))
        return await send(request, self.wire.lost(path, found is not None, Call(request, ())))

    async def _speak(self, arrived: Call) -> StreamResponse:
        try:
            call, ticket = await self.admit(arrived.request, arrived.params)
        except Refusal as refusal:
            return await send(arrived.request, refusal.answer)
        try:
            return await self._fulfil(call, ticket)
        except (asyncio.CancelledError, ConnectionError):
            self.admission.stats.left += 1
            raise
        finally:
            self.admission.leave(ticket)

    async def _fulfil(self, call: Call, ticket: Ticket) -> StreamResponse:
        if failure := self.failure(call, ticket):
            self.admission.leave(ticket)
            return await send(call.request, failure)
        first_s, rest_s = self.admission.latency_s(ticket)
        if first_s:
            await asyncio.sleep(first_s)
        if ticket.fault == "reset":
            self.admission.leave(ticket)
            return await reset(call.request)
        if ticket.fault == "hang":
            return await stall(call.request, None, self.stopping)
        audio = await sound(ticket.ask, self.settings.characters_per_second, ticket.fault, self.wire.streamed_sizes)
        answer = spoilt(self.wire.good(ticket, audio, self.admission.standings()), ticket.fault)
        ending = partial(self.admission.leave, ticket)
        response = await deliver(call.request, answer, ticket.fault, self.stopping, rest_s, ending)
        if ticket.fault is None:
            self.admission.stats.serve(self.admission.now())
        return response

    async def _show_stats(self, call: Call) -> StreamResponse:
        return await send(call.request, as_json(self.stats()))

    async def _show_log(self, call: Call) -> StreamResponse:
        if not self.settings.log:
            return await send(call.request, as_json({"error": "nothing is logged: start with --log N"}, 404))
        return await send(call.request, as_json(self.log()))

    async def _change(self, call: Call) -> StreamResponse:
        try:
            self.change(**read_object(await call.request.read()))
        except (Invalid, JobError) as wrong:
            return await send(call.request, as_json({"error": str(wrong)}, 400))
        return await send(call.request, as_json({name: getattr(self.settings, name) for name in LIMITS}))

    async def _reset(self, call: Call) -> StreamResponse:
        self.reset()
        return await send(call.request, as_json({"reset": True}))


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> BaseRequest:
    """A request as aiohttp makes it, but with a body as large as a recording in a ``data:`` URI."""
    loop = asyncio.get_running_loop()
    return BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MOST_BODY_BYTES)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Emulator]:
    """An emulator that runs in this event loop as long as the block lasts."""
    emulator = Emulator(settings)
    await emulator.start()
    try:
        yield emulator
    finally:
        await emulator.stop()


async def serve(settings: Settings) -> None:
    """Run an emulator until SIGINT or SIGTERM; the first line of stdout is its URL."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as emulator:
        gc.freeze()  # what is imported stays: no need to look through it again and again
        sys.stdout.write(f"{emulator.url}\n")
        sys.stdout.flush()
        await stop.wait()
