"""How many requests a second the emulator answers, by format and length of text, against a bare aiohttp server.

Emulator and load are a process each, so on two cores each has its own. The bare server answers every request with the
same number of bytes and knows nothing of speech: the ratio is what all of the emulator's rules cost.

    python benchmarks/emulator.py [seconds]
"""

import asyncio
import subprocess
import sys
import time
from multiprocessing import Process, Queue
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 32
TEXTS = {
    "short": "It is nine o'clock.",
    "sentence": "The harbour lies still, and the boats wait for the tide to come in.",
}
BODY = '{{"model":"tts-1","voice":"alloy","response_format":"{form}","input":"{number} {text}"}}'


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str, body: bytes) -> int:
    """One request on an open connection; the bytes of the answer's body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"refused: {answer[:200]!r} {await reader.read(500)!r}")
    if b"chunked" not in answer.lower():
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        return length
    size = 0
    while length := int(await reader.readline(), 16):
        await reader.readexactly(length + 2)
        size += length
    await reader.readexactly(2)
    return size


async def load(url: str, form: str, text: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and the mean bytes of an answer."""
    parts = urlsplit(url)
    count = total = 0
    until = time.perf_counter() + seconds

    async def connection(number: int) -> None:
        nonlocal count, total
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**22)
        while time.perf_counter() < until:
            body = BODY.format(form=form, number=f"{number}-{count}", text=text).encode()
            size = await ask(reader, writer, parts.netloc, f"{parts.path}/audio/speech", body)
            total, count = total + size, count + 1
        writer.close()

    await asyncio.gather(*map(connection, range(CONNECTIONS)))
    return count / seconds, total / count


def bare(size: int, urls: "Queue[str]") -> None:
    """A server that answers with ``size`` bytes, whatever is asked."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        await request.json()
        return web.Response(body=bytes(size))

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        sockets: Any = site._server
        urls.put(f"http://127.0.0.1:{sockets.sockets[0].getsockname()[1]}/v1")
        await asyncio.Event().wait()

    asyncio.run(main())


def measure_bare(size: int, seconds: float) -> float:
    urls: Queue[str] = Queue()
    server = Process(target=bare, args=(size, urls), daemon=True)
    server.start()
    try:
        return asyncio.run(load(urls.get(), "wav", "x", seconds))[0]
    finally:
        server.terminate()
        server.join()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    emulator = subprocess.Popen(
        [sys.executable, "-m", "cluster_tts", "emulate", "openai"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert emulator.stdout is not None
        url = emulator.stdout.readline().strip()
        print(f"{'format':<7}{'text':<10}{'bytes':>9}{'emulator/s':>12}{'bare/s':>9}{'ratio':>7}")
        for form in ("wav", "pcm"):
            for name, text in TEXTS.items():
                rate, size = asyncio.run(load(url, form, text, seconds))
                limit = measure_bare(round(size), seconds)
                print(f"{form:<7}{name:<10}{size:>9,.0f}{rate:>12,.0f}{limit:>9,.0f}{rate / limit:>7.2f}", flush=True)
    finally:
        emulator.terminate()
        emulator.wait()


if __name__ == "__main__":
    main()
