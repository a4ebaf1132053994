"""An OUT from somebody who wishes us ill: nothing outside it is read as audio, written, or removed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster_tts import storage
from cluster_tts.manifest import Manifest
from cluster_tts.manifest.schemas import OUTCOMES, PLAN

from .conftest import TONE, ClusterTts

OUTSIDE = ("x.wav", "x.json", "x.srt")


@pytest.fixture
def out(cluster_tts: ClusterTts, tmp_path: Path) -> Path:
    """A finished OUT two folders deep, with files around it that must stay."""
    (tmp_path / "a.txt").write_text("Hello there. How are you?\n")
    assert cluster_tts("run", *TONE, "a.txt", "--out", "deep/out").exit_code == 0
    for folder in (tmp_path, tmp_path / "deep", tmp_path / "deep" / "out"):
        for name in OUTSIDE:
            (folder / name).write_text("stays")
    return tmp_path / "deep" / "out"


def around(out: Path) -> dict[str, bytes]:
    """All that lies around OUT, and in it what stands for the outside."""
    files = [path for path in out.parent.parent.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files if out not in path.parents or path.name in OUTSIDE}


def renamed(out: Path, change: Callable[[dict[str, list[object]]], None]) -> None:
    """Change the columns of plan and outcomes."""
    for folder, schema in (("plan", PLAN), ("outcomes", OUTCOMES)):
        for path in (out / "manifest" / folder).glob("*.parquet"):
            columns = pq.read_table(path).to_pydict()
            change(columns)
            pq.write_table(pa.Table.from_pydict(columns, schema=schema), path)


@pytest.mark.parametrize("name", ["../x", "../../../x", "/tmp/cluster-tts-hostile/x", "a/../../x"])
def test_a_document_cannot_climb_out_of_out(cluster_tts: ClusterTts, out: Path, name: str) -> None:
    manifest = Manifest(storage.at(str(out / "manifest")))
    rows = [replace(row, document=name, path=f"documents/{name}.wav") for row in manifest.documents().values()]
    manifest.term = manifest.newest_term()  # or the row of before would count
    manifest.write_documents(rows)
    renamed(out, lambda columns: columns.update(document=[name] * len(columns["document"])))
    before = around(out)
    for command in (
        ("stitch", "deep/out"),
        ("status", "deep/out"),
        ("report", "deep/out"),
        ("run", *TONE, "a.txt", "--out", "deep/out"),
    ):
        assert cluster_tts(*command).exit_code in (0, 2, 3)
    assert around(out) == before
    assert not Path("/tmp/cluster-tts-hostile").exists()


@pytest.mark.parametrize("clip", ["../../x", "/etc/hostname", "..", ""])
def test_a_clip_cannot_lie_outside_the_clips(cluster_tts: ClusterTts, out: Path, clip: str) -> None:
    renamed(out, lambda columns: columns.update(clip_id=[clip] * len(columns["clip_id"])))
    before = around(out)
    for command in (("stitch", "deep/out"), ("status", "deep/out"), ("run", *TONE, "a.txt", "--out", "deep/out")):
        assert cluster_tts(*command).exit_code in (0, 2, 3)
    assert around(out) == before


def test_a_link_where_a_document_will_stand_is_replaced_and_not_written_through(
    cluster_tts: ClusterTts, out: Path, tmp_path: Path
) -> None:
    (victim := tmp_path / "victim").write_text("stays")
    for name in ("a.wav", "a.json", "a.srt"):
        (out / "documents" / name).unlink()
        (out / "documents" / name).symlink_to(victim)
    assert cluster_tts("stitch", "deep/out").exit_code == 0
    assert victim.read_text() == "stays"
    assert not (out / "documents" / "a.wav").is_symlink()


def test_a_link_where_a_clip_stood_is_replaced_and_not_written_through(
    cluster_tts: ClusterTts, out: Path, tmp_path: Path
) -> None:
    (victim := tmp_path / "victim").write_text("stays")
    for clip in (out / "clips").rglob("*.wav"):
        clip.unlink()
        clip.symlink_to(victim)
    shutil.rmtree(out / "documents")
    assert cluster_tts("run", *TONE, "a.txt", "--out", "deep/out").exit_code == 0
    assert victim.read_text() == "stays"
