"""A folder on a disk of this machine, or one that is mounted like it."""

import os
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_tts.limiter.liveness import Process, has_died
from cluster_tts.storage.folder import Entry
from cluster_tts.storage.names import inside

if TYPE_CHECKING:
    import pyarrow as pa

PART = ".part"  # ends the hidden names of what is being written


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """``Folder`` over a path. What is written stands beside its place first, and is then renamed into it."""

    path: Path

    is_local = True

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> "LocalFolder":
        return LocalFolder(self._at(name))

    def _at(self, name: str) -> Path:
        return self.path / inside(name, self.path)

    def absolute(self) -> "LocalFolder":
        return LocalFolder(self.path.absolute())

    def address(self, name: str) -> str:
        return str(self._at(name))

    def read(self, name: str) -> bytes:
        return self._at(name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        with self.new(name) as path:
            path.write_bytes(content)
            self.publish(path, name)

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        final = self._at(name)
        final.parent.mkdir(parents=True, exist_ok=True)
        path = final.with_name(f".{final.name}.{_writer(os.getpid())}.{uuid.uuid4().hex[:8]}{PART}")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def publish(self, path: Path, name: str) -> None:
        path.replace(self._at(name))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self._at(name)

    def open(self, name: str) -> "pa.NativeFile":
        import pyarrow as pa

        return pa.OSFile(os.fspath(self._at(name)))

    def size(self, name: str) -> int | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = self._at(name).stat()
            return None if stat.S_ISDIR(status.st_mode) else status.st_size
        return None

    def remove(self, name: str) -> None:
        self._at(name).unlink(missing_ok=True)

    def files(self, below: str = "") -> Iterator[Entry]:
        for entry, name in _walk(self._at(below), f"{below}/" if below else ""):
            if not name.startswith(".") and "/." not in name:
                with suppress(FileNotFoundError):  # another run may remove it meanwhile
                    status = entry.stat()
                    yield Entry(name, status.st_size, status.st_mtime)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path):
            pass

    def sweep(self, older_than_s: float) -> None:
        before = time.time() - older_than_s
        for entry, _ in _walk(self.path, ""):
            if entry.name.startswith(".") and entry.name.endswith(PART):
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime <= before or _has_died(entry.name):
                        Path(entry.path).unlink(missing_ok=True)


@cache
def _writer(pid: int) -> str:
    """This process as the name of a file can hold it."""
    here = Process.here()
    return f"{here.machine}-{pid}-{here.start}"


def _has_died(name: str) -> bool:
    """Whether the writer of a hidden file is known to have died."""
    machine, _, process = (name.split(".")[-3:] or [""])[0].partition("-")
    pid, _, start = process.partition("-")
    return has_died(pid, machine, start)


def _walk(folder: str | Path, prefix: str) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Every file below ``folder`` with its name from there. Links to folders are followed: they are the user's own."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield entry, prefix + entry.name
