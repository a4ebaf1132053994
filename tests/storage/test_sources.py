"""Texts in a bucket: found by URL, named as local ones are, read, and planned."""

import socket
from collections.abc import Callable

import pytest

from cluster_tts.documents import Reading, find, local, read
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.manifest import DocumentRow, Manifest
from cluster_tts.model import Document
from cluster_tts.storage import bucket as bucket_module
from tests.storage.conftest import Bucket

Put = Callable[..., None]
TEXTS = ("a.txt", "b/c-10.md", "b/c-2.md", "b/d/e.txt", "cover.png", ".hidden.txt", ".git/x.txt", "[x].txt", "README")


@pytest.fixture
def texts(bucket: Bucket) -> str:
    for name in TEXTS:
        bucket.folder("texts").write(name, f"The words of {name}.".encode())
    return f"{bucket.url}/texts"


def names(*sources: str) -> list[str]:
    return [document.name for document in find(sources)]


def refusal(*sources: str) -> str:
    with pytest.raises(JobError) as caught:
        find(sources)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_searched_with_and_without_a_slash(texts: str) -> None:
    assert names(texts) == names(f"{texts}/") == names(f"{texts}/**") == ["[x]", "a", "b__c-2", "b__c-10", "b__d__e"]
    assert names(texts.removesuffix("/texts"))[1] == "texts__a"


def test_a_file_is_one_document_also_without_a_suffix(texts: str) -> None:
    assert names(f"{texts}/b/c-2.md", f"{texts}/README", f"{texts}/[x].txt") == ["c-2", "README", "[x]"]


def test_a_glob_is_expanded(texts: str) -> None:
    assert names(f"{texts}/**/*.md") == ["b__c-2", "b__c-10"]
    assert names(f"{texts}/*.txt") == ["[x]", "a"]
    assert names(f"{texts}/?.txt") == names(f"{texts}/[ab].txt") == ["a"]
    assert names(f"{texts}/b/c-?.md") == ["c-2"]


def test_options_stay_on_the_url(texts: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    options = f"?endpoint_override={bucket.server.url.removeprefix('http://')}&scheme=http"
    for source in f"{texts}/?.txt{options}", f"{texts}/a.txt{options}":
        document = find([source])[0]
        assert document == Document("a", f"{texts}/a.txt{options}")
        assert [paragraph.text for paragraph in read(document)] == ["The words of a.txt."]


def test_a_reading_fetches_once_and_leaves_nothing(texts: str, bucket: Bucket) -> None:
    document = Document("a", f"{texts}/a.txt")
    before = bucket.requests("GetObject")
    assert [paragraph.text for paragraph in read(document)] == ["The words of a.txt."]
    assert bucket.requests("GetObject") - before == 1
    with local(document) as path:
        assert path.suffix == ".txt"
    assert not path.exists()


def test_subtitles_have_the_video_that_is_listed_beside_them(bucket: Bucket) -> None:
    for name in ("a.en.srt", "a.MP4", "b.srt", "c/a.srt", "x.mp4", "x.mkv", "x.txt"):
        bucket.folder("films").write(name, b"1\n00:00:01,000 --> 00:00:02,000\nOne\n")
    films = f"{bucket.url}/films"
    for source in films, f"{films}/**/*.srt":
        found = {document.name: document.video for document in find([source]) if document.name != "x"}
        assert found == {"a.en": f"{films}/a.MP4", "b": None, "c__a": None}
    bucket.folder("films").write("jobs.csv", b"source,name\na.en.srt,A\nb.srt,B\n")
    for source in f"{films}/a.en.srt", f"{films}/jobs.csv":
        assert find([source])[0].video == f"{films}/a.MP4"
    assert find([f"{films}/b.srt"])[0].video is None
    assert find([films], Reading(video=False))[0].video is None
    bucket.folder("films").write("b.mkv", b"")
    bucket.folder("films").write("b.mp4", b"")
    assert "several videos beside it, b.mkv and b.mp4" in refusal(films)
    assert "several videos beside it, b.mkv and b.mp4" in refusal(f"{films}/b.srt")


def test_tables_are_read_where_they_are(bucket: Bucket) -> None:
    folder = bucket.folder("tables")
    folder.write("t.csv", b"document,text\na,One.\nb,Two.\n")
    folder.write("sub/c.txt", b"Three.")
    folder.write("jobs.csv", b"source,name\nsub/c.txt,C\n")
    url = f"{bucket.url}/tables"
    found = find([f"{url}/t.csv", f"{url}/jobs.csv"])
    assert found == [
        Document("a", f"{url}/t.csv", "a"),
        Document("b", f"{url}/t.csv", "b"),
        Document("C", f"{url}/sub/c.txt"),
    ]
    assert [[each.text for each in read(document)] for document in found] == [["One."], ["Two."], ["Three."]]
    folder.write("jobs.csv", b"source\nmissing.txt\n")
    said = refusal(f"{url}/jobs.csv")
    assert f"'{url}/jobs.csv', row 2: there is no file 'missing.txt'" in said
    folder.write("bad.csv", b"a,b\n1,2\n")
    (bad,) = find([f"{url}/bad.csv"])
    with pytest.raises(DocumentError, match=f"'{url}/bad.csv' has no column 'text'"):
        list(read(bad))
    with pytest.raises(JobError, match=f"'{url}/t.csv' has no column 'x'"):
        find([f"{url}/t.csv"], Reading(columns={"text": "x"}))


def test_an_object_given_twice_is_refused(texts: str) -> None:
    assert "is given twice" in refusal(texts, f"{texts}/a.txt")


def test_what_leads_nowhere_is_named(texts: str) -> None:
    assert f"'{texts}/cover.png' cannot be read: what can be read is" in refusal(f"{texts}/cover.png")
    for source in f"{texts}/missing.txt", f"{texts}/no/folder/", f"{texts}/*.pdf":
        assert f"'{source}' leads to nothing that can be spoken" in refusal(source)
    assert "there is no such bucket" in refusal("s3://no-such-bucket-here/a.txt")


def test_a_server_that_cannot_be_reached_is_named(texts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "PAUSES_S", ())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        said = refusal(texts)
    assert texts in said
    assert "cannot be reached" in said
    assert "AWS_ENDPOINT_URL" in said


@pytest.mark.parametrize(("name", "says"), [("binary.txt", "looks binary"), ("gone.txt", "it is not there")])
def test_a_document_that_cannot_be_read_is_named_by_its_url(bucket: Bucket, name: str, says: str) -> None:
    bucket.folder("texts").write("binary.txt", b"%PDF-1.7")
    url = f"{bucket.url}/texts/{name}"
    with pytest.raises(DocumentError, match=says) as caught:
        list(read(Document("x", url)))
    assert f"'{url}'" in str(caught.value)


def test_what_runs_have_left_in_a_bucket_is_not_spoken(bucket: Bucket) -> None:
    top = bucket.folder("top")
    top.write("a.txt", b"word")
    top.write("texts/b.txt", b"word")
    reading = Reading(out=f"{bucket.url}/top/out")
    before = [document.name for document in find([f"{bucket.url}/top"], reading)]
    for out in "out", "texts", "new":
        folder = top / out
        row = DocumentRow(document="a", source="a.txt", status="whole")
        Manifest(folder / "manifest", "run").write_documents([row])
        folder.write("documents/a.srt", b"word")
    (top / "out").remove("manifest/documents.parquet")
    (top / "out").write("manifest/plan/part-0.parquet", b"word")
    for source in f"{bucket.url}/top", f"{bucket.url}/top/**":
        assert [document.name for document in find([source], reading)] == before == ["a", "texts__b"]
    with pytest.raises(JobError, match="this run writes subtitles"):
        find([f"{bucket.url}/top/out/documents/a.srt"], reading)
