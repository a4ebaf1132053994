"""What runs have left in a folder is not spoken; what stands beside it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_tts.documents import Reading, find
from cluster_tts.errors import JobError
from cluster_tts.manifest import DocumentRow, Manifest
from cluster_tts.storage import at

Make = Callable[..., None]
OUT = Reading(out="out")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes files, each with a word in it, in an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*paths: str) -> None:
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("word")

    return make


def leave_run(make: Make, out: str) -> None:
    """What a run that has spoken ``a`` leaves in ``out``, as far as there are readers for it."""
    Manifest(at(out) / "manifest", "run").write_documents([DocumentRow(document="a", source="a.txt", status="whole")])
    make(*(f"{out}/documents/a.{suffix}" for suffix in ("wav", "json", "srt", "vtt")))


def names(*sources: str, reading: Reading = OUT) -> list[str]:
    return [document.name for document in find(sources, reading)]


@pytest.mark.parametrize("source", [".", "**", "**/*", "**/a.*"])
def test_the_same_command_finds_the_same_again(source: str, make: Make) -> None:
    make("a.txt", "in/a.txt")
    before = names(source)
    leave_run(make, "out")
    assert names(source) == before


@pytest.mark.parametrize("source", ["in", ".", "**/*"])
def test_texts_beside_what_a_run_left_are_found_although_out_is_the_folder_searched(source: str, make: Make) -> None:
    make("in/a.txt", "in/documents/b.txt", "in/manifest.txt")
    reading = replace(OUT, out="in")
    before = names(source, reading=reading)
    leave_run(make, "in")
    assert names(source, reading=reading) == before
    assert [name.removeprefix("in__") for name in before] == ["a", "documents__b", "manifest"]


def test_out_is_left_out_by_any_of_its_names_and_before_its_first_run(make: Make, tmp_path: Path) -> None:
    make("a.txt", "out/manifest/plan/part-0.parquet", "out/documents/a.srt")
    (tmp_path / "link").symlink_to("out")
    for out in "out", "./out/", "link", str(tmp_path / "out"), f"file://{tmp_path}/out":
        assert names(".", reading=replace(OUT, out=out)) == ["a"]


def test_what_other_runs_left_is_left_out_too(make: Make) -> None:
    make("in/a.txt", "in/damaged/manifest/documents.parquet", "in/damaged/job.yaml", "in/damaged/report.json")
    leave_run(make, "in/b/earlier")
    assert names("in") == ["a"]


def test_a_manifest_that_is_not_ours_is_a_table_like_any_other(make: Make) -> None:
    make("in/manifest/documents.csv", "in/manifest/a.txt", "in/documents/a.srt", "in/a.txt")
    Path("in/manifest/documents.csv").write_text("document,text\nletter,Dear Ann\n")
    assert names("in") == ["a", "documents__a", "manifest__a", "letter"]


def test_subtitles_of_an_earlier_run_are_found_where_they_are_meant(make: Make) -> None:
    leave_run(make, "earlier")
    assert names("earlier/documents/*.srt") == names("earlier/documents/a.srt") == ["a"]


@pytest.mark.parametrize("source", ["out/documents/a.srt", "out/documents", "out/documents/*.vtt"])
def test_subtitles_that_the_run_would_write_over_are_refused(source: str, make: Make) -> None:
    make("out/documents/a.srt", "out/documents/a.vtt")
    with pytest.raises(JobError, match=r"'out/documents/a.* this run writes subtitles and videos itself.*--out"):
        names(source)


def test_a_video_that_the_run_would_write_over_is_refused(make: Make) -> None:
    make("a.srt", "out/documents/a.mp4")
    Path("jobs.csv").write_text("source,video\na.srt,out/documents/a.mp4\n")
    with pytest.raises(JobError, match=r"out/documents/a.mp4' is where this run writes"):
        names("jobs.csv")
    assert names("jobs.csv", reading=replace(OUT, video=False)) == ["a"]


def test_a_folder_in_which_there_is_nothing_else_has_nothing_to_speak(make: Make) -> None:
    leave_run(make, "out")
    with pytest.raises(JobError, match="'out' has nothing to speak in it"):
        names("out")
