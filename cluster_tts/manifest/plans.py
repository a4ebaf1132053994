"""Plans: which chunks a document is made of, written and read a row group at a time."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster_tts.errors import DamagedFile
from cluster_tts.manifest.parts import Parts, opened
from cluster_tts.manifest.schemas import PLAN
from cluster_tts.manifest.sealing import seal
from cluster_tts.model import PLAIN, USUAL, Chunk, Role, Slot, Speech, Turn, with_turns
from cluster_tts.storage import Folder

ROW_GROUP = 2_000
NAMED = ["chunk_index", "paragraph", "clip_id", "text"]
ROLE = ["heading", "speaker", "voice", "item", "slot_start_s", "slot_end_s", "cues"]
SPEECH = ["voice", "speed", "turns"]
GROUPS_A_PART = 256  # a footer of 40,000 takes half a second to read, and each of as many documents reads it

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """One row of the plan as the run needs it."""

    index: int
    paragraph: int
    clip_id: str
    text: str
    role: Role = PLAIN
    speech: Speech = USUAL


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
                yield from _chunks(file, [group])


class PlanReader:
    """Reads the plans of many documents, one after the other: small ones that stand side by side in one go."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int], list[PlannedChunk]] = {}  # by part and row group: what was read last

    def chunks(self, location: PlanLocation) -> Iterator[PlannedChunk]:
        """The chunks of one document in reading order, no more than a full row group in memory.

        Raises:
            DamagedFile: the part has been damaged since ``newest_plans`` looked at it.
        """
        part = location.folder.address(location.name)
        for group in location.row_groups:
            if (part, group) not in self._read:
                self._read = {(part, number): chunks for number, chunks in _read_on(location, group).items()}
            yield from self._read[part, group]


def _read_on(location: PlanLocation, first: int) -> dict[int, list[PlannedChunk]]:
    """The chunks of a row group, and of as many after it as have no more rows together than one may have."""
    with opened(location.folder, location.name, PLAN, whole=False) as file:
        sizes = [file.metadata.row_group(first).num_rows]
        for group in range(first + 1, file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if sum(sizes) + rows > ROW_GROUP:
                break
            sizes.append(rows)
        chunks = _chunks(file, range(first, first + len(sizes)))
        return {first + number: list(islice(chunks, size)) for number, size in enumerate(sizes)}


def _chunks(file: pq.ParquetFile, groups: Sequence[int]) -> Iterator[PlannedChunk]:
    table = file.read_row_groups(groups, columns=[*NAMED, *ROLE, *SPEECH])
    named: Iterator[tuple[int, int, str, str]] = zip(*(table.column(name).to_pylist() for name in NAMED), strict=True)
    roles = _each(_role, table.select(ROLE), PLAIN)
    speeches = _each(_speech, table.select(SPEECH), USUAL)
    return (
        PlannedChunk(*names, with_turns(role, speech.turns), speech)
        for names, role, speech in zip(named, roles, speeches, strict=True)
    )


def _each(make: Callable[..., T], table: pa.Table, usual: T) -> Iterator[T]:
    """What ``make`` makes of each row; ``usual`` for tables in which every row is like the next, and says nothing."""
    if not any(pc.any(_says(name, table.column(name))).as_py() for name in table.column_names):
        return repeat(usual, len(table))
    return (make(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True))


def _says(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where a column says anything: a plain text is no heading, and spoken at speed 1."""
    if name == "heading":
        return column
    return pc.not_equal(column, 1.0) if name == "speed" else pc.is_valid(column)


def _role(
    heading: bool, speaker: str | None, voice: str | None, item: str | None, start_s: float | None,
    end_s: float | None, times: Sequence[float] | None,
) -> Role:  # fmt: skip
    cues: tuple[Slot, ...] = ()
    if times:
        cues = tuple(map(Slot, times[::2], times[1::2]))
    elif start_s is not None and end_s is not None:
        cues = (Slot(start_s, end_s),)
    return Role(heading, speaker, voice, item, cues)


def _speech(voice: str | None, speed: float, turns: Sequence[Mapping[str, Any]] | None) -> Speech:
    return Speech(voice, speed, tuple(Turn(turn["text"], turn["voice"], turn["speaker"]) for turn in turns or ()))


def _row(chunk: Chunk, clip_id: str, generation: int) -> tuple[Any, ...]:
    """``chunk`` as a row of the plan."""
    role, speech, slot = chunk.role, chunk.speech, chunk.role.slot
    return (
        chunk.document, chunk.index, chunk.paragraph, clip_id, chunk.text, role.heading, role.speaker, speech.voice,
        role.item, speech.speed, slot.start_s if slot else None, slot.end_s if slot else None, generation,
        [asdict(turn) for turn in speech.turns] or None,
        [time for cue in role.cues for time in (cue.start_s, cue.end_s)] if len(role.cues) > 1 else None,
    )  # fmt: skip


class PlanWriter:
    """Writes plan parts, document after document; closing it gives the parts their names.

    A part holds about ``GROUPS_A_PART`` row groups: whoever reads one document's reads the footer of a whole part.
    """

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._scratch = ExitStack()  # removes what was not published
        self._written: list[tuple[Path, str]] = []  # each part, and the name that it is to have; the last one is open
        self._writer: pq.ParquetWriter | None = None
        self._groups = 0  # in the part that is being written
        self._located: dict[str, PlanLocation] = {}

    def write(self, chunks: Iterable[tuple[Chunk, str]], generation: int) -> None:
        """Add the chunks of one document, each with its clip id, in reading order."""
        if self._groups >= GROUPS_A_PART:
            self._end_part()
        first, document, rows = self._groups, "", []
        for chunk, clip_id in chunks:
            document = chunk.document
            rows.append(_row(chunk, clip_id, generation))
            if len(rows) == ROW_GROUP:
                self._write_group(rows)
                rows = []
        if rows:
            self._write_group(rows)
        if self._written:
            groups = tuple(range(first, self._groups))
            self._located[document] = PlanLocation(self._folder, self._written[-1][1], groups, generation)

    def close(self) -> dict[str, PlanLocation]:
        """Finish the parts; where each document written to them stands."""
        with self._scratch:
            self._end_part()
            for path, name in self._written:
                self._folder.publish(path, name)
        return self._located

    def abandon(self) -> None:
        """Leave nothing behind."""
        with self._scratch:
            if self._writer is not None:
                self._writer.close()

    def _begin_part(self) -> pq.ParquetWriter:
        name = f"part-0-{self._run_id}-{len(self._written):06}.parquet"
        path = self._scratch.enter_context(self._folder.new(name))
        self._written.append((path, name))
        return pq.ParquetWriter(os.fspath(path.absolute()), PLAN, write_page_checksum=True)

    def _end_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            seal(self._written[-1][0])
        self._writer, self._groups = None, 0

    def _write_group(self, rows: list[tuple[Any, ...]]) -> None:
        if self._writer is None:
            self._writer = self._begin_part()
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
