"""The emulated ElevenLabs against providers.md 2: formats and plans, fields, both names of each error, headers."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.emulator.conftest import BROOKE, RACHEL, Client, Heard

StartClient = Callable[..., Awaitable[Client]]
GEORGE = "JBFqnCBsd6RMkjVDRZzb"


async def speak(one: Client, ending: str = "", voice: str = RACHEL, query: str = "", **body: Any) -> Heard:
    url = f"/v1/text-to-speech/{voice}{ending}{query}"
    return await one.call("POST", url, json={"text": "Hello, world.", **body}, headers={"xi-api-key": "k"})


async def converse(one: Client, turns: list[tuple[str, str]], ending: str = "", **body: Any) -> Heard:
    inputs = [{"text": text, "voice_id": voice} for text, voice in turns]
    return await one.call("POST", f"/v1/text-to-dialogue{ending}", json={"inputs": inputs, **body})


def code(heard: Heard) -> tuple[int, str]:
    return heard.status, heard.json()["detail"]["status"]


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("mp3_44100_128", (b"\xff\xfb", b"\xff\xf3", b"ID3")),
        ("mp3_22050_32", (b"\xff\xf3", b"\xff\xfb", b"ID3")),
        ("opus_48000_96", (b"OggS",)),
        ("pcm_8000", (b"\0\0",)),
        ("wav_44100", (b"RIFF\xff\xff\xff\x7fWAVE",)),
        ("ulaw_8000", (b"\xff\xff",)),
        ("alaw_8000", (b"\xd5\xd5",)),
    ],
)
async def test_formats(client: StartClient, form: str, begins: tuple[bytes, ...]) -> None:
    heard = await speak(await client("elevenlabs"), query=f"?output_format={form}")
    assert heard.body.startswith(begins)
    assert heard.headers["Content-Type"] == "audio/mpeg"  # for all of them (providers.md 2.3)


async def test_formats_that_are_not_for_everyone(client: StartClient) -> None:
    one = await client("elevenlabs", plan="starter")
    for form in ("mp3_44100_192", "pcm_44100", "wav_44100"):
        assert code(await speak(one, query=f"?output_format={form}")) == (403, "only_for_creator+")
    assert (await speak(await client("elevenlabs", plan="creator"), query="?output_format=mp3_44100_192")).status == 200
    for ending in ("/stream", "/stream/with-timestamps"):
        heard = await speak(one, ending, query="?output_format=wav_24000")
        assert (heard.status, heard.json()["detail"][0]["loc"]) == (422, ["query", "output_format"])
    assert (await speak(one, "/with-timestamps", query="?output_format=wav_24000")).status == 200
    assert code(await speak(one, query="?enable_logging=false")) == (402, "paid_plan_required")
    for query in ("?output_format=mp3", "?enable_logging=maybe", "?optimize_streaming_latency=5"):
        assert (await speak(one, query=query)).status == 422


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"text": ""}, ["body", "text"]),
        ({"text": None}, ["body", "text"]),
        ({"text": 1}, ["body", "text"]),
        ({"voice_settings": {"speed": 1.3}}, ["body", "voice_settings", "speed"]),
        ({"voice_settings": {"stability": 2}}, ["body", "voice_settings", "stability"]),
        ({"voice_settings": []}, ["body", "voice_settings"]),
        ({"seed": 4_294_967_296}, ["body", "seed"]),
        ({"seed": 1.5}, ["body", "seed"]),
        ({"apply_text_normalization": "maybe"}, ["body", "apply_text_normalization"]),
        ({"previous_request_ids": ["a"] * 4}, ["body", "previous_request_ids"]),
        ({"next_request_ids": [1]}, ["body", "next_request_ids"]),
        ({"pronunciation_dictionary_locators": [{}]},
         ["body", "pronunciation_dictionary_locators", 0, "pronunciation_dictionary_id"]),
        ({"language_code": "English"}, ["body", "language_code"]),
        ({"previous_text": 7}, ["body", "previous_text"]),
    ],
)  # fmt: skip
async def test_bad_fields_are_listed(client: StartClient, body: dict[str, Any], loc: list[Any]) -> None:
    heard = await speak(await client("elevenlabs"), **body)
    assert (heard.status, heard.json()["detail"][0]["loc"]) == (422, loc)
    assert {"loc", "msg", "type"} <= set(heard.json()["detail"][0])


async def test_what_does_not_exist_or_is_too_long(client: StartClient) -> None:
    one = await client("elevenlabs")
    assert code(await speak(one, voice=BROOKE)) == (400, "voice_not_found")
    assert code(await speak(one, model_id="eleven_v9")) == (400, "model_not_found")
    for model, most in (("eleven_multilingual_v2", 10_000), ("eleven_flash_v2", 30_000)):
        assert code(await speak(one, text="a" * (most + 1), model_id=model)) == (400, "max_character_limit_exceeded")
    assert (await speak(one, text="a" * 10_000, query="?output_format=ulaw_8000")).status == 200
    assert (await speak(one, language_code="de")).status == 400
    effects = {"pan": 0.5}
    assert (await speak(one, audio_effects=effects, query="?output_format=pcm_24000")).status == 400
    assert (await speak(one, audio_effects=effects)).status == 200
    assert (await speak(one, voice="a/b")).status == 404


async def test_errors_have_both_names(client: StartClient) -> None:
    one = await client("elevenlabs", faults={"too_many_concurrent_requests": 1})
    detail = (await speak(one)).json()["detail"]
    assert set(detail) == {"type", "code", "status", "message", "request_id", "param"}
    assert (detail["status"], detail["code"]) == ("too_many_concurrent_requests", "concurrent_limit_exceeded")
    heard = await speak(await client("elevenlabs", faults={"rate_limit_exceeded": 1}))
    assert "Retry-After" not in heard.headers
    assert code(await speak(await client("elevenlabs", faults={"busy": 1}))) == (429, "system_busy")
    assert code(await speak(await client("elevenlabs", faults={"402": 1}))) == (402, "quota_exceeded")
    assert code(await speak(await client("elevenlabs", faults={"quota_exceeded": 1}))) == (401, "quota_exceeded")
    assert isinstance((await speak(await client("elevenlabs", faults={"422": 1}))).json()["detail"], list)
    assert (await speak(await client("elevenlabs", faults={"500": 1}))).json() == {"detail": "Internal Server Error"}


async def test_headers(client: StartClient) -> None:
    one = await client("elevenlabs", max_concurrent=2, latency_s=0.05)
    first, second = await asyncio.gather(speak(one), speak(one, model_id="eleven_turbo_v2_5"))
    assert [heard.headers["character-cost"] for heard in (first, second)] == ["13", "7"]
    assert {heard.headers["current-concurrent-requests"] for heard in (first, second)} == {"1", "2"}
    assert first.headers["maximum-concurrent-requests"] == "2"
    assert first.headers["request-id"] != second.headers["request-id"]
    assert "maximum-concurrent-requests" not in (await speak(await client("elevenlabs"))).headers


async def test_timestamps(client: StartClient) -> None:
    one = await client("elevenlabs")
    whole = (await speak(one, "/with-timestamps")).json()
    assert set(whole) == {"audio_base64", "alignment", "normalized_alignment"}
    alignment = whole["alignment"]
    assert alignment["characters"] == list("Hello, world.")
    assert len(alignment["character_start_times_seconds"]) == len(alignment["character_end_times_seconds"]) == 13
    lines = [json.loads(line) for line in (await speak(one, "/stream/with-timestamps")).body.splitlines()]
    assert b"".join(base64.b64decode(line["audio_base64"]) for line in lines) == base64.b64decode(whole["audio_base64"])
    assert lines[1]["alignment"]["character_start_times_seconds"][0] > 0


async def test_dialogues(client: StartClient) -> None:
    one = await client("elevenlabs")
    turns = [("How are you today?", RACHEL), ("Fine, thank you very much.", GEORGE)]
    assert (await converse(one, turns, previous_text="a" * 100, settings={"stability": 0.5})).status == 200
    assert one.emulator.stats()["charged_characters"] == 44
    segments = (await converse(one, turns, "/with-timestamps")).json()["voice_segments"]
    assert [(part["voice_id"], part["character_start_index"], part["character_end_index"]) for part in segments] == [
        (RACHEL, 0, 18),
        (GEORGE, 18, 44),
    ]
    assert (await converse(one, [("a" * 1001, RACHEL)] * 2)).status == 400
    eleven = [("Yes.", f"{number:020}") for number in range(11)]
    for bad in (
        await converse(one, []),
        await converse(one, eleven),
        await converse(one, turns, future_text="a" * 101),
        await converse(one, turns, previous_text="a" * 101),
        await converse(one, turns, settings={"similarity": 2}),
        await one.call("POST", "/v1/text-to-dialogue", json={"inputs": ["Hello."]}),
        await converse(one, turns, "/stream?output_format=wav_24000"),
    ):
        assert bad.status == 422
    assert (await converse(one, eleven[:10])).status == 200


async def test_lists(client: StartClient) -> None:
    one = await client("elevenlabs", out_of_credit_after=100)
    await speak(one)
    subscription = (await one.get("/v1/user/subscription")).json()
    assert (subscription["character_count"], subscription["character_limit"]) == (13, 100)
    assert (await one.get("/v2/voices?page_size=101")).status == 422
    assert (await one.get("/v2/voices?page_size=100&gender=male")).json()["has_more"] is False
    assert (await one.get("/v1/voices/nobody")).status == 400
