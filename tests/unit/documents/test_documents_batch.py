"""Tables whose rows are whole jobs, and videos beside subtitles."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster_tts.documents import Reading, find, read
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import ChunkingSettings, Job, MediaSettings, ReadingSettings, TimelineSettings
from cluster_tts.model import Document

Make = Callable[..., None]
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\nOne\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes files, each with something to speak in it or what is given, in an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*paths: str, content: str = SUBTITLES) -> None:
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


def refusal(*sources: str, reading: Reading = Reading()) -> str:  # noqa: B008
    with pytest.raises(JobError) as caught:
        find(sources, reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def videos(*sources: str, reading: Reading = Reading()) -> dict[str, str | None]:  # noqa: B008
    """Names of videos from here on by documents; each is told by its absolute path."""
    found = find(sources, reading)
    assert all(each.video is None or Path(each.video).is_absolute() for each in found)
    return {each.name: each.video and os.path.relpath(each.video) for each in found}


# Tables of jobs


def test_each_row_is_a_document_with_all_that_its_columns_say(make: Make) -> None:
    make("in/a.txt", "in/sub/b.srt", "in/v/c.mkv", "d.md")
    make(
        "in/jobs.csv",
        content=f"source,voice,name,video\na.txt,x,,\nsub/b.srt,,Film 1,v/c.mkv\n\n{Path('d.md').resolve()},,,",
    )
    assert find(["in/jobs.csv"]) == [
        Document("a", Path("in/a.txt"), voice="x"),
        Document("Film 1", Path("in/sub/b.srt"), video=Path("in/v/c.mkv").absolute()),
        Document("d", Path("d.md").resolve()),
    ]
    assert find(["in/jobs.csv"], Reading(video=False))[1].video is None
    assert [each.text for each in read(find(["in/jobs.csv"])[1])] == ["One"]


def test_what_a_row_says_how_to_speak_is_not_found_beside_it_once_more(make: Make) -> None:
    make("in/a.txt", "in/b.txt")
    make("in/jobs.csv", content="source,voice\na.txt,x\n")
    assert find(["in"]) == [Document("b", Path("in/b.txt")), Document("a", Path("in/a.txt"), voice="x")]
    assert len(find(["in/jobs.csv", "in/a.txt"])) == 2, "who names it wants it"


def test_columns_of_jobs_are_mapped_too(make: Make) -> None:
    make("a.txt")
    make("jobs.jsonl", content='{"file": "a.txt", "text": "about it", "title": "T"}\n')
    reading = Reading(columns={"source": "file", "name": "title"})
    assert find(["jobs.jsonl"], reading) == [Document("T", Path("a.txt"))]


def test_a_table_of_texts_that_tells_their_sources_is_no_table_of_jobs(make: Make) -> None:
    make("quotes.csv", content="text,source\nOne.,Anonymous\n")
    assert find(["quotes.csv"]) == [Document("quotes", Path("quotes.csv"))]


def test_a_row_may_name_a_table_with_documents_in_it(make: Make) -> None:
    make("t.csv", content="document,text\na,One.\nb,Two.\n")
    make("jobs.csv", content="source,name,voice\nt.csv,book,x\n")
    assert find(["jobs.csv"]) == [
        Document("book__a", Path("t.csv"), "a", "x"),
        Document("book__b", Path("t.csv"), "b", "x"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("source\na.txt\nmissing.txt\n", "'jobs.csv', row 3: there is no file 'missing.txt'"),
        ("source\n.\n", "row 2: there is no file '.'"),
        ("source,video\na.txt,missing.mp4\n", "row 2: there is no file 'missing.mp4'"),
        ("source,voice\n,x\n", "row 2: the column 'source' is empty"),
        ("source\n~nobody-here/x\n", "row 2: there is no file"),
        (f"source\n{'x' * 5000}\n", "row 2: there is no file"),
        ("source\na.txt\nb.txt\na.txt\n", "row 2 and 'jobs.csv', row 4 have 'a.txt' twice: give each a name"),
        ("source,name\na.txt,x/y\nb.txt,X_y\n", "row 2 and 'jobs.csv', row 3 have the name 'X_y' twice"),
        ("source\njobs.csv\n", "is a table of jobs"),
        ("source\nbook.pdf\n", "row 2: 'book.pdf' cannot be read"),
    ],
)
def test_a_row_that_cannot_be_done_is_named(make: Make, content: str, says: str) -> None:
    make("a.txt", "b.txt", "book.pdf")
    make("jobs.csv", content=content)
    assert says in refusal("jobs.csv")


def test_the_same_file_may_have_two_names(make: Make) -> None:
    make("a.txt")
    make("jobs.csv", content="source,name,voice\na.txt,one,x\na.txt,two,y\n")
    assert [(each.name, each.voice) for each in find(["jobs.csv"])] == [("one", "x"), ("two", "y")]


def test_a_name_that_is_given_goes_before_one_that_is_found(make: Make) -> None:
    make("in/a.txt", "b.txt")
    make("jobs.csv", content="source,name\nb.txt,a\n")
    assert {str(each.source): each.name for each in find(["in", "jobs.csv"])} == {"in/a.txt": "a.txt", "b.txt": "a"}


# Tables that are come upon


OTHER_DATA = {
    "log.jsonl": '{"source": "https://x", "level": "info"}\n{"source": "b/c", "level": "info"}\n',
    "cut.jsonl": '{"at": 1, "message": "x"}\n{"at": 2, "mess',
    "data.csv": "1.5,2.5\n3,4\n",
    "ragged.csv": "a,b\n1,2,3\n",
    "sources.csv": "source,licence\ngone.txt,free\n",
    "none.csv": "source\n",
}


@pytest.mark.parametrize("source", ["in", "in/*"])
def test_other_data_in_a_folder_is_left_out_and_told(make: Make, source: str, caplog: pytest.LogCaptureFixture) -> None:
    make("in/a.txt")
    for name, content in OTHER_DATA.items():
        Path("in", name).write_text(content)
    pq.write_table(pa.table({"vector": [[0.5]], "label": ["x"]}), "in/vectors.parquet")
    assert [each.name for each in find([source])] == ["a"]
    assert sorted(caplog.messages) == sorted(
        f"'in/{name}' is left out, for {why}"
        for name, why in {
            **dict.fromkeys(
                ("cut.jsonl", "data.csv", "ragged.csv", "vectors.parquet"), "none of its columns is one of texts"
            ),
            **dict.fromkeys(("log.jsonl", "sources.csv", "none.csv"), "no file that it names as a source is there"),
        }.items()
    )


def test_a_folder_of_nothing_but_other_data_has_nothing_to_speak(make: Make) -> None:
    make("a.txt")
    Path("in").mkdir()
    Path("in/data.csv").write_text(OTHER_DATA["data.csv"])
    with pytest.raises(JobError, match=r"'in' leads to nothing that can be spoken.*reading\.columns\.text"):
        find(["a.txt", "in"])


def test_a_table_that_was_come_upon_and_is_damaged_is_found_where_it_has_texts(make: Make) -> None:
    make("in/a.txt")
    Path("in/b.csv").write_text("text\nOne.,Two.\n")
    Path("in/c.jsonl").write_text('{"text": "One."}\n{"te')
    Path("in/e.jsonl").write_text('{"document": "e"}\n{"document": "e", "text": "One."}\n')
    Path("in/f.jsonl").write_text("no JSON at all")
    Path("in/d.csv").write_text("verse\nOne.\n")
    assert [each.name for each in find(["in"])] == ["a", "b", "c", "e", "f"]
    assert [each.name for each in find(["in"], Reading(columns={"text": "verse"}))] == ["a", "d", "f"]


def test_a_table_of_jobs_that_was_come_upon_is_not_half_done(make: Make) -> None:
    make("in/texts/a.txt")
    Path("in/jobs.csv").write_text("source,name\ntexts/a.txt,A\ntexts/b.txt,B\n")
    with pytest.raises(JobError, match=r"'in/jobs.csv', row 3: there is no file 'texts/b.txt'"):
        find(["in/*.csv"])
    make("in/texts/b.txt")
    assert [each.name for each in find(["in/*.csv"])] == ["A", "B"]


@pytest.mark.parametrize("named", ["https://x/a.txt", "s3:/bucket/a.txt", "s3://key:secret@bucket/a.txt"])
def test_an_address_that_cannot_be_used_is_told_with_its_row(make: Make, named: str) -> None:
    make()
    Path("jobs.csv").write_text(f"source\n{named}\n")
    with pytest.raises(JobError, match=r"^'jobs.csv', row 2: ") as caught:
        find(["jobs.csv"])
    assert "secret@" not in str(caught.value)


def test_a_table_that_a_row_names_is_refused_with_the_row(make: Make) -> None:
    make()
    Path("jobs.csv").write_text("source\nother.csv\n")
    Path("other.csv").write_text("source\njobs.csv\n")
    with pytest.raises(JobError, match=r"^'jobs.csv', row 2: 'other.csv' is a table of jobs itself"):
        find(["jobs.csv"])


# Videos


@pytest.mark.parametrize("subtitles", ["film.srt", "film.en.vtt", "film.pt-BR.forced.ass", "film.eng.sdh.SRT"])
@pytest.mark.parametrize("video", ["film.mp4", "film.MKV", "film.webm"])
def test_the_video_beside_subtitles_is_found(make: Make, subtitles: str, video: str) -> None:
    make(f"in/{subtitles}", f"in/{video}", "in/film 2.mp4", "film.mov")
    assert list(videos("in").values()) == list(videos("in/*").values()) == [f"in/{video}"]
    assert list(videos(f"in/{subtitles}").values()) == [f"in/{video}"]
    assert list(videos("in", reading=Reading(video=False)).values()) == [None]


def test_the_longest_name_decides_and_without_a_video_there_is_none(make: Make) -> None:
    make("film.en.srt", "film.de.srt", "film.en.mp4", "film.mp4", "alone.srt", "text.txt", "text.mp4", "clip.mp4.srt")
    assert videos(".") == {
        "alone": None,
        "clip_mp4": None,
        "film.de": "film.mp4",
        "film.en": "film.en.mp4",
        "text": None,
    }


def test_several_videos_are_named_with_how_to_choose(make: Make) -> None:
    make("film.srt", "film.mp4", "film.mkv")
    said = refusal("film.srt")
    assert "film.mkv and film.mp4" in said
    assert "media.video=none" in said
    make("jobs.csv", content="source,video\nfilm.srt,film.mkv\n")
    assert videos("jobs.csv") == {"film": "film.mkv"}


def test_a_folder_of_videos_gives_what_can_be_read(make: Make) -> None:
    make(*(f"videos/{n}.{suffix}" for n in range(1, 41) for suffix in ("srt", "mp4", "nfo")))
    assert videos("videos/*") == {str(n): f"videos/{n}.mp4" for n in range(1, 41)}


def test_all_kinds_are_found_in_folders(make: Make) -> None:
    kinds = [
        "txt",
        "md",
        "markdown",
        "dialogue",
        "script",
        "srt",
        "vtt",
        "ass",
        "ssa",
        "csv",
        "jsonl",
        "ndjson",
        "parquet",
    ]
    make(*(f"in/{kind}.{kind}" for kind in kinds), "in/x.json", "in/y.pdf")
    Path("in/csv.csv").write_text("text\nword\n")
    assert sorted(each.name for each in find(["in"])) == sorted(kinds)


def test_a_folder_that_cannot_be_searched_for_videos_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("in/film.srt")

    def locked(path: Path) -> object:
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(Path, "iterdir", locked)
    assert "'in' cannot be searched for videos: Permission denied; set media.video=none" in refusal("in/film.srt")


# What readers are told


def test_a_reading_is_what_the_job_says() -> None:
    job = Job(
        voices={"Anna": "x"},
        reading=ReadingSettings(dialogue="never", columns={"text": "verse"}),
        timeline=TimelineSettings(fit="none", group="cue"),
        chunking=ChunkingSettings(max_characters=100, language="de"),
        media=MediaSettings(video="none"),
    )
    assert Reading.of(job) == Reading(
        "never", frozenset({"anna"}), {"text": "verse"}, False, "cue", "de", 100, False, "out"
    )
    assert Reading.of(Job()) == Reading(out="out")


def test_a_document_that_is_gone_since_is_refused(make: Make) -> None:
    make("t.csv", content="document,text\na,One.\n")
    (document,) = find(["t.csv"])
    make("t.csv", content="document,text\nother,One.\n")
    with pytest.raises(DocumentError, match="nothing to speak"):
        list(read(document))
