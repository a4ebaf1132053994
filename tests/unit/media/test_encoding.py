"""Speech as Opus and m4b: as long as it was, where it was, and with chapters."""

import errno
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.audio import Samples
from cluster_tts.emulator.speech import speech
from cluster_tts.errors import JobError
from cluster_tts.media import RATES, Chapter, encoder

av = pytest.importorskip("av")

TEXT = "Far out in the uncharted backwaters of the unfashionable end of the western spiral arm lies a small sun. " * 2


def written(path: Path, kind: str, rate: int, samples: Samples, block: int = 7_001) -> Path:
    with encoder(path, kind, rate) as write:  # type: ignore[arg-type]
        for start in range(0, len(samples), block):
            write(samples[start : start + block])
    return path


def decoded(path: Path) -> tuple[Samples, int]:
    with av.open(str(path)) as file:
        even = av.AudioResampler(format="s16", layout="mono")
        parts = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in even.resample(frame)]
        return np.concatenate(parts), file.streams.audio[0].rate


@pytest.mark.parametrize("rate", RATES["opus"])
@pytest.mark.parametrize("frames", [1, 960, 24_017])
def test_opus_decodes_to_as_many_samples_as_were_written(tmp_path: Path, rate: int, frames: int) -> None:
    path = written(tmp_path / "speech.opus", "opus", rate, speech(TEXT, rate)[:frames])
    assert sf.info(path).frames * rate == frames * sf.info(path).samplerate
    samples, decoded_rate = decoded(path)
    assert len(samples) * rate == frames * decoded_rate


@pytest.mark.parametrize("rate", [22_050, 24_000, 44_100])
@pytest.mark.parametrize("frames", [2_048, 30_001])
def test_an_audiobook_is_as_long_as_what_was_written(tmp_path: Path, rate: int, frames: int) -> None:
    path = written(tmp_path / "book.m4b", "m4b", rate, speech(TEXT, rate)[:frames])
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        assert stream.duration * stream.time_base * rate == frames
    assert 0 <= len(decoded(path)[0]) - frames < 1_024  # the last packet is decoded whole


@pytest.mark.parametrize(("kind", "rate"), [("opus", 24_000), ("m4b", 24_000)])
def test_what_comes_out_is_what_went_in_and_where_it_was(tmp_path: Path, kind: str, rate: int) -> None:
    samples = speech(TEXT, rate)
    coded, decoded_rate = decoded(written(tmp_path / f"speech.{kind}", kind, rate, samples))
    coded = coded[:: decoded_rate // rate][: len(samples)]
    spectra = np.fft.rfft(samples, 2**20).conj() * np.fft.rfft(coded, 2**20)
    assert abs(int(np.argmax(np.fft.irfft(spectra)) + 2**19) % 2**20 - 2**19) <= 1
    assert 20 * np.log10(np.std(coded) / np.std(samples)) == pytest.approx(0, abs=1)


def test_the_size_of_blocks_changes_nothing(tmp_path: Path) -> None:
    samples = speech(TEXT, 24_000)
    with encoder(tmp_path / "small.opus", "opus", 24_000) as write:
        for start in range(0, len(samples), 333):
            write(samples[start : start + 333])
            write(samples[:0])
    written(tmp_path / "large.opus", "opus", 24_000, samples, 10**6)
    assert np.array_equal(decoded(tmp_path / "small.opus")[0], decoded(tmp_path / "large.opus")[0])


def test_an_audiobook_has_chapters_a_title_and_its_index_in_front(tmp_path: Path) -> None:
    chapters = [Chapter(0, 0.5, "Eins"), Chapter(0.5, 1.25, "Über den Fluß")]
    with encoder(tmp_path / "book.m4b", "m4b", 24_000, chapters, "Das Buch") as write:
        write(np.zeros(30_000, np.int16))
    with av.open(str(tmp_path / "book.m4b")) as file:
        assert file.metadata["title"] == "Das Buch"
        assert file.metadata["major_brand"] == "M4B "
        found = [(float(each["start"] * each["time_base"]), each["metadata"]["title"]) for each in file.chapters()]
    assert found == [(0.0, "Eins"), (0.5, "Über den Fluß")]
    content = (tmp_path / "book.m4b").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_opus_carries_the_title(tmp_path: Path) -> None:
    with encoder(tmp_path / "speech.opus", "opus", 24_000, title="Das Buch") as write:
        write(np.zeros(30_000, np.int16))
    with av.open(str(tmp_path / "speech.opus")) as file:
        assert file.streams.audio[0].metadata["title"] == "Das Buch"


@pytest.mark.parametrize("kind", ["opus", "m4b"])
def test_no_samples_are_a_mistake_of_ours(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="no samples"):
        written(tmp_path / f"nothing.{kind}", kind, 24_000, np.zeros(0, np.int16))


def test_a_rate_that_is_not_known_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="22050"), encoder(tmp_path / "speech.opus", "opus", 22_050):
        pass
    assert all(low < high for rates in RATES.values() for low, high in pairwise(rates))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("kind", ["opus", "m4b"])
def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"speech.{kind}"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(path)) as raised:
        written(path, kind, 24_000, speech(TEXT, 24_000))
    assert raised.value.errno == errno.ENOSPC


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "none" / "speech.opus", "opus", 24_000, np.zeros(100, np.int16))


def test_pyav_is_loaded_only_where_it_is_needed() -> None:
    program = "import sys, cluster_tts.media; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_pyav_the_run_stops_and_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with (
        pytest.raises(JobError, match=r"pip install 'cluster-tts\[media\]'"),
        encoder(tmp_path / "a.opus", "opus", 8_000),
    ):
        pass
