"""Drafting: what several documents stand in is fetched, digested and read once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster_tts import drafting
from cluster_tts.config import load
from cluster_tts.documents import tables, urls
from cluster_tts.drafting import Drafting
from cluster_tts.model import Document

URL = "s3://bucket/table.csv"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (path := tmp_path / "table.csv").write_text("document,text\n" + "".join(f"{part},One.\n" for part in range(20)))
    return path


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was digested, as it is."""
    paths: list[Path] = []
    own = drafting.digest
    monkeypatch.setattr(drafting, "digest", lambda path: paths.append(path) or own(path))
    return paths


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The tables that were read, as they are."""
    paths: list[Path] = []
    own = tables.READERS[".csv"]
    monkeypatch.setitem(tables.READERS, ".csv", lambda path: paths.append(path) or own(path))
    return paths


@pytest.fixture
def copies(table: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the table that were fetched, as they are."""
    paths: list[Path] = []

    @contextmanager
    def fetched(url: str) -> Iterator[Path]:
        assert url.startswith(URL)
        copy = table.with_name(f"copy-{len(paths)}.csv")
        shutil.copy(table, copy)
        paths.append(copy)
        yield copy
        copy.unlink()

    monkeypatch.setattr(urls, "fetched", fetched)
    return paths


def drafted(documents: list[Document]) -> list[str]:
    """The keys of ``documents``, each of which is read."""
    drafts = Drafting(load(overrides=["provider.name=tone"], environ={}))
    keys = []
    for document in drafts.in_turn(documents):
        keys.append(drafts.key(document))
        assert [chunk.text for chunk, _ in drafts.chunks(document, ())] == ["One."]
    return keys


def test_a_table_is_digested_and_read_once(table: Path, digested: list[Path], loaded: list[Path]) -> None:
    keys = drafted([Document(part, table, part) for part in map(str, range(20))])
    assert len(set(keys)) == 20
    assert digested == loaded == [table]


def test_a_table_in_a_bucket_is_fetched_once(digested: list[Path], loaded: list[Path], copies: list[Path]) -> None:
    drafted([Document(part, URL, part) for part in map(str, range(20))])
    assert len(digested) == len(loaded) == len(copies) == 1
    assert not copies[0].exists()


def test_nothing_is_held_after_the_last(table: Path) -> None:
    drafted([Document("0", table, "0")])
    assert tables._Last.table is None


def test_files_in_a_bucket_are_held_one_at_a_time(copies: list[Path]) -> None:
    drafts = Drafting(load(overrides=["provider.name=tone"], environ={}))
    for number, document in enumerate(drafts.in_turn([Document("0", URL, "0"), Document("0", f"{URL}?x=1", "0")])):
        drafts.key(document)
        assert [path.exists() for path in copies] == [False] * number + [True]


def test_a_table_that_changed_has_another_key(table: Path) -> None:
    drafts = Drafting(load(overrides=["provider.name=tone"], environ={}))
    before = drafts.key(Document("0", table, "0"))
    table.write_text(table.read_text() + "0,Two.\n")
    assert drafts.key(Document("0", table, "0")) != before
