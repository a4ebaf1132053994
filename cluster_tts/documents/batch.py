"""Tables of jobs: each row is a document by itself, read from a file of its own."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath

from cluster_tts import storage
from cluster_tts.documents import tables, urls
from cluster_tts.documents.columns import Columns, match
from cluster_tts.documents.names import Found, alike, safe
from cluster_tts.documents.readers import READABLE, READERS
from cluster_tts.documents.reading import Reading
from cluster_tts.documents.tables import Table, values
from cluster_tts.errors import JobError

MOST_TRIED = 100  # rows of a table that was come upon, to tell whether it is one of jobs

log = logging.getLogger(__name__)

Expand = Callable[[Found], list[Found]]
"""What a file that a row names is: itself, or the documents in it."""


def jobs(path: Path, table: Found, reading: Reading, expand: Expand) -> list[Found] | None:
    """The documents that the rows of ``table``, which is at ``path``, ask for; None if it is no table of jobs.

    What a row names is looked for from the folder that the table is in. Where a table was come upon and nothing that it
    names is there, it asks for none: other data has sources too.

    Raises:
        JobError: a row names what is not there.
    """
    read = tables.load(path)
    columns = match(read, reading.columns, path)
    if not columns.of_jobs:
        return None
    if table.row:
        raise JobError(f"'{table.path}' is a table of jobs itself, which cannot be named in another")
    if table.searched and not any(map(_is_there, islice(_rows(read, columns, table), MOST_TRIED))):
        log.warning("'%s' is left out, for no file that it names as a source is there", table.path)
        return []
    return [each for row in _rows(read, columns, table) for each in _expanded(row, columns, expand)]


def without_twins(found: Sequence[Found]) -> list[Found]:
    """``found`` without the files that were only come upon, and that the row of a table of jobs says how to speak."""
    named = {each.real for each in found if each.row}
    return [each for each in found if each.row or not each.searched or each.real not in named]


def refuse_clashes(found: list[Found]) -> None:
    """Raise ``JobError`` where rows of tables of jobs have one name for two documents, or none for the same one."""
    rows: dict[str, Found] = {}
    unnamed: dict[tuple[str, str | None], Found] = {}
    for each in found:
        if not each.row:
            continue
        if each.name is None:
            other = unnamed.setdefault((each.real, each.part), each)
            what = f"'{each.path}' twice: give each a name, in a column 'name'"
        else:
            other = rows.setdefault(alike(safe(each.name)), each)
            what = f"the name '{each.name}' twice: give each its own"
        if other is not each:
            raise JobError(f"{other.row} and {each.row} have {what}")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row with anything in it, by our names of columns, and what it is called in messages."""

    table: Found
    cells: dict[str, str]
    where: str

    def file(self, ours: str) -> Found:
        """The file that the row names there.

        Raises:
            JobError: it is not there.
        """
        try:
            return _file(self.cells[ours], self.table)
        except JobError as error:
            raise JobError(f"{self.where}: {error}") from None


def _rows(table: Table, columns: Columns, found: Found) -> Iterator[_Row]:
    cells = {ours: values(table.columns[theirs]) for ours, theirs in columns.by_ours.items()}
    for index, row in enumerate(zip(*cells.values(), strict=True), table.first_row):
        job = {ours: cell.strip() for ours, cell in zip(cells, row, strict=True)}
        if any(job.values()):
            yield _Row(found, job, f"'{found.path}', row {index}")


def _is_there(row: _Row) -> bool:
    try:
        return bool(row.cells["source"] and row.file("source"))
    except JobError:
        return False


def _expanded(row: _Row, columns: Columns, expand: Expand) -> list[Found]:
    source = row.cells["source"]
    if not source:
        raise JobError(f"{row.where}: the column '{columns.get('source')}' is empty; name a file there")
    file = row.file("source")
    if file.below.suffix and file.below.suffix.lower() not in READERS:
        raise JobError(f"{row.where}: '{source}' cannot be read: what can be read is {READABLE}")
    job = replace(
        file,
        source=row.table.source,
        name=row.cells.get("name") or None,
        voice=row.cells.get("voice") or None,
        video=_anywhere(row.file("video").path) if row.cells.get("video") else None,
        row=row.where,
    )
    try:
        return expand(job)
    except JobError as error:
        raise JobError(f"{row.where}: {error}") from None


def _file(name: str, table: Found) -> Found:
    """The file that is called ``name`` in ``table``.

    Raises:
        JobError: it is not there.
    """
    try:
        address = _address(name, table.path)
        if isinstance(address, Path):
            if address.is_file():
                real = address.resolve()
                return Found(address, "", address.parent.resolve().name, PurePath(address.name), str(real))
        else:
            there = urls.search(address)
            if there.is_file:
                return Found(address, "", there.files[0].folder, there.files[0].below, address)
    except (OSError, ValueError, RuntimeError):  # a name too long, with a NUL in it, of a home that nobody has
        pass
    raise JobError(f"there is no file '{name[:200]}'; name it as seen from the folder of the table")


def _anywhere(address: Path | str) -> Path | str:
    """The same for a process that was started in another folder."""
    return address.absolute() if isinstance(address, Path) else address


def _address(name: str, table: Path | str) -> Path | str:
    if storage.is_url(name):
        folder = None if name.startswith("s3://") else storage.at(name)
        return folder.path if isinstance(folder, storage.LocalFolder) else name
    return table.parent / Path(name).expanduser() if isinstance(table, Path) else urls.beside(table, name)
