"""A worker's side of the gate: what it passes through before every request."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cluster_tts.limiter import BEAT_S, Ask, LimiterPort
from cluster_tts.quota import Limits


class OpenGate:
    """The gate of a provider without an account: always open."""

    @asynccontextmanager
    async def place(self, characters: int) -> AsyncIterator[None]:
        yield

    def cool(self, seconds: float) -> None:
        """Nobody else asks this provider: there is nothing to cool."""


class CoreGate:
    """The gate of an embedded voice: nobody else's quota, but no more at once than there are cores to compute them."""

    def __init__(self, cores: int) -> None:
        self._cores = asyncio.Semaphore(cores)

    @asynccontextmanager
    async def place(self, characters: int) -> AsyncIterator[None]:
        async with self._cores:
            yield

    def cool(self, seconds: float) -> None:
        """There is no server to spare."""


class LimiterGate:
    """A worker's side of the gate: the wants of all its slots travel in one pending call."""

    def __init__(self, limiter: LimiterPort, account: str, limits: Limits, worker: str) -> None:
        self._limiter = limiter
        self._account = account
        self._limits = limits
        self._worker = worker
        self._ids = itertools.count()
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[int, asyncio.Future[None]]] = {}
        self._done: list[int] = []
        self._cool_s: float | None = None
        self._calls: set[asyncio.Task[None] | None] = set()
        self._sending = False
        self._inside = 0  # requests that wait or hold a place
        self._beating: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def place(self, characters: int) -> AsyncIterator[None]:
        """Hold a place in flight; entered once the request may leave, to be left when its last byte is there."""
        request = next(self._ids)
        allowed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[request] = characters, allowed
        self._inside += 1
        self._beating = self._beating or asyncio.get_running_loop().create_task(self._beat())
        self._send()
        try:
            await allowed
            yield
        finally:
            self._waiting.pop(request, None)
            self._done.append(request)
            self._inside -= 1
            if self._beating and not self._inside:
                self._beating.cancel()
                self._beating = None
            self._send()

    def cool(self, seconds: float) -> None:
        """Tell the limiter that the server wants nobody to ask for so long."""
        self._cool_s = seconds
        self._send()

    async def _beat(self) -> None:
        """While anything is inside: be heard, or the limiter takes this worker for gone."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._send()

    def _send(self) -> None:
        """Ask once all that happens in this moment has happened: many slots make one call."""
        if not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._sending = False
        wants = {request: characters for request, (characters, allowed) in self._waiting.items() if not allowed.done()}
        ask = Ask(self._worker, next(self._numbers), wants, tuple(self._done), self._cool_s)
        self._done.clear()
        self._cool_s = None
        self._calls.add(asyncio.get_running_loop().create_task(self._call(ask)))

    async def _call(self, ask: Ask) -> None:
        try:
            granted = await self._limiter.ask(self._account, self._limits, ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, the slots that wait are told
            for _, allowed in self._waiting.values():
                if not allowed.done():
                    allowed.set_exception(error)
            return
        finally:
            self._calls.discard(asyncio.current_task())
        for request in granted:
            if (entry := self._waiting.get(request)) and not entry[1].done():
                entry[1].set_result(None)
        # What was granted since then is told in answer to the next call: there must be one on its way.
        if not self._calls and any(not allowed.done() for _, allowed in self._waiting.values()):
            self._send()
