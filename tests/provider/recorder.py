"""A loopback server that notes each request as it arrived and answers as it is told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDictProxy

COMPARED = (
    "Authorization", "xi-api-key", "Content-Type", "Cartesia-Version", "Prefer", "OpenAI-Organization",
    "OpenAI-Project",
)  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Recorded:
    """One request. ``path`` is as it was sent, its percent signs not decoded."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: CIMultiDictProxy[str]
    body: bytes
    connection: object

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def essence(self) -> dict[str, Any]:
        """What two clients must agree on."""
        headers = {name: self.headers.get(name) for name in COMPARED}
        return {
            "method": self.method, "path": self.path, "query": self.query, "headers": headers, "body": self.json,
        }  # fmt: skip


R = TypeVar("R", bound="Recorder")


class Recorder:
    """Answers with ``answer``, by default with a few bytes that pass for audio."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.answer: Handler = saying(b"RIFF audio")
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        self.requests.append(
            Recorded(
                request.method,
                path,
                sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))),
                request.headers,
                await request.read(),
                request.transport,
            )
        )
        return await self.answer(request)

    @contextmanager
    def listening(self) -> Iterator[list[Recorded]]:
        """What arrives inside the block."""
        start, heard = len(self.requests), list[Recorded]()
        yield heard
        heard += self.requests[start:]


@asynccontextmanager
async def recording(kind: type[R] = Recorder) -> AsyncIterator[R]:  # type: ignore[assignment]
    recorder = kind()
    runner = web.ServerRunner(web.Server(recorder.handle), shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield recorder
    finally:
        await runner.cleanup()


def saying(body: bytes, status: int = 200, **given: Any) -> Handler:
    """Answers each request the same."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, **given)

    return answer


def telling(*contents: Any) -> Handler:
    """Answers each with the next of ``contents`` as JSON; the last stays."""
    left = list(contents)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(left.pop(0) if len(left) > 1 else left[0])

    return answer
