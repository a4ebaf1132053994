"""What holds for every provider; a new entry in ``PROVIDERS`` is tested without a line here.

Those that ask a server ask its emulator. ``PROVIDER=mymodule:MyVoice pytest tests/provider/test_contract.py`` holds
one's own class to the same, and no other; what it needs of settings stands in the environment (CLUSTER_TTS_...).
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cluster_tts import config
from cluster_tts.checking import believe
from cluster_tts.commands import plan_job
from cluster_tts.emulator.server import Emulator
from cluster_tts.errors import ChunkError, JobError, RetryLater
from cluster_tts.job import CheckSettings, ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers import make, provider_class
from cluster_tts.providers.base import Provider
from tests.provider.conftest import OWN, ROOT, Speak

BAND = CheckSettings().characters_per_second
TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom."
BEFORE, AFTER = "Long before that, nobody knew.", "And what came afterwards, who can say."

SPEAK = """
import asyncio, json, sys
from pathlib import Path
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers import make

async def main(settings, text, target):
    provider = make(ProviderSettings(**json.loads(settings)))
    await provider.speak(Utterance(text), Path(target))
    await provider.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def repeats(provider: Provider) -> None:
    """For tests of a provider that gives the same bytes for the same text."""
    if OWN and not provider.embedded:
        pytest.skip("what its server makes of the same text a second time is not known")


def run_python(code: str, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_writes_audio_that_is_believed_at_its_typical_speed(provider: Provider, tmp_path: Path) -> None:
    target = tmp_path / ".clip.part"
    receipt = await provider.speak(Utterance(TEXT), target)
    sound = believe(target, receipt.wire, TEXT, BAND, receipt.speed, provider.characters_per_second)
    assert sound.rate >= (8_000 if OWN else 22_050)
    assert provider.characters_per_second * receipt.speed == pytest.approx(len(TEXT) / sound.seconds, rel=0.25)
    assert list(tmp_path.iterdir()) == [target], "it writes nothing but what it was told to"


async def test_a_text_is_spoken_or_refused_in_the_words_of_the_contract(provider: Provider, tmp_path: Path) -> None:
    target = tmp_path / ".clip.part"
    for text in (
        "A.",
        "7",
        "…",
        "Привет, мир.",
        '“No”, he said –\n\t\\n "quoted" {json} <b>&amp;</b>',
        " ",
        "Ho! " * 90,
    ):
        target.unlink(missing_ok=True)
        try:
            receipt = await provider.speak(Utterance(text), target)
        except (ChunkError, RetryLater):
            continue
        assert believe(target, receipt.wire, text, None).seconds > 0


async def test_same_text_is_same_bytes_in_another_instance_and_after_other_texts(
    settings: ProviderSettings, provider: Provider, repeats: None, speak: Speak
) -> None:
    second = make(settings)
    try:
        await speak(second, "Quite another text.")
        assert digest(await speak(provider, TEXT)) == digest(await speak(second, TEXT))
    finally:
        await second.aclose()


async def test_same_text_is_same_bytes_in_a_fresh_process(
    settings: ProviderSettings, provider: Provider, repeats: None, speak: Speak, tmp_path: Path
) -> None:
    there = tmp_path / "there.wav"
    await asyncio.to_thread(run_python, SPEAK, json.dumps(asdict(settings)), TEXT, str(there))
    assert digest(await speak(provider, TEXT)) == digest(there)


async def test_many_at_once_give_the_bytes_of_one_after_another(
    provider: Provider, repeats: None, speak: Speak
) -> None:
    texts = [f"Sentence {number} of four." for number in range(4)]
    together = await asyncio.gather(*(speak(provider, text) for text in texts))
    alone = [await speak(provider, text) for text in texts]
    assert [digest(path) for path in together] == [digest(path) for path in alone]
    if OWN is None:
        assert len({digest(path) for path in together}) == len(texts), "different texts sound different"


async def test_what_is_read_out_around_a_text_is_told_to_those_who_take_it_and_spoken_by_nobody(
    provider: Provider, emulator: Emulator | None, repeats: None, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    if emulator:
        read = emulator.wire.read

        async def listen(call: Any) -> Any:
            heard.append((await call.request.read()).decode())
            return await read(call)

        monkeypatch.setattr(emulator.wire, "read", listen)
    alone, between = await speak(provider, TEXT), await speak(provider, TEXT, BEFORE, AFTER)
    if OWN is None or not provider.takes_context:
        assert digest(between) == digest(alone)
    if emulator:
        assert [BEFORE in body and AFTER in body for body in heard] == [False, provider.takes_context]
        assert [BEFORE in body or AFTER in body for body in heard] == [False, provider.takes_context]


def test_a_run_with_context_is_for_providers_that_take_it(settings: ProviderSettings, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    overrides = {"chunking.context_characters": 50, "out": str(tmp_path / "out")}
    job = replace(config.load(overrides=[overrides], environ={}), provider=settings)
    if provider_class(settings.name).takes_context:
        plan_job(job, [str(tmp_path)])
    else:
        with pytest.raises(JobError, match="takes no context"):
            plan_job(job, [str(tmp_path)])


async def test_an_attempt_that_is_given_up_harms_no_other(provider: Provider, repeats: None, speak: Speak) -> None:
    alone = digest(await speak(provider, TEXT))
    attempts = [asyncio.create_task(speak(provider, TEXT)) for _ in range(3)]
    await asyncio.sleep(0)
    attempts[1].cancel()
    first, given_up, last = await asyncio.gather(*attempts, return_exceptions=True)
    assert isinstance(given_up, asyncio.CancelledError | Path), "one that never waits cannot be given up"
    assert isinstance(first, Path)
    assert isinstance(last, Path)
    assert {digest(first), digest(last), digest(await speak(provider, TEXT))} == {alone}


async def test_voices_has_the_voice_that_is_used_and_none_that_is_refused(
    settings: ProviderSettings, provider: Provider
) -> None:
    voices = await provider.voices()
    known = {word for voice in voices for word in (voice.id, *voice.description.split(", "))}
    assert settings.voice is None or settings.voice in known
    for voice in (*voices[:3], *voices[-3:]):
        await make(replace(settings, voice=voice.id)).aclose()


async def test_close_works_without_a_word_spoken_and_twice(provider: Provider) -> None:
    await provider.prepare()
    await provider.aclose()
    await provider.aclose()


async def test_preparing_asks_nobody(provider: Provider, emulator: Emulator | None) -> None:
    await provider.prepare()
    await provider.prepare()
    if emulator:
        assert emulator.stats()["arrivals"] == 0


def test_revision_is_told_without_an_instance_and_does_not_waver(settings: ProviderSettings) -> None:
    described = provider_class(settings.name)
    assert isinstance(described.revision(settings), str)
    assert described.revision(settings) == described.revision(settings)
    if described.embedded and OWN is None:
        engine, version = described.revision(settings).split(" ")
        assert engine
        assert version[0].isdigit()


def test_settings_are_taken_or_refused_as_a_job_error(settings: ProviderSettings) -> None:
    """Anything else would end a run as a defect of the program's."""
    changes: list[dict[str, Any]] = [
        {"voice": "nobody"}, {"model": "large"}, {"format": "ogg"}, {"options": {"sped": 1}},
        {"options": {"speed": "fast"}}, {"options": {"speed": [1]}}, {"voice": None, "model": None}, {"format": ""},
    ]  # fmt: skip
    for change in changes:
        try:
            made = provider_class(settings.name)(replace(settings, **change))
        except JobError:
            continue
        asyncio.run(made.aclose())
