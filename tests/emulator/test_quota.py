"""What proves quotas: travelling times, hidden limits, queues, changed limits, the log, places given back in time."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
import pytest

from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.speech import digest_of
from cluster_tts.errors import JobError
from tests.emulator.conftest import BROOKE, RACHEL, Client

StartClient = Callable[..., Awaitable[Client]]
TEXT = "It was a bright cold day in April."
GEORGE = "JBFqnCBsd6RMkjVDRZzb"
USUAL_VOICES = {"openai": "alloy", "elevenlabs": RACHEL, "cartesia": BROOKE, "replicate": ""}

everywhere = pytest.mark.parametrize("provider", EMULATORS)


@everywhere
async def test_requests_arrive_late_each_by_its_own_time(client: StartClient, provider: str) -> None:
    one = await client(provider, travel_s=0.2, log=20, seed=5)
    await asyncio.gather(*(one.create(f"{number}") for number in range(20)))
    arrivals = [entry["arrival_s"] for entry in one.emulator.log()["requests"]]
    assert 0.1 < arrivals[-1] - arrivals[0] < 0.3
    assert len({round(arrival, 2) for arrival in arrivals}) > 6


@everywhere
async def test_a_quiet_server_tells_nothing_of_its_limits(client: StartClient, provider: str) -> None:
    limits = {"requests_per_minute": 7, "characters_per_minute": 77, "max_concurrent": 3}
    for name, limit in limits.items():
        one = await client(provider, quiet=True, latency_s=0.02, **{name: limit})
        heard = await asyncio.gather(*(one.create("ten of 'em") for _ in range(12)))
        refused = [answer for answer in heard if answer.status == 429]
        assert refused
        for answer in heard:
            assert not [key for key in answer.headers if re.search("limit|retry|reset|concurrent", key, re.I)]
        for answer in refused:
            said = answer.json()
            said.pop("request_id", None)
            if isinstance(said.get("detail"), dict):
                said["detail"].pop("request_id", None)
            assert not re.search(r"\d", str(said).replace("429", "").replace("'status': 503", ""))
    drawn = await (await client(provider, quiet=True, faults={"429": 1})).create()
    assert (drawn.status, "Retry-After" in drawn.headers) == (429, False)


async def test_a_quiet_server_does_not_say_when_polls_may_go_on(client: StartClient) -> None:
    one = await client("replicate", quiet=True, polls_per_minute=1)
    heard = [await one.get("/v1/predictions") for _ in range(2)]
    assert [answer.status for answer in heard] == [200, 429]
    assert heard[1].json() == {"detail": "Request was throttled.", "status": 429}


@everywhere
async def test_a_bucket_of_characters_has_a_size_of_its_own(client: StartClient, provider: str) -> None:
    one = await client(provider, characters_per_minute=60, count="bucket", burst_characters=20)
    statuses = [(await one.create("ten of 'em")).status for _ in range(3)]
    assert statuses == [statuses[0]] * 2 + [429]


@everywhere
async def test_where_requests_queue_none_is_refused_and_the_first_comes_first(
    client: StartClient, provider: str
) -> None:
    one = await client(provider, max_concurrent=2, queue=True, latency_s=0.05, log=10)
    heard = await asyncio.gather(*(one.create(f"{number}") for number in range(6)))
    assert all(answer.status < 300 for answer in heard)
    entries = one.emulator.log()["requests"]
    assert one.emulator.stats()["in_flight"]["peak"] == 2
    admitted = [entry["admitted_s"] for entry in entries]
    assert admitted == sorted(admitted)
    assert entries[5]["admitted_s"] - entries[5]["arrival_s"] > 0.08
    assert entries[0]["admitted_s"] - entries[0]["arrival_s"] < 0.02


async def test_who_leaves_the_queue_takes_no_place(client: StartClient) -> None:
    one = await client("openai", max_concurrent=1, queue=True, latency_s=0.3)
    first = asyncio.create_task(one.create("first"))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await one.create("second")
    assert (await first).status == (await one.create("third")).status == 200
    assert (one.emulator.stats()["charged"], one.emulator.stats()["in_flight"]["now"]) == (2, 0)


@everywhere
async def test_limits_change_in_mid_run_and_counts_are_kept(client: StartClient, provider: str) -> None:
    one = await client(provider, requests_per_minute=10)
    for number in range(4):
        await one.create(f"{number}")
    url = f"{one.emulator.url}/_emulator/limits"
    heard = await one.call("POST", url, json={"requests_per_minute": 5, "max_concurrent": 3})
    assert heard.json() == {"requests_per_minute": 5, "characters_per_minute": None, "max_concurrent": 3}
    assert [(await one.create("more")).status == 429 for _ in range(2)] == [False, True]
    one.emulator.change(requests_per_minute=None, characters_per_minute=9)  # 8 of them within the last minute
    assert [(await one.create("x")).status == 429 for _ in range(2)] == [False, True]
    one.emulator.reset()
    assert (await one.create("nine chrs")).status < 300
    assert one.emulator.settings.max_concurrent == one.emulator.wire.settings.max_concurrent == 3


async def test_a_changed_limit_is_told(client: StartClient) -> None:
    one = await client("elevenlabs", max_concurrent=5)
    one.emulator.change(max_concurrent=2)
    assert (await one.create()).headers["maximum-concurrent-requests"] == "2"
    other = await client("openai", requests_per_minute=5)
    other.emulator.change(requests_per_minute=8)
    assert (await other.create()).headers["x-ratelimit-limit-requests"] == "8"


async def test_who_queues_comes_in_as_soon_as_there_are_more_places(client: StartClient) -> None:
    one = await client("openai", max_concurrent=1, queue=True, latency_s=0.2)
    waiting = [asyncio.create_task(one.create(f"{number}")) for number in range(3)]
    await asyncio.sleep(0.1)
    one.emulator.change(max_concurrent=3)
    await asyncio.gather(*waiting)
    assert one.emulator.stats()["in_flight"]["peak"] == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"requests_per_hour": 5}, "did you mean requests_per_minute"),
        ({"requests_per_minute": -1}, "--requests-per-minute -1"),
        ({"max_concurrent": 1.5}, "max_concurrent 1.5 must be a number, or null"),
        ({"max_concurrent": True}, "max_concurrent True must be a number"),
        ({"characters_per_minute": "9"}, "characters_per_minute '9' must be a number"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_limits_that_make_no_sense_change_nothing(client: StartClient, body: object, message: str) -> None:
    one = await client("openai", requests_per_minute=5)
    heard = await one.call("POST", "/_emulator/limits", json=body)
    assert heard.status == 400
    assert message in heard.json()["error"]
    assert one.emulator.settings.requests_per_minute == 5
    with pytest.raises(JobError):
        one.emulator.change(nothing=1)


@everywhere
async def test_the_log_tells_each_request_in_the_order_of_arrival(client: StartClient, provider: str) -> None:
    one = await client(
        provider, requests_per_minute=2, latency_s=0.05, latency_per_character_s=0.001, jitter=0.3, log=5
    )
    for number in range(3):
        await one.create(f"{number} {TEXT * 2}")
    told = (await one.get("/_emulator/log")).json()
    first, second, third = told["requests"]
    assert first["text"] == f"0 {TEXT * 2}"[:40]
    assert (first["number"], first["characters"], first["in_flight"], first["refused"]) == (1, 2 + 2 * len(TEXT), 1, "")
    assert (third["refused"], third["admitted_s"], third["latency_s"]) == ("requests", None, 0.0)
    for entry in (first, second):
        took_s = entry["left_s"] - entry["admitted_s"]
        assert entry["arrival_s"] <= entry["admitted_s"]
        assert entry["latency_s"] <= took_s < entry["latency_s"] + 0.05
    assert first["latency_s"] != second["latency_s"]
    assert third["arrival_s"] <= third["left_s"] <= told["now_s"]


@everywhere
async def test_the_log_tells_what_was_said_with_which_voice_and_how_fast(client: StartClient, provider: str) -> None:
    one = await client(provider, log=5)
    await one.create(TEXT)
    (entry,) = (await one.get("/_emulator/log")).json()["requests"]
    assert entry["said"] == [[f"{digest_of(TEXT):010x}", USUAL_VOICES[provider]]]
    assert entry["speed"] == 1


async def test_the_log_tells_the_voice_of_each_turn_of_a_dialogue(client: StartClient) -> None:
    one = await client("elevenlabs", log=5)
    inputs = [{"text": "Who is there?", "voice_id": RACHEL}, {"text": "The tide.", "voice_id": GEORGE}]
    await one.call("POST", "/v1/text-to-dialogue", json={"inputs": inputs})
    (entry,) = (await one.get("/_emulator/log")).json()["requests"]
    assert entry["said"] == [[f"{digest_of(turn['text']):010x}", turn["voice_id"]] for turn in inputs]


async def test_latencies_are_the_same_for_the_same_seed(client: StartClient) -> None:
    async def drawn(seed: int) -> list[float]:
        one = await client("openai", latency_s=0.001, jitter=0.5, seed=seed, log=100)
        for _ in range(30):
            await one.create("text")
        return [entry["latency_s"] for entry in one.emulator.log()["requests"]]

    found = await drawn(3)
    assert found == await drawn(3) != await drawn(4)
    spread = [math.log(latency_s / 0.001) for latency_s in found]
    assert 0.3 < math.sqrt(sum(value * value for value in spread) / len(spread)) < 0.7


async def test_without_a_log_it_is_said_how_to_have_one(client: StartClient) -> None:
    heard = await (await client("openai")).get("/_emulator/log")
    assert heard.status == 404
    assert "--log N" in heard.json()["error"]


@everywhere
@pytest.mark.parametrize("fault", [None, "500", "cut"])
async def test_who_reacts_to_the_last_byte_finds_his_place_free(
    client: StartClient, provider: str, fault: str | None
) -> None:
    one = await client(provider, max_concurrent=1, faults={fault: 1} if fault else {}, latency_s=0.001)
    for number in range(20):
        with suppress(aiohttp.ClientPayloadError):  # that it was cut
            assert (await one.create(f"{number}")).status != 429
    assert one.emulator.stats()["refused"] == {}


async def test_a_place_is_free_before_the_last_byte_of_what_arrives_bit_by_bit(client: StartClient) -> None:
    one = await client("openai", max_concurrent=1, latency_per_character_s=0.03)
    for _ in range(3):
        begin = time.perf_counter()
        assert (await one.create("twenty characters ab")).status == 200
        assert time.perf_counter() - begin > 0.5
    assert one.emulator.stats()["in_flight"] | {"mean": 0} == {"now": 0, "peak": 1, "mean": 0}
