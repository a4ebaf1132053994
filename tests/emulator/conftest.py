import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from cluster_tts.emulator.server import Emulator, running
from cluster_tts.emulator.settings import Settings

Start = Callable[..., Awaitable[Emulator]]
StartAside = Callable[..., Emulator]

RACHEL = "21m00Tcm4TlvDq8ikWAM"
BROOKE = "e07c00bc-4134-4eae-9ea4-1a55fb45746b"
MINIMAX = "minimax/speech-2.6-turbo"
FORMATS = {"wav": "wav_24000", "mp3": "mp3_44100_128"}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts emulators in the test's own loop: ``await start("openai", seed=1)``."""
    async with AsyncExitStack() as stack:

        async def start(provider: str, **options: Any) -> Emulator:
            return await stack.enter_async_context(running(Settings(provider, **options)))

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def start_aside() -> Iterator[StartAside]:
    """Starts emulators in a thread each, for clients that block: ``start_aside("openai", seed=1)``."""
    with ExitStack() as stack:
        yield lambda provider, **options: stack.enter_context(_aside(Settings(provider, **options)))


@contextmanager
def _aside(settings: Settings) -> Iterator[Emulator]:
    started = threading.Event()
    found: list[Any] = []

    async def run() -> None:
        stop = asyncio.Event()
        async with running(settings) as emulator:
            found.extend([emulator, asyncio.get_running_loop(), stop])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(10)
    emulator, loop, stop = found
    try:
        yield emulator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@dataclass(frozen=True)
class Heard:
    """An answer, read to its end."""

    status: int
    body: bytes
    headers: Any

    def json(self) -> Any:
        return json.loads(self.body)


def request_of(provider: str, text: str, form: str = "wav") -> dict[str, Any]:
    """A good request to speak, as arguments of aiohttp's ``post``, with its path under 'url'."""
    match provider:
        case "openai":
            body: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": form}
            return {"url": "/audio/speech", "json": body, "headers": {"Authorization": "Bearer k"}}
        case "elevenlabs":
            url = f"/v1/text-to-speech/{RACHEL}?output_format={FORMATS[form]}"
            return {"url": url, "json": {"text": text}, "headers": {"xi-api-key": "k"}}
        case "cartesia":
            output = {"container": form, "encoding": "pcm_s16le", "sample_rate": 24_000, "bit_rate": 128_000}
            body = {"model_id": "sonic-3.5", "transcript": text, "voice": BROOKE, "output_format": output}
            headers = {"Authorization": "Bearer k", "Cartesia-Version": "2026-08-14"}
            return {"url": "/tts/bytes", "json": body, "headers": headers}
    body = {"input": {"text": text, "audio_format": form}}
    headers = {"Authorization": "Bearer k", "Prefer": "wait"}
    return {"url": f"/v1/models/{MINIMAX}/predictions", "json": body, "headers": headers}


class Client:
    """Asks an emulator over HTTP, and reads what it says to the end."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        self.session, self.emulator = session, emulator

    async def call(self, method: str, url: str, **given: Any) -> Heard:
        url = url if url.startswith("http") else self.emulator.url + url
        async with self.session.request(method, url, **given) as answer:
            return Heard(answer.status, await answer.read(), answer.headers)

    async def get(self, url: str, **given: Any) -> Heard:
        return await self.call("GET", url, **given)

    async def create(self, text: str = "Hello, world.", form: str = "wav", **more: Any) -> Heard:
        """Ask for speech; ``more`` is merged into the fields of the body."""
        given = request_of(self.emulator.settings.provider, text, form)
        inner = given["json"].get("input")
        (inner if isinstance(inner, dict) else given["json"]).update(more)
        return await self.call("POST", **given)

    async def speak(self, text: str = "Hello, world.", form: str = "wav") -> Heard:
        """Ask for speech and, at Replicate, fetch its file."""
        heard = await self.create(text, form)
        if self.emulator.settings.provider == "replicate" and heard.status == 201:
            return await self.get(heard.json()["output"])
        return heard


@pytest.fixture
def client(start: Start, http: aiohttp.ClientSession) -> Callable[..., Awaitable[Client]]:
    """Starts an emulator and answers its client: ``await client("openai", seed=1)``."""

    async def client(provider: str, **options: Any) -> Client:
        return Client(http, await start(provider, **options))

    return client
