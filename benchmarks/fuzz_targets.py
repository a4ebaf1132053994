"""What mutated inputs are thrown at: each target makes one input from a random generator and has it treated."""

import asyncio
import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol
from unittest import mock

import mutations
import numpy as np
import soundfile as sf

from cluster_tts import afterwards, commands, config, keys
from cluster_tts.checking import believe
from cluster_tts.chunking import chunk
from cluster_tts.documents import read
from cluster_tts.errors import CTTSError
from cluster_tts.job import ChunkingSettings, Job, ModelFacts, ProviderSettings
from cluster_tts.model import Document, Utterance, WireFormat
from cluster_tts.providers import make

KEY = "sk-fuzz-0123456789abcdef"
ANSWER_S = 2.0  # an attempt's own time limit; whoever speaks keeps one too (timeouts.py)
SETTINGS = ["engine=local", "provider.name=tone", "provider.options.latency_s=0"]


class Target(Protocol):
    """One surface. ``last`` is the newest input as bytes, to be kept if it did harm."""

    last: bytes

    def attempt(self, random: Random, place: Path) -> None:
        """Treat one mutated input inside ``place``; only ``CTTSError`` is a good answer besides none."""


@contextlib.contextmanager
def opened(kind: str, seeds: Path) -> Iterator[Target]:
    """The target of this kind, with ``seeds`` to keep its good inputs in."""
    made: dict[str, Any] = {
        "text": lambda _: Texts(".txt", ()), "markdown": lambda _: Texts(".md", mutations.HOSTILE_MARKDOWN),
        "settings": lambda _: Settings(), "env": lambda _: Env(), "clip": lambda _: Clips(), "answer": Answers, "out": Outs,
    }  # fmt: skip
    target = made[kind](seeds)
    try:
        yield target
    finally:
        if isinstance(target, Answers):
            target.close()


class Texts:
    """A document, read and cut."""

    def __init__(self, suffix: str, extreme: tuple[str, ...]) -> None:
        self.last, self._suffix, self._extreme = b"", suffix, extreme

    def attempt(self, random: Random, place: Path) -> None:
        self.last = mutations.text(random, extreme=self._extreme)
        path = place / f"a{self._suffix}"
        path.write_bytes(self.last)
        settings = ChunkingSettings(max_characters=random.choice((1, 20, 300, 4096)))
        room = ModelFacts(
            max_characters=random.choice((None, 4, 500)), unit=random.choice(("codepoint", "utf16", "byte"))
        )
        for piece in chunk("a", read(Document("a", path)), settings, room, ()):
            piece.text.encode()  # what could not be sent would be no text


class Settings:
    """A job file and ``key=value``."""

    last = b""

    def attempt(self, random: Random, place: Path) -> None:
        seed = random.choice(mutations.SEEDS_OF_YAML)
        if random.random() < 0.3:
            seed = random.choice((seed, "")) + random.choice(mutations.HOSTILE_YAML)
        content = mutations.mutated(random, seed.encode()) if random.random() < 0.7 else seed.encode()
        overrides = [mutations.override(random) for _ in range(random.choice((0, 1, 1, 2)))]
        self.last = content + b"\n" + repr(overrides).encode("utf-8", "backslashreplace")
        path = place / "job.yaml"
        path.write_bytes(content)
        config.to_yaml(config.load([path] if random.random() < 0.6 else [], overrides, {}))


class Env:
    """A ``.env`` beside the command."""

    last = b""

    def attempt(self, random: Random, place: Path) -> None:
        seed = f"# keys\nexport FUZZ_KEY=\"{KEY}\"\nA=${{FUZZ_KEY}}\nB='multi\nline'\n".encode()
        self.last = mutations.mutated(random, seed)
        (place / ".env").write_bytes(self.last)
        keys._dotenv.cache_clear()
        try:
            if key := keys.find("FUZZ_KEY"):
                key.encode("ascii")
        finally:
            keys._dotenv.cache_clear()
            keys._seen.clear()


def clip(form: str, subtype: str) -> bytes:
    """A second of speech-like sound."""
    samples = (8000 * np.sin(np.arange(8_000) / 7) * (np.arange(8_000) % 1600 < 1200)).astype(np.int16)
    target = io.BytesIO()
    sf.write(target, samples, 8_000, format=form, subtype=subtype)
    return target.getvalue()


CLIPS = {
    "wav": clip("WAV", "PCM_16"), "float": clip("WAV", "FLOAT"), "wavex": clip("WAVEX", "PCM_24"), "rf64": clip("RF64", "PCM_16"),
    "flac": clip("FLAC", "PCM_16"), "mp3": clip("MP3", "MPEG_LAYER_III"), "ogg": clip("OGG", "VORBIS"), "opus": clip("OGG", "OPUS"),
}  # fmt: skip


class Clips:
    """An answer's audio, settled, decoded, judged."""

    last = b""

    def attempt(self, random: Random, place: Path) -> None:
        name = random.choice(list(CLIPS))
        self.last = mutations.mutated(random, CLIPS[name])
        (path := place / "clip.part").write_bytes(self.last)
        container = name if name in ("flac", "mp3", "ogg") else "ogg" if name == "opus" else "wav"
        wire = random.choice((None, WireFormat(container), WireFormat("raw", "pcm_s16le", 8_000)))
        sound = believe(path, wire, "Hello there, you.", random.choice((None, [4, 40])), pace=15.0)
        assert 0 < sound.frames < 10**7, sound  # of some kilobytes


class Answers:
    """A provider's answer over a real socket: status, headers and body mutated, to every provider's client."""

    def __init__(self, seeds: Path) -> None:
        self.last, self._random = b"", Random(0)
        self._runner = asyncio.Runner()
        self._server = self._runner.run(self._listen())
        self._url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        os.environ["FUZZ_API_KEY"] = KEY
        self._nap, self._sleep = (
            asyncio.sleep,
            mock.patch("cluster_tts.providers.replicate.asyncio.sleep", self._sooner),
        )
        self._sleep.start()

    async def _sooner(self, seconds: float) -> None:
        await self._nap(0)

    def close(self) -> None:
        self._sleep.stop()
        os.environ.pop("FUZZ_API_KEY", None)
        self._server.close()
        self._runner.close()

    def attempt(self, random: Random, place: Path) -> None:
        self._random, self.last = random, b""
        try:
            self._runner.run(self._speak(random.choice(("openai", "elevenlabs", "cartesia", "replicate")), place))
        except CTTSError as error:
            if KEY in f"{error} {error!r}":
                raise AssertionError("the key is in the message") from error
            raise

    async def _speak(self, name: str, place: Path) -> None:
        common = {"base_url": self._url, "api_key_env": "FUZZ_API_KEY", "idle_timeout_s": 1.0}
        if name == "replicate":
            settings = ProviderSettings(name, model="o/n", inputs={"text": "text"}, **common)
        else:
            given = {f"provider.{key}": value for key, value in {"name": name, "voice": "v", **common}.items()}
            settings = config.load((), [given], {}).provider
        provider = make(settings)
        try:
            async with asyncio.timeout(ANSWER_S):
                receipt = await provider.speak(Utterance("Hello there, you."), place / "clip.part")
            believe(place / "clip.part", receipt.wire, "Hello there, you.", [4, 40])
        except TimeoutError:
            pass  # the attempt's own limit: it would be tried again
        finally:
            await provider.aclose()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._answer, "127.0.0.1", 0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            answer = _answer_of(self._random, self._url)
            self.last += answer
            writer.write(answer)
            await writer.drain()
        writer.close()


def _answer_of(random: Random, url: str) -> bytes:
    word = random.choice((*mutations.HOSTILE_WORDS, KEY))
    wild: list[Any] = [None, True, [], {}, -1, 1e308, 10**30, word, [[word]], {"a": {"b": word}}]
    prediction = {
        "id": random.choice(("p1", "p1", "p1", "../x", *wild)),
        "status": random.choice(("succeeded", "succeeded", "processing", "failed", *wild)),
        "output": random.choice((f"{url}/f", "data:audio/wav;base64,UklG", "data:,%zz", "file:///etc/passwd", "/f", "//x/y", "http://[", *wild)),
        "error": random.choice(wild), "metrics": {"predict_time": random.choice(wild)},
    }  # fmt: skip
    error = {
        "error": random.choice((word, {"message": random.choice(wild), "code": random.choice(wild), "type": random.choice(wild)}, *wild)),
        "detail": random.choice((word, {"status": random.choice(wild), "message": random.choice(wild)}, [{"loc": wild, "msg": word}], *wild)),
        "retry_after": random.choice(wild),
    }  # fmt: skip
    bodies = (
        json.dumps(prediction).encode(), json.dumps(error).encode(), CLIPS[random.choice(list(CLIPS))],
        b"[" * 50_000, b'{"a":' * 50_000, b"9" * 5_000, b"NaN", b"", random.randbytes(50),
    )  # fmt: skip
    body = random.choice((bodies[0], bodies[0], *bodies))
    if random.random() < 0.4:
        body = mutations.mutated(random, body)
    status = random.choice(
        (200, 200, 201, 201, 204, 206, 301, 307, 308, 400, 401, 402, 403, 404, 422, 429, 429, 500, 503, 599)
    )
    headers = [
        f"Content-Length: {len(body) if random.random() < 0.97 else random.choice((0, -1, 10**20, len(body) + 9))}"
    ]
    for _ in range(random.choice((0, 0, 0, 0, 1, 2))):
        name = random.choice((
            "Retry-After", "retry-after-ms", "Date", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests", "RateLimit",
            "RateLimit-Policy", "current-concurrent-requests", "x-request-id", "Content-Encoding", "Transfer-Encoding", "Location",
            "Content-Type", "x-ratelimit-reset", "character-cost", "request-id", "Set-Cookie", "x-ratelimit-remaining-tokens",
        ))  # fmt: skip
        value = random.choice((word, "gzip", "br", "chunked", "1h2m", "Wed, 21 Oct 2026 07:28:00 GMT", f"{url}/x", '"a";q=1;w=0',
                               "audio/wav; charset=\udc80", "-5", "1e400", "²", "٣", "1" * 9000))  # fmt: skip
        headers.append(f"{name}: {value}")
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{header}\r\n" for header in headers) + "Connection: close\r\n\r\n"
    return (
        head.encode("utf-8", "surrogatepass")
        if random.random() < 0.97
        else mutations.mutated(random, head.encode("utf-8", "replace"))
    ) + body


class Outs:
    """A small finished OUT, one of its files mutated, then everything that reads it."""

    def __init__(self, seeds: Path) -> None:
        self.last = b""
        self._seed = seeds / "out"
        source = seeds / "texts"
        source.mkdir(parents=True)
        for name in ("a", "b"):
            (source / f"{name}.txt").write_text(f"Hello {name}. How are you?\n\nI am well.\n")
        self._source = source
        asyncio.run(commands.run_job(self._job(self._seed), [str(source)], asyncio.Event()))
        self._files = sorted(path.relative_to(self._seed) for path in self._seed.rglob("*") if path.is_file())

    def _job(self, out: Path) -> Job:
        return config.load((), [*SETTINGS, {"out": str(out)}], {})

    def attempt(self, random: Random, place: Path) -> None:
        out = place / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self._seed, out)
        victim = out / random.choice(self._files)
        if random.random() < 0.1:
            self.last = (out / random.choice(self._files)).read_bytes()
        else:
            self.last = mutations.mutated(random, victim.read_bytes())
        victim.write_bytes(self.last)
        job, refused = self._job(out), None
        for step in (
            lambda: afterwards.status_of(str(out)), lambda: commands.plan_job(job, [str(self._source)]),
            lambda: afterwards.stitch_out(str(out), []), lambda: afterwards.report_out(str(out)),
            lambda: asyncio.run(commands.run_job(job, [str(self._source)], asyncio.Event())),
        ):  # fmt: skip
            try:
                step()
            except CTTSError as error:
                refused = error
        if refused is not None:
            raise refused
