"""Somebody else on the same account: a request every so often, whatever becomes of it, until it is terminated.

python benchmarks/quota_neighbour.py URL SECONDS_BETWEEN
"""

import asyncio
import sys
import time

import aiohttp
from quota_script import speak


async def main(url: str, every_s: float) -> None:
    begin, number = time.monotonic(), 0
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        while True:
            group.create_task(speak(session, url, f"N-{number:04} says something too."))
            number += 1
            await asyncio.sleep(begin + number * every_s - time.monotonic())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
