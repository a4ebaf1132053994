import time
from pathlib import Path

import pytest
import soundfile as sf

from cluster_tts.checking import probe
from cluster_tts.errors import RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance
from cluster_tts.providers.tone import Tone


def tone(voice: str | None = None, format: str = "wav", **options: float) -> Tone:  # noqa: A002 -- the setting's name
    return Tone(ProviderSettings("tone", voice=voice, format=format, options={"latency_s": 0, **options}))


@pytest.mark.parametrize(
    ("text", "pace", "seconds"), [("x" * 150, 15, 10), ("x" * 150, 30, 5), ("x", 15, 0.1), ("", 15, 0.1)]
)
async def test_length_follows_the_text(text: str, pace: float, seconds: float, speak) -> None:
    assert probe(await speak(tone(characters_per_second=pace), text)).seconds == pytest.approx(seconds, abs=1e-4)


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("rate", [8_000, 48_000])
async def test_format_and_rate_are_honoured(format: str, rate: int, speak) -> None:  # noqa: A002
    info = sf.info(await speak(tone(format=format, rate=rate), "Hello."))
    assert (info.format, info.samplerate, info.channels, info.subtype) == (format.upper(), rate, 1, "PCM_16")


async def test_voices_differ(speak) -> None:
    assert (await speak(tone("sine"), "Hello.")).read_bytes() != (await speak(tone("square"), "Hello.")).read_bytes()


async def test_texts_that_differ_in_a_digit_differ_in_sound(tmp_path: Path) -> None:
    voice, target = tone(rate=8_000), tmp_path / "x.part"
    sounds = set()
    for number in range(200):
        await voice.speak(Utterance(f"text {number:04}"), target)
        sounds.add(target.read_bytes())
    assert len(sounds) == 200


async def test_bills_characters(tmp_path: Path) -> None:
    assert await tone().speak(Utterance("Grüße"), tmp_path / "x.part") == Receipt(billed_characters=5)


async def test_given_share_of_texts_fails_once(speak) -> None:
    voice, failed = tone(fail=0.3), []
    for number in range(200):
        try:
            await speak(voice, f"text {number}")
        except RetryLater:
            failed.append(number)
    assert len(failed) == pytest.approx(60, abs=25)
    for number in failed:
        await speak(voice, f"text {number}")
    with pytest.raises(RetryLater):
        await speak(tone(fail=0.3), f"text {failed[0]}")


async def test_latency_is_waited_for(speak) -> None:
    started = time.perf_counter()
    await speak(tone(latency_s=0.02), "Hello.")
    assert time.perf_counter() - started >= 0.02


async def test_costs_less_than_a_millisecond_a_second(tmp_path: Path) -> None:
    voice, text = tone(), "x" * 1500
    best = min([await _timed(voice, text, tmp_path / "x.part") for _ in range(5)])
    assert best < 0.1, "100 s of audio"


async def _timed(voice: Tone, text: str, target: Path) -> float:
    started = time.perf_counter()
    await voice.speak(Utterance(text), target)
    return time.perf_counter() - started


@pytest.mark.parametrize("voice", ["sine", "square"])
@pytest.mark.parametrize("rate", [8_000, 48_000])
async def test_it_begins_and_ends_in_silence(voice: str, rate: int, speak) -> None:
    for text in ("x", "Hello.", "x" * 200):
        samples, _ = sf.read(await speak(tone(voice, rate=rate), text), dtype="int16")
        assert samples[0] == samples[-1] == 0
        assert max(abs(int(samples[1])), abs(int(samples[-2]))) < 600
