"""One contract, kept by a disk and by a bucket behind real HTTP, also while one storage request in twenty fails."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tts import storage
from cluster_tts.errors import JobError
from cluster_tts.storage import Folder, LocalFolder
from tests.storage.server import Server, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as started:
        started.make_bucket("whole")
        yield started


@pytest.fixture(scope="session")
def faulty() -> Iterator[Server]:
    with serving(share_failing=0.05) as started:
        started.make_bucket("whole")
        yield started


def in_bucket(server: Server, folder: Path) -> Folder:
    query = f"endpoint_override={server.url.removeprefix('http://')}&scheme=http&region=us-east-1"
    return storage.at(f"s3://whole/{folder.name}?{query}")


@pytest.fixture
def keys(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)


@pytest.fixture(params=["disk", "bucket", "faulty bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, keys: None) -> Folder:
    if request.param == "disk":
        return LocalFolder(tmp_path / "disk")
    return in_bucket(request.getfixturevalue("server" if request.param == "bucket" else "faulty"), tmp_path)


def test_what_is_written_is_read_listed_and_removed(folder: Folder) -> None:
    folder.make()
    folder.write("a/b.txt", b"one")
    folder.write("a/b.txt", b"three")
    (folder / "a").write("c.txt", b"")
    assert folder.read("a/b.txt") == b"three"
    assert folder.size("a/b.txt") == 5
    assert {(entry.name, entry.size_bytes) for entry in folder.files()} == {("a/b.txt", 5), ("a/c.txt", 0)}
    assert {entry.name for entry in folder.files("a")} == {"a/b.txt", "a/c.txt"}
    with folder.local("a/b.txt") as path:
        assert path.read_bytes() == b"three"
    with folder.open("a/b.txt") as file:
        assert file.read() == b"three"
    folder.remove("a/b.txt")
    folder.remove("a/b.txt")
    assert folder.size("a/b.txt") is None


def test_what_is_not_there_is_said_so(folder: Folder) -> None:
    assert list(folder.files("nowhere")) == []
    assert folder.size("nowhere/x") is None
    with pytest.raises(FileNotFoundError):
        folder.read("nowhere/x")
    with pytest.raises(FileNotFoundError):
        folder.open("nowhere/x")


def test_a_body_is_published_whole_or_not_at_all(folder: Folder) -> None:
    body = bytes(range(256)) * 50_000  # 12.8 MB: several parts in a bucket
    with folder.new("big.bin") as path:
        path.write_bytes(body)
        assert folder.size("big.bin") is None
        folder.publish(path, "big.bin")
    assert folder.read("big.bin") == body
    assert not path.exists()


def test_it_travels_as_text(folder: Folder) -> None:
    folder.write("x", b"1")
    assert pickle.loads(pickle.dumps(folder)).read("x") == b"1"


def test_a_small_body_is_one_put(server: Server, tmp_path: Path, keys: None) -> None:
    folder = in_bucket(server, tmp_path)
    folder.write("small", b"x" * 10_000)
    asked = [line for line in server.requests() if f"{tmp_path.name}/small" in line]
    assert [line.split()[0] for line in asked] == ["PUT"]


def test_a_refused_request_is_sent_again(faulty: Server, tmp_path: Path, keys: None) -> None:
    folder = in_bucket(faulty, tmp_path)
    for number in range(60):
        folder.write(f"{number}", b"x")
    assert any(tmp_path.name in line and line.endswith(" 503") for line in faulty.requests())
    assert len(list(folder.files())) == 60


def test_a_missing_bucket_is_one_line_with_a_number(server: Server, keys: None) -> None:
    host = server.url.removeprefix("http://")
    folder = storage.at(f"s3://missing/run?endpoint_override={host}&scheme=http&region=us-east-1")
    with pytest.raises(OSError, match="no such bucket") as caught:
        folder.make()
    assert caught.value.errno
    assert "\n" not in str(caught.value)


def test_small_reads_outlive_refusals(faulty: Server, tmp_path: Path, keys: None) -> None:
    """The SDK does not repeat a read whose refusal is longer than the file."""
    folder = in_bucket(faulty, tmp_path)
    folder.write("x", b"1")
    assert {folder.read("x") for _ in range(40)} == {b"1"}
    assert any(line.startswith("GET") and line.endswith("/x 503") for line in faulty.requests())


def test_names_stand_before_the_query() -> None:
    folder = storage.at("s3://b/run/?region=eu-west-1") / "clips"
    assert folder.address("aa/x.wav") == "s3://b/run/clips/aa/x.wav"
    assert str(folder) == "s3://b/run/clips?region=eu-west-1"


def test_the_container_in_an_azure_url_is_no_key() -> None:
    assert str(storage.at("abfss://texts@account/run")) == "abfss://texts@account/run"


def test_a_file_url_is_a_path() -> None:
    assert storage.at("file:///tmp/a%20b") == LocalFolder(Path("/tmp/a b"))


@pytest.mark.parametrize(
    "url", ["s3://me:hush@b/run", "s3://hush@b/run", "s3://b/run?access_key=hush", "s3://b/?X-Amz-Signature=hush"]
)
def test_a_url_with_a_secret_is_refused_and_the_secret_not_repeated(url: str) -> None:
    with pytest.raises(JobError, match="AWS_ACCESS_KEY_ID") as caught:
        storage.at(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [("ftp://b/run", "ftp"), ("s3://b/run?reigon=x", "reigon"), ("s3:///run", "s3:///run"), ("s3://b/../c", r"\.\.")],
)
def test_a_url_that_cannot_be_used_is_named(url: str, named: str) -> None:
    with pytest.raises(JobError, match=named):
        storage.at(url)


def test_storage_is_known_without_loading_arrow() -> None:
    code = "import sys, cluster_tts.storage as s; s.at('b/c'); sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
