"""Samples as the bytes of every format that providers send."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.emulator.encoding import encode
from cluster_tts.emulator.speech import speech

RATE = 24_000
SOUND = speech("Twelve words are enough to fill two seconds of sound with speech.", RATE)
EVERY_SAMPLE = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
SUBTYPES = {"pcm_s16le": "PCM_16", "pcm_f32le": "FLOAT", "pcm_mulaw": "ULAW", "pcm_alaw": "ALAW"}


def theirs(samples: np.ndarray, encoding: str) -> bytes:
    """What libsndfile makes of ``samples``, without a header."""
    file = io.BytesIO()
    sf.write(file, samples, RATE, SUBTYPES[encoding], "LITTLE", "RAW")
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_mulaw", "pcm_alaw"])
def test_every_sample_is_coded_as_libsndfile_codes_it(encoding: str) -> None:
    assert encode(EVERY_SAMPLE, RATE, "raw", encoding) == theirs(EVERY_SAMPLE, encoding)


@pytest.mark.parametrize("encoding", SUBTYPES)
@pytest.mark.parametrize("frames", [0, 1, 1_000])
def test_a_wav_file_is_44_bytes_and_the_raw_samples(encoding: str, frames: int) -> None:
    body = encode(SOUND[:frames], RATE, "wav", encoding)
    raw = encode(SOUND[:frames], RATE, "raw", encoding)
    assert body[44:] == raw + b"\0" * (len(raw) % 2)
    assert struct.unpack_from("<I", body, 4)[0] == len(body) - 8
    assert struct.unpack_from("<I", body, 40)[0] == len(raw)
    info = sf.info(io.BytesIO(body))
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (frames, RATE, 1, SUBTYPES[encoding])


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
def test_samples_come_back_from_wav_as_they_went(encoding: str) -> None:
    read, _ = sf.read(io.BytesIO(encode(EVERY_SAMPLE, RATE, "wav", encoding)), dtype="float32")
    assert np.array_equal(read * 32768, EVERY_SAMPLE)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_mulaw"])
def test_placeholder_sizes_stand_in_both_fields_and_change_nothing_else(size: int, encoding: str) -> None:
    streamed = encode(SOUND[:999], RATE, "wav", encoding, streamed_sizes=size)
    told = bytearray(encode(SOUND[:999], RATE, "wav", encoding))
    told[4:8] = told[40:44] = struct.pack("<I", size)
    assert streamed == told[: 44 + len(encode(SOUND[:999], RATE, "raw", encoding))]


@pytest.mark.parametrize(
    ("rate", "kbps"),
    [(22_050, 32), (24_000, 48), (44_100, 32), (44_100, 64), (44_100, 96), (44_100, 128), (44_100, 192), (48_000, 64)],
)
def test_mp3_is_as_large_as_its_bit_rate_says(rate: int, kbps: int) -> None:
    seconds = 4
    body = encode(speech("x" * 15 * seconds, rate), rate, "mp3", kbps=kbps)
    assert len(body) * 8 / seconds / 1000 == pytest.approx(kbps, rel=0.03)


@pytest.mark.parametrize(("rate", "kbps", "nearest"), [(24_000, 192, 160), (8_000, 96, 64), (44_100, 8, 32)])
def test_a_bit_rate_that_mp3_has_not_at_this_rate_becomes_the_nearest(rate: int, kbps: int, nearest: int) -> None:
    sound = speech("x" * 30, rate)
    assert encode(sound, rate, "mp3", kbps=kbps) == encode(sound, rate, "mp3", kbps=nearest)


@pytest.mark.parametrize("kbps", [32, 96])
def test_opus_is_near_its_bit_rate(kbps: int) -> None:
    body = encode(speech("x" * 30, 48_000), 48_000, "opus", kbps=kbps)
    assert len(body) * 8 / 2 / 1000 == pytest.approx(kbps, rel=0.15)


@pytest.mark.parametrize(
    ("container", "rate", "form", "subtype"),
    [("mp3", RATE, "MP3", "MPEG_LAYER_III"), ("flac", RATE, "FLAC", "PCM_16"), ("opus", 48_000, "OGG", "OPUS")],
)
def test_compressed_files_hold_every_frame(container: str, rate: int, form: str, subtype: str) -> None:
    sound = speech("A long enough text to be written in more than one go.", rate)
    info = sf.info(io.BytesIO(encode(sound, rate, container)))
    assert (info.format, info.subtype, info.samplerate, info.channels) == (form, subtype, rate, 1)
    assert info.frames == len(sound)


@pytest.mark.parametrize("container", ["raw", "wav", "mp3", "flac"])
def test_the_same_samples_give_the_same_bytes(container: str) -> None:
    assert encode(SOUND, RATE, container) == encode(SOUND.copy(), RATE, container)


def test_flac_loses_nothing() -> None:
    assert np.array_equal(sf.read(io.BytesIO(encode(SOUND, RATE, "flac")), dtype="int16")[0], SOUND)


def test_what_cannot_be_encoded_is_refused_with_what_can() -> None:
    with pytest.raises(ValueError, match=r"no encoder for 'aac' here: there is one for raw, wav, mp3, flac, opus"):
        encode(SOUND, RATE, "aac")
    with pytest.raises(ValueError, match=r"no samples of 'pcm_s24le': there are pcm_s16le, .*pcm_mulaw"):
        encode(SOUND, RATE, "wav", "pcm_s24le")
    with pytest.raises(ValueError, match="Opus at 24000 Hz"):
        encode(SOUND, RATE, "opus")
