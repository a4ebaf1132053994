"""Tables as they are on disk, CSV, JSON lines and Parquet: columns of texts, held in Arrow's memory.

The last one is kept until it is forgotten, so that a table of a thousand documents is read once, not a thousand times.
"""

import csv
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster_tts.documents.text import DROPPED, LONGEST_PARAGRAPH, encoding_of
from cluster_tts.errors import DocumentError

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
MOST_BYTES = 500_000_000
MOST_UNPACKED_BYTES = 4_000_000_000
MOST_ROWS = 20_000_000
MOST_COLUMNS = 2_000
DELIMITERS = ",;\t|"
HEAD_BYTES = 1_000_000  # of a CSV file, to hold its first line
ROWS_AT_ONCE = 10_000

csv.field_size_limit(LONGEST_PARAGRAPH)  # its own is 131,072 characters, less than a chapter


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, each with a text or nothing for every row. ``nested`` are those with something else in them, and
    where. ``first_row`` is what people call the first row: in a spreadsheet the second."""

    columns: dict[str, pa.Array]
    rows: int
    first_row: int = 1
    nested: dict[str, int] = field(default_factory=dict)
    parts: "dict[str, dict[str, array[int]]]" = field(default_factory=dict)

    def rows_by(self, column: str) -> "dict[str, array[int]]":
        """The rows that have each value of ``column``, by values in order of first appearance."""
        if column not in self.parts:
            parts: dict[str, array[int]] = {}
            for row, value in enumerate(values(self.columns[column])):
                parts.setdefault(value.strip(), array("Q")).append(row)
            self.parts[column] = parts
        return self.parts[column]


class _Last:
    key: object = None
    table: Table | None = None


def load(path: Path) -> Table:
    """The table at ``path``.

    Raises:
        DocumentError: it is damaged, too large, or no table.
    """
    status = path.stat()
    if status.st_size > MOST_BYTES:
        raise DocumentError(f"'{path}' is larger than {MOST_BYTES:,} bytes, which are the most for a table: split it")
    key = path.absolute(), status.st_size, status.st_mtime_ns, status.st_ino
    if _Last.table is None or _Last.key != key:
        _Last.table = None  # before the next one is read: two are not held at once
        _Last.key, _Last.table = key, READERS[path.suffix.lower()](path)
    return _Last.table


def outline(path: Path) -> Table:
    """The columns of the table at ``path`` without rows, as its beginning tells of them: it may be large or damaged.

    Raises:
        DocumentError: they cannot be told.
    """
    return Table({name: _joined([]) for name in HEADS[path.suffix.lower()](path)}, 0)


def forget() -> None:
    """Let go of the last table."""
    _Last.key = _Last.table = None


def values(column: pa.Array) -> Iterator[str]:
    """The texts of ``column``, empty where it has none."""
    for start in range(0, len(column), ROWS_AT_ONCE):
        yield from (value or "" for value in column.slice(start, ROWS_AT_ONCE).to_pylist())


def _csv(path: Path) -> Table:
    encoding = encoding_of(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            delimiter = _delimiter(file.read(HEAD_BYTES))
            file.seek(0)
            rows = _records(file, delimiter, path)
            header = _header(rows, path)
            if double := next((name for name in header if name and header.count(name) > 1), None):
                raise DocumentError(f"'{path}' has two columns '{double}': rename one")
            return _of_rows(header, _checked(rows, len(header), path), first_row=2)
    except UnicodeDecodeError as error:
        raise DocumentError(f"'{path}' is not {encoding} to its end ({error.reason}): save it as UTF-8") from None


def _csv_head(path: Path) -> list[str]:
    with path.open(encoding=encoding_of(path), newline="", errors="replace") as file:
        head = file.read(HEAD_BYTES)
    return _header(_records(StringIO(head, newline=""), _delimiter(head), path), path)


def _header(rows: Iterator[list[str]], path: Path) -> list[str]:
    header = [DROPPED.sub("", name).strip() for name in next(rows, [])]
    if not any(header) or len(header) > MOST_COLUMNS:
        raise DocumentError(f"'{path}' has no names of columns in its first line: write them there")
    return header


def _records(file: Iterable[str], delimiter: str, path: Path) -> Iterator[list[str]]:
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        yield from rows
    except csv.Error as error:
        raise DocumentError(
            f"'{path}' cannot be read as CSV at line {rows.line_num} ({error}): look whether a quote is missing"
        ) from None


def _delimiter(head: str) -> str:
    """Of those that are common the one that gives the first line the most columns."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([first], delimiter=delimiter), [])))


def _checked(rows: Iterable[list[str]], columns: int, path: Path) -> Iterator[list[str | None]]:
    for number, row in enumerate(rows, 2):
        if len(row) > columns and any(row[columns:]):
            raise DocumentError(
                f"'{path}', row {number}: {len(row)} cells under {columns} columns; put texts with delimiters in quotes"
            )
        yield [*row[:columns], *[None] * (columns - len(row))]


def _json_lines(path: Path) -> Table:
    encoding = encoding_of(path)
    names: dict[str, None] = {}
    nested: dict[str, int] = {}

    def objects() -> Iterator[dict[str, str | None]]:
        with path.open(encoding=encoding) as file:
            number = 0
            while line := file.readline(LONGEST_PARAGRAPH + 1):
                number += 1
                if len(line) > LONGEST_PARAGRAPH:
                    raise DocumentError(f"'{path}' has more than {LONGEST_PARAGRAPH:,} characters in line {number}")
                row = _object(line, path, number) if line.strip() else {}
                for name, value in row.items():
                    names.setdefault(name)
                    if isinstance(value, dict | list):
                        nested.setdefault(name, number)
                if len(names) > MOST_COLUMNS:
                    raise DocumentError(f"'{path}' has more than {MOST_COLUMNS:,} names up to line {number}")
                yield {name: _text(value) for name, value in row.items()}

    try:
        chunks: list[dict[str, pa.Array]] = []
        source, rows = objects(), 0
        while some := list(islice(source, ROWS_AT_ONCE)):
            rows += len(some)
            here = dict.fromkeys(name for row in some for name in row)
            chunks.append({name: pa.array([row.get(name) for row in some], pa.large_string()) for name in here})
            chunks[-1][""] = pa.nulls(len(some), pa.large_string())
    except UnicodeDecodeError as error:
        raise DocumentError(f"'{path}' is not {encoding} to its end ({error.reason}): save it as UTF-8") from None
    columns = {name: _joined([chunk.get(name, chunk[""]) for chunk in chunks]) for name in names}
    return Table(columns, rows, nested=nested)


def _json_lines_head(path: Path) -> list[str]:
    with path.open(encoding=encoding_of(path), errors="replace") as file:
        lines = islice(iter(lambda: file.readline(LONGEST_PARAGRAPH + 1), ""), ROWS_AT_ONCE)
        names: dict[str, None] = {}
        for number, line in enumerate(lines, 1):
            try:
                names.update(dict.fromkeys(_object(line, path, number) if line.strip() else ()))
            except DocumentError:
                if not names:
                    raise
                break
    return list(names)


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply, or a number too long"
        raise DocumentError(f"'{path}' is no JSON in line {number} ({said}): write one object a line") from None
    if not isinstance(value, dict):
        raise DocumentError(f"'{path}' has no object in line {number}: write one a line, {{\"text\": ...}}")
    return {_utf8(name).strip(): each for name, each in value.items()}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return _utf8(str(value))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half a character, as JSON can write it


def _parquet(path: Path) -> Table:
    try:
        file = pq.ParquetFile(path)
        metadata = file.metadata
        size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        if size > MOST_UNPACKED_BYTES or metadata.num_rows > MOST_ROWS:
            raise DocumentError(
                f"'{path}' has {metadata.num_rows:,} rows in {size:,} bytes, which are too many: split it"
            )
        wanted = [each.name for each in file.schema_arrow if _is_plain(each.type)]
        nested = {each.name: 1 for each in file.schema_arrow if not _is_plain(each.type)}
        table = file.read(columns=wanted)
        columns = {name.strip(): _joined(_texts(table.column(name)).chunks) for name in table.column_names}
        for column in columns.values():
            column.validate(full=True)  # whether it is UTF-8
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DocumentError(f"'{path}' cannot be read as Parquet: {_in_short(error)}; write it again") from None
    return Table(columns | {name: _joined([]) for name in nested}, metadata.num_rows, nested=nested)


def _parquet_head(path: Path) -> list[str]:
    try:
        return [name.strip() for name in pq.read_schema(path).names]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DocumentError(f"'{path}' cannot be read as Parquet: {_in_short(error)}; write it again") from None


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    return pc.cast(column, pa.large_string())


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    numbers = pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    numbers = numbers or pa.types.is_decimal(kind)
    return bool(texts or numbers or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _of_rows(header: Sequence[str], rows: Iterator[list[str | None]], first_row: int) -> Table:
    chunks: list[list[pa.Array]] = [[] for _ in header]
    count = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        count += len(some)
        for index, column in enumerate(zip(*some, strict=True)):
            chunks[index].append(pa.array(column, pa.large_string()))
    return Table({name: _joined(each) for name, each in zip(header, chunks, strict=True) if name}, count, first_row)


def _joined(chunks: Sequence[pa.Array]) -> pa.Array:
    """In one piece, since taking rows of several would put them together each time."""
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())


READERS = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
HEADS = {".csv": _csv_head, ".jsonl": _json_lines_head, ".ndjson": _json_lines_head, ".parquet": _parquet_head}
