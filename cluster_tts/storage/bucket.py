"""A folder of a bucket, by URL, through pyarrow's file systems. S3 and what speaks its language is tested; Google's,
Azure's and HDFS are as pyarrow gives them, and untested.

Nothing can be renamed, appended to or locked there: a body is complete on the local disk, or in memory, before its
first byte is sent, because an open stream that breaks publishes what it has when it is closed.
"""

import errno
import io
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

import pyarrow as pa
from pyarrow import fs

from cluster_tts import scratch
from cluster_tts.storage.folder import Entry
from cluster_tts.storage.names import inside

CONNECT_S, REQUEST_S = 3.0, 20.0
SDK_ATTEMPTS = 2
PAUSES_S = (0.1, 0.3, 1.0, 2.0, 4.0)  # before our own further attempts
FINAL = frozenset({errno.ENOENT, errno.ENODEV, errno.EACCES})  # what another attempt does not change
T = TypeVar("T")
BLOCK_BYTES = 8 * 2**20
ONE_PUT_BYTES = 5 * 2**20  # what is larger goes in parts, and its size is looked at afterwards
AWS_ERROR = re.compile(r"AWS Error (?P<code>\w+) during \w+ operation: (?P<what>.*?)(?: \(Request ID.*)?$", re.DOTALL)
ADVICE = {
    "ACCESS_DENIED": (errno.EACCES, "access is denied: check the credentials and the bucket's policy"),
    "INVALID_ACCESS_KEY_ID": (errno.EACCES, "the access key is not known there: check AWS_ACCESS_KEY_ID"),
    "SIGNATURE_DOES_NOT_MATCH": (errno.EACCES, "the secret is wrong: check AWS_SECRET_ACCESS_KEY"),
    "NO_SUCH_BUCKET": (errno.ENODEV, "there is no such bucket"),  # ENOENT would mean a file
    "NETWORK_CONNECTION": (errno.EHOSTUNREACH, "it cannot be reached"),
}


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """``Folder`` over ``root`` (``s3://bucket/folder``); ``query`` is what stood behind the ``?`` of the URL."""

    root: str
    query: str = ""

    is_local = False

    def __str__(self) -> str:
        return f"{self.root}?{self.query}" if self.query else self.root

    def __truediv__(self, name: str) -> "BucketFolder":
        return BucketFolder(f"{self.root}/{inside(name, self)}", self.query)

    def absolute(self) -> "BucketFolder":
        return self

    def address(self, name: str) -> str:
        return f"{self.root}/{inside(name, self)}" if name else self.root

    def read(self, name: str) -> bytes:
        def ask(system: fs.FileSystem, path: str) -> bytes:
            with system.open_input_file(path) as file:
                content: bytes = file.read_at(file.size(), 0)
                return content

        return self._do(name, ask)

    def write(self, name: str, content: bytes) -> None:
        self._put(name, pa.py_buffer(content))

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        path = scratch.own() / f"{uuid.uuid4().hex[:12]}-{name.rpartition('/')[2][-80:]}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def publish(self, path: Path, name: str) -> None:
        if path.stat().st_size == 0:  # which cannot be mapped
            self._put(name, pa.py_buffer(b""))
            return
        with pa.memory_map(os.fspath(path)) as mapped:
            self._put(name, mapped.read_buffer())

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with self.new(name) as path:

            def ask(system: fs.FileSystem, there: str) -> None:
                with system.open_input_file(there) as stream, path.open("wb") as file:
                    shutil.copyfileobj(stream, file, BLOCK_BYTES)

            self._do(name, ask)
            yield path

    def open(self, name: str) -> pa.NativeFile:
        return pa.PythonFile(_Ranged(self, name), mode="r")

    def read_at(self, name: str, start: int, size_bytes: int) -> bytes:
        """So many bytes of the file, from ``start`` on."""

        def ask(system: fs.FileSystem, path: str) -> bytes:
            with system.open_input_file(path) as file:
                content: bytes = file.read_at(size_bytes, start)
                return content

        return self._do(name, ask)

    def size(self, name: str) -> int | None:
        found: fs.FileInfo = self._do(name, lambda system, path: system.get_file_info([path])[0])
        return found.size if found.is_file else None

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._do(name, lambda system, path: system.delete_file(path))

    def files(self, below: str = "") -> Iterator[Entry]:
        def ask(system: fs.FileSystem, path: str) -> tuple[str, list[fs.FileInfo]]:
            found: list[fs.FileInfo] = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
            if not found and not system.get_file_info([path.partition("/")[0]])[0].type:
                raise OSError(*ADVICE["NO_SUCH_BUCKET"], self.address(below))
            return path.removesuffix(f"/{below}") if below else path, found

        top, found = self._do(below, ask)
        for each in found:
            name = each.path.removeprefix(f"{top}/")
            if each.is_file and not name.startswith(".") and "/." not in name:
                modified = each.mtime_ns / 1e9 if each.mtime_ns is not None else 0.0
                yield Entry(name, each.size, modified)

    def make(self) -> None:
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"can this be written, read and removed?")
        self.read(probe)
        self.remove(probe)

    def sweep(self, older_than_s: float) -> None:
        """Nothing is ever half written there."""

    def _put(self, name: str, content: pa.Buffer) -> None:
        """One PUT, or the parts of one upload: never more than one ``write``, so that nothing of ours can break it."""

        def ask(system: fs.FileSystem, path: str) -> None:
            stream = system.open_output_stream(path)
            try:
                stream.write(content)
            finally:
                stream.close()  # raises where a part was not taken, and then publishes nothing

        self._do(name, ask, at_once=content.size <= ONE_PUT_BYTES)
        if content.size > ONE_PUT_BYTES and (there := self.size(name)) != content.size:
            self.remove(name)
            raise OSError(errno.EIO, f"{there} bytes arrived of {content.size}", self.address(name))

    def _do(self, name: str, ask: Callable[[fs.FileSystem, str], T], at_once: bool = True) -> T:
        """What ``ask`` gives for the file system and the path in it, tried again where that may help."""
        return _again(lambda: self._once(name, ask, at_once), PAUSES_S)

    def _once(self, name: str, ask: Callable[[fs.FileSystem, str], T], at_once: bool) -> T:
        """The same, once. What it raises has a number, one line, and the file's URL."""
        try:
            system, top = self._system(at_once)
            return ask(system, f"{top}/{inside(name, self)}" if name else top)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "it is not there", self.address(name)) from None
        except (OSError, pa.ArrowInvalid) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise OSError(*_in_short(str(error)), self.address(name)) from None

    def _system(self, at_once: bool = True) -> tuple[fs.FileSystem, str]:
        scheme, _, path = self.root.partition("://")
        if scheme.lower() != "s3":
            system, path = _opened(str(self))
            return system, path
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        return _s3(os.getpid(), at_once, path.partition("/")[0], self.query, endpoint, region), path


class _Ranged(io.RawIOBase):
    """A file that is read here and there. Each time is a request of its own, which can be made again."""

    def __init__(self, folder: BucketFolder, name: str) -> None:
        size_bytes = folder.size(name)
        if size_bytes is None:
            raise FileNotFoundError(errno.ENOENT, "it is not there", folder.address(name))
        self._folder = folder
        self._name = name
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size_bytes - self._position)
        wanted = left if size < 0 else min(size, left)
        content = self._folder.read_at(self._name, self._position, wanted) if wanted else b""
        self._position += len(content)
        return content


@cache
def _opened(url: str) -> tuple[fs.FileSystem, str]:
    system, path = fs.FileSystem.from_uri(url)
    return system, path


@cache
def _s3(pid: int, at_once: bool, bucket: str, query: str, endpoint: str, region: str) -> fs.S3FileSystem:
    """One for each process, as what a fork inherits would send on its parent's connections; and one for bodies that are
    sent ``at_once``, by one PUT. It must not be given a larger one: where the upload in parts cannot be begun, closing
    the stream, or forgetting it, would put an empty object there."""
    options = dict(parse_qsl(query))
    scheme, _, host = endpoint.rpartition("://")
    endpoint = options.get("endpoint_override") or host.rstrip("/")
    # Where nobody says, Amazon can be asked where a bucket of its own is; any other server takes any region.
    region = options.get("region") or region or ("us-east-1" if endpoint else fs.resolve_s3_region(bucket))
    return fs.S3FileSystem(
        endpoint_override=endpoint or None,
        scheme=options.get("scheme") or scheme or "https",
        region=region,
        connect_timeout=CONNECT_S,
        request_timeout=REQUEST_S,
        allow_delayed_open=at_once,
        retry_strategy=fs.AwsDefaultS3RetryStrategy(max_attempts=SDK_ATTEMPTS),
    )


def _again(ask: Callable[[], T], pauses_s: Sequence[float], sleep: Callable[[float], None] = time.sleep) -> T:
    """What ``ask`` gives, asked again a few times: throttling, server errors, broken connections.

    The SDK's own attempts are not enough. Its standard strategy has an allowance for them that a steady 5 % of failures
    uses up within minutes, after which it makes none; and a refusal whose page is longer than the range that was asked
    for does not fit Arrow's buffer and counts as an error that needs no second attempt.
    """
    for pause_s in pauses_s:
        try:
            return ask()
        except OSError as error:
            if error.errno in FINAL:
                raise
        sleep(pause_s)
    return ask()


def _in_short(message: str) -> tuple[int, str]:
    """An error number, and Arrow's words without the chain of functions they came through."""
    if found := AWS_ERROR.search(message):
        number, advice = ADVICE.get(found["code"], (errno.EIO, ""))
        return number, " ".join(f"{advice or found['code']}: {found['what']}".split())[:300]
    return errno.EIO, " ".join(message.split())[:300]
