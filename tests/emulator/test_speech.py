"""Sound that carries the digest of its text, and the digests read back from what became of it."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.audio import Samples, trim_edges
from cluster_tts.emulator.encoding import encode
from cluster_tts.emulator.speech import MARGIN_S, TONES_S, Heard, digest_of, read_back, read_back_file, speech

RATE = 24_000
LEAST_S = TONES_S + 2 * MARGIN_S
TEXTS = [f"Sentence {number} of the book, {'and so on ' * (number % 4)}end." for number in range(12)]
LONG_TEXT = "It was a long and quiet night. " * 10


def digests(heard: list[Heard]) -> list[int]:
    return [each.digest for each in heard]


def wanted(texts: list[str]) -> list[int]:
    return [digest_of(text) for text in texts]


def joined(rate: int = RATE, texts: list[str] = TEXTS, gap_s: float = 0.15) -> Samples:
    gap = np.zeros(round(gap_s * rate), np.int16)
    return np.concatenate([part for text in texts for part in (speech(text, rate, 60), gap)])


def decoded(body: bytes) -> tuple[np.ndarray, int]:
    samples, rate = sf.read(io.BytesIO(body))
    return samples, rate


# ---- what is said


def test_a_digest_is_the_first_40_bits_of_the_sha_256_of_the_text() -> None:
    assert digest_of("abc") == 0xBA7816BF8F
    assert digest_of("") == 0xE3B0C44298
    assert digest_of("ABC") != digest_of("abc") != digest_of("abc ")
    assert digest_of("\ud800") != digest_of("?")  # a lone half of a surrogate pair, as JSON may carry it


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("pace", [15, 20.5])
def test_speech_lasts_as_long_as_its_text_takes(rate: int, pace: float) -> None:
    assert len(speech(LONG_TEXT, rate, pace)) == round(len(LONG_TEXT) / pace * rate)


@pytest.mark.parametrize("text", ["", " ", "Hi.", "。"])
@pytest.mark.parametrize("rate", [8_000, 11_025, 24_000, 48_000])
def test_the_shortest_text_lasts_as_long_as_its_digest(text: str, rate: int) -> None:
    sound = speech(text, rate)
    assert len(sound) / rate == pytest.approx(LEAST_S, abs=0.001)
    assert read_back(sound, rate) == [Heard(digest_of(text), pytest.approx(MARGIN_S, abs=0.004))]


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100])
def test_both_edges_are_quiet_for_a_tenth_of_a_second_and_nothing_else_is(rate: int) -> None:
    sound = speech(LONG_TEXT, rate)
    margin = round(0.1 * rate)
    assert not sound[:margin].any()
    assert not sound[-margin:].any()
    inside = np.abs(sound[margin + 2 : -margin - 2].astype(np.int32))
    step = rate // 50
    assert inside[: len(inside) // step * step].reshape(-1, step).max(axis=1).min() > 2_000


def test_no_digest_and_no_murmur_comes_near_full_scale() -> None:
    peaks = [np.abs(speech(text, RATE)).max() / 32768 for text in [*TEXTS, LONG_TEXT]]
    assert 0.3 < min(peaks) < max(peaks) <= 0.5


def test_a_text_sounds_the_same_in_every_process() -> None:
    assert hashlib.sha256(speech("Hello, world.", 8_000)).hexdigest()[:16] == "e2eb92cf04a07eef"


@pytest.mark.parametrize(("rate", "pace"), [(7_999, 15), (48_001, 15), (24_000, 0), (24_000, -1), (24_000, np.nan)])
def test_what_cannot_be_spoken_is_refused(rate: int, pace: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        speech("Hi.", rate, pace)


# ---- what is heard


def test_the_order_of_200_texts_is_read_back() -> None:
    texts = [f"Text number {number}." for number in range(200)]
    gaps_s = np.random.default_rng(1).uniform(0, 0.6, len(texts))
    parts, starts_s, passed_s = [], [], 0.0
    for text, gap_s in zip(texts, gaps_s, strict=True):
        parts += [speech(text, 8_000), np.zeros(round(gap_s * 8_000), np.int16)]
        starts_s.append(passed_s + MARGIN_S)
        passed_s += (len(parts[-1]) + len(parts[-2])) / 8_000
    heard = read_back(np.concatenate(parts), 8_000)
    assert digests(heard) == wanted(texts)
    assert [each.start_s for each in heard] == pytest.approx(starts_s, abs=0.004)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.sampled_from([8_000, 16_000, 22_050, 44_100]))
def test_any_texts_are_read_back(texts: list[str], rate: int) -> None:
    assert digests(read_back(joined(rate, texts, gap_s=0), rate)) == wanted(texts)


def test_a_text_said_twice_is_heard_twice_and_a_long_one_once() -> None:
    texts = ["Again.", "Again.", LONG_TEXT, "Again."]
    assert digests(read_back(joined(RATE, texts, gap_s=0), RATE)) == wanted(texts)


@pytest.mark.parametrize(
    ("rate", "container", "kbps"),
    [
        *((22_050, "mp3", 32), (24_000, "mp3", 48), (44_100, "mp3", 32), (24_000, "mp3", None)),
        *((48_000, "opus", 32), (48_000, "opus", None), (24_000, "flac", None)),
    ],
)
def test_encoding_is_survived(rate: int, container: str, kbps: int | None) -> None:
    samples, rate = decoded(encode(joined(rate), rate, container, kbps=kbps))
    assert digests(read_back(samples, rate)) == wanted(TEXTS)


@pytest.mark.parametrize("encoding", ["pcm_mulaw", "pcm_alaw", "pcm_f32le"])
def test_the_telephone_is_survived(encoding: str) -> None:
    samples, rate = decoded(encode(joined(8_000), 8_000, "wav", encoding))
    assert digests(read_back(samples, rate)) == wanted(TEXTS)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000])
def test_resampling_is_survived(rate: int) -> None:
    assert digests(read_back(soxr.resample(joined(), RATE, rate), rate)) == wanted(TEXTS)


def amplified(decibels: float) -> Callable[[Samples], Samples]:
    return lambda samples: np.clip(samples * 10 ** (decibels / 20), -32768, 32767).astype(np.int16)


def with_noise(samples: Samples) -> Samples:
    noise = np.random.default_rng(1).normal(0, 32768 * 10 ** (-40 / 20), len(samples))
    return np.clip(samples + noise, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    "change",
    [amplified(-30), amplified(6), amplified(12), with_noise, lambda samples: np.stack([samples, samples], axis=1)],
    ids=["-30 dB", "+6 dB", "clipped", "noise at -40 dB", "stereo"],
)
def test_gain_clipping_noise_and_a_second_channel_are_survived(change: Callable[[Samples], Samples]) -> None:
    assert digests(read_back(change(joined()), RATE)) == wanted(TEXTS)


@pytest.mark.parametrize("gap_s", [0, 0.6])
@pytest.mark.parametrize("trim", [lambda s: trim_edges(s, RATE), lambda s: s[2_400:-2_400]], ids=["usual", "all"])
def test_trimming_is_survived(trim: Callable[[Samples], Samples], gap_s: float) -> None:
    gap = np.zeros(round(gap_s * RATE), np.int16)
    parts = [part for text in TEXTS for part in (trim(speech(text, RATE, 60)), gap)]
    assert digests(read_back(np.concatenate(parts), RATE)) == wanted(TEXTS)


def test_half_a_digest_is_none() -> None:
    whole = speech("A text that broke off.", RATE)
    assert read_back(whole[: round((MARGIN_S + TONES_S / 2) * RATE)], RATE) == []
    assert len(read_back(whole[: round((MARGIN_S + TONES_S) * RATE) + 1], RATE)) == 1


def test_sound_labelled_with_another_rate_is_not_understood() -> None:
    assert read_back(joined(), 16_000) == []


MOMENTS = np.arange(60 * 8_000) / 8_000
NOT_SPEECH = {
    "nothing": np.empty(0, np.int16),
    "one sample": np.ones(1, np.int16),
    "silence": np.zeros(60 * 8_000, np.int16),
    "noise": np.random.default_rng(1).normal(0, 0.1, 60 * 8_000),
    "the last bit": np.random.default_rng(1).integers(-1, 2, 60 * 8_000).astype(np.int16),
    "slow sweep": np.sin(2 * np.pi * 32 * MOMENTS**2),
    "fast sweeps": np.sin(2 * np.pi * 1_900 * (MOMENTS % 1) ** 2),
    "chords": sum(np.sin(2 * np.pi * (375 + 93.75 * 4 * group) * MOMENTS) for group in range(8)) / 16,
    "murmur": speech(LONG_TEXT * 3, 8_000)[round((MARGIN_S + TONES_S) * 8_000) :],
}


@pytest.mark.parametrize("sound", NOT_SPEECH.values(), ids=NOT_SPEECH.keys())
def test_no_digest_is_heard_where_none_was_said(sound: np.ndarray) -> None:
    assert read_back(sound, 8_000) == []


@pytest.mark.parametrize("name", ["book.wav", "book.flac", "book.mp3", "book.ogg"])
def test_a_file_is_heard_as_its_samples_are(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.write(tmp_path / name, joined(), RATE)
    whole = read_back(sf.read(tmp_path / name)[0], RATE)
    assert digests(whole) == wanted(TEXTS)
    for frames in (1_000, 1 << 18):
        monkeypatch.setattr("cluster_tts.emulator.speech.BLOCK_FRAMES", frames)
        assert read_back_file(tmp_path / name) == whole


def test_a_digest_across_two_blocks_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = read_back(joined(), RATE)
    for frames in (1_000, 10_007):
        monkeypatch.setattr("cluster_tts.emulator.speech.BLOCK_FRAMES", frames)
        assert read_back(joined(), RATE) == once


def test_speech_of_a_denser_script_is_longer() -> None:
    """As voices speak it, and as it is expected to be: 4 or 5 Han characters a second, where 15 letters are."""
    seconds = len(speech("海港里很安静" * 10, 24_000)) / 24_000
    assert seconds == pytest.approx(60 * 3.5 / 15, rel=0.01)
