"""Items: each a file of its own, with the samples it has in the joined document."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.errors import Interrupted
from cluster_tts.job import StitchingSettings
from cluster_tts.model import Role, Slot
from cluster_tts.stitching import Files, Piece, stitch
from cluster_tts.storage import LocalFolder
from tests.unit.stitching.joined import CLIPS, GAP, RATE, MakePiece, files, files_in, join, measured, noise, samples_of


def verses(make_piece: MakePiece) -> list[Piece]:
    """Two of two pieces each, one of a single piece."""
    return [
        make_piece(n, noise(5_000 + n, n)[:, 0], paragraph=n // 2, role=Role(item=f"John 3:{16 + n // 2}"))
        for n in range(5)
    ]


def read(path: Path) -> np.ndarray:
    return sf.read(path, dtype="int16")[0]


def test_an_item_has_the_samples_it_has_in_the_document(make_piece: MakePiece, tmp_path: Path) -> None:
    samples = samples_of(join(verses(make_piece), tmp_path, each_item=True))
    items = measured(tmp_path)["items"]
    assert [item["item"] for item in items] == ["John 3:16", "John 3:17", "John 3:18"]
    for item in items:
        path = tmp_path / item["path"]
        assert path == tmp_path / f"documents/book/{item['item'].replace(':', '_')}.wav"
        assert np.array_equal(read(path), samples[item["start_frame"] : item["end_frame"]])
        assert item["frames"] == item["end_frame"] - item["start_frame"] == sf.info(path).frames
        assert item["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert items[0]["frames"] == 5_000 + GAP + 5_001  # the same gap inside, none at its ends


def test_without_ids_paragraphs_are_items(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = [make_piece(n, noise(100, n), paragraph=n // 2) for n in range(4)]
    join(pieces, tmp_path, each_item=True, format="flac")
    assert files_in(tmp_path / "documents/book") == ["0001.flac", "0002.flac"]


def test_where_only_items_are_wanted_the_json_is_the_document(make_piece: MakePiece, tmp_path: Path) -> None:
    joined = join(verses(make_piece), tmp_path, each_item=True, joined=False)
    assert files_in(tmp_path / "documents") == ["book", "book.json", "book.srt", "book.vtt"]
    content = joined.path.read_bytes()
    assert joined.path.name == "book.json"
    assert (joined.size_bytes, joined.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    told = json.loads(content)
    assert (told["audio"], told["sha256"], told["frames"]) == (None, None, joined.frames)
    assert len(told["items"]) == 3


def test_items_that_no_longer_belong_are_removed(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = verses(make_piece)
    join(pieces, tmp_path, each_item=True)
    join(pieces[:2], tmp_path, each_item=True, format="flac")
    assert files_in(tmp_path / "documents/book") == ["John 3_16.flac"]


def test_items_come_first_and_the_audio_last(
    make_piece: MakePiece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, rename = [], Path.replace

    def remember(path: Path, target: Path) -> Path:
        order.append(target.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", remember)
    pieces = verses(make_piece)
    join(pieces, tmp_path, each_item=True)
    assert order == [
        "John 3_16.wav", "John 3_17.wav", "John 3_18.wav", "book.json", "book.srt", "book.vtt", "book.wav",
    ]  # fmt: skip
    order.clear()
    join(pieces, tmp_path, each_item=True, joined=False)
    assert order[-3:] == ["book.srt", "book.vtt", "book.json"]


def test_what_may_not_be_published_leaves_no_item(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = verses(make_piece)

    def lost() -> None:
        raise Interrupted("another run has taken over")

    kept = Files(CLIPS, LocalFolder(tmp_path), lost)  # type: ignore[arg-type]
    with pytest.raises(Interrupted):
        stitch("book", lambda: iter(pieces), kept, StitchingSettings(each_item=True))
    assert [path for path in (tmp_path / "documents").rglob("*") if path.is_file()] == []


def test_a_mistake_midway_leaves_no_item(make_piece: MakePiece, tmp_path: Path) -> None:
    pieces = verses(make_piece)
    passes: list[int] = []

    def interrupted():
        passes.append(1)
        yield from pieces[:3]
        if len(passes) == 3:
            raise KeyboardInterrupt
        yield from pieces[3:]

    with pytest.raises(KeyboardInterrupt):
        stitch("book", interrupted, files(tmp_path), StitchingSettings(each_item=True))
    assert [path for path in (tmp_path / "documents").rglob("*") if path.is_file()] == []


def test_of_two_who_speak_at_once_each_item_has_its_own_speech(make_piece: MakePiece, tmp_path: Path) -> None:
    clips = [noise(RATE, n)[:, 0] for n in range(2)]
    pieces = [
        make_piece(n, clip, paragraph=n, role=Role(item=name, cues=(Slot(1 + n / 10, 3),)))
        for n, (clip, name) in enumerate(zip(clips, "ab", strict=True))
    ]
    join(pieces, tmp_path, each_item=True)
    for clip, name in zip(clips, "ab", strict=True):
        assert np.array_equal(read(tmp_path / f"documents/book/{name}.wav"), clip)
