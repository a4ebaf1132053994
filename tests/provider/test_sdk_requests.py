"""Our requests are those that the provider's own SDK sends for the same input; its mistakes are not copied.

Compared: method, path, query, authentication, content type, ``Cartesia-Version``, ``Prefer``, and bodies as parsed
JSON. Where an SDK errs (providers.md 2.1, 4.3) a test of its own says what we send instead.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cluster_tts.errors import RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Turn, Utterance
from cluster_tts.providers import make
from cluster_tts.providers.cartesia import ENCODINGS, KILOBITS, RATES
from cluster_tts.providers.elevenlabs import FORMATS as ELEVENLABS_FORMATS
from tests.provider.recorder import Recorder, recording, saying, telling

cartesia = pytest.importorskip("cartesia")
elevenlabs = pytest.importorskip("elevenlabs.client")
openai = pytest.importorskip("openai")
replicate = pytest.importorskip("replicate")
httpx = pytest.importorskip("httpx")

KEYS = {
    "openai": ("OPENAI_API_KEY", "sk-proj-0123456789abcdef"),
    "elevenlabs": ("ELEVENLABS_API_KEY", "sk_0123456789abcdef"),
    "cartesia": ("CARTESIA_API_KEY", "sk_car_0123456789abcdef"),
    "replicate": ("REPLICATE_API_TOKEN", "r8_0123456789abcdef"),
}

TEXTS = [
    "It was the best of times.",
    "Grüße, 漢字, عربى, नमस्ते, 🦜 and 👩‍👩‍👧.",
    "\"Quotes\", 'single', “curly”, back\\slash, </script>, &amp; and {braces}.",
    "Lines\nand\r\nbreaks,\ttabs, \u2028 separators, \x7f and \x00.",
    "  blanks around  ",
    "Long. " * 680,
]
PREFIXES = ["", "/", "/proxy/team", "/proxy/team/"]

Ask = Callable[[str], Awaitable[object]]


@pytest.fixture
async def recorder(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    for variable, key in KEYS.values():
        monkeypatch.setenv(variable, key)
    async with recording() as recorder:
        yield recorder


def settings(name: str, url: str, **changes: Any) -> ProviderSettings:
    return ProviderSettings(name, base_url=url, api_key_env=KEYS[name][0], **changes)


async def same(recorder: Recorder, theirs: Ask, ours: ProviderSettings, utterance: Utterance, target: Path) -> None:
    """Asserts that both send the same."""
    with recorder.listening() as expected:
        await theirs(ours.base_url or "")
    provider = make(ours)
    with recorder.listening() as sent:
        await provider.speak(utterance, target)
        await provider.aclose()
    assert [request.essence for request in sent] == [request.essence for request in expected]
    assert sent


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / ".clip.part"


def test_addresses_of_the_providers_are_those_of_their_sdks() -> None:
    theirs = {
        "openai": openai.OpenAI(api_key="x").base_url,
        "elevenlabs": elevenlabs.ElevenLabs(api_key="x")._client_wrapper.get_base_url(),
        "cartesia": cartesia.Cartesia(api_key="x").base_url,
        "replicate": replicate.Client("x")._client.base_url,
    }
    ours = {name: import_module(f"cluster_tts.providers.{name}").BASE_URL for name in theirs}
    assert ours == {name: str(url).rstrip("/") for name, url in theirs.items()}


# OpenAI


def openai_sdk(text: str, **given: Any) -> Ask:
    async def ask(url: str) -> None:
        async with openai.AsyncOpenAI(
            base_url=url, http_client=openai.DefaultAsyncHttpxClient(verify=False), max_retries=0
        ) as client:
            await client.audio.speech.create(input=text, **given)

    return ask


async def same_openai(
    recorder: Recorder, target: Path, text: str = TEXTS[0], prefix: str = "/v1", **given: Any
) -> None:
    given = {"model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "wav", **given}
    own = {"model", "voice", "response_format", "extra_body"}
    options = {name: value for name, value in given.items() if name not in own} | given.get("extra_body", {})
    voice = given["voice"]
    ours = settings(
        "openai",
        recorder.url + prefix,
        model=given["model"],
        voice=voice["id"] if isinstance(voice, dict) else voice,
        format=given["response_format"],
        options=options,
    )
    await same(recorder, openai_sdk(text, **given), ours, Utterance(text), target)


@pytest.mark.parametrize("text", TEXTS)
async def test_openai_text(recorder: Recorder, target: Path, text: str) -> None:
    await same_openai(recorder, target, text)


@pytest.mark.parametrize(
    "given",
    [
        *({"response_format": form} for form in ("wav", "pcm", "mp3", "flac", "opus")),
        *({"model": model} for model in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts-2025-12-15", "a/b:c")),
        {"voice": "marin"},
        {"voice": {"id": "voice_1234"}},
        {"instructions": 'Speak "softly",\nlike a 🦜.'},
        {"instructions": ""},
        {"speed": 0.25},
        {"speed": 4},
        {"speed": 1.0},
        {"stream_format": "audio"},
        {"instructions": "Whisper.", "speed": 1.5, "stream_format": "audio", "voice": {"id": "voice_é1"}},
        {"extra_body": {"lang_code": "e", "stream": False, "normalization_options": {"normalize": True, "x": None}}},
    ],
    ids=str,
)
async def test_openai_settings(recorder: Recorder, target: Path, given: dict[str, Any]) -> None:
    await same_openai(recorder, target, **given)


async def test_openai_events(recorder: Recorder, target: Path) -> None:
    events = 'data: {"type":"speech.audio.delta","audio":"UklGRg=="}\n\ndata: {"type":"speech.audio.done"}\n\n'
    recorder.answer = saying(events.encode(), content_type="text/event-stream")
    await same_openai(recorder, target, stream_format="sse")
    assert target.read_bytes() == b"RIFF"


@pytest.mark.parametrize("prefix", [*PREFIXES, "/v1/"])
async def test_openai_base_url(recorder: Recorder, target: Path, prefix: str) -> None:
    await same_openai(recorder, target, prefix=prefix)


async def test_openai_organization_and_project(
    recorder: Recorder, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    await same_openai(recorder, target)


# ElevenLabs


def elevenlabs_sdk(method: str, *arguments: Any, **given: Any) -> Ask:
    async def ask(url: str) -> None:
        async with httpx.AsyncClient(verify=False) as http:
            client = elevenlabs.AsyncElevenLabs(base_url=url, api_key=KEYS["elevenlabs"][1], httpx_client=http)
            async for _ in getattr(client, method).convert(*arguments, **given):
                pass

    return ask


def elevenlabs_settings(recorder: Recorder, prefix: str, voice: str, given: dict[str, Any]) -> ProviderSettings:
    own = {"model_id", "output_format", "previous_text", "next_text", "future_text"}
    return settings(
        "elevenlabs",
        recorder.url + prefix,
        model=given.get("model_id"),
        voice=voice,
        format=given["output_format"],
        options={name: value for name, value in given.items() if name not in own},
    )


async def same_speech(
    recorder: Recorder, target: Path, text: str = TEXTS[0], voice: str = "21m00Tcm4TlvDq8ikWAM", **given: Any
) -> None:
    prefix = given.pop("prefix", "")
    given = {"model_id": "eleven_multilingual_v2", "output_format": "wav_24000", **given}
    utterance = Utterance(text, before=given.get("previous_text", ""), after=given.get("next_text", ""))
    theirs = elevenlabs_sdk("text_to_speech", voice, text=text, **given)
    await same(recorder, theirs, elevenlabs_settings(recorder, prefix, voice, given), utterance, target)


async def same_dialogue(recorder: Recorder, target: Path, turns: list[Turn], **given: Any) -> None:
    given = {"model_id": "eleven_v3", "output_format": "mp3_44100_128", **given}
    text = "".join(turn.text for turn in turns)
    utterance = Utterance(text, given.get("previous_text", ""), given.get("future_text", ""), tuple(turns))
    inputs = [{"text": turn.text, "voice_id": turn.voice} for turn in turns]
    theirs = elevenlabs_sdk("text_to_dialogue", inputs=inputs, **given)
    await same(recorder, theirs, elevenlabs_settings(recorder, "", "narrator", given), utterance, target)


@pytest.mark.parametrize("text", TEXTS)
async def test_elevenlabs_text(recorder: Recorder, target: Path, text: str) -> None:
    await same_speech(recorder, target, text, previous_text=text, next_text=text)
    await same_dialogue(recorder, target, [Turn(text, "a"), Turn("Yes.", "b"), Turn(text, "a")])


@pytest.mark.parametrize("form", ELEVENLABS_FORMATS)
async def test_elevenlabs_format(recorder: Recorder, target: Path, form: str) -> None:
    await same_speech(recorder, target, output_format=form)


BOTH = [
    {"seed": 0},
    {"seed": 4_294_967_295},
    {"language_code": "ja"},
    {"enable_logging": False},
    {"enable_logging": True},
    {"apply_text_normalization": "off"},
    {"previous_request_ids": ["a", "b", "c"], "next_request_ids": ["d"]},
    {"pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "p1", "version_id": "v1"}]},
    {"pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "p1"}]},
    {"use_pvc_as_ivc": True},
    {"audio_effects": {"environment_id": "hall", "send_level": 0.25}},
    {"previous_text": 'Before, "so".'},
]


@pytest.mark.parametrize(
    "given",
    [
        *BOTH,
        *({"optimize_streaming_latency": level} for level in range(5)),
        {"voice_settings": {"stability": 0, "similarity_boost": 1.0, "style": 0.5, "use_speaker_boost": False}},
        {"voice_settings": {"speed": 1.2, "clone_strength": 0.5}},
        {"apply_language_text_normalization": True},
        {"next_text": "After – ünï."},
        {"model_id": "eleven_flash_v2_5", "language_code": "de", "seed": 7, "enable_logging": False,
         "optimize_streaming_latency": 3, "previous_text": "a", "next_text": "b"},
    ],
    ids=str,
)  # fmt: skip
async def test_elevenlabs_settings(recorder: Recorder, target: Path, given: dict[str, Any]) -> None:
    await same_speech(recorder, target, **given)


@pytest.mark.parametrize(
    "given",
    [
        *BOTH,
        {"settings": {"stability": 0.5, "similarity": 0.25, "clone_strength": 1}},
        {"future_text": "Nach ihnen."},
        {"output_format": "wav_44100", "seed": 1, "previous_text": "x" * 100, "future_text": "y" * 100},
    ],
    ids=str,
)
async def test_elevenlabs_dialogue(recorder: Recorder, target: Path, given: dict[str, Any]) -> None:
    await same_dialogue(recorder, target, [Turn("Who?", "a/b"), Turn("[laughs] Me.", "ü")], **given)


async def test_elevenlabs_model_left_to_the_server(recorder: Recorder, target: Path) -> None:
    theirs = elevenlabs_sdk("text_to_speech", "v", text="Hi.", output_format="mp3_44100_128")
    ours = settings("elevenlabs", recorder.url, voice="v", format="mp3")
    await same(recorder, theirs, ours, Utterance("Hi."), target)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_elevenlabs_base_url(recorder: Recorder, target: Path, prefix: str) -> None:
    await same_speech(recorder, target, prefix=prefix)


@pytest.mark.parametrize("voice", ["Jürgen", "two words", "漢字", "a+b@c", "x~y_z-1.2"])
async def test_elevenlabs_voice_of_odd_letters(recorder: Recorder, target: Path, voice: str) -> None:
    theirs = elevenlabs_sdk("text_to_speech", voice, text="Hi.", output_format="wav_24000")
    ours = settings("elevenlabs", recorder.url, voice=voice, format="wav")
    with recorder.listening() as both:
        await theirs(recorder.url)
        provider = make(ours)
        await provider.speak(Utterance("Hi."), target)
        await provider.aclose()
    assert unquote(both[1].path) == unquote(both[0].path) == f"/v1/text-to-speech/{voice}"


@pytest.mark.parametrize("voice", ["a/b", "a?b=c", "a#b", "100%25", "..%2f", "a/../../../v1/user"])
async def test_elevenlabs_voice_stays_one_part_of_the_path(recorder: Recorder, target: Path, voice: str) -> None:
    """The SDK does not encode these, so that a voice could change the address."""
    provider = make(settings("elevenlabs", recorder.url, voice=voice))
    with recorder.listening() as sent:
        await provider.speak(Utterance("Hi."), target)
        await provider.aclose()
    assert sent[0].path.count("/") == 3
    assert unquote(sent[0].path) == f"/v1/text-to-speech/{voice}"
    assert sent[0].query == [("output_format", "wav_24000")]


async def test_elevenlabs_dialogue_is_not_sent_what_only_speech_takes(recorder: Recorder, target: Path) -> None:
    options = {
        "optimize_streaming_latency": 3, "voice_settings": {"speed": 1.1}, "apply_language_text_normalization": True,
    }  # fmt: skip
    provider = make(settings("elevenlabs", recorder.url, voice="v", options=options))
    with recorder.listening() as sent:
        await provider.speak(Utterance("Hi.", turns=(Turn("Hi.", "a"),)), target)
        await provider.aclose()
    assert sent[0].query == [("output_format", "wav_24000")]
    assert sent[0].json == {"inputs": [{"text": "Hi.", "voice_id": "a"}]}


async def test_elevenlabs_takes_only_the_nearest_hundred_characters_around_a_dialogue(
    recorder: Recorder, target: Path
) -> None:
    before, after = "".join(map(str, range(200))), "".join(map(str, range(200)))
    provider = make(settings("elevenlabs", recorder.url, voice="v"))
    with recorder.listening() as sent:
        await provider.speak(Utterance("Hi.", before, after, (Turn("Hi.", "a"),)), target)
        await provider.aclose()
    assert (sent[0].json["previous_text"], sent[0].json["future_text"]) == (before[-100:], after[:100])


# Cartesia


def cartesia_sdk(**given: Any) -> Ask:
    async def ask(url: str) -> None:
        async with cartesia.AsyncCartesia(
            base_url=url, api_key=KEYS["cartesia"][1], http_client=httpx.AsyncClient(verify=False), max_retries=0
        ) as client:
            await client.tts.generate(**given)

    return ask


async def same_cartesia(
    recorder: Recorder, target: Path, text: str = TEXTS[0], form: str = "wav", asked: Any = None, **given: Any
) -> None:
    prefix, model = given.pop("prefix", ""), given.pop("model_id", "sonic-3.5")
    voice = given.pop("voice", "e07c00bc-4134-4eae-9ea4-1a55fb45746b")
    asked = asked or {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24_000}
    theirs = cartesia_sdk(model_id=model, voice=voice, transcript=text, output_format=asked, **given)
    ours = settings("cartesia", recorder.url + prefix, model=model, voice=voice, format=form, options=given)
    await same(recorder, theirs, ours, Utterance(text, "before", "after"), target)


@pytest.mark.parametrize("text", TEXTS)
async def test_cartesia_text(recorder: Recorder, target: Path, text: str) -> None:
    await same_cartesia(recorder, target, text)


HEADERLESS_AND_WAV = [
    (f"{container}_{encoding}_{rate}", {"container": container, "encoding": encoding, "sample_rate": rate})
    for container in ("raw", "wav")
    for encoding in ENCODINGS
    for rate in RATES
]
MP3 = [
    (f"mp3_{rate}_{kbps}", {"container": "mp3", "sample_rate": rate, "bit_rate": 1000 * kbps})
    for rate in RATES
    for kbps in KILOBITS
]


@pytest.mark.parametrize(("form", "asked"), [*HEADERLESS_AND_WAV, *MP3], ids=lambda value: str(value)[:24])
async def test_cartesia_format(recorder: Recorder, target: Path, form: str, asked: dict[str, Any]) -> None:
    await same_cartesia(recorder, target, form=form, asked=asked)


@pytest.mark.parametrize(
    "given",
    [
        {"generation_config": {"speed": 0.6, "volume": 2.0, "emotion": "content"}},
        {"generation_config": {"speed": 1.5}},
        {"generation_config": {"volume": 0.5}},
        {"generation_config": {}},
        {"language": "de"},
        {"locale": "en-GB"},
        {"normalization": "off"},
        {"normalization": "en-IN"},
        {"pronunciation_dict_id": "pd_1"},
        {"save": True},
        {"save": False},
        *({"speed": speed} for speed in ("slow", "normal", "fast")),
        {"model_id": "sonic-latest", "voice": "odd/voice?", "language": "ja", "save": True},
    ],
    ids=str,
)
async def test_cartesia_settings(recorder: Recorder, target: Path, given: dict[str, Any]) -> None:
    await same_cartesia(recorder, target, **given)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_cartesia_base_url(recorder: Recorder, target: Path, prefix: str) -> None:
    await same_cartesia(recorder, target, prefix=prefix)


# Replicate

PREDICTION = {
    "id": "p1", "model": "minimax/speech-2.6-turbo", "version": "hidden", "status": "succeeded", "input": {},
    "output": "data:audio/wav;base64,UklGRg==", "logs": "", "error": None, "metrics": {"predict_time": 1.5},
    "created_at": None, "started_at": None, "completed_at": None, "urls": {},
}  # fmt: skip
VERSION = "0123456789abcdef" * 4
MINIMAX = {"text": "text", "voice": "voice_id", "format": "audio_format"}


def replicate_sdk(method: str, *arguments: Any, **given: Any) -> Ask:
    async def ask(url: str) -> None:
        client = replicate.Client(KEYS["replicate"][1], base_url=url, transport=httpx.AsyncHTTPTransport(verify=False))
        namespace = client.models.predictions if "model" in given else client.predictions
        await getattr(namespace, method)(*arguments, **given)
        await client._async_client.aclose()

    return ask


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("model", "address"),
    [
        ("minimax/speech-2.6-turbo", {"model": "minimax/speech-2.6-turbo"}),
        ("Some-One/kokoro_82.m", {"model": "Some-One/kokoro_82.m"}),
        (f"jaaari/kokoro-82m:{VERSION}", {"version": VERSION}),
        (VERSION, {"version": VERSION}),
    ],
)
async def test_replicate_create(
    recorder: Recorder, target: Path, text: str, model: str, address: dict[str, str]
) -> None:
    recorder.answer = telling(PREDICTION)
    inputs = {"text": text, "voice_id": "Wise_Woman", "audio_format": "flac"}
    theirs = replicate_sdk("async_create", **address, input=inputs, wait=True)
    ours = settings("replicate", recorder.url, model=model, voice="Wise_Woman", format="flac", inputs=MINIMAX)
    await same(recorder, theirs, ours, Utterance(text), target)


@pytest.mark.parametrize(
    ("inputs", "voice", "options", "expected"),
    [
        ({"text": "prompt"}, None, {}, {"prompt": "Hi."}),
        ({"text": "text", "voice": "speaker"}, None, {}, {"text": "Hi."}),
        ({"text": "text", "voice": "speaker"}, "af", {"seed": 0, "b": None}, {"text": "Hi.", "speaker": "af", "seed": 0,
         "b": None}),
        ({**MINIMAX, "defaults": {"sample_rate": 32000, "channel": "mono"}}, "V", {"speed": 1.5, "sample_rate": 16000},
         {"text": "Hi.", "voice_id": "V", "audio_format": "wav", "sample_rate": 16000, "channel": "mono",
          "speed": 1.5}),
        ({"text": "text", "defaults": {"nested": {"list": [1, "ü"]}}}, None, {}, {"text": "Hi.", "nested":
         {"list": [1, "ü"]}}),
    ],
    ids=str,
)  # fmt: skip
async def test_replicate_inputs(
    recorder: Recorder, target: Path, inputs: dict[str, Any], voice: str | None, options: dict[str, Any], expected: Any
) -> None:
    recorder.answer = telling(PREDICTION)
    ours = settings("replicate", recorder.url, model="o/n", voice=voice, inputs=inputs, options=options)
    theirs = replicate_sdk("async_create", model="o/n", input=expected, wait=True)
    await same(recorder, theirs, ours, Utterance("Hi."), target)


async def test_replicate_waits_no_longer_than_an_attempt_may_take(recorder: Recorder, target: Path) -> None:
    recorder.answer = telling(PREDICTION)
    theirs = replicate_sdk("async_create", model="o/n", input={"text": "Hi."}, wait=29)
    ours = settings("replicate", recorder.url, model="o/n", inputs={"text": "text"}, timeout_s=30.0)
    await same(recorder, theirs, ours, Utterance("Hi."), target)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_replicate_base_url(recorder: Recorder, target: Path, prefix: str) -> None:
    recorder.answer = telling(PREDICTION)
    theirs = replicate_sdk("async_create", version=VERSION, input={"text": "Hi."}, wait=True)
    ours = settings("replicate", recorder.url + prefix, model=VERSION, inputs={"text": "text"})
    await same(recorder, theirs, ours, Utterance("Hi."), target)


async def test_replicate_poll_and_cancel(recorder: Recorder, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster_tts.providers.replicate.FIRST_POLL_S", 0.0)
    starting = {**PREDICTION, "status": "starting", "output": None}
    recorder.answer = telling(PREDICTION)
    with recorder.listening() as expected:
        await replicate_sdk("async_get", "p1")(recorder.url)
        await replicate_sdk("async_cancel", "p1")(recorder.url)
    recorder.answer = telling(starting, "no prediction")
    provider = make(settings("replicate", recorder.url, model="o/n", inputs={"text": "text"}))
    with recorder.listening() as sent:
        with pytest.raises(RetryLater):
            await provider.speak(Utterance("Hi."), target)
        await provider.aclose()
    assert [request.essence for request in sent[1:]] == [request.essence for request in expected]
