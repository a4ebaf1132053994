"""The verbs: all that this program ever asks of storage."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # it takes time and memory that a worker with a disk can do without
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is there: its name below the folder that was asked, its size, when it was last written (epoch)."""

    name: str
    size_bytes: int
    modified: float


class Folder(Protocol):
    """Files by names relative to it, with ``/`` between the parts (``plan/part-0.parquet``).

    Promise: whoever reads a name sees a whole file, the old one or the new, never half of one. It can be pickled, and
    means the same to every process once it is ``absolute``. Its text is what a person would call it.

    All but ``size``, ``remove``, ``files`` and ``new`` raise ``FileNotFoundError`` where the name is not there, and
    every verb raises ``OSError`` for what storage refuses, after it has been tried again where that makes sense.
    """

    @property
    def is_local(self) -> bool:
        """Whether it answers in microseconds, so that an event loop may ask it."""

    def __truediv__(self, name: str) -> "Folder":
        """The folder of that name below it."""

    def absolute(self) -> "Folder":
        """The same for every process, wherever it was started."""

    def address(self, name: str) -> str:
        """What a person would call the file: its path or its URL."""

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, content: bytes) -> None:
        """Put ``content`` there in one piece, in place of what was."""

    def new(self, name: str) -> AbstractContextManager[Path]:
        """A local path to write to what may become ``name``; what is left there at the end is removed."""

    def publish(self, path: Path, name: str) -> None:
        """Give the whole local file that ``new`` led to its name; the path may be gone afterwards."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file as a local path, to be read as long as the block lasts."""

    def open(self, name: str) -> "pa.NativeFile":
        """The file for Arrow to read here and there in it; the caller closes it."""

    def size(self, name: str) -> int | None:
        """Its size in bytes; None where it is not there."""

    def remove(self, name: str) -> None:
        """Remove the file; nothing happens where it is not there."""

    def files(self, below: str = "") -> Iterator[Entry]:
        """Every file at any depth of the folder ``below``, in no order; none where that is not there.

        Names are relative to this folder, not to ``below``. Hidden ones, such as those that are being written, are left
        out.
        """

    def make(self) -> None:
        """Make the folder where there is such a thing, and find out whether it can be written to."""

    def sweep(self, older_than_s: float) -> None:
        """Remove, at any depth, what writers that have died left half written; where that cannot be told, what nobody
        has written to for so long."""
