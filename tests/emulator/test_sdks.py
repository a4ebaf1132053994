"""The providers' own SDKs get audio from the emulators, and raise their own exceptions for what is refused.

What each is expected to raise: providers.md 1.6, 2.7, 3.6, 4.3. Skipped where an SDK is not installed.
"""

import asyncio
import base64
import io
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.emulator.speech import digest_of, read_back
from tests.emulator.conftest import BROOKE, MINIMAX, RACHEL, StartAside

openai = pytest.importorskip("openai")
elevenlabs = pytest.importorskip("elevenlabs")
cartesia = pytest.importorskip("cartesia")
replicate = pytest.importorskip("replicate")
httpx = pytest.importorskip("httpx")

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."
WAV = {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24_000}
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
KOKORO = "jaaari/kokoro-82m"

Close = Callable[[Any], Any]

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::pydantic.PydanticDeprecatedSince20")


@pytest.fixture
def close() -> Iterator[Close]:
    """Closes at the end of the test what it is given: the SDKs leave open connections to the garbage collector."""
    with ExitStack() as stack:
        yield lambda client: stack.enter_context(closing(client))


def heard(data: bytes) -> list[int]:
    samples, rate = sf.read(io.BytesIO(data))
    assert len(samples) / rate == pytest.approx(len(TEXT) / 15, abs=0.2)
    return [found.digest for found in read_back(samples, rate)]


class TestOpenAI:
    @pytest.fixture(autouse=True)
    def closed(self, close: Close) -> None:
        self.close = close

    def client(self, url: str, key: str = "k", **options: Any) -> Any:
        return self.close(openai.OpenAI(base_url=url, api_key=key, **{"max_retries": 0, **options}))

    def ask(self, client: Any, **more: Any) -> Any:
        return client.audio.speech.create(**{"model": "gpt-4o-mini-tts", "voice": "alloy", "input": TEXT, **more})

    @pytest.mark.parametrize("form", ["mp3", "opus", "flac", "wav"])
    def test_gets_audio(self, start_aside: StartAside, form: str) -> None:
        answer = self.ask(self.client(start_aside("openai", api_key="k").url), response_format=form)
        assert heard(answer.content) == [digest_of(TEXT)]

    def test_gets_samples_as_they_stream(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("openai").url)
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice={"id": "voice_1"}, input=TEXT, response_format="pcm"
        ) as answer:
            data = b"".join(answer.iter_bytes())
        assert [found.digest for found in read_back(np.frombuffer(data, np.int16), 24_000)] == [digest_of(TEXT)]

    def test_gets_events_and_lists(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("openai").url)
        assert b"speech.audio.done" in self.ask(client, stream_format="sse").content
        assert "tts-1" in {model.id for model in client.models.list()}
        assert client.models.retrieve("tts-1").shutdown_date == "2027-01-06"
        raw = client.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input=TEXT)
        assert raw.headers["x-request-id"]

    def test_raises_its_own(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("openai", api_key="k", requests_per_minute=1).url)
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key") as bad_key:
            self.ask(client.with_options(api_key="other"))
        assert bad_key.value.code == "invalid_api_key"
        assert self.ask(client).content
        with pytest.raises(openai.RateLimitError, match=r"Limit 1, Used 1, Requested 1\. Please try again") as rate:
            self.ask(client)
        assert rate.value.code == "rate_limit_exceeded"
        assert int(rate.value.response.headers["retry-after"]) > 50
        broke = self.client(start_aside("openai", out_of_credit_after=10).url)
        with pytest.raises(openai.RateLimitError) as empty:
            self.ask(broke)
        assert (empty.value.code, empty.value.type) == ("insufficient_quota", "insufficient_quota")

    def test_raises_for_the_rest_of_the_table(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("openai").url)
        with pytest.raises(openai.BadRequestError, match="voice"):
            self.ask(client, voice="nobody")
        with pytest.raises(openai.NotFoundError) as gone:
            self.ask(client, model="tts-9")
        assert gone.value.code == "model_not_found"
        for fault, error in (("503", openai.InternalServerError), ("403", openai.PermissionDeniedError)):
            with pytest.raises(error):
                self.ask(self.client(start_aside("openai", faults={fault: 1}).url))
        with pytest.raises(openai.APIConnectionError):
            self.ask(self.client(start_aside("openai", faults={"reset": 1}).url))

    def test_retries_where_it_does(self, start_aside: StartAside) -> None:
        emulator = start_aside("openai", faults={"busy": 0.6}, seed=4)
        patient = self.client(emulator.url, max_retries=5)
        assert self.ask(patient).content
        assert emulator.stats()["arrivals"] == emulator.stats()["faults"]["busy"] + 1 > 1

    def test_asynchronously(self, start_aside: StartAside) -> None:
        url = start_aside("openai").url

        async def ask() -> bytes:
            async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
                answer = await client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
                return bytes(await answer.aread())

        assert heard(asyncio.run(ask())) == [digest_of(TEXT)]


class TestElevenLabs:
    @pytest.fixture(autouse=True)
    def closed(self, close: Close) -> None:
        self.close = close

    def client(self, url: str, key: str = "k") -> Any:
        return elevenlabs.ElevenLabs(base_url=url, api_key=key, httpx_client=self.close(httpx.Client()))

    @pytest.mark.parametrize("form", ["mp3_44100_128", "mp3_22050_32", "opus_48000_64", "wav_24000"])
    def test_gets_audio(self, start_aside: StartAside, form: str) -> None:
        client = self.client(start_aside("elevenlabs", api_key="k").url)
        parts = client.text_to_speech.convert(RACHEL, text=TEXT, output_format=form, previous_text="Before.", seed=1)
        assert heard(b"".join(parts)) == [digest_of(TEXT)]

    def test_gets_dialogues(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("elevenlabs").url)
        inputs = [{"text": TEXT, "voice_id": RACHEL}, {"text": TEXT[::-1], "voice_id": "JBFqnCBsd6RMkjVDRZzb"}]
        both = [digest_of(TEXT), digest_of(TEXT[::-1])]
        for call in (client.text_to_dialogue.convert, client.text_to_dialogue.stream):
            samples, rate = sf.read(io.BytesIO(b"".join(call(inputs=inputs))))
            assert [found.digest for found in read_back(samples, rate)] == both
        timed = client.text_to_dialogue.convert_with_timestamps(inputs=inputs)
        assert [segment.dialogue_input_index for segment in timed.voice_segments] == [0, 1]
        pieces = list(client.text_to_dialogue.stream_with_timestamps(inputs=inputs))
        assert "".join("".join(piece.alignment.characters) for piece in pieces) == TEXT + TEXT[::-1]

    def test_gets_streams_and_timestamps(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("elevenlabs").url)
        assert heard(b"".join(client.text_to_speech.stream(RACHEL, text=TEXT))) == [digest_of(TEXT)]
        whole = client.text_to_speech.convert_with_timestamps(RACHEL, text=TEXT)
        assert heard(base64.b64decode(whole.audio_base_64)) == [digest_of(TEXT)]
        assert whole.alignment.characters == list(TEXT)
        assert whole.alignment.character_end_times_seconds[-1] == pytest.approx(len(TEXT) / 15, abs=0.01)
        pieces = list(client.text_to_speech.stream_with_timestamps(RACHEL, text=TEXT))
        assert heard(b"".join(base64.b64decode(piece.audio_base_64) for piece in pieces)) == [digest_of(TEXT)]
        with client.text_to_speech.with_raw_response.convert(RACHEL, text=TEXT, model_id="eleven_flash_v2_5") as raw:
            assert int(raw.headers["character-cost"]) == 37  # half of 73, rounded up
            assert raw.headers["request-id"]

    def test_gets_lists(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("elevenlabs", plan="creator", out_of_credit_after=1000).url)
        limits = {model.model_id: model.maximum_text_length_per_request for model in client.models.list()}
        assert limits["eleven_flash_v2_5"] == 40_000
        page = client.voices.search(page_size=5)
        assert (len(page.voices), page.has_more) == (5, True)
        assert client.voices.search(search="rachel").voices[0].voice_id == RACHEL
        assert len(client.voices.search(page_size=100, next_page_token=page.next_page_token).voices) > 5
        assert client.voices.get_all().voices[0].name == "Rachel"
        assert client.voices.get(RACHEL).name == "Rachel"
        subscription = client.user.subscription.get()
        assert (subscription.tier, subscription.character_limit) == ("creator", 1000)
        assert client.user.get().subscription.tier == "creator"

    def test_raises_its_own(self, start_aside: StartAside) -> None:
        error: type[Any] = elevenlabs.core.api_error.ApiError

        def fail(emulator: Any, key: str = "k", **more: Any) -> tuple[int, str, Any]:
            with pytest.raises(error) as caught:
                list(self.client(emulator.url, key).text_to_speech.convert(RACHEL, **{"text": TEXT, **more}))
            return caught.value.status_code, caught.value.body["detail"]["status"], caught.value

        assert fail(start_aside("elevenlabs", api_key="k"), "other")[:2] == (401, "invalid_api_key")
        status, code, refused = fail(start_aside("elevenlabs", max_concurrent=0))
        assert (status, code) == (429, "too_many_concurrent_requests")
        assert refused.body["detail"]["code"] == "concurrent_limit_exceeded"
        assert "retry-after" not in refused.headers
        status, code, broke = fail(start_aside("elevenlabs", out_of_credit_after=10))
        assert (status, code) == (401, "quota_exceeded")
        assert "You have 10 credits remaining, while 73 credits are required" in broke.body["detail"]["message"]
        assert fail(start_aside("elevenlabs", out_of_credit_after=10, credit_status=402))[0] == 402
        assert fail(start_aside("elevenlabs"), text="a" * 10_001)[:2] == (400, "max_character_limit_exceeded")
        with pytest.raises(elevenlabs.UnprocessableEntityError) as invalid:
            list(self.client(start_aside("elevenlabs").url).text_to_speech.convert(RACHEL, text=TEXT, seed=-1))
        assert invalid.value.body["detail"][0]["loc"] == ["body", "seed"]

    def test_asynchronously(self, start_aside: StartAside) -> None:
        url = start_aside("elevenlabs").url

        async def ask() -> bytes:
            async with httpx.AsyncClient() as inner:
                client = elevenlabs.AsyncElevenLabs(base_url=url, api_key="k", httpx_client=inner)
                return b"".join([part async for part in client.text_to_speech.convert(RACHEL, text=TEXT)])

        assert heard(asyncio.run(ask())) == [digest_of(TEXT)]


class TestCartesia:
    @pytest.fixture(autouse=True)
    def closed(self, close: Close) -> None:
        self.close = close

    def client(self, url: str, key: str = "k") -> Any:
        return self.close(cartesia.Cartesia(base_url=url, api_key=key, max_retries=0))

    def ask(self, client: Any, **more: Any) -> Any:
        given = {"model_id": "sonic-3.5", "transcript": TEXT, "voice": BROOKE, "output_format": WAV, **more}
        return client.tts.generate(**given)

    @pytest.mark.parametrize(
        "output",
        [
            WAV,
            {**WAV, "encoding": "pcm_f32le", "sample_rate": 44_100},
            {**WAV, "encoding": "pcm_mulaw", "sample_rate": 8_000},
            {"container": "mp3", "sample_rate": 44_100, "bit_rate": 128_000},
        ],
    )
    def test_gets_audio(self, start_aside: StartAside, output: dict[str, Any]) -> None:
        client = self.client(start_aside("cartesia", api_key="k").url)
        assert heard(self.ask(client, output_format=output, voice={"id": BROOKE}).read()) == [digest_of(TEXT)]

    def test_gets_events(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("cartesia").url)
        given = {"model_id": "sonic-3", "transcript": TEXT, "voice": BROOKE, "output_format": RAW}
        events = list(client.tts.generate_sse(**given, add_timestamps=True, context_id="c"))
        assert [event.type for event in events] == [*["chunk"] * 4, "timestamps", "done"]
        samples = np.frombuffer(b"".join(event.audio for event in events[:4]), np.int16)
        assert [found.digest for found in read_back(samples, 24_000)] == [digest_of(TEXT)]
        assert events[4].word_timestamps.words == TEXT.split()
        failing = self.client(start_aside("cartesia", faults={"json": 1}).url)
        assert [event.type for event in failing.tts.generate_sse(**given)] == ["error"]

    def test_gets_voices(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("cartesia").url)
        everything = list(client.voices.list(limit=2))
        assert len(everything) == len({voice.id for voice in everything}) > 4
        assert client.voices.get(BROOKE).name == "Brooke"
        assert client.get_status().ok
        with pytest.raises(cartesia.NotFoundError):
            client.voices.get("nobody")

    def test_raises_its_own(self, start_aside: StartAside) -> None:
        with pytest.raises(cartesia.AuthenticationError):
            self.ask(self.client(start_aside("cartesia", api_key="k").url, "other"))
        with pytest.raises(cartesia.RateLimitError) as limited:
            self.ask(self.client(start_aside("cartesia", max_concurrent=0).url))
        assert limited.value.body["error_code"] == "concurrency_limited"
        with pytest.raises(cartesia.APIStatusError) as empty:
            self.ask(self.client(start_aside("cartesia", out_of_credit_after=10).url))
        assert (empty.value.status_code, empty.value.body["error_code"]) == (402, "quota_exceeded")
        with pytest.raises(cartesia.BadRequestError):
            self.ask(self.client(start_aside("cartesia").url), voice={"mode": "id", "id": BROOKE})

    def test_asynchronously(self, start_aside: StartAside) -> None:
        url = start_aside("cartesia").url

        async def ask() -> bytes:
            async with cartesia.AsyncCartesia(base_url=url, api_key="k", max_retries=0) as client:
                return bytes(await (await self.ask(client)).read())

        assert heard(asyncio.run(ask())) == [digest_of(TEXT)]


class TestReplicate:
    @pytest.fixture(autouse=True)
    def closed(self, close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
        self.close = close
        monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.02")

    def client(self, url: str, key: str = "k") -> Any:
        return replicate.Client(base_url=url, api_token=key, transport=self.close(httpx.HTTPTransport()))

    def fetch(self, url: str) -> bytes:
        """As the SDK leaves it to the caller: an ``http:`` output stays text (providers.md 4.3)."""
        with urllib.request.urlopen(url) as answer:
            return bytes(answer.read())

    def test_runs_models(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("replicate", api_key="k").url)
        for form in ("mp3", "wav", "flac"):
            output = client.run(MINIMAX, input={"text": TEXT, "audio_format": form})
            assert heard(self.fetch(output)) == [digest_of(TEXT)]

    def test_runs_versions(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("replicate", latency_s=0.05).url)
        model = client.models.get(KOKORO)
        version = model.latest_version.id
        assert "text" in model.latest_version.openapi_schema["components"]["schemas"]["Input"]["properties"]
        assert heard(self.fetch(client.run(f"{KOKORO}:{version}", input={"text": TEXT}))) == [digest_of(TEXT)]
        prediction = client.predictions.create(version=version, input={"text": TEXT})
        assert (prediction.status, prediction.output) == ("starting", None)
        prediction.wait()
        assert heard(self.fetch(prediction.output)) == [digest_of(TEXT)]
        assert client.models.get(KOKORO).versions.list()[0].id == version

    def test_creates_waits_reloads_and_cancels(self, start_aside: StartAside) -> None:
        client = self.client(start_aside("replicate", latency_s=0.1, latency_per_character_s=0.001).url)
        waited = client.models.predictions.create(model=MINIMAX, input={"text": TEXT}, wait=True)
        assert waited.status == "succeeded"
        prediction = client.predictions.create(model=MINIMAX, input={"text": TEXT})
        prediction.reload()
        assert prediction.status in ("starting", "processing")
        prediction.cancel()
        assert prediction.status == "canceled"
        deployed = client.deployments.predictions.create(deployment=KOKORO, input={"text": TEXT})
        deployed.wait()
        assert {found.id for found in client.predictions.list()} == {waited.id, prediction.id, deployed.id}
        assert client.accounts.current().username
        assert MINIMAX in {f"{model.owner}/{model.name}" for model in client.models.list()}

    def test_gets_data_and_other_shapes(self, start_aside: StartAside) -> None:
        def run(fault: str) -> Any:
            return self.client(start_aside("replicate", faults={fault: 1}).url).run(MINIMAX, input={"text": TEXT})

        assert heard(run("data_output").read()) == [digest_of(TEXT)]
        assert heard(self.fetch(run("list_output")[0])) == [digest_of(TEXT)]
        assert heard(self.fetch(run("object_output")["audio"])) == [digest_of(TEXT)]
        assert heard(self.fetch(run("processing"))) == [digest_of(TEXT)]
        assert heard(self.fetch(run("starting"))) == [digest_of(TEXT)]
        assert run("canceled") is None
        assert run("expired") is None
        with pytest.raises(replicate.exceptions.ModelError):
            run("failed")
        with pytest.raises(Exception, match="aborted"):
            run("aborted")

    def test_raises_its_own(self, start_aside: StartAside) -> None:
        def fail(emulator: Any, key: str = "k", ref: str = MINIMAX, **given: Any) -> Any:
            with pytest.raises(replicate.exceptions.ReplicateError) as caught:
                self.client(emulator.url, key).run(ref, input={"text": TEXT, **given})
            return caught.value

        assert fail(start_aside("replicate", api_key="k"), "other").status == 401
        limited = fail(start_aside("replicate", requests_per_minute=0))
        assert limited.status == 429
        assert "Your rate limit resets in ~60s." in limited.detail
        broke = fail(start_aside("replicate", out_of_credit_after=10))
        assert (broke.status, broke.title) == (402, "Insufficient credit")
        assert fail(start_aside("replicate"), speed=9).status == 422
        assert fail(start_aside("replicate"), ref="no/body").status == 404
        assert fail(start_aside("replicate"), ref=KOKORO).status == 404  # a community model, by version only

    def test_asynchronously(self, start_aside: StartAside) -> None:
        emulator = start_aside("replicate", latency_s=0.02)

        async def run() -> Any:
            async with httpx.AsyncHTTPTransport() as transport:
                client = replicate.Client(base_url=emulator.url, api_token="k", transport=transport)
                return await client.async_run(MINIMAX, input={"text": TEXT})

        assert heard(self.fetch(asyncio.run(run()))) == [digest_of(TEXT)]
