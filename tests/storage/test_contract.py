"""What every ``Folder`` promises, of a disk and of a bucket alike."""

import gc
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster_tts import storage
from cluster_tts.errors import JobError
from cluster_tts.storage import Folder, LocalFolder
from cluster_tts.storage import bucket as bucket_module
from cluster_tts.storage.local import PART
from tests.storage.conftest import Bucket

MEBIBYTE = 2**20


@pytest.fixture(params=["disk", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return storage.at(str(tmp_path / "folder"))
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.folder()


def listed(folder: Folder, below: str = "") -> dict[str, int]:
    return {entry.name: entry.size_bytes for entry in folder.files(below)}


# Both


def test_what_was_written_is_read_and_replaced_as_a_whole(folder: Folder) -> None:
    for content in b"first", b"", b"the second":
        folder.write("a/b c/ä+%41.bin", content)
        assert folder.read("a/b c/ä+%41.bin") == content
        assert folder.size("a/b c/ä+%41.bin") == len(content)
    assert listed(folder) == {"a/b c/ä+%41.bin": 10}


@pytest.mark.parametrize("content", [b"", b"whole"])
def test_a_new_file_is_there_once_it_is_published(folder: Folder, content: bytes) -> None:
    with folder.new("sub/name.wav") as path:
        path.write_bytes(content)
        assert folder.size("sub/name.wav") is None
        assert listed(folder) == {}
        folder.publish(path, "sub/name.wav")
    assert folder.read("sub/name.wav") == content
    assert not path.exists()


def test_a_new_file_that_is_given_up_leaves_nothing(folder: Folder) -> None:
    def give_up() -> None:
        with folder.new("name") as path:
            paths.append(path)
            path.write_bytes(b"half")
            raise RuntimeError

    paths: list[Path] = []
    with pytest.raises(RuntimeError):
        give_up()
    with folder.new("name"):
        pass  # never written at all
    assert not paths[0].exists()
    assert listed(folder) == {}


def test_a_file_is_lent_as_a_local_path(folder: Folder) -> None:
    folder.write("a/book.txt", b"text")
    with folder.local("a/book.txt") as path:
        assert path.read_bytes() == b"text"
        assert path.suffix == ".txt"
    assert folder.read("a/book.txt") == b"text"


def test_a_file_is_read_here_and_there(folder: Folder) -> None:
    table = pa.table({"a": list(range(10_000)), "b": ["text"] * 10_000})
    with folder.new("part-0.parquet") as path:
        pq.write_table(table, path)
        folder.publish(path, "part-0.parquet")
    with folder.open("part-0.parquet") as file, pq.ParquetFile(file) as parquet:
        assert parquet.read(columns=["a"]).column("a").to_pylist() == list(range(10_000))
    with folder.open("part-0.parquet") as file:
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"PAR1"


def test_what_is_not_there_is_said_so(folder: Folder) -> None:
    folder.write("there/file", b"1")

    def locally(name: str) -> None:
        with folder.local(name) as path:
            path.read_bytes()

    verbs: list[Callable[[str], object]] = [folder.read, folder.open, locally]
    for verb in verbs:
        for name in "missing", "there/missing", "no/folder/at/all":
            with pytest.raises(FileNotFoundError) as caught:
                verb(name)
            assert caught.value.errno is not None
            assert folder.address(name) in str(caught.value)
    assert folder.size("missing") is None
    assert folder.size("there") is None  # a folder is no file
    assert folder.size("there/file/below") is None
    folder.remove("missing")
    assert listed(folder / "missing") == listed(folder, "missing") == {}


def test_a_file_is_removed_and_may_be_again(folder: Folder) -> None:
    folder.write("a/file", b"1")
    folder.write("a/other", b"1")
    for _ in range(2):
        folder.remove("a/file")
        assert listed(folder) == {"a/other": 1}
    folder.remove("a/other")
    assert listed(folder) == {}


def test_files_are_listed_at_any_depth_by_their_names_from_the_folder(folder: Folder) -> None:
    for name in "a", "b/c", "b/d/e", "b.txt", ".hidden", "b/.hidden", ".b/c":
        folder.write(name, b"12")
    assert listed(folder) == {"a": 2, "b/c": 2, "b/d/e": 2, "b.txt": 2}
    assert listed(folder, "b") == {"b/c": 2, "b/d/e": 2}
    assert listed(folder / "b") == {"c": 2, "d/e": 2}
    assert all(entry.modified > 1e9 for entry in folder.files())


def test_more_files_are_listed_than_one_answer_holds(folder: Folder) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: folder.write(f"{number % 3}/{number}", b"1"), range(30)))
    assert len(listed(folder)) == 30


def test_a_folder_can_be_made_and_means_the_same_elsewhere(folder: Folder) -> None:
    folder.make()
    folder.make()
    assert listed(folder) == {}
    copy = pickle.loads(pickle.dumps(folder.absolute()))
    copy.write("file", b"1")
    assert folder.read("file") == b"1"
    assert str(storage.at(str(copy))) == str(copy)
    assert (folder / "x").address("y") == folder.address("x/y")


def test_many_threads_share_a_folder(folder: Folder) -> None:
    def write_and_read(number: int) -> bytes:
        folder.write(f"{number % 4}/{number}", b"%d" % number)
        return folder.read(f"{number % 4}/{number}")

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(write_and_read, range(64))) == [b"%d" % number for number in range(64)]


def test_a_forked_process_has_a_folder_of_its_own(folder: Folder) -> None:
    """The parent's connections are not used from two sides."""
    folder.write("parent", b"1")
    child = multiprocessing.get_context("fork").Process(target=_copy, args=(folder,))
    child.start()
    for _ in range(10):
        assert folder.read("parent") == b"1"
    child.join(20)
    assert child.exitcode == 0
    assert folder.read("child") == b"1"


def _copy(folder: Folder) -> None:
    for _ in range(10):
        folder.write("child", folder.read("parent"))


# A bucket


def test_a_small_body_is_one_request(bucket: Bucket) -> None:
    folder = bucket.folder()
    folder.write("warm-up", b"")
    for content in b"small", b"x" * (4 * MEBIBYTE):
        before = bucket.requests()
        folder.write("clip", content)
        assert bucket.requests() - before == 1
    before = bucket.requests()
    with folder.new("clip") as path:
        path.write_bytes(b"x" * 300_000)
        folder.publish(path, "clip")
    assert bucket.requests() - before == 1


def test_a_large_body_arrives_whole(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(12_000_000)
    folder = bucket.folder()
    with folder.new("book.wav") as path:
        path.write_bytes(content)
        folder.publish(path, "book.wav")
    assert bucket.keys() == {"folder/book.wav": len(content)}
    assert folder.read("book.wav") == content
    with folder.local("book.wav") as path:
        assert path.read_bytes() == content


@pytest.mark.parametrize(("share", "rounds"), [(0.05, 10), (0.2, 4)])
def test_failing_requests_are_sent_again(bucket: Bucket, share: float, rounds: int) -> None:
    folder = bucket.folder()
    before = bucket.requests("failed")

    def work(number: int) -> None:
        folder.write(f"{number}/small", b"%d" % number)
        assert folder.read(f"{number}/small") == b"%d" % number
        assert folder.size(f"{number}/small") == len(b"%d" % number)
        assert listed(folder, str(number)) == {f"{number}/small": len(b"%d" % number)}
        folder.remove(f"{number}/small")
        assert listed(folder, str(number)) == {}
        folder.write(f"{number}/kept", b"x")

    bucket.server.fail = share
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(work, range(rounds)))
    large = b"x" * (11_000_000 if share < 0.1 else 1_000_000)
    folder.write("large", large)
    assert folder.read("large") == large
    bucket.server.fail = 0.0
    assert bucket.requests("failed") > before
    assert listed(folder) == {"large": len(large)} | {f"{number}/kept": 1 for number in range(rounds)}


@pytest.mark.parametrize("content", [b"new", b"x" * 12_000_000], ids=["small", "large"])
def test_an_upload_that_fails_leaves_all_or_nothing(
    bucket: Bucket, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever of its requests it breaks; an open stream would publish what it has when it is closed."""
    _impatient(monkeypatch)
    folder = bucket.folder()
    said: list[OSError] = []
    for number in range(12):
        bucket.server.fail = 1.0 if number == 0 else 0.5
        try:
            folder.write(f"{number}", content)
        except OSError as error:
            said.append(error)
        gc.collect()
    bucket.server.fail = 0.0
    assert said
    assert all(error.errno is not None and "\n" not in str(error) for error in said)
    assert set(bucket.keys().values()) <= {len(content)}


def test_what_a_bucket_refuses_is_said_in_one_line(bucket: Bucket) -> None:
    missing = storage.at("s3://no-such-bucket-here/folder")
    for verb in missing.make, lambda: missing.write("a", b"1"), lambda: list(missing.files()):
        with pytest.raises(OSError, match="no such bucket") as caught:
            verb()
        assert not isinstance(caught.value, FileNotFoundError)
        assert caught.value.errno is not None
        assert "\n" not in str(caught.value)
        assert "s3://no-such-bucket-here/folder" in str(caught.value)


def test_a_server_that_cannot_be_reached_is_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    _impatient(monkeypatch)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        folder = bucket.folder()
        for verb in folder.make, lambda: folder.read("a"), lambda: folder.size("a"), lambda: list(folder.files()):
            with pytest.raises(OSError, match="cannot be reached") as caught:
                verb()
            assert "\n" not in str(caught.value)
            assert str(folder) in str(caught.value)


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "PAUSES_S", ())


def test_the_server_may_stand_in_the_url(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = bucket.server.url.removeprefix("http://")
    folder = storage.at(f"{bucket.url}/a/?endpoint_override={host}&scheme=http&region=eu-west-1")
    folder.write("file", b"1")
    assert bucket.keys() == {"a/file": 1}
    assert (folder / "b").address("c") == f"{bucket.url}/a/b/c"
    assert str(folder / "b").endswith("/a/b?" + str(folder).partition("?")[2])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://bucket/a", "cannot be used as storage"),
        ("http://bucket/a", "cannot be used as storage"),
        ("s3:///a", "names no bucket"),
        ("s3://bucket/a?endpont_override=x", "endpoint_override"),
        ("s3://key:hunter2@bucket/a", "has a key in it"),
        ("s3://bucket/a?access_key=k&secret_key=hunter2", "has a key in it"),
        ("s3://[::1/a", "cannot be read: give one like"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_secret(url: str, says: str) -> None:
    with pytest.raises(JobError, match=says) as caught:
        storage.at(url)
    assert "hunter2" not in str(caught.value)


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert storage.at(f"file://{tmp_path}/a%20b") == LocalFolder(tmp_path / "a b")


# A disk

WRITER = """
import sys
from pathlib import Path
from cluster_tts.storage import LocalFolder
with LocalFolder(Path(sys.argv[1])).new("deep/part.parquet") as path:
    path.write_bytes(b"half")
    print(path, flush=True)
    sys.stdin.read()
"""


def test_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("whole", b"1")
    (tmp_path / ".hidden").write_bytes(b"the user's")
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child, folder.new("mine") as mine:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        mine.write_bytes(b"half")
        folder.sweep(older_than_s=3600)
        assert left.exists()
        child.send_signal(signal.SIGKILL)
        child.wait()
        folder.sweep(older_than_s=3600)
        assert not left.exists()
        assert mine.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", ".hidden", "deep"}


def test_a_sweep_goes_by_age_where_the_writer_is_elsewhere(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for name, age_s in ("old", 4000), ("young", 3000):
        path = tmp_path / f".{name}.0123abcd-1.89abcdef{PART}"
        path.write_bytes(b"half")
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    folder.sweep(older_than_s=3600)
    assert [path.name for path in tmp_path.iterdir()] == [f".young.0123abcd-1.89abcdef{PART}"]


def test_a_disk_refuses_with_a_number(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = LocalFolder(tmp_path / "file")
    for verb in folder.make, lambda: folder.write("a", b"1"):
        with pytest.raises(OSError, match="file") as caught:
            verb()
        assert caught.value.errno is not None
