"""Parquet parts: added whole, never changed, merged as they grow in number.

Every part has a name of its own and is sealed (``sealing``). A damaged one is noticed before its first row is read.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts.damage import Damage, one_line
from cluster_tts.durability import settle_content, settle_name
from cluster_tts.errors import DamagedFile, JobError
from cluster_tts.manifest.schemas import VERSION
from cluster_tts.manifest.sealing import check, seal
from cluster_tts.storage import Folder

MERGE_AT = 32  # so many parts of one level become one of the next
ROW_GROUP = 32_768  # rows of a merged part, at the least as far as there are so many
PART = re.compile(r"part-(\d)-.+\.parquet")
REPLACES = b"cluster_tts.replaces"


@contextmanager
def opened(folder: Folder, name: str, schema: pa.Schema, whole: bool = True) -> Iterator[pq.ParquetFile]:
    """The Parquet file of that name, all of it looked at beforehand; only its footer if not ``whole``.

    Raises:
        DamagedFile: it is not what was written.
        JobError: it is, but by a program with another schema.
        FileNotFoundError: it is not there, or no more.
    """
    where = folder.address(name)
    try:
        with _source(folder, name, whole) as source:
            check(source, whole)
            with pq.ParquetFile(source, page_checksum_verification=True) as file:
                version = (file.schema_arrow.metadata or {}).get(b"cluster_tts.schema_version", b"?").decode()
                if version != VERSION or not file.schema_arrow.equals(schema):
                    raise JobError(
                        f"the manifest part '{where}' follows schema {version}, this program reads {VERSION}; "
                        "use another OUT, or the program that wrote it"
                    )
                yield file
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if getattr(error, "errno", None):  # storage has failed, not the part: Arrow's own errors have no number
            raise
        reason = one_line(error)
        raise DamagedFile(f"the manifest part '{where}' is damaged ({reason}); run again to mend it", reason) from None


@contextmanager
def _source(folder: Folder, name: str, whole: bool) -> Iterator[pa.NativeFile]:
    if whole:  # from a bucket it is fetched once, not piece by piece
        with folder.local(name) as path, pa.OSFile(os.fspath(path)) as source:
            yield source
    else:
        with folder.open(name) as source:
            yield source


@contextmanager
def written(folder: Folder, name: str, schema: pa.Schema, durable: bool = False) -> Iterator[pq.ParquetWriter]:
    """A writer for a new file; it takes its name, whole and sealed, when the block ends without an error.

    With ``durable`` it is on the disk by then, and not only on its way there.
    """
    with folder.new(name) as path:
        with pq.ParquetWriter(os.fspath(path.absolute()), schema, write_page_checksum=True) as writer:
            yield writer
        seal(path)
        if durable:
            settle_content(path)
        folder.publish(path, name)
    if durable:
        settle_name(folder, name)


@dataclass
class Parts:
    """The parts of one schema in one folder.

    One process writes, anybody may read. ``lost`` is what a person is told when one of them is damaged.
    """

    folder: Folder
    schema: pa.Schema
    damage: Damage
    lost: str
    left_out: list[str] = field(default_factory=list, init=False)  # names of those that were found damaged
    _names: list[str] | None = field(default=None, init=False)  # as far as this process knows, who writes

    def standing(self) -> list[str]:
        """Names of the parts that count, in order: not those whose sum is there already."""
        return self._sorted_out()[0]

    def _sorted_out(self) -> tuple[list[str], list[str]]:
        """The parts that count, and those that a kill has left standing beside their sum."""
        names = sorted(
            (entry.name for entry in self.folder.files() if PART.fullmatch(entry.name)),
            key=lambda name: (-level(name), name),
        )
        replaced: set[str] = set()
        damaged: set[str] = set()
        for name in filter(level, names):
            try:
                with opened(self.folder, name, self.schema) as file:
                    replaced.update((file.schema_arrow.metadata or {}).get(REPLACES, b"").decode().splitlines())
            except DamagedFile as error:
                damaged.add(name)
                self.note(name, error)
        standing = [name for name in names if name not in replaced and name not in damaged]
        return standing, [name for name in names if name in replaced]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every row of every part that is whole, batch by batch."""
        yield from self._rows(self.standing(), columns)

    def _rows(self, names: Iterable[str], columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        for name in names:
            try:
                with opened(self.folder, name, self.schema) as file:
                    yield from file.iter_batches(columns=columns)
            except DamagedFile as error:
                self.note(name, error)

    def add(self, table: pa.Table, name: str) -> None:
        """Write ``table`` as a new part of that name; on the disk when this returns, for ``reservations`` forgets."""
        with written(self.folder, name, self.schema, durable=True) as writer:
            writer.write_table(table)
        if self._names is not None:
            self._names.append(name)

    def merge(self, suffix: str, still_ours: Callable[[], object]) -> None:
        """Merge the parts of every level that has many; ``suffix`` makes the name of the sum unique.

        The sum is written first and names what it replaces, so a kill in between counts nothing twice. Two must never
        do so at once: ``still_ours`` raises where this process may not, and is asked before anything is changed.
        """
        if self._names is None:
            self._names, left = self._sorted_out()
            if left:  # once their sum has been merged in its turn, nobody would know that they count no more
                still_ours()
            for name in left:
                self.folder.remove(name)
        levels: dict[int, list[str]] = {}
        for name in self._names:
            levels.setdefault(level(name), []).append(name)
        for number, names in levels.items():
            if len(names) >= MERGE_AT:
                self._sum_up(sorted(names), f"part-{number + 1}-{suffix}.parquet", still_ours)

    def _sum_up(self, names: Sequence[str], sum_name: str, still_ours: Callable[[], object]) -> None:
        still_ours()
        metadata = {**self.schema.metadata, REPLACES: "\n".join(names).encode()}
        with written(self.folder, sum_name, self.schema.with_metadata(metadata), durable=True) as total:
            for rows in _in_groups(self._rows(names)):
                total.write_table(rows.replace_schema_metadata(total.schema.metadata))
            still_ours()
        for name in names:
            self.folder.remove(name)
        self._names = [name for name in self._names or () if name not in names] + [sum_name]

    def note(self, name: str, error: DamagedFile) -> None:
        """A part turned out to be damaged: its rows are lost."""
        with suppress(FileNotFoundError):  # another run may have mended it meanwhile
            self.damage.found(self.folder, name, error.reason, self.lost)
            self.left_out.append(name)


def _in_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows, as many at a time as make a row group: small ones take long to read back."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROW_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def level(name: str) -> int:
    """How often the rows of a part have been merged."""
    match = PART.fullmatch(name)
    return int(match[1]) if match else 0
