"""Plans: which chunks a document is made of, written and read a row group at a time."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts.errors import DamagedFile
from cluster_tts.manifest.parts import Parts, opened, written
from cluster_tts.manifest.schemas import PLAN
from cluster_tts.model import Chunk
from cluster_tts.storage import Folder

ROW_GROUP = 2_000


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """One row of the plan as the run needs it."""

    index: int
    paragraph: int
    clip_id: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanLocation:
    """Where the plan of one document stands: row groups of one part. Small enough to be sent to whoever joins it."""

    folder: Folder
    name: str
    row_groups: tuple[int, ...]
    generation: int

    def __iter__(self) -> Iterator[PlannedChunk]:
        """The chunks in reading order, a row group in memory at a time.

        Raises:
            DamagedFile: the part has been damaged since ``newest_plans`` looked at it.
        """
        with opened(self.folder, self.name, PLAN, whole=False) as file:
            for group in self.row_groups:
                table = file.read_row_group(group, columns=["chunk_index", "paragraph", "clip_id", "text"])
                yield from map(PlannedChunk, *(column.to_pylist() for column in table.columns))


class PlanWriter:
    """Writes one plan part, document after document; closing it gives the part its name."""

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._name = f"part-0-{run_id}.parquet"
        self._writing = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._groups = 0
        self._located: dict[str, PlanLocation] = {}

    def write(self, chunks: Iterable[tuple[Chunk, str]], generation: int) -> None:
        """Add the chunks of one document, each with its clip id, in reading order."""
        first, document, rows = self._groups, "", []
        for chunk, clip_id in chunks:
            document = chunk.document
            rows.append(
                (chunk.document, chunk.index, chunk.paragraph, clip_id, chunk.text, None, None, None, generation)
            )
            if len(rows) == ROW_GROUP:
                self._write_group(rows)
                rows = []
        if rows:
            self._write_group(rows)
        groups = tuple(range(first, self._groups))
        self._located[document] = PlanLocation(self._folder, self._name, groups, generation)

    def close(self) -> dict[str, PlanLocation]:
        """Finish the part; where each document written to it stands."""
        self._writing.close()
        return self._located

    def abandon(self, error: BaseException) -> None:
        """Leave nothing behind; ``error`` is why."""
        self._writing.__exit__(type(error), error, error.__traceback__)

    def _write_group(self, rows: list[tuple[Any, ...]]) -> None:
        if self._writer is None:
            self._writer = self._writing.enter_context(written(self._folder, self._name, PLAN))
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), PLAN, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=PLAN))
        self._groups += 1


def newest_plans(parts: Parts) -> dict[str, PlanLocation]:
    """Where the newest plan of every document stands, told from the parts' footers; damaged parts are left out."""
    newest: dict[str, PlanLocation] = {}
    for name in parts.standing():
        try:
            with opened(parts.folder, name, PLAN) as file:
                groups = _groups(file.metadata)
        except DamagedFile as error:
            parts.note(name, error)
            continue
        for (document, generation), numbers in groups.items():
            if document not in newest or generation > newest[document].generation:
                newest[document] = PlanLocation(parts.folder, name, tuple(numbers), generation)
    return newest


def _groups(metadata: pq.FileMetaData) -> dict[tuple[str, int], list[int]]:
    """The row groups of each document in each generation."""
    groups: dict[tuple[str, int], list[int]] = {}
    document, generation = PLAN.get_field_index("document"), PLAN.get_field_index("generation")
    for number in range(metadata.num_row_groups):
        row_group = metadata.row_group(number)
        whose, which = row_group.column(document).statistics, row_group.column(generation).statistics
        if whose is None or which is None:
            raise pa.ArrowInvalid(f"row group {number} does not say whose it is")
        groups.setdefault((whose.min, which.min), []).append(number)
    return groups
