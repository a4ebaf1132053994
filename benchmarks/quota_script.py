"""The script that people write, as the ancestors did: a semaphore, a window of the last minute, back-off on refusals.

    python benchmarks/quota_script.py URL TEXTS.json --rpm 600 [--at-once 16] [--attempts 4]

Each process counts for itself. After ``attempts`` refusals a text is lost. What became of them is printed as JSON.
"""

import argparse
import asyncio
import json
import time
from collections import deque
from pathlib import Path

import aiohttp

WINDOW_S = 60.0


class Window:
    """At most ``limit`` in any ``WINDOW_S``, exactly, as this process sees it."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._sent: deque[float] = deque()
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        async with self._lock:
            while True:
                now = time.monotonic()
                while self._sent and self._sent[0] <= now - WINDOW_S:
                    self._sent.popleft()
                if len(self._sent) < self._limit:
                    self._sent.append(now)
                    return
                await asyncio.sleep(self._sent[0] + WINDOW_S - now)


def body_of(text: str) -> dict[str, str]:
    return {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}


async def speak(session: aiohttp.ClientSession, url: str, text: str) -> int:
    """One request: its status."""
    async with session.post(f"{url}/audio/speech", json=body_of(text)) as answer:
        await answer.read()
        return answer.status


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rpm", type=float, default=float("inf"))
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--attempts", type=int, default=4)
    given = parser.parse_args()
    window, places = Window(given.rpm), asyncio.Semaphore(given.at_once)
    outcome = {"served": 0, "lost": 0}

    async def one(session: aiohttp.ClientSession, text: str) -> None:
        async with places:
            for attempt in range(given.attempts):
                await window.wait()
                if await speak(session, given.url, text) == 200:
                    outcome["served"] += 1
                    return
                await asyncio.sleep(2**attempt)
            outcome["lost"] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, text) for text in json.loads(given.texts.read_text())))
    print(json.dumps(outcome))


if __name__ == "__main__":
    asyncio.run(main())
