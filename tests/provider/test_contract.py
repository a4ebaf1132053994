"""What holds for every provider; a new entry in ``PROVIDERS`` is tested without a line here."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

import pytest

from cluster_tts.clips import probe
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.providers import PROVIDERS, make, provider_class
from cluster_tts.providers.base import Provider

ROOT = Path(__file__).parents[2]
NEEDS = {"hibari": "hibari", "espeak": "espeakng_loader"}
TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom."

SPEAK = """
import asyncio, sys
from pathlib import Path
from cluster_tts.job import ProviderSettings
from cluster_tts.providers import make
asyncio.run(make(ProviderSettings(sys.argv[1])).speak(sys.argv[2], Path(sys.argv[3])))
"""


@pytest.fixture(params=PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return str(request.param)


@pytest.fixture
async def provider(name: str) -> AsyncIterator[Provider]:
    provider = make(ProviderSettings(name))
    yield provider
    await provider.aclose()


def run_python(code: str, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_writes_audio_that_is_believed_at_its_typical_speed(provider: Provider, speak) -> None:
    sound = probe(await speak(provider, TEXT))
    assert sound.rate >= 22_050
    assert provider.characters_per_second == pytest.approx(len(TEXT) / sound.seconds, rel=0.25)


async def test_same_text_is_same_bytes_in_another_instance_and_after_other_texts(name: str, speak) -> None:
    first, second = make(ProviderSettings(name)), make(ProviderSettings(name))
    await speak(second, "Quite another text.")
    assert digest(await speak(first, TEXT)) == digest(await speak(second, TEXT))


async def test_same_text_is_same_bytes_in_a_fresh_process(name: str, provider: Provider, speak, tmp_path: Path) -> None:
    there = tmp_path / "there.wav"
    await asyncio.to_thread(run_python, SPEAK, name, TEXT, str(there))
    assert digest(await speak(provider, TEXT)) == digest(there)


async def test_many_at_once_give_the_bytes_of_one_after_another(provider: Provider, speak) -> None:
    texts = [f"Sentence {number} of four." for number in range(4)]
    together = await asyncio.gather(*(speak(provider, text) for text in texts))
    alone = [await speak(provider, text) for text in texts]
    assert [digest(path) for path in together] == [digest(path) for path in alone]
    assert len({digest(path) for path in together}) == len(texts), "different texts sound different"


async def test_close_works_without_a_word_spoken(provider: Provider) -> None:
    await provider.aclose()


async def test_embedded_voice_has_nothing_to_say_to_signs_alone(provider: Provider, tmp_path: Path) -> None:
    if not provider.embedded:
        pytest.skip("what it makes of signs is the provider's affair")
    for text in ("* * *", "…", "!?", "😀", " "):
        with pytest.raises(ChunkError, match="no letter or digit") as refused:
            await provider.speak(text, tmp_path / "nothing.part")
        assert refused.value.kind == "unspeakable"
    assert not list(tmp_path.iterdir())


def test_revision_names_the_engine_and_its_version(name: str) -> None:
    engine, version = provider_class(name).revision().split(" ")
    assert engine
    assert version[0].isdigit()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"voice": "nobody"}, "knows no voice 'nobody': known are "),
        ({"model": "large"}, "provider.model is 'large'"),
        ({"format": "ogg"}, "provider.format is 'ogg'"),
        ({"options": {"sped": 1}}, "knows no option 'sped': "),
    ],
)
def test_settings_it_does_not_know_are_refused_by_name(name: str, settings: dict, message: str) -> None:
    with pytest.raises(JobError, match=message):
        make(ProviderSettings(name, **settings))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hibari", {"voice": "hart"}, "did you mean heart"),
        (
            "hibari",
            {"options": {"speed": "fast"}},
            "provider.options.speed is 'fast': must be a number from 0.8 to 1.5",
        ),
        ("hibari", {"options": {"speed": 2}}, "provider.options.speed is 2: must be a number from 0.8"),
        ("hibari", {"options": {"seed": True}}, "provider.options.seed is True: must be a whole number"),
        ("espeak", {"voice": "germn"}, "did you mean german"),
        (
            "espeak",
            {"options": {"speed": 100.5}},
            "provider.options.speed is 100.5: must be a whole number from 80 to 450",
        ),
        ("espeak", {"options": {"pitch": "high"}}, "provider.options.pitch is 'high': must be a whole number from 0"),
        ("tone", {"voice": "sin"}, "did you mean sine"),
        ("tone", {"options": {"latenzy_s": 1}}, "did you mean latency_s"),
        ("tone", {"options": {"fail": None}}, "provider.options.fail is None: must be a number from 0 to 1"),
        ("tone", {"options": {"fail": float("nan")}}, "provider.options.fail is nan"),
        ("tone", {"options": {"rate": 96_000}}, "provider.options.rate is 96000"),
    ],
)
def test_refusal_says_what_would_be_right(name: str, settings: dict, message: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with pytest.raises(JobError, match=message):
        make(ProviderSettings(name, **settings))


def test_unknown_provider_is_refused_with_the_nearest() -> None:
    with pytest.raises(JobError, match="unknown provider 'hibary': did you mean hibari"):
        make(ProviderSettings("hibary"))


@pytest.mark.parametrize(
    ("name", "remedy"), [("hibari", "pip install hibari-tts"), ("espeak", r"pip install 'cluster-tts\[espeak\]'")]
)
def test_missing_engine_is_an_error_that_says_what_to_install(
    name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, NEEDS[name], None)
    with pytest.raises(JobError, match=remedy):
        make(ProviderSettings(name))
    with pytest.raises(JobError, match=remedy):
        provider_class(name).revision()


def test_choosing_a_provider_loads_no_engine() -> None:
    code = (
        "import sys; from cluster_tts.providers import PROVIDERS, provider_class;"
        "[provider_class(name) for name in PROVIDERS];"
        "assert not {'hibari', 'onnxruntime', 'espeakng_loader'} & set(sys.modules)"
    )
    run_python(code)
