import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.checking import probe
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers.hibari import Hibari

pytest.importorskip("hibari")


@pytest.fixture(scope="module")
def hibari() -> Hibari:
    return Hibari(ProviderSettings("hibari"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Привет, мир.", "Привет,"),
        ("她说你好", "她说你好"),
        ("مرحبا", "مرحبا"),
        ("नमस्ते दुनिया", "नमस्ते"),
        ("λόγος", "λόγος"),
        ("Then he said 你好 and left.", "你好"),
        ("They call it Москва.", "Москва."),
        ("The hello你好 sign.", "hello你好"),
        ("Fullwidth ａｂｃ is dropped.", "ａｂｃ"),
    ],
)
async def test_word_it_would_leave_out_is_named_and_refused(
    hibari: Hibari, text: str, word: str, tmp_path: Path
) -> None:
    with pytest.raises(ChunkError) as refused:
        await hibari.speak(Utterance(text), tmp_path / "x.part")
    assert refused.value.kind == "unspeakable"
    assert f"'{word}'" in str(refused.value)
    assert "provider.name=espeak" in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "π",
        "the α particle",
        "5 k\u2126",
        "µ",
        "1ª, 2º",
        "café",
        "cafe\u0301",
        "Łódź and Straße",
        "Hello 😀 there",
        "“No.”¹",
        "[Москва](/mˈɑskW/)",
    ],
)
async def test_symbols_accents_and_its_own_markup_are_spoken(hibari: Hibari, text: str, speak) -> None:
    assert probe(await speak(hibari, text)).seconds > 0.2


async def test_number_that_breaks_it_is_the_end_of_this_text_only(hibari: Hibari, tmp_path: Path) -> None:
    with pytest.raises(ChunkError, match="cannot read"):
        await hibari.speak(Utterance("7" * 80), tmp_path / "x.part")


async def test_endless_word_is_spoken_to_its_end(hibari: Hibari, speak) -> None:
    """hibari reads 24 letters of an unknown word and drops the rest."""
    whole = probe(await speak(hibari, "blorptangiwendo" * 6))
    start = probe(await speak(hibari, "blorptangiwendo" * 2))
    assert whole.seconds > 2 * start.seconds


async def test_letter_it_does_not_know_is_read_without_its_marks(hibari: Hibari, speak) -> None:
    assert (await speak(hibari, "Nguyễn")).read_bytes() == (await speak(hibari, "Nguyen")).read_bytes()


async def test_long_sentence_is_spoken_in_parts_and_none_is_lost(hibari: Hibari, speak) -> None:
    """A phoneme takes 0.35 MB, and 400 characters can be 3,700 of them."""
    once = probe(await speak(hibari, "7 " * 30))
    assert probe(await speak(hibari, "7 " * 120)).seconds > 3.5 * once.seconds


async def test_silence_is_trimmed_and_peaks_are_sane(hibari: Hibari, speak) -> None:
    samples, rate = sf.read(await speak(hibari, "Hello there. How are you?"))
    loud = np.flatnonzero(np.abs(samples) > 10 ** (-50 / 20))
    assert loud[0] / rate < 0.06
    assert (len(samples) - loud[-1]) / rate < 0.06
    assert 0.05 < np.abs(samples).max() < 0.99


async def test_options_change_the_sound(hibari: Hibari, speak) -> None:
    text = "Hello there. How are you?"
    plain = await speak(hibari, text)
    slow, other = [
        await speak(Hibari(ProviderSettings("hibari", options=options)), text)
        for options in ({"speed": 0.8}, {"seed": 1})
    ]
    assert probe(slow).seconds > probe(plain).seconds
    assert other.read_bytes() != plain.read_bytes()


def test_voice_that_would_be_downloaded_is_refused_with_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    place = os.path.join(tmp_path, "bf_emma.int8.onnx")  # noqa: PTH118 -- as hibari spells it
    with pytest.raises(JobError, match=f"nothing is downloaded: put its model at {place}"):
        Hibari(ProviderSettings("hibari", voice="emma"))
    Path(place).touch()
    Hibari(ProviderSettings("hibari", voice="emma"))


def test_language_as_a_voice_leads_to_espeak() -> None:
    with pytest.raises(JobError, match=r"other languages are spoken by provider\.name=espeak"):
        Hibari(ProviderSettings("hibari", voice="german"))
