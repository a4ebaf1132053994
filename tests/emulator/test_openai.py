"""The emulated OpenAI against providers.md 1 (and 5, self-hosted): fields, headers, refusals, formats."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cluster_tts.emulator.openai_words import count_tokens, go_duration
from tests.emulator.conftest import Client

StartClient = Callable[..., Awaitable[Client]]


@pytest.mark.parametrize(
    ("form", "begins", "media_type"),
    [
        ("mp3", (b"\xff\xfb", b"\xff\xf3", b"ID3"), "audio/mpeg"),
        ("opus", (b"OggS",), "audio/opus"),
        ("flac", (b"fLaC",), "audio/flac"),
        ("wav", (b"RIFF\xff\xff\xff\xffWAVEfmt ",), "audio/wav"),
        ("pcm", (b"\0\0",), "audio/pcm"),
    ],
)
async def test_formats(client: StartClient, form: str, begins: tuple[bytes, ...], media_type: str) -> None:
    heard = await (await client("openai")).create(form=form)
    assert heard.body.startswith(begins)
    assert (heard.headers["Content-Type"], heard.headers["Transfer-Encoding"]) == (media_type, "chunked")
    assert heard.headers["x-request-id"]


async def test_wav_sizes_are_unknown_when_it_streams(client: StartClient) -> None:
    body = (await (await client("openai")).create()).body
    assert body[4:8] == body[40:44] == b"\xff" * 4
    assert int.from_bytes(body[24:28], "little") == 24_000


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"voice": {"id": "nobody"}}, "voice.id"),
        ({"voice": {"id": "voice_1", "more": 1}}, "voice.more"),
        ({"voice": None}, "voice"),
        ({"input": ""}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"input": 7}, "input"),
        ({"model": "gpt-4o-mini-tts", "input": "好" * 3000}, "input"),
        ({"response_format": "ogg"}, "response_format"),
        ({"response_format": "aac"}, "response_format"),
        ({"speed": 0.2}, "speed"),
        ({"speed": 4.1}, "speed"),
        ({"speed": True}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"speed": float("nan")}, "speed"),
        ({"instructions": "a" * 4097}, "instructions"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"seed": 1}, "seed"),
    ],
)
async def test_bad_fields_are_refused_by_name(client: StartClient, fields: dict[str, Any], param: str) -> None:
    one = await client("openai")
    heard = await one.create(**fields)
    error = heard.json()["error"]
    assert (heard.status, error["type"], error["code"], error["param"]) == (400, "invalid_request_error", None, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert one.emulator.stats()["charged"] == 0


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"])
async def test_models_and_voices(client: StartClient, model: str) -> None:
    one = await client("openai")
    for voice in ("alloy", "cedar", {"id": "voice_1234"}):
        assert (await one.create("a" * 50, model=model, voice=voice, instructions="Sadly.", speed=4)).status == 200
    assert (await one.create(model="tts-2")).json()["error"]["code"] == "model_not_found"


async def test_faster_speech_is_shorter(client: StartClient) -> None:
    one = await client("openai")
    lengths = [len((await one.create("word " * 30, "pcm", speed=speed)).body) for speed in (1.0, 2.0, 0.5)]
    assert lengths == [480_000, 240_000, 960_000]


async def test_events(client: StartClient) -> None:
    one = await client("openai")
    heard = await one.create("word " * 9, "pcm", model="gpt-4o-mini-tts", stream_format="sse")
    events = [json.loads(line[6:]) for line in heard.body.decode().split("\n\n") if line]
    assert heard.headers["Content-Type"] == "text/event-stream"
    assert (
        b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
        == (await one.create("word " * 9, "pcm")).body
    )
    assert events[-1]["type"] == "speech.audio.done"
    assert set(events[-1]["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}


async def test_refused_requests_count_and_headers_tell(client: StartClient) -> None:
    one = await client("openai", requests_per_minute=2, characters_per_minute=1000)
    good = (await one.create("abcde")).headers
    assert [good[f"x-ratelimit-{what}"] for what in ("limit-requests", "remaining-requests")] == ["2", "1"]
    assert [good[f"x-ratelimit-{what}"] for what in ("limit-tokens", "remaining-tokens")] == ["1000", "995"]
    assert good["x-ratelimit-reset-requests"] in ("1m0s", "59.999s", "59.998s")
    await one.create()
    heard = await one.create()
    assert heard.json()["error"]["type"] == "requests"
    assert heard.json()["error"]["message"].startswith(
        "Rate limit reached for tts-1 on requests per min (RPM): Limit 2, Used 2, Requested 1. Please try again in "
    )
    assert int(heard.headers["Retry-After"]) == 60
    assert heard.headers["x-ratelimit-remaining-requests"] == "0"
    assert one.emulator.admission.standings()["requests"].used == 3


async def test_limits_are_told_per_minute_whatever_the_window(client: StartClient) -> None:
    one = await client("openai", requests_per_minute=120, window_s=1.0)
    assert (await one.create()).headers["x-ratelimit-limit-requests"] == "120"
    heard = [await one.create() for _ in range(3)][-1]
    assert "Limit 120, Used 120, Requested 1. Please try again in " in heard.json()["error"]["message"]
    assert heard.headers["Retry-After"] == "1"


async def test_a_text_over_the_whole_limit_is_too_large(client: StartClient) -> None:
    one = await client("openai", characters_per_minute=10)
    heard = await one.create("a" * 11)
    assert heard.json()["error"]["message"].startswith("Request too large for tts-1 on tokens per min (TPM): Limit 10")
    assert "Retry-After" not in heard.headers


async def test_drawn_refusals(client: StartClient) -> None:
    heard = await (await client("openai", faults={"rate_limit_exceeded": 1}, retry_after_s=7)).create()
    assert (heard.status, heard.headers["Retry-After"]) == (429, "7")
    assert "Please try again in 7s." in heard.json()["error"]["message"]
    heard = await (await client("openai", faults={"slow_down": 1})).create()
    assert (heard.json()["error"]["type"], heard.json()["error"]["code"]) == ("rate_limit_error", "slow_down")
    heard = await (await client("openai", faults={"project_spend_limit_exceeded": 1})).create()
    assert heard.json()["error"]["type"] == "insufficient_quota"
    heard = await (await client("openai", faults={"429": 1})).create()
    assert heard.json()["error"]["code"] == "rate_limit_exceeded"


async def test_lists(client: StartClient) -> None:
    one = await client("openai")
    models = (await one.get("/models")).json()
    assert {"id", "object", "created", "owned_by", "shutdown_date"} == set(models["data"][0])
    assert (await one.get("/models/nothing")).json()["error"]["code"] == "model_not_found"
    assert "alloy" in (await one.get("/audio/voices")).json()["voices"]


async def test_self_hosted(client: StartClient) -> None:
    one = await client("openai", self_hosted=True, max_concurrent=1, requests_per_minute=3)
    heard = await one.create("a" * 5000, model="kokoro", voice="af_bella(2)+af_sky", lang_code="en-us", stream=True)
    assert heard.status == 200
    assert "x-ratelimit-limit-requests" not in heard.headers
    wrong = await one.create(speed=9)
    assert (wrong.status, wrong.json()["detail"][0]["loc"]) == (422, ["body", "speed"])
    assert (await one.get("/nothing")).json() == {"detail": "Not Found"}
    fault = await (await client("openai", self_hosted=True, faults={"500": 1})).create()
    assert set(fault.json()["detail"]) == {"error", "message", "type"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.012, "12ms"), (1, "1s"), (1.5, "1.5s"), (360, "6m0s"), (3723.5, "1h2m3.5s"), (59.9999, "1m0s")],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_tokens_are_estimated() -> None:
    assert count_tokens("It was a bright cold day in April.") == 9
    assert count_tokens("a b c d e f") == 6
