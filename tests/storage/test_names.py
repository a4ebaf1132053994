"""The same texts have the same names and the same order in a bucket as on a disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tts.documents import find
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


def test_names_are_those_of_the_same_texts_on_a_disk(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for pattern in ("texts", "texts/*.txt", "texts/**/*.md", "texts/part-[12]*/b.md", "texts/**", "texts/a.txt"):
        here, there = find([str(tmp_path / pattern)]), find([f"s3://library/{pattern}"])
        assert [document.name for document in here] == [document.name for document in there], pattern
