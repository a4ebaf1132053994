"""What all emulators have in common: faults and what they cost, limits, credit, counts, the command line."""

import asyncio
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import soundfile as sf

from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.server import running
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.speech import digest_of, read_back
from cluster_tts.errors import JobError
from tests.emulator.conftest import MINIMAX, Client

StartClient = Callable[..., Awaitable[Client]]
TEXT = "It was a bright cold day in April."

everywhere = pytest.mark.parametrize("provider", EMULATORS)


def seconds(data: bytes) -> float:
    return float(sf.info(io.BytesIO(data)).duration)


@everywhere
@pytest.mark.parametrize("form", ["wav", "mp3"])
async def test_audio_is_as_long_as_speech_and_carries_its_digest(client: StartClient, provider: str, form: str) -> None:
    one = await client(provider)
    heard = await one.speak(TEXT, form)
    samples, rate = sf.read(io.BytesIO(heard.body))
    assert len(samples) / rate == pytest.approx(len(TEXT) / 15, abs=0.15)
    assert [found.digest for found in read_back(samples, rate)] == [digest_of(TEXT)]
    assert heard.body == (await one.speak(TEXT, form)).body
    slow = await client(provider, characters_per_second=5)
    assert seconds((await slow.speak(TEXT, form)).body) == pytest.approx(len(TEXT) / 5, abs=0.15)


@everywhere
async def test_bad_200s(client: StartClient, provider: str) -> None:
    whole = (await (await client(provider)).speak(TEXT)).body

    async def spoilt(fault: str) -> Any:
        one = await client(provider, faults={fault: 1})
        heard = await one.speak(TEXT)
        stats = one.emulator.stats()
        assert (heard.status, stats["charged"], stats["served"], stats["faults"]) == (200, 1, 0, {fault: 1})
        return heard

    assert (await spoilt("empty")).body == b""
    assert (await spoilt("header_only")).body == whole[:44]
    assert "error" in (await spoilt("json")).json()
    assert (await spoilt("html")).body.startswith(b"<html>")
    assert not (await spoilt("wrong_format")).body.startswith(b"RIFF")
    assert seconds((await spoilt("cut_quietly")).body) == pytest.approx(0.4 * len(TEXT) / 15, abs=0.05)


@everywhere
@pytest.mark.parametrize("fault", ["cut", "cut_length", "reset", "stall", "hang"])
async def test_broken_connections(client: StartClient, provider: str, fault: str) -> None:
    one = await client(provider, faults={fault: 1})
    errors: tuple[type[Exception], ...] = (aiohttp.ClientError, OSError, TimeoutError)
    with pytest.raises(errors) as caught:
        async with asyncio.timeout(0.15):
            await one.speak(TEXT)
    assert isinstance(caught.value, TimeoutError) == (fault in ("stall", "hang"))
    await asyncio.sleep(0.05)  # so that the server notices who left
    stats = one.emulator.stats()
    assert (stats["charged"], stats["served"], stats["faults"]) == (fault != "reset", 0, {fault: 1})
    assert stats["in_flight"]["now"] == 0


@everywhere
async def test_errors_cost_nothing_and_have_their_status(client: StartClient, provider: str) -> None:
    for fault in ("401", "429", "500", "busy"):
        one = await client(provider, faults={fault: 1})
        heard = await one.create()
        assert heard.status == {"busy": 429 if provider == "elevenlabs" else 503}.get(fault) or int(fault)
        assert one.emulator.stats()["charged"] == 0
        assert isinstance(heard.json(), dict)
    heard = await (await client(provider, faults={"502": 1})).create()
    assert (heard.status, heard.body[:6], heard.headers["Content-Type"]) == (502, b"<html>", "text/html")


@everywhere
async def test_faults_follow_arrivals_not_texts(client: StartClient, provider: str) -> None:
    async def drawn(seed: int) -> list[int]:
        one = await client(provider, faults={"500": 0.5}, seed=seed)
        return [(await one.create(TEXT)).status for _ in range(24)]

    assert await drawn(1) == await drawn(1) != await drawn(2)
    assert len(set(await drawn(1))) == 2


@everywhere
async def test_rates_are_limited(client: StartClient, provider: str) -> None:
    one = await client(provider, requests_per_minute=3 * 120, window_s=0.5)
    statuses = [(await one.create()).status for _ in range(5)]
    assert statuses == [statuses[0]] * 3 + [429] * 2
    stats = one.emulator.stats()
    assert stats["refused"] == {"requests": 2}
    assert (stats["largest_window"]["requests"], stats["largest_window_arrivals"]["requests"]) == (3, 5)
    await asyncio.sleep(0.55)
    assert (await one.create()).status == statuses[0]
    by_text = await client(provider, characters_per_minute=20)
    assert [(await by_text.create("ten of 'em")).status for _ in range(3)] == [statuses[0]] * 2 + [429]
    for limit in ("requests_per_minute", "characters_per_minute", "max_concurrent"):
        assert (await (await client(provider, **{limit: 0})).create()).status == 429


@everywhere
async def test_concurrency_is_limited_while_requests_are_in_flight(client: StartClient, provider: str) -> None:
    one = await client(provider, max_concurrent=2, latency_s=0.1)
    heard = await asyncio.gather(*(one.create(f"{number} {TEXT}") for number in range(5)))
    assert sorted(answer.status >= 400 for answer in heard) == [False] * 2 + [True] * 3
    assert (await one.create()).status < 300
    stats = one.emulator.stats()
    assert (stats["refused"], stats["in_flight"]["peak"], stats["in_flight"]["now"]) == ({"concurrency": 3}, 2, 0)


@everywhere
async def test_credit_runs_out_and_is_never_overdrawn(client: StartClient, provider: str) -> None:
    one = await client(provider, out_of_credit_after=25)
    statuses = [(await one.create("ten of 'em")).status for _ in range(4)]
    assert [status < 300 for status in statuses] == [True, True, False, False]
    stats = one.emulator.stats()
    assert (stats["charged_characters"], stats["refused"], stats["in_flight"]["now"]) == (20, {"credit": 2}, 0)


@everywhere
async def test_what_is_paid_twice_is_told_and_a_reset_forgets_it(client: StartClient, provider: str) -> None:
    one = await client(provider, requests_per_minute=3)
    for text in ("one", "two", "one"):
        await one.create(text)
    assert (await one.create()).status == 429
    stats = (await one.get("/_emulator/stats")).json()
    assert stats["repeats"] == {"one": 2}
    assert (stats["asked"]["two"], stats["arrivals"], stats["charged"]) == (1, 4, 3)
    root = one.emulator.origin + "/_emulator/stats"
    assert (await one.get(root)).json()["charged_characters"] == 9
    assert (await one.call("POST", "/_emulator/reset")).status == 200
    assert one.emulator.stats()["arrivals"] == 0
    assert (await one.create()).status < 300


@everywhere
async def test_latency_has_two_parts_and_a_tail(client: StartClient, provider: str) -> None:
    one = await client(provider, latency_s=0.1, latency_per_character_s=0.005)
    begin = time.perf_counter()
    await one.create("a" * 20)
    assert 0.2 <= time.perf_counter() - begin < 0.4


async def test_long_audio_arrives_bit_by_bit_and_whole(client: StartClient) -> None:
    one = await client("openai", latency_per_character_s=0.012)
    assert seconds((await one.speak("word " * 10)).body) == pytest.approx(50 / 15, abs=0.1)


@everywhere
async def test_keys_and_paths(client: StartClient, provider: str) -> None:
    one = await client(provider, api_key="secret")
    assert (await one.create()).status == 401
    stats = one.emulator.stats()
    assert (stats["arrivals"], stats["charged"]) == (1, 0)
    anybody = await client(provider)
    assert (await anybody.get("/v9/nothing")).status == 404
    paths = {"openai": "/audio/speech", "elevenlabs": "/v1/models", "cartesia": "/voices", "replicate": "/v1/models"}
    assert (await anybody.call("DELETE", paths[provider])).status == 405


@everywhere
async def test_bodies_that_are_no_json_objects(client: StartClient, provider: str) -> None:
    one = await client(provider)
    good = {"openai": 400, "elevenlabs": 422, "cartesia": 400, "replicate": 422}[provider]
    path = {
        "openai": "/audio/speech",
        "elevenlabs": "/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM",
        "cartesia": "/tts/bytes",
        "replicate": "/v1/predictions",
    }[provider]
    headers = {"Cartesia-Version": "2026-08-14", "Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000, b"{}"):
        assert (await one.call("POST", path, data=body, headers=headers)).status == good
    plain = {**headers, "Content-Type": "text/plain"}
    assert (await one.call("POST", path, data=b"{}", headers=plain)).status == good


async def test_large_bodies_are_read(client: StartClient) -> None:
    one = await client("replicate")
    body = json.dumps({"input": {"text": TEXT, "speaker": "data:" + "A" * 3_000_000}}).encode()
    path, headers = f"/v1/models/{MINIMAX}/predictions", {"Content-Type": "application/json"}
    assert (await one.call("POST", path, data=io.BytesIO(body), headers=headers)).status == 201


async def test_who_leaves_early_gives_his_place_back_and_pays(client: StartClient) -> None:
    one = await client("elevenlabs", max_concurrent=1, latency_s=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await one.create()
    await asyncio.sleep(0.05)
    stats = one.emulator.stats()
    assert (stats["in_flight"]["now"], stats["left"], stats["charged"]) == (0, 1, 1)


async def test_stopping_does_not_wait_for_what_stalls(client: StartClient, http: aiohttp.ClientSession) -> None:
    async with running(Settings("openai", faults={"stall": 1})) as emulator:
        waiting = asyncio.create_task(Client(http, emulator).speak(TEXT))
        await asyncio.sleep(0.1)
        begin = time.perf_counter()
    assert time.perf_counter() - begin < 1
    with pytest.raises(aiohttp.ClientError):
        await waiting


async def test_a_taken_port_is_one_clear_error() -> None:
    async with running(Settings("openai")) as emulator:
        port = int(emulator.origin.rpartition(":")[2])
        with pytest.raises(JobError, match=f"port {port} of 127.0.0.1 cannot be used: "):
            async with running(Settings("openai", port=port)):
                pass


async def test_it_listens_at_the_address_it_is_given_and_tells_from_where_it_was_asked(
    http: aiohttp.ClientSession,
) -> None:
    async with running(Settings("openai", host="127.0.0.2", log=10)) as emulator:
        assert emulator.url.startswith("http://127.0.0.2:")
        await Client(http, emulator).speak(TEXT)
        assert [entry["peer"] for entry in emulator.log()["requests"]] == ["127.0.0.1"]


async def test_an_address_of_another_machine_is_one_clear_error() -> None:
    with pytest.raises(JobError, match=r"port 0 of 192\.0\.2\.1 cannot be used: "):
        async with running(Settings("openai", host="192.0.2.1")):
            pass


class TestCommandLine:
    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cluster_tts", "emulate", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )

    @pytest.mark.parametrize(("provider", "number"), [("openai", signal.SIGINT), ("replicate", signal.SIGTERM)])
    async def test_the_first_line_is_the_url_and_a_signal_ends_it(self, provider: str, number: int) -> None:
        process = await self.start(provider, "--requests-per-minute", "1", "--fault", "cut-body=0.5")
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v1") == (provider == "openai")
        async with aiohttp.ClientSession() as session, session.get(f"{url}/_emulator/stats") as answer:
            assert json.loads(await answer.read())["arrivals"] == 0
        process.send_signal(number)
        rest, errors = await process.communicate()
        assert (process.returncode, rest, errors) == (0, b"", b"")

    async def test_mistakes_end_with_2_and_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for arguments in (("openai", "--port", port), ("openia",), ("openai", "--fault", "nothing=1")):
                process = await self.start(*arguments)
                out, errors = await process.communicate()
                assert (process.returncode, out, errors.count(b"\n")) == (2, b"", 1)
                assert errors.startswith(b"cluster-tts: ")
