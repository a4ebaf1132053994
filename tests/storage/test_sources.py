"""Documents by URL: found and named as on a disk, fetched when they are read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tts.documents import digest_of, find, read, suffix_of
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.model import Document
from cluster_tts.storage import at
from tests.storage.server import Server, serving

TEXTS = {
    "texts/a.txt": "First.",
    "texts/part-10/b.md": "# Tenth",
    "texts/part-2/b.md": "# Second",
    "texts/part-2/.hidden.txt": "Never.",
    "texts/.git/c.txt": "Never.",
    "texts/picture.png": "no text",
    "texts/README": "Without a suffix.",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        server.make_bucket("library")
        yield server


@pytest.fixture(autouse=True)
def library(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    shelf = at("s3://library")
    for name, text in TEXTS.items():
        shelf.write(name, text.encode())


def named(*sources: str) -> dict[str, str]:
    return {document.name: str(document.source) for document in find(sources)}


def test_a_folder_is_searched_to_its_bottom_in_reading_order_without_hidden_files() -> None:
    for source in ("s3://library/texts", "s3://library/texts/"):
        assert named(source) == {
            "a": "s3://library/texts/a.txt",
            "part-2__b": "s3://library/texts/part-2/b.md",
            "part-10__b": "s3://library/texts/part-10/b.md",
        }


def test_names_are_those_of_the_same_texts_on_a_disk(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for pattern in ("texts", "texts/*.txt", "texts/**/*.md", "texts/part-[12]*/b.md", "texts/**", "texts/a.txt"):
        here, there = find([str(tmp_path / pattern)]), find([f"s3://library/{pattern}"])
        assert [document.name for document in here] == [document.name for document in there], pattern


def test_a_file_needs_no_suffix_and_options_stay_with_it(server: Server) -> None:
    options = f"?endpoint_override={server.url.removeprefix('http://')}&scheme=http"
    (document,) = find([f"s3://library/texts/README{options}"])
    assert document.source == f"s3://library/texts/README{options}"
    assert [paragraph.text for paragraph in read(document)] == ["Without a suffix."]
    assert suffix_of(document) == ""


def test_what_is_read_is_what_is_there_now() -> None:
    (document,) = find(["s3://library/texts/part-2/b.md"])
    assert suffix_of(document) == ".md"
    before = digest_of(document)
    assert [paragraph.text for paragraph in read(document)] == ["Second"]
    at("s3://library").write("texts/part-2/b.md", b"# Another")
    assert [paragraph.text for paragraph in read(document)] == ["Another"]
    assert digest_of(document) != before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://library/none", "'s3://library/none' leads to nothing that can be spoken"),
        ("s3://library/texts/*.rst", "leads to nothing that can be spoken"),
        ("s3://library/texts/picture.png", "cannot be read: what can be read is"),
    ],
)
def test_a_url_that_leads_to_nothing_is_named(source: str, words: str) -> None:
    with pytest.raises(JobError, match=words.replace("*", ".")):
        find([source])


def test_the_same_file_twice_is_refused() -> None:
    with pytest.raises(JobError, match="is given twice"):
        find(["s3://library/texts", "s3://library/texts/a.txt"])


def test_a_document_that_is_gone_or_no_text_is_told_by_its_url() -> None:
    at("s3://library").write("bad/noise.txt", b"\x00\x01" * 500)
    for url in ("s3://library/bad/gone.txt", "s3://library/bad/noise.txt"):
        with pytest.raises(DocumentError, match=f"^'{url}'") as error:
            list(read(Document("name", url)))
        assert "/tmp" not in str(error.value)
