"""Files to samples: block by block gives what reading at once gives, in every format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.decoding import AudioFile
from cluster_tts.emulator.speech import speech

RATE = 24_000
TEXT = "Far out in the uncharted backwaters of the unfashionable end of the western spiral arm lies a small sun. " * 3


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")],
)
def test_blocks_put_together_are_the_file_read_at_once(tmp_path: Path, form: str, subtype: str) -> None:
    """An MP3 of variable bit rate read by soundfile in blocks begins each of them with wrong samples."""
    path = tmp_path / "clip"
    sf.write(path, speech(TEXT, RATE) / 32_768, RATE, format=form, subtype=subtype)
    whole, _ = sf.read(path, dtype="float64")
    with AudioFile(path) as file:
        blocks = np.concatenate(list(file.blocks_of(10_000)))[:, 0]
    assert len(blocks) == len(whole)
    assert np.abs(blocks - whole * 32_768).max() <= 1.5


def test_every_channel_comes_along(tmp_path: Path) -> None:
    stereo = np.stack([np.arange(1000), -np.arange(1000)], axis=1).astype(np.int16)
    sf.write(tmp_path / "clip.wav", stereo, RATE)
    with AudioFile(tmp_path / "clip.wav") as file:
        assert np.array_equal(np.concatenate(list(file.blocks_of(300))), stereo)
