"""The run's record: Parquet parts under ``OUT/manifest``, one explicit Arrow schema each.

Parts are added whole (written beside their place, then renamed) and never changed. Small ones are merged as they
grow in number: the sum is written first and names what it replaces, so a kill between the two steps counts nothing
twice. One process writes; anybody may read at any time.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts.errors import JobError
from cluster_tts.model import Chunk, Outcome, Sound, Status

VERSION = "1"
_META = {"cluster_tts.schema_version": VERSION}
REPLACES = b"cluster_tts.replaces"

PLAN = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("paragraph", pa.int32(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("speaker", pa.string()),
        pa.field("slot_start_s", pa.float64()),
        pa.field("slot_end_s", pa.float64()),
        pa.field("generation", pa.int32(), nullable=False),
    ],
    metadata=_META,
)
OUTCOMES = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error_kind", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("request_id", pa.string()),
        pa.field("characters", pa.int32(), nullable=False),
        pa.field("billed_characters", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("gate_wait_s", pa.float64(), nullable=False),
        pa.field("latency_s", pa.float64(), nullable=False),
        pa.field("frames", pa.int64()),
        pa.field("rate", pa.int32()),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("worker", pa.string(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ],
    metadata=_META,
)
DOCUMENTS = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("duration_s", pa.float64()),
        pa.field("chunks", pa.int32(), nullable=False),
        pa.field("missing", pa.int32(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("error", pa.string()),
        pa.field("plan_key", pa.string()),
        pa.field("plan_digest", pa.string()),
        pa.field("join_key", pa.string()),
        pa.field("generation", pa.int32(), nullable=False),
    ],
    metadata=_META,
)

ROW_GROUP = 2_000
MERGE_AT = 32  # so many parts of one level become one of the next
PART = re.compile(r"part-(\d)-.+\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """One document: a row of ``documents.parquet``.

    ``plan_key`` names all that its chunks were cut from, ``plan_digest`` the chunks that came of it, and ``join_key``
    what its audio was joined from: equal keys mean that nothing needs doing again.
    """

    document: str
    source: str
    status: str  # planned | whole | incomplete | unreadable
    duration_s: float | None = None
    chunks: int = 0
    missing: int = 0
    characters: int = 0
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    error: str | None = None
    plan_key: str | None = None
    plan_digest: str | None = None
    join_key: str | None = None
    generation: int = 0


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
        with _open(self.path, PLAN) as file:
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
            self._writer = pq.ParquetWriter(self._temporary, PLAN)
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), PLAN, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=PLAN))
        self._groups += 1


class Manifest:
    """Reads and writes ``OUT/manifest``; ``run_id`` marks the rows that this run adds."""

    def __init__(self, folder: Path, run_id: str = "", now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.run_id = run_id
        self._now = now
        self._waiting: list[Outcome] = []
        self._parts = 0

    @property
    def exists(self) -> bool:
        return (self.folder / "documents.parquet").is_file()

    def plan_writer(self) -> PlanWriter:
        return PlanWriter(self.folder / "plan", self.run_id)

    def plans(self) -> dict[str, PlanLocation]:
        """Where the newest plan of every document stands, told from the parts' footers alone."""
        newest: dict[str, PlanLocation] = {}
        for path in _parts(self.folder / "plan"):
            with _open(path, PLAN) as file:
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

    def documents(self) -> dict[str, DocumentRow]:
        """All documents this OUT has ever met, by name."""
        path = self.folder / "documents.parquet"
        if not path.is_file():
            return {}
        with _open(path, DOCUMENTS) as file:
            rows = file.read().to_pylist()
        return {row["document"]: DocumentRow(**row) for row in rows}

    def write_documents(self, rows: Iterable[DocumentRow]) -> None:
        """Replace ``documents.parquet``."""
        table = pa.Table.from_pylist([asdict(row) for row in rows], schema=DOCUMENTS)
        _write(table, self.folder / "documents.parquet")

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Remember outcomes for the next ``flush``."""
        self._waiting.extend(outcomes)

    def flush(self) -> None:
        """Write what was added as a new part, and merge parts where there are many."""
        if self._waiting:
            table = pa.Table.from_pylist([self._row(outcome) for outcome in self._waiting], schema=OUTCOMES)
            self._parts += 1
            _write(table, self.folder / "outcomes" / f"part-0-{self.run_id}-{self._parts:06}.parquet")
            self._waiting.clear()
            self._merge()

    def outcomes(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every row of every run, batch by batch."""
        for path in _parts(self.folder / "outcomes"):
            with _open(path, OUTCOMES) as file:
                yield from file.iter_batches(columns=columns)

    def read_outcomes(self) -> Iterator[Outcome]:
        """Every attempt of every run, as it was told."""
        for batch in self.outcomes():
            for row in batch.to_pylist():
                yield _outcome(row)

    def sounds(self) -> Iterator[tuple[str, Sound]]:
        """Clip id and measured sound of every clip ever made; of one measured twice the later comes later."""
        for batch in self.outcomes(["clip_id", "status", "frames", "rate", "size_bytes", "sha256"]):
            for clip_id, status, *measured in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if status in (Status.SPOKEN, Status.FOUND):
                    yield clip_id, Sound(*measured)

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        row = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
        sound = row.pop("sound")
        measured = asdict(sound) if sound else {}
        return {
            **row,
            **measured,
            "status": str(outcome.status),
            "run_id": self.run_id,
            "started_at": datetime.fromtimestamp(outcome.started_at, UTC),
            "finished_at": datetime.fromtimestamp(outcome.finished_at, UTC),
        }

    def _merge(self) -> None:
        folder = self.folder / "outcomes"
        # First what a kill left standing beside its sum: once that sum is merged again, nobody would know of it.
        for path in set(folder.glob("part-*.parquet")) - set(_parts(folder)):
            path.unlink(missing_ok=True)
        levels: dict[int, list[Path]] = {}
        for path in _parts(folder):
            levels.setdefault(_level(path), []).append(path)
        for level, paths in levels.items():
            if len(paths) < MERGE_AT:
                continue
            name = f"part-{level + 1}-{self.run_id}-{self._parts:06}.parquet"
            temporary = folder / f".{name}.tmp"
            replaced = "\n".join(path.name for path in paths).encode()
            with pq.ParquetWriter(temporary, OUTCOMES.with_metadata({**OUTCOMES.metadata, REPLACES: replaced})) as sum_:
                for path in paths:
                    with _open(path, OUTCOMES) as file:
                        for batch in file.iter_batches():
                            sum_.write_batch(batch.replace_schema_metadata(sum_.schema.metadata))
            temporary.replace(folder / name)
            for path in paths:
                path.unlink(missing_ok=True)


def _outcome(row: dict[str, Any]) -> Outcome:
    del row["run_id"]
    measured = [row.pop(name) for name in ("frames", "rate", "size_bytes", "sha256")]
    row["sound"] = None if measured[0] is None else Sound(*measured)
    row["status"] = Status(row["status"])
    for name in ("started_at", "finished_at"):
        row[name] = row[name].timestamp()
    return Outcome(**row)


def _level(path: Path) -> int:
    match = PART.fullmatch(path.name)
    return int(match[1]) if match else 0


def _parts(folder: Path) -> list[Path]:
    """The parts in ``folder`` that count: not those whose sum is already there, nor what a kill left half written."""
    paths = sorted(folder.glob("part-*.parquet"), key=lambda path: (-_level(path), path.name))
    replaced: set[str] = set()
    for path in paths:
        if _level(path):
            with suppress(pa.ArrowInvalid, OSError):
                metadata = pq.read_schema(path).metadata or {}
                replaced.update(metadata.get(REPLACES, b"").decode().splitlines())
    return [path for path in paths if path.name not in replaced]


@contextmanager
def _open(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
    """The part at ``path``; ``JobError`` where it is damaged, also if that shows only while it is read."""
    try:
        with pq.ParquetFile(path) as file:
            version = (file.schema_arrow.metadata or {}).get(b"cluster_tts.schema_version", b"?").decode()
            if version != VERSION or not file.schema_arrow.equals(schema):
                raise JobError(
                    f"the manifest part '{path}' follows schema {version}, this program reads {VERSION}; "
                    "use another OUT, or the program that wrote it"
                )
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # the disk has failed, not the part: Arrow's own errors have no number
            raise
        reason = " ".join(str(error).split())
        raise JobError(f"the manifest part '{path}' cannot be read ({reason}): move it away and run again") from None


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)
