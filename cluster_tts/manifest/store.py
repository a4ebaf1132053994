"""The manifest of one OUT: outcomes, documents and plans."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster_tts.manifest.parts import merge, opened, standing, write
from cluster_tts.manifest.plans import PlanLocation, PlanWriter, newest_plans
from cluster_tts.manifest.schemas import DOCUMENTS, OUTCOMES
from cluster_tts.model import Outcome, Sound, Status


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


class Manifest:
    """Reads and writes ``OUT/manifest``; ``run_id`` marks the rows that this run adds."""

    def __init__(self, folder: Path, run_id: str = "") -> None:
        self.folder = folder
        self.run_id = run_id
        self._waiting: list[Outcome] = []
        self._parts = 0

    @property
    def exists(self) -> bool:
        """Whether a run has written here; a path that cannot even be looked at holds none."""
        try:
            return (self.folder / "documents.parquet").is_file()
        except OSError:
            return False

    def plan_writer(self) -> PlanWriter:
        return PlanWriter(self.folder / "plan", self.run_id)

    def plans(self) -> dict[str, PlanLocation]:
        """Where the newest plan of every document stands, told from the parts' footers alone."""
        return newest_plans(self.folder / "plan")

    def documents(self) -> dict[str, DocumentRow]:
        """All documents this OUT has ever met, by name."""
        path = self.folder / "documents.parquet"
        if not path.is_file():
            return {}
        with opened(path, DOCUMENTS) as file:
            rows = file.read().to_pylist()
        return {row["document"]: DocumentRow(**row) for row in rows}

    def write_documents(self, rows: Iterable[DocumentRow]) -> None:
        """Replace ``documents.parquet``."""
        table = pa.Table.from_pylist([asdict(row) for row in rows], schema=DOCUMENTS)
        write(table, self.folder / "documents.parquet")

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Remember outcomes for the next ``flush``."""
        self._waiting.extend(outcomes)

    def flush(self) -> None:
        """Write what was added as a new part, and merge parts where there are many."""
        if self._waiting:
            table = pa.Table.from_pylist([self._row(outcome) for outcome in self._waiting], schema=OUTCOMES)
            self._parts += 1
            folder = self.folder / "outcomes"
            write(table, folder / f"part-0-{self.run_id}-{self._parts:06}.parquet")
            self._waiting.clear()
            merge(folder, OUTCOMES, f"{self.run_id}-{self._parts:06}")

    def outcomes(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every row of every run, batch by batch."""
        for path in standing(self.folder / "outcomes"):
            with opened(path, OUTCOMES) as file:
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


def _outcome(row: dict[str, Any]) -> Outcome:
    del row["run_id"]
    measured = [row.pop(name) for name in ("frames", "rate", "size_bytes", "sha256")]
    row["sound"] = None if measured[0] is None else Sound(*measured)
    row["status"] = Status(row["status"])
    for name in ("started_at", "finished_at"):
        row[name] = row[name].timestamp()
    return Outcome(**row)
