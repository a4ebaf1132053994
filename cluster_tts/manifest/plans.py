"""Plans: which chunks a document is made of, written and read a row group at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts.manifest.parts import opened, standing
from cluster_tts.manifest.schemas import PLAN
from cluster_tts.model import Chunk

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

    path: Path
    row_groups: tuple[int, ...]
    generation: int

    def __iter__(self) -> Iterator[PlannedChunk]:
        """The chunks in reading order, a row group in memory at a time."""
        with opened(self.path, PLAN) as file:
            for group in self.row_groups:
                table = file.read_row_group(group, columns=["chunk_index", "paragraph", "clip_id", "text"])
                yield from map(PlannedChunk, *(column.to_pylist() for column in table.columns))


class PlanWriter:
    """Writes one plan part, document after document; closing it gives the part its name."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._final = folder / f"part-0-{run_id}.parquet"
        self._temporary = self._final.with_name(f".{self._final.name}.tmp")
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
        self._located[document] = PlanLocation(self._final, tuple(range(first, self._groups)), generation)

    def close(self) -> dict[str, PlanLocation]:
        """Finish the part; where each document written to it stands."""
        if self._writer is not None:
            self._writer.close()
            self._temporary.replace(self._final)
        return self._located

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            self._writer.close()
        self._temporary.unlink(missing_ok=True)

    def _write_group(self, rows: list[tuple[Any, ...]]) -> None:
        if self._writer is None:
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary.absolute(), PLAN)
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), PLAN, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=PLAN))
        self._groups += 1


def newest_plans(folder: Path) -> dict[str, PlanLocation]:
    """Where the newest plan of every document stands, told from the parts' footers alone."""
    newest: dict[str, PlanLocation] = {}
    for path in standing(folder):
        with opened(path, PLAN) as file:
            groups: dict[tuple[str, int], list[int]] = {}
            for group in range(file.metadata.num_row_groups):
                row_group = file.metadata.row_group(group)
                document = row_group.column(PLAN.get_field_index("document")).statistics.min
                generation = row_group.column(PLAN.get_field_index("generation")).statistics.min
                groups.setdefault((document, generation), []).append(group)
        for (document, generation), numbers in groups.items():
            if document not in newest or generation > newest[document].generation:
                newest[document] = PlanLocation(path, tuple(numbers), generation)
    return newest
