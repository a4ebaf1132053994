"""Answers: made files that say what is true, decoded to the end, held against their text; or refused."""

import hashlib
import io
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_tts.audio import Samples
from cluster_tts.checking import believe, listen, probe, settle
from cluster_tts.containers import flac, mp3
from cluster_tts.errors import RetryLater
from cluster_tts.model import Sound, WireFormat

RATE = 8_000
WAV = WireFormat("wav")
COMPRESSED = ["mp3", "flac", "vorbis", "opus"]
ENCODERS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


def noise(frames: int, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).integers(-9_000, 9_000, frames).astype(np.int16)


def write(path: Path, frames: int, channels: int = 1) -> Path:
    sf.write(path, noise(frames * channels).reshape(frames, channels), RATE)
    return path


def encoded(name: str, frames: int = 20_000, channels: int = 1) -> bytes:
    container, subtype = ENCODERS[name]
    target = io.BytesIO()
    sf.write(target, noise(frames * channels).reshape(frames, channels), RATE, format=container, subtype=subtype)
    return target.getvalue()


def wire_of(name: str) -> WireFormat:
    return WireFormat({"vorbis": "ogg", "opus": "ogg"}.get(name, name))


def settled(path: Path, content: bytes, wire: WireFormat | None = WAV) -> bytes:
    path.write_bytes(content)
    settle(path, wire)
    return path.read_bytes()


def kind_of(check: Callable[[Path], object], path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RetryLater) as caught:
        check(path)
    return caught.value.kind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.part"


# -- WAV, built by hand -----------------------------------------------------------------------------------------------


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    """One chunk with its padding; ``length`` is what it claims instead of the truth."""
    return struct.pack("<4sI", name, len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def form(tag: int = 1, bits: int = 16, channels: int = 1, rate: int = RATE, *, extensible: bool = False) -> bytes:
    width = channels * bits // 8
    body = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * width, width, bits)
    if extensible:
        body += struct.pack("<HHIH", 22, bits, 4, tag) + bytes.fromhex("000000001000800000aa00389b71")
    return chunk(b"fmt ", body)


def riff(*chunks: bytes, length: int | None = None, mark: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", mark, len(body) if length is None else length) + body


def plain(samples: Samples, rate: int = RATE) -> bytes:
    return riff(form(rate=rate), chunk(b"data", samples.tobytes()))


SAMPLES = noise(500)
DATA = SAMPLES.tobytes()
INFO = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0\0")
UNKNOWN = 0xFFFF_FFFF

VARIANTS = {
    "speaches": riff(form(), chunk(b"data", DATA, UNKNOWN), length=UNKNOWN),
    "elevenlabs": riff(form(), chunk(b"data", DATA, 0x7FFF_FFFF), length=0x7FFF_FFFF),
    "fish": riff(form(), chunk(b"data", DATA, 0xFFFF_FF00), length=0xFFFF_FF24),
    "pocket-tts": riff(form(), chunk(b"data", DATA, 2_000_000_000), length=2_000_000_036),
    "libsndfile, streamed": riff(form(), chunk(b"data", DATA, 0), length=0),
    "wave, streamed": riff(form(), chunk(b"data", DATA, 0), length=36),
    "ffmpeg, streamed": riff(form(), INFO, chunk(b"data", DATA, UNKNOWN), length=UNKNOWN),
    "the whole is not measured": riff(form(), chunk(b"data", DATA), length=UNKNOWN),
    "the whole is wrong": riff(form(), chunk(b"data", DATA), length=10),
    "LIST after": riff(form(), chunk(b"data", DATA), INFO),
    "LIST after, data not measured": riff(form(), chunk(b"data", DATA, UNKNOWN), INFO, length=UNKNOWN),
    "C2PA after, data zero": riff(form(), chunk(b"data", DATA, 0), chunk(b"C2PA", b"odd"), INFO, length=0),
    "C2PA after, without its padding": riff(form(), chunk(b"data", DATA, UNKNOWN), chunk(b"C2PA", b"odd")[:-1]),
    "junk after the whole": riff(form(), chunk(b"data", DATA)) + b"anything",
    "junk after the whole, data not measured": riff(form(), chunk(b"data", DATA, UNKNOWN), length=1036) + b"anything",
    "chunks before": riff(chunk(b"JUNK", b"odd"), form(), chunk(b"bext", bytes(602)), chunk(b"data", DATA)),
    "extensible": riff(form(extensible=True), chunk(b"data", DATA)),
    "18 bytes of format": riff(chunk(b"fmt ", form()[8:] + b"\0\0"), chunk(b"data", DATA)),
    "half a frame more": riff(form(), chunk(b"data", DATA + b"\1", UNKNOWN)[:-1], length=UNKNOWN),
    "half a frame more, measured": riff(form(), chunk(b"data", DATA + b"\1")),
    "RF64": riff(
        chunk(b"ds64", struct.pack("<QQQI", 2_000, 1_000, 500, 0)), form(), chunk(b"data", DATA, UNKNOWN),
        chunk(b"mine", b"not sound"), length=UNKNOWN, mark=b"RF64",
    ),
    "a WAV a sentence": plain(SAMPLES[:100]) + plain(SAMPLES[100:300]) + plain(SAMPLES[300:]),
    "a WAV a sentence, not measured": b"".join(
        riff(form(), chunk(b"data", part.tobytes(), UNKNOWN), length=UNKNOWN) for part in np.split(SAMPLES, [100, 301])
    ),
    "a WAV a sentence, measured as one": riff(
        form(), chunk(b"data", DATA[:200] + plain(SAMPLES[100:])), length=UNKNOWN
    ),
    "a WAV a sentence, half a frame more": (
        riff(form(), chunk(b"data", DATA[:200] + b"\1", UNKNOWN)[:-1], length=UNKNOWN) + plain(SAMPLES[100:])
    ),
    "nothing but a format, and a WAV": riff(form()) + plain(SAMPLES),
    "a header and a WAV": riff(form(), chunk(b"data", b"")) + plain(SAMPLES),
}  # fmt: skip


@pytest.mark.parametrize("content", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("wire", [WAV, None], ids=["asked for", "any"])
def test_every_wav_becomes_plain_with_just_its_samples(path: Path, content: bytes, wire: WireFormat | None) -> None:
    assert settled(path, content, wire) == plain(SAMPLES)


def test_a_plain_wav_is_left_untouched(path: Path) -> None:
    path.write_bytes(plain(SAMPLES))
    os.utime(path, (0, 0))
    settle(path, WAV)
    assert path.stat().st_mtime == 0, "not even written again"
    assert path.read_bytes() == plain(SAMPLES)


def test_a_header_that_lies_in_other_fields_is_written_anew(path: Path) -> None:
    content = plain(SAMPLES)
    assert settled(path, content[:28] + bytes(4) + content[32:]) == content


@pytest.mark.parametrize("length", [0, UNKNOWN])
def test_samples_that_look_like_a_chunk_are_samples(path: Path, length: int) -> None:
    """Only chunks that lead exactly to the end are chunks."""
    data = DATA[:100] + b"LIST\4\0\0\0" + DATA[100:] + b"id3 "
    expected = plain(np.frombuffer(data, np.int16))
    assert settled(path, riff(form(), chunk(b"data", data, length), length=length)) == expected


FLOATS = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -7.0, np.nan, np.inf])
AS_INTEGERS = [0, 16384, -16384, 32767, -32767, 32767, -32767, 0, 32767]
CODES = bytes(range(256))


@pytest.mark.parametrize(
    ("header", "data", "expected"),
    [
        (form(3, 32), FLOATS.astype("<f4").tobytes(), AS_INTEGERS),
        (form(3, 64), FLOATS.astype("<f8").tobytes(), AS_INTEGERS),
        (form(3, 32, extensible=True), FLOATS.astype("<f4").tobytes(), AS_INTEGERS),
        (form(1, 8), bytes([0, 128, 255, 129]), [-32768, 0, 32512, 256]),
        (form(1, 24), b"\xff\x00\x80\xff\xff\x7f\x00\x01\x00\0\0\0", [-32768, 32767, 1, 0]),
        (form(1, 32), struct.pack("<3i", -(2**31), 2**31 - 1, 65536), [-32768, 32767, 1]),
        (form(7, 8), bytes([0x00, 0x80, 0xFF, 0x7F]), [-32124, 32124, 0, 0]),
        (form(6, 8), bytes([0x55, 0xD5, 0x2A, 0xAA]), [-8, 8, -32256, 32256]),
        (form(1, 16, channels=2), struct.pack("<6h", 100, 300, -5, 5, 32767, 32767), [200, 0, 32767]),
        (form(3, 32, channels=2), struct.pack("<4f", 0.5, -0.5, 0.25, 0.75), [0, 16384]),
    ],
    ids=["float32", "float64", "extensible", "8", "24", "32", "ulaw", "alaw", "stereo", "float-stereo"],
)
def test_every_encoding_becomes_16_bit_mono(path: Path, header: bytes, data: bytes, expected: list[int]) -> None:
    expected_file = plain(np.array(expected, np.int16))
    assert settled(path, riff(header, chunk(b"data", data, UNKNOWN)), WAV) == expected_file
    assert settled(path, riff(header, chunk(b"data", data)), None) == expected_file


JUNK = st.builds(chunk, st.sampled_from([b"LIST", b"C2PA", b"bext", b"id3 "]), st.binary(max_size=60))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.lists(st.integers(-32768, 32767), min_size=1, max_size=60), min_size=1, max_size=3),
    before=st.lists(JUNK, max_size=3),
    between=st.lists(JUNK, max_size=2),
    after=st.lists(JUNK, max_size=3),
    length=st.sampled_from([None, 0, UNKNOWN, 0x7FFF_FFFF, 2_000_000_000]),
    extra=st.booleans(),
)
def test_whatever_stands_around_them_the_samples_are_what_comes_out(
    path: Path,
    pieces: list[list[int]],
    before: list[bytes],
    between: list[bytes],
    after: list[bytes],
    length: int | None,
    extra: bool,
) -> None:
    content = b"".join(
        riff(*before, form(), *between, chunk(b"data", struct.pack(f"<{len(piece)}h", *piece), length), *after,
             length=length)
        for piece in pieces
    )  # fmt: skip
    if extra and length is None:
        content += b"\1\2\3"
    assert settled(path, content) == plain(np.concatenate(pieces).astype(np.int16))


@pytest.mark.parametrize("count", [1, 2, 3, 500, 999, 1_000])
def test_a_wav_that_is_shorter_than_it_says_is_cut(path: Path, count: int) -> None:
    content = plain(SAMPLES)[:-count]
    with pytest.raises(RetryLater, match=f"{1_000 - count} of 1000 bytes") as caught:
        settled(path, content)
    assert caught.value.kind == "cut_audio"
    assert path.read_bytes() == content


REFUSED_WAVS = {
    "no samples": (plain(SAMPLES[:0]), "empty_audio"),
    "no samples, not measured": (riff(form(), chunk(b"data", b"", UNKNOWN), length=UNKNOWN), "empty_audio"),
    "no samples but chunks": (riff(form(), chunk(b"data", b""), INFO), "empty_audio"),
    "half a frame": (riff(form(), chunk(b"data", b"\1", UNKNOWN)[:-1]), "empty_audio"),
    "no data": (riff(form(), INFO), "empty_audio"),
    "cut before its data": (riff(form(), INFO)[:-9], "empty_audio"),
    "no format": (riff(chunk(b"data", DATA)), "not_audio"),
    "cut in its format": (riff(form())[:30], "cut_audio"),
    "nothing but its name": (riff(), "not_audio"),
    "no channels": (riff(form(channels=0), chunk(b"data", DATA)), "not_audio"),
    "no rate": (riff(form(rate=0), chunk(b"data", DATA)), "not_audio"),
    "ADPCM": (riff(form(tag=17, bits=4), chunk(b"data", DATA)), "wrong_format"),
    "12 bits": (riff(form(bits=12), chunk(b"data", DATA)), "wrong_format"),
    "two formats in a row": (plain(SAMPLES) + plain(SAMPLES, 16_000), "not_audio"),
    "the last of several is cut": (plain(SAMPLES) + plain(SAMPLES)[:-2], "cut_audio"),
}


@pytest.mark.parametrize(("content", "kind"), REFUSED_WAVS.values(), ids=REFUSED_WAVS)
def test_a_wav_that_cannot_be_believed_is_refused(path: Path, content: bytes, kind: str) -> None:
    assert kind_of(lambda path: settle(path, WAV), path, content) == kind
    assert kind_of(lambda path: settle(path, None), path, content) == kind


# -- samples without a header -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("pcm_s16le", DATA, SAMPLES.tolist()),
        ("pcm_s16le", DATA + b"\1", SAMPLES.tolist()),
        ("pcm_f32le", FLOATS.astype("<f4").tobytes() + b"\1\2\3", AS_INTEGERS),
        ("ulaw", bytes([0x00, 0x80, 0xFF, 0x7F]), [-32124, 32124, 0, 0]),
        ("alaw", b"U" * 800 + bytes([0x2A]), [-8] * 800 + [-32256]),  # silence, though it reads "UUUU"
        ("pcm_s16le", b"{\0[\0", [0x7B, 0x5B]),
        ("pcm_s16le", b"\xff\xff\xff\xff" * 300, [-1] * 600),
        ("pcm_s16le", b"\xff\xfb\x90\xc4" + bytes(2_000), [-1025, -15216] + [0] * 1_000),
        ("pcm_s16le", b"\xff\xf1\x50\x80\4\0" + bytes(2_000), [-3585, -32688, 4] + [0] * 1_000),
    ],
    ids=["s16", "a byte more", "f32", "ulaw", "alaw", "brace", "minus one", "one MP3 header", "one AAC header"],
)
def test_raw_samples_become_wav(path: Path, encoding: str, data: bytes, expected: list[int]) -> None:
    assert settled(path, data, WireFormat("raw", encoding, 16_000)) == plain(np.array(expected, np.int16), 16_000)


def test_raw_samples_without_a_known_rate_are_a_mistake_of_the_provider(path: Path) -> None:
    with pytest.raises(ValueError, match="rate"):
        settled(path, DATA, WireFormat("raw"))


def test_less_than_one_raw_sample_is_none(path: Path) -> None:
    assert kind_of(lambda path: settle(path, WireFormat("raw", rate=RATE)), path, b"\1") == "empty_audio"


# -- what else an answer may be ---------------------------------------------------------------------------------------

WIRES = [WAV, WireFormat("mp3"), WireFormat("flac"), WireFormat("ogg"), WireFormat("raw", rate=RATE), None]


@pytest.mark.parametrize("wire", WIRES, ids=str)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"error": {"message": "no voice"}}', r'JSON, not audio: \{"error": \{"message": "no voice"\}\}'),
        (b'\xef\xbb\xbf \r\n[1,\n 2, "\xe4\xbd\xa0"]', 'JSON, not audio: \\[1, 2, "你"]'),
        (b"<!doctype html>\n<title>502\tBad gateway</title>", "HTML or XML, .*: <!doctype html> <title>502 Bad gate"),
        (b"<?xml version='1.0'?><Error/>", "HTML or XML, not audio"),
        (b"Internal Server Error", "is text, not audio: Internal Server Error"),
        (b'data: {"type": "speech.audio.delta"}\n\n', "is text"),
        (b"<p>" + b" " * 300 + b"\x1b[2J", r"XML, not audio: <p> \[2J"),
        (b'{"x":"' + "\u4f60".encode() * 5_000, r'JSON, not audio: \{"x":"你{194}$'),
    ],
)
def test_words_are_no_audio_and_are_quoted(path: Path, wire: WireFormat, content: bytes, told: str) -> None:
    with pytest.raises(RetryLater, match=told) as caught:
        settled(path, content, wire)
    assert caught.value.kind == "not_audio"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wire", WIRES, ids=str)
def test_nothing_is_empty(path: Path, wire: WireFormat) -> None:
    assert kind_of(lambda path: settle(path, wire), path, b"") == "empty_audio"


CONTAINERS = {
    "WAV": plain(SAMPLES),
    "MP3": encoded("mp3", 4_000),
    "FLAC": encoded("flac", 4_000),
    "Ogg": encoded("opus", 4_000),
    "MP4": b"\0\0\0\x20ftypM4A " + bytes(40),
    "AAC": (b"\xff\xf1\x58\x40\x02\x1f\xfc" + bytes(9)) * 3,
}


@pytest.mark.parametrize("wire", WIRES[:-1], ids=str)
@pytest.mark.parametrize(("name", "content"), CONTAINERS.items(), ids=CONTAINERS)
def test_another_container_than_was_asked_for_is_refused(
    path: Path, wire: WireFormat, name: str, content: bytes
) -> None:
    if name.lower() == wire.container:
        settled(path, content, wire)
        return
    with pytest.raises(RetryLater, match=f"asked for {wire.container}, got {name}") as caught:
        settled(path, content, wire)
    assert caught.value.kind == "wrong_format"
    asking = "opus" if name == "Ogg" else name.lower()
    assert (f"set provider.format={asking}" in str(caught.value)) == (name not in ("MP4", "AAC"))


def test_unknown_bytes_are_refused_where_a_container_was_asked_for(path: Path) -> None:
    with pytest.raises(RetryLater, match="not wav nor other known audio: 1f 8b 08 00") as caught:
        settled(path, b"\x1f\x8b\x08\0" * 50)
    assert caught.value.kind == "not_audio"
    assert settled(path, b"\x1f\x8b\x08\0" * 50, None), "whatever a provider wrote itself, the decoder decides"
    assert kind_of(probe, path) == "not_audio"


def test_audio_of_another_kind_may_be_what_a_provider_wrote_itself(path: Path) -> None:
    for frames in (100, 0):
        target = io.BytesIO()
        sf.write(target, noise(frames), RATE, format="AU", subtype="PCM_16")
        assert settled(path, target.getvalue(), None) == target.getvalue()
        if frames:
            assert probe(path).frames == frames
    assert kind_of(probe, path) == "empty_audio"


# -- compressed: whole, cut, mended -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_whole_is_left_as_it_is(path: Path, name: str, channels: int) -> None:
    content = encoded(name, channels=channels)
    path.write_bytes(content)
    os.utime(path, (0, 0))
    settle(path, wire_of(name))
    assert path.stat().st_mtime == 0, "not even written again"
    assert probe(path) == Sound(20_000, RATE, len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", COMPRESSED)
def test_wherever_it_is_cut_it_is_noticed(path: Path, name: str) -> None:
    content = encoded(name)
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        path.write_bytes(content[: int(len(content) * share)])
        assert kind_of(probe, path) in ("cut_audio", "empty_audio"), share
    assert kind_of(probe, path, content[:-1]) == "cut_audio"


def frames_of(content: bytes) -> list[bytes]:
    return [content[frame.start : frame.end] for frame in mp3._frames(content)]


def test_an_mp3_with_fewer_frames_than_announced_is_cut(path: Path) -> None:
    info, *sound = frames_of(encoded("mp3"))
    for count in (len(sound) - 1, 1, 0):
        with pytest.raises(RetryLater, match=f"after {count} of {len(sound)} frames") as caught:
            probe_of(path, b"".join((info, *sound[:count])))
        assert caught.value.kind == "cut_audio"


def probe_of(path: Path, content: bytes) -> Sound:
    path.write_bytes(content)
    return probe(path)


def test_an_mp3_may_count_its_first_frame_as_well(path: Path) -> None:
    content = encoded("mp3")
    at = max(content.find(b"Info"), content.find(b"Xing")) + 8
    count = int.from_bytes(content[at : at + 4])
    assert probe_of(path, content[:at] + (count + 1).to_bytes(4) + content[at + 4 :]).frames
    assert kind_of(probe, path, content[:at] + (count + 1).to_bytes(4) + b"\0\1\0\0" + content[at + 8 :]) == "cut_audio"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_announces_nothing_is_decoded_to_its_end(path: Path, channels: int, rate: int, mode: str) -> None:
    """libsndfile guesses their number from the first bitrate, and leaves away what is beyond."""
    silence, loud = np.zeros(rate * channels, np.int16), noise(rate * channels)
    samples = np.concatenate((silence, loud)).reshape(-1, channels)
    target = io.BytesIO()
    level = {"compression_level": 0.6, "bitrate_mode": mode}
    sf.write(target, samples, rate, format="MP3", subtype="MPEG_LAYER_III", **level)
    _, *sound = frames_of(target.getvalue())
    tag = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    mended = settled(path, tag + b"".join(sound), WireFormat("mp3"))
    assert mended.endswith(b"".join(sound))
    assert (mended == tag + b"".join(sound)) == (mode == "CONSTANT")
    assert 2 * rate <= probe(path).frames <= 2 * rate + 4 * 1152
    assert settled(path, mended, WireFormat("mp3")) == mended
    assert kind_of(probe, path, mended[:-1]) == "cut_audio"


def test_an_mp3_of_which_only_the_beginning_would_be_decoded_is_refused_on_disk(path: Path) -> None:
    content = encoded("mp3")
    assert kind_of(probe, path, content + content) == "cut_audio"


def test_several_mp3_in_a_row_become_one(path: Path) -> None:
    content = encoded("mp3")
    sound = frames_of(content)[1:]
    joined = settled(path, content + b"TAG" + bytes(125) + content, WireFormat("mp3"))
    assert frames_of(joined)[1:] == [*sound, *sound]
    assert probe(path).frames >= 40_000


def test_several_mp3_of_different_formats_are_refused(path: Path) -> None:
    other = encoded("mp3", channels=2)
    assert kind_of(lambda path: settle(path, WireFormat("mp3")), path, encoded("mp3") + other) == "not_audio"


APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), APE, APE + b"TAG" + bytes(125)], ids=["ID3v1", "APE", "both"])
def test_tags_at_the_end_are_no_error(path: Path, tag: bytes) -> None:
    content = encoded("mp3")
    assert settled(path, content + tag, WireFormat("mp3")) == content + tag
    assert probe(path).frames == 20_000


def test_an_mp3_cut_within_the_next_header_is_cut(path: Path) -> None:
    _, *sound = frames_of(encoded("mp3"))
    for count in (1, 2, 3):
        cut = b"".join(sound[:-1]) + sound[-1][:count]
        with pytest.raises(RetryLater, match="within its frame"):
            settled(path, cut, WireFormat("mp3"))
        with pytest.raises(RetryLater, match="within its frame"):
            probe(path)


@pytest.mark.parametrize("second", [0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3], ids=hex)
@pytest.mark.parametrize("fourth", [0x00, 0x40, 0xC0], ids=hex)
def test_the_info_frame_stands_where_decoders_look(second: int, fourth: int) -> None:
    """After what would describe the sound: 9 to 32 bytes. A checksum, of 2 bytes more, it has not."""

    def frame(third: int) -> bytes:
        head = bytes((0xFF, second, third, fourth))
        return head.ljust(mp3._length(head), b"\0")

    content = frame(0x30) + frame(0x42) + frame(0x40)
    mended = mp3.mended(content)
    version_1, is_mono = second & 8, fourth == 0xC0
    at = 4 + ((17 if is_mono else 32) if version_1 else (9 if is_mono else 17))
    assert mended[:at] == bytes((0xFF, second | 1, 0x80, fourth)) + bytes(at - 4)
    assert mended[at:][:16] == struct.pack(">4sIII", b"Xing", 3, 3, len(mended))
    assert mended.endswith(content)
    assert mp3.mended(mended) is mended
    if not second & 1:  # an Info frame of others may have a checksum
        theirs = bytes((0xFF, second, 0x80, fourth)) + bytes(2) + mended[4 : -len(content) - 2] + content
        assert mp3.mended(theirs) is theirs


@pytest.mark.parametrize("name", ["mp3", "flac"])
@pytest.mark.parametrize("size", [10, 200, 20_000])
def test_tags_at_the_beginning_are_no_error(path: Path, name: str, size: int) -> None:
    sizes = bytes((0, size >> 14, size >> 7 & 0x7F, size & 0x7F))
    content = b"ID3\4\0\0" + sizes + b"\xff\xfb\x90\xc4".ljust(size, b"\1") + encoded(name)
    assert settled(path, content, WireFormat(name)) == content
    assert probe(path).frames == 20_000


def test_a_tag_without_sound_is_empty(path: Path) -> None:
    assert kind_of(probe, path, b"ID3\4\0\0\0\0\0\x0a" + bytes(10)) == "empty_audio"


def pages_of(content: bytes) -> list[bytes]:
    return [b"OggS" + page for page in content.split(b"OggS")[1:]]


@pytest.mark.parametrize("name", ["vorbis", "opus"])
def test_an_ogg_without_its_last_page_is_cut_and_with_headers_only_empty(path: Path, name: str) -> None:
    pages = pages_of(encoded(name, 60_000))
    assert len(pages) > 3
    for count in range(1, len(pages)):
        with pytest.raises(RetryLater) as caught:
            probe_of(path, b"".join(pages[:count]))
        headers_only = all(page[6:14] == bytes(8) for page in pages[:count])
        assert caught.value.kind == ("empty_audio" if headers_only else "cut_audio")


def test_an_ogg_cut_within_the_header_of_a_page_is_cut(path: Path) -> None:
    *pages, last = pages_of(encoded("opus"))
    for count in range(1, 28):
        assert kind_of(probe, path, b"".join(pages) + last[:count]) == "cut_audio"


def test_pages_on_which_no_packet_ends_are_no_sound(path: Path) -> None:
    first, second = pages_of(encoded("vorbis"))[:2]
    assert kind_of(probe, path, first + second[:6] + b"\xff" * 8 + second[14:]) == "empty_audio"


def test_an_ogg_whose_sound_is_shorter_than_its_pages_say_is_cut(path: Path) -> None:
    pages = pages_of(encoded("opus", 60_000))
    pages[-3] = pages[-3][:-40] + bytes(40)
    assert kind_of(probe, path, b"".join(pages)) == "cut_audio"


@pytest.mark.parametrize("name", ["vorbis", "opus", "flac"])
def test_several_in_a_row_of_which_only_the_first_would_be_heard_are_refused(path: Path, name: str) -> None:
    content = encoded(name)
    assert kind_of(probe, path, content + content) == "not_audio"


def uncounted(content: bytes) -> bytes:
    """A FLAC as it is streamed: it does not say how many samples it has."""
    return content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]


@pytest.mark.parametrize("frames", [1, 100, 4_096, 20_000, 530_000])
def test_a_flac_that_was_not_counted_is_counted(path: Path, frames: int) -> None:
    """Of 4,096 samples a block: from 128 blocks on the number of a block has two bytes."""
    content = encoded("flac", frames)
    assert settled(path, uncounted(content), WireFormat("flac")) == content
    assert kind_of(lambda path: settle(path, WireFormat("flac")), path, uncounted(content)[:-1]) == "cut_audio"


def test_the_numbers_of_flac_frames_are_read_in_all_their_ways() -> None:
    def counted(second: int, sizes: int, *rest: int) -> int:
        return flac._samples_until_end_of(bytes([0xFF, second, sizes, 0, *rest, 0, 0, 0]), block=4_096)

    assert counted(0xF8, 0xC0, 0x05) == 6 * 4_096
    assert counted(0xF8, 0x70, 0x05, 0x01, 0x02) == 5 * 4_096 + 0x0103
    assert counted(0xF8, 0x60, 0x05, 0x09) == 5 * 4_096 + 10
    assert counted(0xF8, 0x10, 0xC2, 0x80) == 128 * 4_096 + 192
    assert counted(0xF8, 0x30, 0xE0, 0xA0, 0x80) == 0x800 * 4_096 + 1_152
    assert counted(0xF9, 0xC0, 0xF0, 0x90, 0x80, 0x80) == 0x10000 + 4_096


def test_a_flac_of_nothing_but_its_header_is_empty_or_cut(path: Path) -> None:
    content = encoded("flac")
    at, is_last = 4, False
    while not is_last:
        is_last, at = bool(content[at] & 0x80), at + 4 + int.from_bytes(content[at + 1 : at + 4])
    assert kind_of(probe, path, content[:at]) == "cut_audio"
    for check in (probe, lambda path: settle(path, WireFormat("flac"))):
        assert kind_of(check, path, uncounted(content)[:at]) == "empty_audio"
        assert kind_of(check, path, uncounted(content) * 2) == "not_audio"


# -- probing what is on disk ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_whole_file_is_measured(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", 4_321)
    content = path.read_bytes()
    assert probe(path) == Sound(4_321, RATE, len(content), hashlib.sha256(content).hexdigest())


def test_frames_are_counted_not_samples(tmp_path: Path) -> None:
    sound = probe(write(tmp_path / "a.wav", RATE * 2, channels=2))
    assert (sound.frames, sound.seconds) == (RATE * 2, 2.0)


def test_a_wav_cut_by_one_frame_is_refused(path: Path) -> None:
    """libsndfile mends its length silently."""
    assert kind_of(probe, path, plain(SAMPLES)[:-2]) == "cut_audio"


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_whose_header_was_sent_before_its_length_was_known_is_whole(path: Path, length: int) -> None:
    assert probe_of(path, riff(form(), chunk(b"data", DATA, length), length=length)).frames == 500


@pytest.mark.parametrize("content", VARIANTS.values(), ids=VARIANTS)
def test_a_wav_on_disk_is_read_whole_or_refused(path: Path, content: bytes) -> None:
    """Of a length of 0 libsndfile reads nothing, of several in a row the first."""
    path.write_bytes(content)
    try:
        frames = probe(path).frames
    except RetryLater:
        return
    assert frames >= 500


def test_a_wav_may_have_more_chunks_than_two(path: Path) -> None:
    odd = chunk(b"LIST", b"hello")
    whole = riff(form(), odd, chunk(b"data", DATA), odd)
    assert probe_of(path, whole).frames == 500
    assert kind_of(probe, path, whole[: -len(odd) - 2]) == "cut_audio"


@pytest.mark.parametrize("suffix", ["wav", "ogg", "flac", "mp3"])
def test_audio_without_a_sample_is_refused(tmp_path: Path, suffix: str) -> None:
    assert kind_of(probe, write(tmp_path / f"a.{suffix}", 0)) == "empty_audio"


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>Bad gateway</body></html>",
        b'{"error": "no"}',
        bytes(range(256)) * 40,
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_audio_is_refused(path: Path, content: bytes) -> None:
    assert kind_of(probe, path, content) == "not_audio"


# -- how it ends ------------------------------------------------------------------------------------------------------


def spoken(seconds: float, ending: Sequence[float] = (), rate: int = 24_000, peak: float = 0.5) -> Samples:
    """A hum that comes and goes four times a second, followed by ``ending``: its loudness in steps of 10 ms."""
    moments = np.arange(round(seconds * rate)) / rate
    loudness = np.concatenate((0.6 + 0.4 * np.sin(8 * np.pi * moments), np.repeat(ending, rate // 100)))
    hum = np.sin(2 * np.pi * 120 * np.arange(len(loudness)) / rate)
    return (32767 * peak * loudness * hum).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "abruptly"),
    [
        (spoken(3), True),
        (spoken(3, peak=0.01), True),  # a low voice: only its own loud parts count
        (spoken(3, [0.09] * 2), True),  # -19 dB of the loudest
        (spoken(3, [0.02] * 2), False),  # -32 dB
        (spoken(3, [0.3, 0.1, 0.01]), False),  # a decay, of which the last 20 ms on the whole are loud
        (spoken(1, [0.02] * 300), False),  # loud for a quarter of the time
        (spoken(3, [0.0] * 3), False),
        (spoken(3, [0.0] * 300), False),
        (np.zeros(24_000, np.int16), False),
        (spoken(0.01), False),
    ],
    ids=["loud", "low", "faint", "fainter", "decay", "mostly-faint", "silence", "long-silence", "all-silence", "short"],
)
@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_an_end_at_the_level_of_speech_is_noticed(path: Path, samples: Samples, abruptly: bool, rate: int) -> None:
    samples = samples[:: 24_000 // rate]
    path.write_bytes(plain(samples, rate))
    heard = listen(path)
    assert heard.ends_abruptly is abruptly
    assert heard.sound == probe(path)
    sf.write(path, samples / 32768, rate, format="WAV", subtype="FLOAT")  # as a provider may write itself
    assert listen(path).ends_abruptly is abruptly


@pytest.mark.parametrize("frames", [65_530, 65_536, 65_537, 65_760, 66_000])
def test_the_end_is_heard_wherever_the_last_block_begins(path: Path, frames: int) -> None:
    samples = spoken(3)[:frames]
    path.write_bytes(plain(samples, 24_000))
    assert listen(path).ends_abruptly
    samples[-480:] = 0
    path.write_bytes(plain(samples, 24_000))
    assert not listen(path).ends_abruptly


# -- the front door ---------------------------------------------------------------------------------------------------

TEXT = "x" * 150  # 10 s at a pace of 15
BAND = [4.0, 40.0]


def believed(path: Path, samples: Samples, **others: float | None) -> Sound:
    path.write_bytes(samples.tobytes())
    return believe(path, WireFormat("raw", rate=24_000), TEXT, BAND, **others)  # type: ignore[arg-type]


def test_what_fits_is_settled_and_measured(path: Path) -> None:
    samples = spoken(10)
    sound = believed(path, samples, pace=15.0)
    assert path.read_bytes() == plain(samples, 24_000)
    assert sound == probe(path)


@pytest.mark.parametrize(
    ("seconds", "kind"), [(1.5, "implausible_length"), (5.0, "cut_audio"), (60.0, "implausible_length")]
)
def test_what_does_not_fit_its_text_is_refused(path: Path, seconds: float, kind: str) -> None:
    with pytest.raises(RetryLater) as caught:
        believed(path, spoken(seconds), pace=15.0)
    assert caught.value.kind == kind


def test_short_speech_that_ends_in_quiet_is_believed_and_so_is_any_where_no_pace_is_known(path: Path) -> None:
    assert believed(path, spoken(5, [0.0, 0.0]), pace=15.0).seconds == 5.02
    assert believed(path, spoken(5)).seconds == 5.0


def test_speed_counts_for_both(path: Path) -> None:
    assert believed(path, spoken(5), pace=15.0, speed=2.0).seconds == 5.0
    with pytest.raises(RetryLater, match="at speed 3"):
        believed(path, spoken(20), speed=3.0)
    with pytest.raises(RetryLater, match="still loud"):
        believed(path, spoken(2.5), pace=15.0, speed=2.0)


def test_without_a_band_nothing_is_judged_by_its_text(path: Path) -> None:
    path.write_bytes(plain(spoken(1), 24_000))
    assert believe(path, WAV, TEXT, None, pace=15.0).seconds == 1.0


def test_a_bad_answer_never_gets_to_its_text(path: Path) -> None:
    path.write_bytes(b'{"detail": "busy"}')
    with pytest.raises(RetryLater, match="busy"):
        believe(path, WAV, TEXT, None)
