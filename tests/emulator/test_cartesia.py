"""The emulated Cartesia against providers.md 3: versions, voices, formats, events, flat errors."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.emulator.conftest import BROOKE, Client, Heard

StartClient = Callable[..., Awaitable[Client]]
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
NOW = "2026-08-14"


async def speak(one: Client, path: str = "/tts/bytes", version: str | None = NOW, **body: Any) -> Heard:
    given = {"model_id": "sonic-3.5", "transcript": "Hello, world.", "voice": BROOKE, "output_format": RAW, **body}
    given = {name: value for name, value in given.items() if value is not ...}
    headers = {"Authorization": "Bearer k", **({"Cartesia-Version": version} if version else {})}
    return await one.call("POST", path, json=given, headers=headers)


@pytest.mark.parametrize(
    ("output", "begins"),
    [
        (RAW, (b"\0\0",)),
        ({**RAW, "container": "wav"}, (b"RIFF\xff\xff\xff\xffWAVE",)),
        ({**RAW, "container": "wav", "encoding": "pcm_f32le"}, (b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x03\0",)),
        ({**RAW, "encoding": "pcm_mulaw", "sample_rate": 8_000}, (b"\xff\xff",)),
        ({"container": "mp3", "sample_rate": 44_100, "bit_rate": 128_000}, (b"\xff\xfb", b"ID3")),
    ],
)
async def test_formats(client: StartClient, output: dict[str, Any], begins: tuple[bytes, ...]) -> None:
    heard = await speak(await client("cartesia"), output_format=output)
    assert heard.body.startswith(begins)
    assert heard.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize(
    "body",
    [
        {"voice": {"mode": "id", "id": BROOKE}},
        {"voice": {"embedding": [0.1], "id": BROOKE}},
        {"voice": {}},
        {"voice": ...},
        {"transcript": ...},
        {"transcript": ""},
        {"transcript": " ... !?"},
        {"output_format": ...},
        {"output_format": {"container": "raw", "sample_rate": 24_000}},
        {"output_format": {**RAW, "sample_rate": 32_000}},
        {"output_format": {**RAW, "encoding": "pcm_s24le"}},
        {"output_format": {**RAW, "container": "ogg"}},
        {"output_format": {"container": "mp3", "sample_rate": 44_100}},
        {"output_format": {"container": "mp3", "sample_rate": 44_100, "bit_rate": 127_000}},
        {"language": "en", "locale": "en-GB"},
        {"language": "English"},
        {"generation_config": {"speed": 0.5}},
        {"generation_config": {"volume": 2.1}},
        {"speed": "warp"},
        {"normalization": "sometimes"},
    ],
)
async def test_bad_fields_are_refused(client: StartClient, body: dict[str, Any]) -> None:
    heard = await speak(await client("cartesia"), **body)
    assert heard.status == 400
    assert set(heard.json()) == {"error_code", "title", "message", "request_id", "doc_url"}


async def test_good_fields(client: StartClient) -> None:
    one = await client("cartesia")
    config = {"speed": 1.5, "volume": 0.5, "emotion": "excited"}
    whole = await speak(one, generation_config={}, locale="en-GB", normalization="en-IN", voice={"id": BROOKE, "x": 1})
    fast = await speak(one, generation_config=config, save=True, language="en")
    assert len(fast.body) < len(whole.body)
    assert fast.headers["Cartesia-File-ID"]


async def test_what_does_not_exist(client: StartClient) -> None:
    one = await client("cartesia")
    for model in ("sonic-2", "sonic-turbo", "sonic-3-2025-10-27", "other"):
        heard = await speak(one, model_id=model)
        assert (heard.status, heard.json()["error_code"]) == (404, "model_not_found")
    for model in ("sonic-latest", "sonic-3.6", "sonic-3-2026-01-12"):
        assert (await speak(one, model_id=model)).status == 200
    assert (await speak(one, voice="nobody")).status == 404


async def test_versions(client: StartClient) -> None:
    one = await client("cartesia")
    for wrong in (None, "latest"):
        assert (await speak(one, version=wrong)).status == 400
    assert (await one.get("/voices")).status == 400
    assert (await speak(one, version="2026-03-01", voice={"mode": "id", "id": BROOKE})).status == 200
    old = await speak(one, version="2025-04-16", voice="nobody")
    assert old.headers["Content-Type"].startswith("text/plain")
    assert old.body == b"Voice not found: voice: there is no voice 'nobody'"


async def test_refusals_name_no_time(client: StartClient) -> None:
    heard = await speak(await client("cartesia", max_concurrent=0))
    assert (heard.status, heard.json()["error_code"]) == (429, "concurrency_limited")
    assert heard.json()["title"] == "Too many concurrent requests"
    assert "Retry-After" not in heard.headers
    assert (await speak(await client("cartesia", requests_per_minute=0))).json()["error_code"] is None
    heard = await speak(await client("cartesia", out_of_credit_after=1))
    assert (heard.status, heard.json()["error_code"]) == (402, "quota_exceeded")


async def test_events(client: StartClient) -> None:
    one = await client("cartesia")
    heard = await speak(one, "/tts/sse", add_timestamps=True, add_phoneme_timestamps=True)
    events = [json.loads(part.split("data: ")[1]) for part in heard.body.decode().split("\n\n") if part]
    kinds = [event["type"] for event in events]
    assert kinds == [*["chunk"] * 4, "timestamps", "phoneme_timestamps", "done"]
    assert b"".join(base64.b64decode(event["data"]) for event in events[:4]) == (await speak(one)).body
    assert events[4]["word_timestamps"]["words"] == ["Hello,", "world."]
    wav = {**RAW, "container": "wav"}
    assert (await speak(one, "/tts/sse", output_format=wav)).status == 400
    cut = await speak(await client("cartesia", faults={"cut_quietly": 1}), "/tts/sse")
    assert b'"done": true' not in cut.body
    failed = await speak(await client("cartesia", faults={"json": 1}), "/tts/sse")
    assert (failed.status, failed.body[:12]) == (200, b"event: error")


async def test_voices_are_paged_in_both_directions(client: StartClient) -> None:
    one = await client("cartesia")
    headers = {"Cartesia-Version": NOW}

    async def page(query: str) -> list[str]:
        return [voice["id"] for voice in (await one.get(f"/voices?{query}", headers=headers)).json()["data"]]

    everything = await page("limit=100")
    assert await page(f"limit=2&starting_after={everything[1]}") == everything[2:4]
    assert await page(f"limit=2&ending_before={everything[4]}") == everything[2:4]
    assert await page(f"starting_after={everything[-1]}") == []
    assert await page("q=brooke") == [BROOKE]
    assert len(await page("gender=masculine")) < len(everything)
    assert (await one.get("/voices?limit=101", headers=headers)).status == 400
    assert (await one.get(f"/voices/{BROOKE}", headers=headers)).json()["name"] == "Brooke"
