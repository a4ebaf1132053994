"""What remote providers refuse before anything is asked, in words that name the setting; and what they expect back."""

from typing import Any

import pytest

from cluster_tts.clips import clip_id
from cluster_tts.errors import JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import WireFormat
from cluster_tts.providers import cartesia, elevenlabs, make, openai, sound_identity

GOOD: dict[str, dict[str, Any]] = {
    "openai": {"model": "tts-1", "voice": "alloy"},
    "elevenlabs": {"voice": "v"},
    "cartesia": {"model": "sonic-3.5", "voice": "v"},
    "replicate": {"model": "o/n", "inputs": {"text": "text"}},
}
VERSION = "0123456789abcdef" * 4


def settings(name: str, **changes: Any) -> ProviderSettings:
    return ProviderSettings(name, **{**GOOD[name], **changes})


@pytest.mark.parametrize("name", GOOD)
def test_the_usual_settings_are_taken(name: str) -> None:
    make(settings(name))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("openai", {"format": "aac"}, "provider.format is 'aac', which cannot be checked here"),
        ("openai", {"format": "wave"}, "provider.format is 'wave': did you mean wav"),
        ("openai", {"model": None}, "needs provider.model and provider.voice"),
        ("openai", {"voice": None}, "needs provider.model and provider.voice"),
        ("openai", {"options": {"sped": 1}}, "knows no option 'sped': did you mean speed"),
        ("openai", {"options": {"speed": 4.1}}, "provider.options.speed is 4.1: must be a number from 0.25 to 4.0"),
        ("openai", {"options": {"stream_format": "ssee"}}, "provider.options.stream_format is 'ssee'"),
        *(
            ("openai", {"options": {name: "x"}, "base_url": "http://127.0.0.1/v1"}, f"provider.options.{name}: ")
            for name in ("input", "model", "voice", "response_format")
        ),
        ("elevenlabs", {"format": "wav_24001"}, "provider.format is 'wav_24001': did you mean wav_24000"),
        ("elevenlabs", {"voice": None}, "needs provider.voice"),
        ("elevenlabs", {"options": {"sead": 1}}, "knows no option 'sead': did you mean seed"),
        ("elevenlabs", {"options": {"voice_settings": {"speed": 2}}}, "speed is 2: must be a number from 0.7 to 1.2"),
        ("elevenlabs", {"options": {"voice_settings": 0.5}}, "provider.options.voice_settings is 0.5: must be like"),
        ("cartesia", {"model": None}, "needs provider.model and provider.voice"),
        ("cartesia", {"voice": ""}, "needs provider.model and provider.voice"),
        ("cartesia", {"options": {"seed": 1}}, "knows no option 'seed'"),
        ("cartesia", {"options": {"language": "de", "locale": "de-AT"}}, "both language and locale"),
        ("cartesia", {"options": {"generation_config": {"speed": 1.6}}}, "speed is 1.6: must be a number from 0.6"),
        ("cartesia", {"options": {"generation_config": {"volume": 0.4}}}, "volume is 0.4: must be a number from 0.5"),
        ("cartesia", {"options": {"generation_config": "fast"}}, "provider.options.generation_config is 'fast'"),
        *(
            ("cartesia", {"format": form}, f"provider.format is '{form}': Cartesia has wav, raw and mp3")
            for form in (
                "flac", "wav_24001", "wav_24000_128", "wav_pcm_s8", "mp3_44100_100", "mp3_pcm_s16le_44100",
                "mp3_44100_128_128", "mp3_x", "raw_pcm_mulaw_x", "",
            )
        ),
        ("replicate", {"inputs": {}}, "the inputs of model 'o/n' are not known"),
        ("replicate", {"voice": "v"}, "model 'o/n' takes no voice"),
        ("replicate", {"format": "ogg"}, "provider.format is 'ogg': must be one of wav, mp3, flac"),
        *(
            ("replicate", {"model": model}, f"provider.model is '{model}': must be owner/name")
            for model in (None, "", "kokoro", "a/b/c", "a/b:c", f"a:{VERSION}", f"a/b/c:{VERSION}", VERSION[:-1],
                          f"a/b:{VERSION.upper()}", f"a/b:{VERSION}0", "a/b?c", "ä/b")
        ),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError) as refused:
        make(settings(name, **changes))
    assert message in str(refused.value)


def test_a_server_of_ones_own_may_know_further_options() -> None:
    make(settings("openai", base_url="http://127.0.0.1:8880/v1", options={"lang_code": "e"}))


@pytest.mark.parametrize(
    ("text", "container", "encoding", "rate", "bit_rate"),
    [
        ("wav", "wav", "pcm_s16le", 24_000, None),
        ("wav_44100", "wav", "pcm_s16le", 44_100, None),
        ("wav_pcm_f32le", "wav", "pcm_f32le", 24_000, None),
        ("raw", "raw", "pcm_s16le", 24_000, None),
        ("pcm_8000", "raw", "pcm_s16le", 8_000, None),
        ("raw_pcm_mulaw_8000", "raw", "pcm_mulaw", 8_000, None),
        ("mp3", "mp3", None, 44_100, 128_000),
        ("mp3_22050", "mp3", None, 22_050, 128_000),
        ("mp3_44100_192", "mp3", None, 44_100, 192_000),
    ],
)
def test_cartesia_formats_are_refined_by_what_is_unusual(
    text: str, container: str, encoding: str | None, rate: int, bit_rate: int | None
) -> None:
    asked = {"container": container, "encoding": encoding, "sample_rate": rate, "bit_rate": bit_rate}
    assert cartesia.output_format(text) == {name: value for name, value in asked.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw_pcm_mulaw_8000", WireFormat("raw", "ulaw", 8_000)),
        ("raw_pcm_alaw_16000", WireFormat("raw", "alaw", 16_000)),
        ("raw_pcm_f32le_48000", WireFormat("raw", "pcm_f32le", 48_000)),
        ("raw", WireFormat("raw", "pcm_s16le", 24_000)),
    ],
)
def test_cartesia_samples_without_a_header_are_described(text: str, expected: WireFormat) -> None:
    assert cartesia.wire_format(cartesia.output_format(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mp3_44100_128", WireFormat("mp3")),
        ("wav_24000", WireFormat("wav")),
        ("opus_48000_96", WireFormat("ogg")),
        ("pcm_16000", WireFormat("raw", "pcm_s16le", 16_000)),
        ("ulaw_8000", WireFormat("raw", "ulaw", 8_000)),
        ("alaw_8000", WireFormat("raw", "alaw", 8_000)),
    ],
)
def test_elevenlabs_formats_are_described(text: str, expected: WireFormat) -> None:
    assert elevenlabs.wire_format(text) == expected


@pytest.mark.parametrize(
    ("name", "base_url", "revision"),
    [
        ("elevenlabs", None, ""),
        ("elevenlabs", "https://api.eu.residency.elevenlabs.io", ""),
        ("elevenlabs", "http://127.0.0.1:8001", "127.0.0.1"),
        ("elevenlabs", "https://notelevenlabs.io", "notelevenlabs.io"),
        ("cartesia", "https://api.cartesia.ai", ""),
        ("cartesia", "http://127.0.0.1:8001", "127.0.0.1"),
        ("replicate", "https://api.replicate.com", ""),
        ("replicate", "http://127.0.0.1:8001", "127.0.0.1"),
        ("openai", "https://api.openai.com/v1", ""),
        ("openai", "http://127.0.0.1:8880/v1/", "http://127.0.0.1:8880/v1"),
    ],
)
def test_what_another_server_speaks_is_not_the_providers_own_speech(
    name: str, base_url: str | None, revision: str
) -> None:
    """A rehearsal must never end up in the product; which of an emulator's ports it came from does not matter."""
    assert sound_identity(settings(name, base_url=base_url))[1] == revision


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("elevenlabs", ["wav", "wav_24000"]),
        ("elevenlabs", ["mp3", "mp3_44100_128"]),
        ("cartesia", ["wav", "wav_24000", "wav_pcm_s16le_24000"]),
        ("cartesia", ["raw", "pcm", "raw_24000"]),
        ("cartesia", ["mp3", "mp3_44100", "mp3_44100_128"]),
    ],
)
def test_one_format_in_two_spellings_is_one_sound(name: str, spellings: list[str]) -> None:
    assert len({clip_id(*sound_identity(settings(name, format=form)), "Hello.") for form in spellings}) == 1


@pytest.mark.parametrize("option", ["text", "voice_id", "audio_format"])
def test_replicate_takes_no_option_in_place_of_what_the_job_says(option: str) -> None:
    inputs = {"text": "text", "voice": "voice_id", "format": "audio_format"}
    with pytest.raises(JobError, match=f"provider.options.{option}: "):
        make(settings("replicate", inputs=inputs, options={option: "hello"}))


@pytest.mark.parametrize("name", ["openai", "elevenlabs", "cartesia"])
def test_inputs_are_refused_where_nobody_reads_them(name: str) -> None:
    with pytest.raises(JobError, match=r"takes no provider\.inputs"):
        make(settings(name, inputs={"text": "prompt"}))


@pytest.mark.parametrize(("voice", "custom"), [("voice_1234", True), ("voice_female", False), ("alloy", False)])
def test_an_id_of_a_custom_voice_is_sent_as_an_object(voice: str, custom: bool) -> None:
    assert bool(openai.CUSTOM_VOICE.fullmatch(voice)) is custom
