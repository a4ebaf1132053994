"""When a request was really on its way: between permission to ask and its leaving lie a connection and a busy loop."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp


@dataclass(slots=True)
class Departure:
    """When a request was begun and when its head was written to its connection, on the event loop's clock."""

    begun: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    sent: float | None = None

    @property
    def sent_after_s(self) -> float:
        """How long it took; 0 where it was not seen leaving."""
        return 0.0 if self.sent is None else self.sent - self.begun


def noting_departures() -> aiohttp.TraceConfig:
    """A trace that fills in the ``Departure`` given as ``trace_request_ctx``."""

    async def note(session: aiohttp.ClientSession, context: SimpleNamespace, _: object) -> None:
        if isinstance(context.trace_request_ctx, Departure):
            context.trace_request_ctx.sent = asyncio.get_running_loop().time()

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(note)
    return tracing
