from pathlib import Path

import pytest

from cluster_tts.checking import probe
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers.espeak import Espeak, voices

espeakng_loader = pytest.importorskip("espeakng_loader")


def espeak(voice: str, **options: int) -> Espeak:
    return Espeak(ProviderSettings("espeak", voice=voice, options=dict(options)))


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("de", "Guten Tag, wie geht es Ihnen?"),
        ("ru", "Привет, как дела сегодня?"),
        ("ar", "مرحبا كيف حالك اليوم"),
        ("hi", "नमस्ते दुनिया, आप कैसे हैं?"),
        ("cmn", "你好，世界。今天天气很好。"),
        ("el", "Καλημέρα κόσμε, τι κάνεις;"),
    ],
)
async def test_script_is_spoken_and_repeats(voice: str, text: str, speak) -> None:
    first = await speak(espeak(voice), text)
    assert 1 < probe(first).seconds < 6
    await speak(espeak("en"), "Another text in between.")
    assert (await speak(espeak(voice), text)).read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    ("name", "file"), [("german", "de"), ("ZH", "cmn"), ("en-GB", "en"), ("no", "nb"), ("EN-us", "en-US")]
)
async def test_voice_is_found_by_any_of_its_names(name: str, file: str, speak) -> None:
    """The library itself knows neither zh nor en-gb, and would go on in English."""
    text = "One, two, three."
    assert (await speak(espeak(name), text)).read_bytes() == (await speak(espeak(file), text)).read_bytes()


async def test_variant_is_another_voice(speak) -> None:
    assert (await speak(espeak("en+f3"), "Hello.")).read_bytes() != (await speak(espeak("en"), "Hello.")).read_bytes()
    with pytest.raises(JobError, match="knows no voice 'f33': did you mean f3"):
        espeak("en+f33")


def test_language_without_a_dictionary_is_not_listed() -> None:
    """The library accepts it and speaks silence."""
    known = voices(Path(espeakng_loader.get_data_path()))
    assert "fo" not in known
    assert len(set(known.values())) > 100


async def test_options_change_the_sound(speak) -> None:
    text = "Hello there. How are you?"
    plain, fast, high = [await speak(espeak("en", **options), text) for options in ({}, {"speed": 300}, {"pitch": 90})]
    assert probe(fast).seconds < probe(plain).seconds
    assert high.read_bytes() != plain.read_bytes()


async def test_text_that_comes_out_silent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChunkError, match="silence"):
        await espeak("en").speak(Utterance("٣"), tmp_path / "x.part")
    assert not list(tmp_path.iterdir())


async def test_nul_does_not_end_the_text(speak) -> None:
    assert (await speak(espeak("en"), "one\0two")).read_bytes() == (await speak(espeak("en"), "one two")).read_bytes()


async def test_data_may_lie_deep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speak) -> None:
    """espeak knows no path of 160 characters, and Ray installs packages that deep."""
    data = tmp_path.joinpath(*["deep" * 10] * 4) / "espeak-ng-data"
    data.parent.mkdir(parents=True)
    data.symlink_to(espeakng_loader.get_data_path())
    plain = await speak(espeak("en"), "Hello.")
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(data))
    assert (await speak(espeak("en"), "Hello.")).read_bytes() == plain.read_bytes()


async def test_library_that_cannot_be_loaded_stops_the_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: "/nowhere/libespeak.so")
    with pytest.raises(JobError, match=r"/nowhere/libespeak\.so"):
        await espeak("en").speak(Utterance("Hello."), tmp_path / "x.part")
