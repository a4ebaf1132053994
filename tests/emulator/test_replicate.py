"""The emulated Replicate against providers.md 4: creates, waits, polls, files, every way a prediction can end."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import soundfile as sf

from cluster_tts.emulator.predictions import read_duration
from tests.emulator.conftest import MINIMAX, Client, Heard

StartClient = Callable[..., Awaitable[Client]]
KOKORO = "f559560eb822dc509045f3921a1921234918b91739db4bf3daab2169b71c7a13"
TEXT = "Hello, world."


async def create(one: Client, prefer: str | None = None, model: str = MINIMAX, **given: Any) -> Heard:
    headers = {"Prefer": prefer} if prefer else {}
    body = {"input": {"text": TEXT, **given}}
    return await one.call("POST", f"/v1/models/{model}/predictions", json=body, headers=headers)


async def test_files_are_real_and_elsewhere(client: StartClient) -> None:
    one = await client("replicate", api_key="k")
    headers = {"Authorization": "Bearer k", "Prefer": "wait"}
    body = {"input": {"text": TEXT, "audio_format": "wav", "sample_rate": 16_000}}
    heard = await one.call("POST", f"/v1/models/{MINIMAX}/predictions", json=body, headers=headers)
    output = heard.json()["output"]
    assert output.startswith(f"{one.emulator.origin}/files/")
    file = await one.get(output)  # without the key: the name is secret enough
    assert int.from_bytes(file.body[40:44], "little") == len(file.body) - 44
    assert sf.info(io.BytesIO(file.body)).samplerate == 16_000
    assert (await one.get(output + "x")).status == 404


async def test_the_three_answers_to_a_create(client: StartClient) -> None:
    one = await client("replicate", latency_s=0.15, latency_per_character_s=0.001)
    at_once = await create(one)
    assert (at_once.status, at_once.json()["status"], at_once.json()["output"]) == (201, "starting", None)
    waited = await create(one, "wait=5")
    assert (waited.status, waited.json()["status"]) == (201, "succeeded")
    assert waited.json()["metrics"]["predict_time"] > 0
    slow = await client("replicate", latency_s=1.2)
    ran_out = await create(slow, "wait=1")
    assert (ran_out.status, ran_out.json()["status"], ran_out.json()["output"]) == (202, "starting", None)
    url = ran_out.json()["urls"]["get"]
    await asyncio.sleep(0.3)
    assert (await slow.get(url)).json()["status"] == "succeeded"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=61", "wait=soon"])
async def test_waits_out_of_range(client: StartClient, prefer: str) -> None:
    assert (await create(await client("replicate"), prefer)).status == 422


async def test_models_by_name_and_version(client: StartClient) -> None:
    one = await client("replicate")
    assert (await create(one, model="jaaari/kokoro-82m")).status == 404
    assert (await create(one, model="no/body")).status == 404

    async def by_version(version: Any, **given: Any) -> Heard:
        body = {"version": version, "input": {"text": TEXT, **given}}
        return await one.call("POST", "/v1/predictions", json=body, headers={"Prefer": "wait"})

    for version in (KOKORO, "ab" * 32, MINIMAX, f"jaaari/kokoro-82m:{KOKORO}"):
        assert (await by_version(version)).json()["status"] == "succeeded"
    assert (await by_version("short")).status == 404
    assert (await by_version(None)).status == 422
    assert (await by_version(KOKORO, speed=6)).status == 422
    deployed = await one.call("POST", f"/v1/deployments/{MINIMAX}/predictions", json={"input": {"text": TEXT}})
    assert deployed.status == 201
    found = await one.get(f"/v1/models/jaaari/kokoro-82m/versions/{KOKORO}")
    assert found.json()["openapi_schema"]["components"]["schemas"]["Input"]["required"] == ["text"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": None}, "input.text"),
        ({"text": "a" * 10_001}, "input.text"),
        ({"text": 7}, "input.text"),
        ({"speed": 2.5}, "input.speed"),
        ({"pitch": 13}, "input.pitch"),
        ({"pitch": 0.5}, "input.pitch"),
        ({"emotion": "hungry"}, "input.emotion"),
        ({"sample_rate": 12_345}, "input.sample_rate"),
        ({"audio_format": "ogg"}, "input.audio_format"),
        ({"english_normalization": "yes"}, "input.english_normalization"),
    ],
)
async def test_inputs_that_do_not_fit_the_schema(client: StartClient, given: dict[str, Any], field: str) -> None:
    heard = await create(await client("replicate"), **given)
    assert (heard.status, heard.json()["title"]) == (422, "Input validation failed")
    assert heard.json()["invalid_fields"][0]["field"] == field


async def test_bodies(client: StartClient) -> None:
    one = await client("replicate")
    path = f"/v1/models/{MINIMAX}/predictions"
    good = {"input": {"text": TEXT}}
    for more in ({"webhook": "http://x"}, {"webhook_events_filter": ["never"]}, {"input": []}, {"input": None}):
        assert (await one.call("POST", path, json={**good, **more})).status == 422
    hooked = {**good, "webhook": "https://example.com", "webhook_events_filter": ["completed"]}
    assert (await one.call("POST", path, json=hooked)).status == 201


@pytest.mark.parametrize(
    ("fault", "status", "output", "charged"),
    [
        ("failed", "failed", False, 0),
        ("canceled", "canceled", False, 1),
        ("aborted", "aborted", False, 0),
        ("expired", "succeeded", False, 1),
        ("processing", "processing", True, 1),
        ("starting", "starting", False, 1),
        ("list_output", "succeeded", True, 1),
        ("object_output", "succeeded", True, 1),
        ("data_output", "succeeded", True, 1),
    ],
)
async def test_ends(client: StartClient, fault: str, status: str, output: bool, charged: int) -> None:
    one = await client("replicate", faults={fault: 1})
    heard = await create(one, "wait")
    found = heard.json()
    assert (found["status"], found["output"] is not None) == (status, output)
    assert heard.status == (202 if fault == "starting" else 201)
    assert found["data_removed"] is (fault == "expired")
    assert (found["error"] is not None) is (fault == "failed")
    assert one.emulator.stats()["charged"] == charged
    if fault in ("processing", "starting"):
        assert (await one.get(found["urls"]["get"])).json()["status"] == "succeeded"


async def test_polls_have_their_own_limit(client: StartClient) -> None:
    one = await client("replicate", requests_per_minute=1, polls_per_minute=2)
    found = (await create(one)).json()
    throttled = await create(one)
    assert throttled.json()["detail"] == "Request was throttled. Your rate limit resets in ~60s."
    assert (throttled.headers["Retry-After"], throttled.json()["retry_after"]) == ("60", 60)
    statuses = [(await one.get(found["urls"]["get"])).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_faults_of_polls_and_files(client: StartClient) -> None:
    one = await client("replicate", faults={"poll_429": 1})
    url = (await create(one)).json()["urls"]["get"]
    first, second = await one.get(url), await one.get(url)
    assert (first.status, first.headers["Retry-After"], second.status) == (429, "1", 200)
    gone = await client("replicate", faults={"file_404": 1})
    assert (await gone.get((await create(gone, "wait")).json()["output"])).status == 404
    cut = await client("replicate", faults={"cut": 1})
    output = (await create(cut, "wait")).json()["output"]
    with pytest.raises(aiohttp.ClientError):
        await cut.get(output)
    assert (await cut.get(output)).status == 200  # a second download is whole
    stats = cut.emulator.stats()
    assert (stats["charged"], stats["served"], stats["downloads"]) == (1, 1, 2)


async def test_cancel_and_deadlines(client: StartClient) -> None:
    one = await client("replicate", latency_s=5, max_concurrent=1)
    found = (await create(one)).json()
    assert one.emulator.stats()["in_flight"]["now"] == 1  # until its final status, not until the answer
    assert (await create(one)).status == 429
    canceled = await one.call("POST", found["urls"]["cancel"])
    assert (canceled.status, canceled.json()["status"]) == (200, "canceled")
    assert one.emulator.stats()["in_flight"]["now"] == 0
    body = {"input": {"text": TEXT}}
    headers = {"Cancel-After": "0.05s", "Prefer": "wait"}
    late = await one.call("POST", f"/v1/models/{MINIMAX}/predictions", json=body, headers=headers)
    assert late.json()["status"] == "aborted"
    assert one.emulator.stats()["charged"] == 1  # the one that was canceled
    running = await client("replicate", latency_per_character_s=1)
    late = await running.call("POST", f"/v1/models/{MINIMAX}/predictions", json=body, headers=headers)
    assert late.json()["status"] == "canceled"


async def test_outputs_expire(client: StartClient) -> None:
    one = await client("replicate", expire_after_s=0.05)
    found = (await create(one, "wait")).json()
    await asyncio.sleep(0.1)
    later = (await one.get(found["urls"]["get"])).json()
    assert (later["output"], later["data_removed"], later["status"]) == (None, True, "succeeded")
    assert (await one.get(found["output"])).status == 404


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1m", 60), ("1h30m", 5400), ("", None), ("soon", None)])
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds
