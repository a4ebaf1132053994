"""The same texts have the same names and the same order in a bucket as on a disk."""

from pathlib import Path

import pytest

from cluster_tts.documents import find
from tests.storage.conftest import Bucket

TEXTS = (
    "a.txt", "part-10/b.md", "part-2/b.md", "part-2/.hidden.txt", ".git/c.txt", "picture.png", "README",
    "deep/er/c.txt",
)  # fmt: skip


@pytest.mark.parametrize("pattern", ["", "/*.txt", "/**/*.md", "/part-[12]*/b.md", "/**", "/a.txt", "/README"])
def test_names_are_those_of_the_same_texts_on_a_disk(bucket: Bucket, tmp_path: Path, pattern: str) -> None:
    for name in TEXTS:
        bucket.folder("texts").write(name, b"Some words.")
        (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name).write_bytes(b"Some words.")
    here, there = find([f"{tmp_path}/texts{pattern}"]), find([f"{bucket.url}/texts{pattern}"])
    assert [document.name for document in here] == [document.name for document in there]
    assert here
