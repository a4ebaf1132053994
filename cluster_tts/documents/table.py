"""Tables of texts: a row is a paragraph, or several, with an id, a voice, a speaker and a time of its own."""

import logging
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cluster_tts.documents.columns import Columns, match
from cluster_tts.documents.reading import Reading
from cluster_tts.documents.tables import Table, load, values
from cluster_tts.documents.text import LONGEST_PARAGRAPH, SPEAKABLE, endless, unwrap
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.model import Document, Paragraph, Role, Slot

BLANK_LINES = re.compile(r"\n\s*\n")
CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)", re.ASCII)

log = logging.getLogger(__name__)


def parts(path: Path, reading: Reading) -> list[str]:
    """The documents that the table is, by their names in it in order of first appearance; none if it is just one."""
    table = load(path)
    column = match(table, reading.columns, path).get("document")
    return list(table.rows_by(column)) if column else []


def paragraphs(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    """The texts in the rows of ``document``, in the order of the table; rows without words are left out.

    Raises:
        JobError: a column that is asked for is not there, or one time stands beside several texts.
        DocumentError: no texts, a time that is none, or the same id in two rows.
    """
    table = load(path)
    columns = match(table, reading.columns, path)
    if len(columns.texts) > 1 and reading.times and columns.get("start"):
        raise JobError(
            f"'{path}' has several texts a row and one time for them: choose one in reading.columns.text, or set "
            "timeline.fit=none"
        )
    return _spoken(_rows(table, columns, document.part), columns, path, reading)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row by our names of columns, and what people call it."""

    number: int
    texts: Sequence[str]
    cells: dict[str, str]

    def get(self, ours: str) -> str:
        return " ".join(self.cells.get(ours, "").split())


def _rows(table: Table, columns: Columns, part: str | None) -> Iterator[_Row]:
    document = columns.get("document")
    whole = document is None or part is None
    taken: Sequence[int] = range(table.rows) if whole else table.rows_by(document or "").get(part or "", ())
    theirs = [*columns.texts, *columns.by_ours.values()]
    rows = pa.array([] if whole else taken, pa.int64())
    found = [values(each if whole else each.take(rows)) for each in map(table.columns.__getitem__, theirs)]
    for index, *cells in zip(taken, *found, strict=True):
        texts, others = cells[: len(columns.texts)], cells[len(columns.texts) :]
        yield _Row(index + table.first_row, texts, dict(zip(columns.by_ours, others, strict=True)))


def _spoken(rows: Iterator[_Row], columns: Columns, path: Path, reading: Reading) -> Iterator[Paragraph]:
    items = _Items(path)
    empty = 0
    for row in rows:
        slot = _slot(row, path) if reading.times else None
        silent = True
        for column, cell in zip(columns.texts, row.texts, strict=True):
            if not SPEAKABLE.search(cell):
                continue
            if len(cell) > LONGEST_PARAGRAPH:
                raise endless(path, f"cell in row {row.number}")
            silent = False
            role = Role(
                speaker=row.get("speaker") or None,
                voice=row.get("voice") or None,
                item=items.of(row, column if len(columns.texts) > 1 else "", "item" in columns.by_ours),
                cues=(slot,) if slot else (),
            )
            for text in [cell] if slot else BLANK_LINES.split("\n".join(cell.splitlines())):
                if SPEAKABLE.search(text):
                    yield Paragraph(unwrap(text.splitlines()), role)
        empty += silent and any((*row.texts, *row.cells.values()))
    if empty:
        log.warning("'%s': %d rows were left out, which have no words", path, empty)


class _Items:
    """Ids of a document's items, as they are written and each in one row only. Names of files are made of them where
    files are made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, int] = {}

    def of(self, row: _Row, column: str, has_ids: bool) -> str | None:
        """The id of what ``row`` has in ``column``, which is named where there are several."""
        own = row.get("item") or ("" if has_ids or not column else str(row.number))
        if not own:
            return None
        item = f"{own}-{column}" if column else own
        other = self._rows.setdefault(item, row.number)
        if other != row.number:
            raise DocumentError(
                f"'{self._path}', rows {other} and {row.number}: both are item '{item[:80]}'; give each its own id"
            )
        return item


def _slot(row: _Row, path: Path) -> Slot | None:
    start, end = row.get("start"), row.get("end")
    if not start:
        if end:
            raise DocumentError(f"'{path}', row {row.number}: an end ('{end[:40]}') without a start")
        return None
    start_s = _seconds(start, row, path)
    return Slot(start_s, max(start_s, _seconds(end, row, path)) if end else start_s)


def _seconds(cell: str, row: _Row, path: Path) -> float:
    clock = CLOCK.fullmatch(cell)
    try:
        if clock:
            hours, minutes, seconds = clock.groups()
            value = round(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", ".")), 6)
        else:
            value = float(cell.replace(",", "."))
    except (ValueError, OverflowError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DocumentError(f"'{path}', row {row.number}: '{cell[:40]}' is no time; write seconds or [H:]MM:SS[.mmm]")
    return value
