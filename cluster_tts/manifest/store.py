"""The manifest of one OUT: outcomes, documents and plans."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from cluster_tts.damage import ASIDE, Damage
from cluster_tts.errors import DamagedFile
from cluster_tts.manifest.parts import Parts, opened, written
from cluster_tts.manifest.plans import PlanLocation, PlanWriter, newest_plans
from cluster_tts.manifest.schemas import DOCUMENTS, OUTCOMES, PLAN
from cluster_tts.model import Outcome, Sound, Status
from cluster_tts.storage import Folder

NEWEST = "documents.parquet"
OF_A_TERM = re.compile(r"documents-(\d+)\.parquet")
MOST_LOOKS = 5  # at a manifest whose parts are merged by another run while they are read
T = TypeVar("T")


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
    video_source: str | None = None
    video: str | None = None
    video_size_bytes: int | None = None
    plan_key: str | None = None
    plan_digest: str | None = None
    join_key: str | None = None
    generation: int = 0


class Manifest:
    """Reads and writes ``OUT/manifest``; ``run_id`` marks the rows that this run adds.

    ``term`` grows with every run that has owned OUT. What is rewritten carries it in its name, and the highest counts:
    a late write of a run that has lost OUT harms nothing. With ``mends`` damaged files are set aside, for the owner.
    """

    def __init__(self, folder: Folder, run_id: str = "", term: int = 0, mends: bool = False) -> None:
        self.folder = folder
        self.run_id = run_id
        self.term = term
        self.damage = Damage(mends)
        self._waiting: list[Outcome] = []
        self._parts = 0
        self._alone = False  # whether the documents of older terms are gone
        self._outcomes = Parts(
            folder / "outcomes", OUTCOMES, self.damage, "clips are looked at again, those that are there are not paid"
        )
        self._plans = Parts(
            folder / "plan", PLAN, self.damage, "its documents are cut again from their sources, as they were before"
        )

    @property
    def exists(self) -> bool:
        """Whether a run has written here; a local folder that cannot even be looked at holds none.

        Raises:
            OSError: storage elsewhere cannot be reached, so that nobody knows.
        """
        try:
            return bool(self._document_files())
        except OSError:
            if self.folder.is_local:
                return False
            raise

    def newest_term(self) -> int:
        """The highest term of any run that has written documents here; 0 where none has."""
        return max((_term(name) for name in self._document_files()), default=0)

    def plan_writer(self) -> PlanWriter:
        return PlanWriter(self.folder / "plan", self.run_id)

    def plans(self) -> dict[str, PlanLocation]:
        """Where the newest plan of every document stands, told from the parts' footers."""
        return newest_plans(self._plans)

    def documents(self) -> dict[str, DocumentRow]:
        """All documents this OUT has ever met, by name, as the newest file tells that is whole."""
        for name in self._document_files():
            try:
                with opened(self.folder, name, DOCUMENTS) as file:
                    rows = file.read().to_pylist()
            except DamagedFile as error:
                with suppress(FileNotFoundError):
                    follows = "an older file of the same is used, or else documents are joined again from their clips"
                    self.damage.found(self.folder, name, error.reason, follows)
                continue
            return {row["document"]: DocumentRow(**row) for row in rows}
        return {}

    def write_documents(self, rows: Iterable[DocumentRow]) -> None:
        """Replace the documents of this term, then ``documents.parquet``, which is the same for people to open."""
        own = f"documents-{self.term:06}.parquet"
        rows = list(rows)
        columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in DOCUMENTS]
        table = pa.Table.from_arrays(columns, schema=DOCUMENTS)
        with written(self.folder, own, DOCUMENTS) as writer:
            writer.write_table(table)
        self.folder.write(NEWEST, self.folder.read(own))
        if not self._alone:
            for name in self._document_files():
                if name != NEWEST and _term(name) < self.term:
                    self.folder.remove(name)
            self._alone = True

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Remember outcomes for the next ``flush``."""
        self._waiting.extend(outcomes)

    def flush(self, still_ours: Callable[[], object] = lambda: None) -> None:
        """Write what was added as a new part, and merge parts where there are many, if ``still_ours`` does not raise
        because another run has taken over."""
        if self._waiting:
            still_ours()
            table = pa.Table.from_pylist([self._row(outcome) for outcome in self._waiting], schema=OUTCOMES)
            self._parts += 1
            suffix = f"{self.run_id}-{self._parts:06}"
            self._outcomes.add(table, f"part-0-{suffix}.parquet")
            self._waiting.clear()
            self._outcomes.merge(suffix, still_ours)

    def steadily(self, read: Callable[[], T]) -> T:
        """What ``read`` gives. It is called again where another run merged away what it was about to read."""
        for _ in range(MOST_LOOKS - 1):
            with suppress(FileNotFoundError):
                return read()
        return read()

    def outcomes(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every row of every run, batch by batch. Damaged parts are told of and left out."""
        yield from self._outcomes.batches(columns)

    def lost_outcomes(self) -> list[str]:
        """Where the damaged parts are whose rows ``outcomes`` has left out, now or in an earlier run."""
        folder = self._outcomes.folder
        aside = [entry.name for entry in folder.files() if entry.name.startswith(ASIDE)]
        here = [] if self.damage.mends else self._outcomes.left_out
        return [folder.address(name) for name in sorted({*aside, *here})]

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

    def made(self) -> set[str]:
        """The ids of all clips that were ever spoken or found."""
        made: set[str] = set()
        values = pa.array([str(Status.SPOKEN), str(Status.FOUND)])
        for batch in self.outcomes(["clip_id", "status"]):
            made.update(batch.column("clip_id").filter(pc.is_in(batch.column("status"), value_set=values)).to_pylist())
        return made

    def _document_files(self) -> list[str]:
        """The files of documents, the one that counts first: by term, then what people open."""
        names = [entry.name for entry in self.folder.files() if OF_A_TERM.fullmatch(entry.name) or entry.name == NEWEST]
        return sorted(names, key=lambda name: (name != NEWEST, _term(name)), reverse=True)

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


def _term(name: str) -> int:
    match = OF_A_TERM.fullmatch(name)
    return int(match[1]) if match else 0


def last_words(batch: pa.RecordBatch, failed: Collection[str]) -> Iterator[Outcome]:
    """Those rows, in order, that decide which clips are given up: failures, and how clips that had failed ended since.

    ``failed`` are the clip ids that earlier batches leave given up. Most batches have no such row, and cost nothing.
    """
    status, clip_id = batch.column("status"), batch.column("clip_id")
    given_up = pa.array([*failed, *clip_id.filter(pc.equal(status, Status.FAILED)).to_pylist()], pa.string())
    if len(given_up):
        decides = pc.and_(pc.not_equal(status, Status.RETRIED), pc.is_in(clip_id, value_set=given_up))
        for row in batch.filter(decides).to_pylist():
            yield _outcome(row)


def _outcome(row: dict[str, Any]) -> Outcome:
    del row["run_id"]
    measured = [row.pop(name) for name in ("frames", "rate", "size_bytes", "sha256")]
    row["sound"] = None if measured[0] is None else Sound(*measured)
    row["status"] = Status(row["status"])
    for name in ("started_at", "finished_at"):
        row[name] = row[name].timestamp()
    return Outcome(**row)
