"""async-batch-llm at its best documented setting, over an emulator of OpenAI's speech endpoint.

    python benchmarks/quota_batch_llm.py URL TEXTS.json --rpm 600 [--at-once 16] [--burst-s 10]

Set as its documentation advises for a known limit: requests a minute told, the burst cut (``quota_burst_seconds``; a
full minute's bucket at the start is its default), no slow start, and a short cooldown where the server names none;
``Retry-After`` it reads from the error's response itself. Of the bursts tried, ten seconds' did best against windows,
one second's against a bucket of ten.
"""

import argparse
import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
from async_batch_llm import (
    CallableStrategy,
    CallOutcome,
    ProcessorConfig,
    RateLimitConfig,
    RetryConfig,
    process_prompts,
)
from quota_script import body_of


class Refused(Exception):
    """As an SDK raises it: with the response, whose headers name the delay."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(f"Error code: {response.status}")
        self.status_code, self.response = response.status, response


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rpm", type=float, default=None)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--burst-s", type=float, default=10.0)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    async with aiohttp.ClientSession() as session:

        async def invoke(prompt: str, *, attempt: int, timeout: float, state: Any) -> CallOutcome[int]:
            async with session.post(f"{given.url}/audio/speech", json=body_of(prompt)) as answer:
                size = len(await answer.read())
                if answer.status != 200:
                    raise Refused(answer)
                return CallOutcome(size)

        config = ProcessorConfig(
            concurrency=given.at_once,
            max_requests_per_minute=given.rpm,
            quota_burst_seconds=given.burst_s,
            retry=RetryConfig(max_attempts=4),
            rate_limit=RateLimitConfig(cooldown_seconds=1.0, slow_start_items=0),
        )
        batch = await process_prompts(CallableStrategy(invoke), json.loads(given.texts.read_text()), config=config)
    print(json.dumps({"served": batch.succeeded, "lost": batch.failed}))


if __name__ == "__main__":
    asyncio.run(main())
