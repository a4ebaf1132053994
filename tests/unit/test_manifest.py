"""The manifest: what is written is read back, parts are added and never changed, a kill at any moment loses no row."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster_tts.errors import JobError
from cluster_tts.manifest import (
    DOCUMENTS,
    OUTCOMES,
    PLAN,
    DocumentRow,
    Manifest,
    PlannedChunk,
    PlanReader,
)
from cluster_tts.manifest import parts as parts_module
from cluster_tts.manifest import plans as plans_module
from cluster_tts.manifest.parts import MERGE_AT
from cluster_tts.manifest.plans import ROW_GROUP
from cluster_tts.model import PLAIN, USUAL, Chunk, Outcome, Role, Slot, Sound, Speech, Status, Turn
from cluster_tts.storage import LocalFolder

SPOKEN = Outcome(
    clip_id="a" * 32, document="Bücher__1", chunk_index=3, attempt=2, status=Status.SPOKEN, characters=12,
    sound=Sound(24_000, 24_000, 48_044, "ab" * 32), http_status=200, request_id="r-1", billed_characters=13,
    cost_usd=0.000195, gate_wait_s=0.25, latency_s=1.5, started_at=1_780_000_000.25, finished_at=1_780_000_002.5,
    worker="w1", node="n1",
)  # fmt: skip
FAILED = Outcome(
    clip_id="b" * 32, document="x", chunk_index=0, attempt=4, status=Status.FAILED, characters=1,
    error_kind="timeout", error_message="no answer within 5 s", started_at=1.0, finished_at=2.0,
)  # fmt: skip


def outcome(number: int, status: Status = Status.SPOKEN, size_bytes: int = 1) -> Outcome:
    sound = Sound(number, 8_000, size_bytes, "ab" * 32) if status in (Status.SPOKEN, Status.FOUND) else None
    return Outcome(
        clip_id=f"{number:032}", document="d", chunk_index=number, attempt=1, status=status, characters=1, sound=sound
    )


def chunks(document: str, *texts: str) -> list[tuple[Chunk, str]]:
    return [(Chunk(document, index, index // 2, text), f"clip of {text}") for index, text in enumerate(texts)]


def flushed(manifest: Manifest, *outcomes: Outcome) -> None:
    manifest.add(outcomes)
    manifest.flush()


def parts(manifest: Manifest, kind: str = "outcomes") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(manifest.folder.address(kind)).glob("part-*.parquet"))}


def told(manifest: Manifest) -> Counter[int]:
    return Counter(each.chunk_index for each in manifest.read_outcomes())


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_every_field_of_a_row_has_a_column() -> None:
    """A new field of ``Outcome``, ``Sound`` or ``DocumentRow`` that has no column would silently be lost."""
    told = {field.name for field in fields(Outcome)} - {"sound"} | {field.name for field in fields(Sound)} | {"run_id"}
    assert set(OUTCOMES.names) == told
    assert set(DOCUMENTS.names) == {field.name for field in fields(DocumentRow)}


def test_every_file_says_which_schema_it_follows(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, SPOKEN)
    manifest.write_documents([DocumentRow(document="d", source="s", status="planned")])
    writer = manifest.plan_writer()
    writer.write(chunks("d", "one"), 0)
    writer.close()
    files = list(tmp_path.rglob("*.parquet"))
    assert len(files) == 4, "documents have two names"
    for path in files:
        assert pq.read_schema(path).metadata[b"cluster_tts.schema_version"] == b"2"


@pytest.mark.parametrize(
    ("name", "schema", "read"),
    [
        ("outcomes/part-0-old-000001.parquet", OUTCOMES, lambda manifest: list(manifest.read_outcomes())),
        ("plan/part-0-old.parquet", PLAN, lambda manifest: manifest.plans()),
        ("documents.parquet", DOCUMENTS, lambda manifest: manifest.documents()),
    ],
)
@pytest.mark.parametrize("fault", ["version", "column", "no version"])
def test_a_part_of_another_schema_is_refused_by_its_name(
    tmp_path: Path, name: str, schema: pa.Schema, read: Callable[[Manifest], object], fault: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    other = {
        "version": schema.with_metadata({"cluster_tts.schema_version": "1"}),
        "column": schema.append(pa.field("new", pa.string())),
        "no version": schema.remove_metadata(),
    }[fault]
    pq.write_table(other.empty_table(), path)
    with pytest.raises(JobError) as caught:
        read(Manifest(LocalFolder(tmp_path)))
    assert str(path) in str(caught.value)
    if fault == "version":
        assert "schema 1" in str(caught.value)


# -- plans: what a source says besides words ---------------------------------------------------------------------------


def test_a_plan_keeps_the_role_and_the_speech_of_every_chunk(tmp_path: Path) -> None:
    cue, next_cue = Slot(1.0, 2.5), Slot(2.6, 4.0)
    said = [
        (PLAIN, USUAL),
        (Role(heading=True), USUAL),
        (Role(speaker="ANNA", voice="nova", item="v 1"), Speech("nova")),
        (Role(cues=(cue,)), Speech(speed=1.15)),
        (Role(cues=(cue, next_cue)), USUAL),
        (
            Role(speaker="ANNA, BEN", begins="BEN", ends="ANNA"),
            Speech(turns=(Turn("One.", "nova", "BEN"), Turn("Two.", "onyx", "ANNA"))),
        ),
    ]
    rows = [(Chunk("d", n, n, f"text {n}", *each), f"clip {n}") for n, each in enumerate(said)]
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    writer = manifest.plan_writer()
    writer.write(rows, 0)
    [location] = writer.close().values()
    for read in list(location), list(PlanReader().chunks(location)):
        assert [(chunk.role, chunk.speech) for chunk in read] == said
        assert [chunk.clip_id for chunk in read] == [f"clip {n}" for n in range(len(said))]


def test_a_time_of_one_second_is_a_time(tmp_path: Path) -> None:
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    writer.write([(Chunk("d", 0, 0, "text", Role(cues=(Slot(1.0, 1.0),))), "clip")], 0)
    [location] = writer.close().values()
    assert [chunk.role.slot for chunk in location] == [Slot(1.0, 1.0)]


@pytest.mark.parametrize("count", [1, 5_000])
def test_a_plan_of_plain_text_says_nothing_besides(tmp_path: Path, count: int) -> None:
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    writer.write(((Chunk("d", n, n, "text"), f"clip {n}") for n in range(count)), 0)
    [location] = writer.close().values()
    assert {(chunk.role, chunk.speech) for chunk in location} == {(PLAIN, USUAL)}


# -- outcomes ---------------------------------------------------------------------------------------------------------


def test_outcomes_are_read_as_they_were_told(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    everything = [SPOKEN, FAILED, outcome(1, Status.RETRIED), outcome(2, Status.FOUND)]
    flushed(manifest, *everything)
    read = list(Manifest(LocalFolder(tmp_path)).read_outcomes())
    assert read == everything
    assert all(type(each.status) is Status for each in read)


def test_nothing_is_on_disk_before_a_flush_and_nothing_twice_after_two(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    manifest.add([SPOKEN])
    assert parts(manifest) == {}
    manifest.flush()
    first = parts(manifest)
    manifest.flush()
    assert parts(manifest) == first
    assert len(list(manifest.read_outcomes())) == 1


def test_a_flush_adds_a_part_and_changes_none(tmp_path: Path) -> None:
    before: dict[str, bytes] = {}
    for run in ("r1", "r2"):
        manifest = Manifest(LocalFolder(tmp_path), run)
        for number in range(3):
            flushed(manifest, outcome(number))
            now = parts(manifest)
            assert len(now) == len(before) + 1
            assert before.items() <= now.items()
            before = now
    assert told(manifest) == {0: 2, 1: 2, 2: 2}


def test_a_flush_that_fails_keeps_what_it_could_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parts_module.pq.ParquetWriter, "write_table", full)
        manifest.add([SPOKEN])
        with pytest.raises(OSError, match="No space"):
            manifest.flush()
    manifest.flush()
    assert list(manifest.read_outcomes()) == [SPOKEN]


def test_many_parts_become_one_and_keep_every_row_once(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    for number in range(MERGE_AT + 2):
        flushed(manifest, outcome(number))
        if number % MERGE_AT in (0, MERGE_AT - 1):
            assert told(manifest) == dict.fromkeys(range(number + 1), 1)
    assert sorted(name[:6] for name in parts(manifest)) == ["part-0", "part-0", "part-1"]
    assert [each.chunk_index for each in manifest.read_outcomes()] == list(range(MERGE_AT + 2)), "in order"


def test_sums_are_merged_in_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MERGE_AT", 3)
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    for number in range(30):
        flushed(manifest, outcome(number))
        assert len(parts(manifest)) <= 2 * 4 + 2
    assert any(name.startswith("part-3-") for name in parts(manifest))
    assert told(manifest) == dict.fromkeys(range(30), 1)
    assert [each.chunk_index for each in manifest.read_outcomes()] == list(range(30))


def test_a_sum_has_large_row_groups_however_small_its_parts_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows in row groups of twenty have a footer that takes longer to read than they do."""
    monkeypatch.setattr(parts_module, "ROW_GROUP", 20)
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    for number in range(MERGE_AT):
        flushed(manifest, outcome(number))
    [path] = (tmp_path / "outcomes").glob("part-1-*.parquet")
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [20, MERGE_AT - 20]
    assert [each.chunk_index for each in manifest.read_outcomes()] == list(range(MERGE_AT)), "in order"


@pytest.mark.parametrize("left", [1, 2])
def test_a_kill_between_writing_the_sum_and_removing_its_parts_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Nor ever after, when the sum has been merged again and nobody remembers what it was made of."""
    monkeypatch.setattr(parts_module, "MERGE_AT", 3)
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, outcome(0))
    flushed(manifest, outcome(1))
    before = parts(manifest)
    flushed(manifest, outcome(2))
    assert len(parts(manifest)) == 1
    for name, content in list(before.items())[-left:]:
        (tmp_path / "outcomes" / name).write_bytes(content)
    assert told(Manifest(LocalFolder(tmp_path))) == {0: 1, 1: 1, 2: 1}
    manifest = Manifest(LocalFolder(tmp_path), "r2")
    for number in range(3, 12):
        flushed(manifest, outcome(number))
        assert told(manifest) == dict.fromkeys(range(number + 1), 1)
        assert not before.keys() & parts(manifest).keys(), "whoever reads the parts as they are must not see them"


def test_a_kill_while_the_sum_is_written_leaves_the_parts_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "MERGE_AT", 2)
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, outcome(0))

    class Killed(BaseException):
        pass

    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).name.startswith("part-1"):
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        manifest.add([outcome(1)])
        with pytest.raises(Killed):
            manifest.flush()
    assert told(Manifest(LocalFolder(tmp_path))) == {0: 1, 1: 1}


def test_what_a_kill_left_half_written_is_not_read(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, SPOKEN)
    (tmp_path / "outcomes" / ".part-0-r0-000001.parquet.tmp").write_bytes(b"half")
    assert list(manifest.read_outcomes()) == [SPOKEN]


def test_sounds_are_those_that_were_measured_the_later_later(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, outcome(1, size_bytes=5), FAILED, outcome(2, Status.RETRIED), outcome(3, Status.FOUND))
    flushed(manifest, outcome(1, size_bytes=6))
    sounds = [(clip_id, sound.size_bytes) for clip_id, sound in manifest.sounds()]
    assert sounds == [(f"{1:032}", 5), (f"{3:032}", 1), (f"{1:032}", 6)]


def test_duckdb_opens_outcomes_as_they_are(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    flushed(manifest, SPOKEN, FAILED)
    flushed(manifest, outcome(7))
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT status, count(*), sum(frames), min(run_id) FROM read_parquet(?) GROUP BY 1 ORDER BY 1",
            [f"{tmp_path}/outcomes/part-*.parquet"],
        ).fetchall()
        started = connection.execute(
            "SELECT epoch_us(started_at) FROM read_parquet(?) WHERE http_status = 200",
            [f"{tmp_path}/outcomes/part-*.parquet"],
        ).fetchall()
    assert rows == [("failed", 1, None, "r1"), ("spoken", 2, 24_007, "r1")]
    assert started == [(1_780_000_000_250_000,)]
    assert datetime.fromtimestamp(SPOKEN.started_at, UTC).year == 2026


# -- plans ------------------------------------------------------------------------------------------------------------


def test_the_plan_of_each_document_is_found_where_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    writer = manifest.plan_writer()
    writer.write(chunks("b", "one", "two", "three"), 0)
    writer.write(chunks("Ä 文", "vier"), 0)
    assert manifest.plans() == {}, "a part that is not closed is not there"
    located = writer.close()
    assert manifest.plans() == located
    assert list(located["b"]) == [
        PlannedChunk(0, 0, "clip of one", "one"),
        PlannedChunk(1, 0, "clip of two", "two"),
        PlannedChunk(2, 1, "clip of three", "three"),
    ]
    assert [chunk.text for chunk in located["Ä 文"]] == ["vier"]


def test_many_documents_stand_in_several_parts_each_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a document reads the footer of its part: with all in one, planning took hours for 40,000."""
    monkeypatch.setattr(plans_module, "GROUPS_A_PART", 3)
    monkeypatch.setattr(plans_module, "ROW_GROUP", 2)
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    for name in "abcdefg":
        writer.write(chunks(name, *(f"{name}{number}" for number in range(4 if name == "c" else 1))), 0)
    located = writer.close()
    assert Manifest(LocalFolder(tmp_path)).plans() == located
    assert [[*map(str, each.row_groups)] for each in located.values()] == [
        ["0"], ["1"], ["2", "3"], ["0"], ["1"], ["2"], ["0"],
    ]  # fmt: skip
    assert len(list((tmp_path / "plan").iterdir())) == 3
    assert [[chunk.text[0] for chunk in each] for each in located.values()] == [
        [*"a"],
        [*"b"],
        [*"cccc"],
        *map(list, "defg"),
    ]


def test_plans_read_one_after_the_other_are_those_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands beside a plan, in whatever order they are asked for, and however often."""
    monkeypatch.setattr(plans_module, "GROUPS_A_PART", 5)
    monkeypatch.setattr(plans_module, "ROW_GROUP", 4)
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    for number, name in enumerate("abcdefghij"):
        writer.write(chunks(name, *(f"{name}{each}" for each in range(1 + number * 3 % 11))), 0)
    located, reader = writer.close(), PlanReader()
    for name in "abcdefghijjihgfedcbaaaccbbej":
        assert list(reader.chunks(located[name])) == list(located[name])


def test_small_plans_side_by_side_are_read_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    for name in "abcdefghij":
        writer.write(chunks(name, "one", "two"), 0)
    located, reader, opened = writer.close(), PlanReader(), plans_module.opened
    times: list[str] = []
    monkeypatch.setattr(plans_module, "opened", lambda *given, **more: times.append(given[1]) or opened(*given, **more))
    assert [len(list(reader.chunks(location))) for location in located.values()] == [2] * 10
    assert len(times) == 1


def test_several_plan_parts_are_all_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_module, "GROUPS_A_PART", 1)
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    for name in "abc":
        writer.write(chunks(name, name), 0)
    writer.abandon()
    assert list((tmp_path / "plan").iterdir()) == []


def test_a_document_of_more_chunks_than_a_row_group_holds_spans_several(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(2 * ROW_GROUP + 1)]
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    writer.write(chunks("small", "one"), 0)
    writer.write(chunks("large", *texts), 0)
    writer.write(chunks("exact", *texts[:ROW_GROUP]), 0)
    writer.close()
    located = Manifest(LocalFolder(tmp_path)).plans()
    assert {name: location.row_groups for name, location in located.items()} == {
        "small": (0,),
        "large": (1, 2, 3),
        "exact": (4,),
    }
    assert [chunk.text for chunk in located["large"]] == texts
    assert [chunk.index for chunk in located["large"]] == list(range(len(texts)))


@pytest.mark.parametrize("runs", [("r1", "r2"), ("r2", "r1")])
def test_the_newest_generation_wins_whatever_its_part_is_called(tmp_path: Path, runs: tuple[str, str]) -> None:
    for generation, run in enumerate(runs):
        writer = Manifest(LocalFolder(tmp_path), run).plan_writer()
        writer.write(chunks("d", f"generation {generation}"), generation)
        if not generation:
            writer.write(chunks("other", "stays"), 0)
        writer.close()
    located = Manifest(LocalFolder(tmp_path)).plans()
    assert [chunk.text for chunk in located["d"]] == ["generation 1"]
    assert located["d"].generation == 1
    assert [chunk.text for chunk in located["other"]] == ["stays"]


def test_a_plan_writer_without_documents_writes_nothing(tmp_path: Path) -> None:
    assert Manifest(LocalFolder(tmp_path), "r1").plan_writer().close() == {}
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_plan_leaves_nothing(tmp_path: Path) -> None:
    writer = Manifest(LocalFolder(tmp_path), "r1").plan_writer()
    writer.write(chunks("d", "one"), 0)
    writer.abandon()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# -- documents --------------------------------------------------------------------------------------------------------


def test_document_rows_are_read_as_they_were_written_in_their_order(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "r1")
    assert not manifest.exists
    assert manifest.documents() == {}
    whole = DocumentRow(
        document="z", source="/texts/z.txt", status="whole", duration_s=1.5, chunks=2, characters=3, path="documents/z",
        size_bytes=4, sha256="ab", plan_key="k", plan_digest="d", join_key="j", generation=5,
    )  # fmt: skip
    unreadable = DocumentRow(document="a", source="a.txt", status="unreadable", error="'a.txt' looks binary")
    manifest.write_documents([whole, unreadable])
    assert manifest.exists
    assert list(Manifest(LocalFolder(tmp_path)).documents().items()) == [("z", whole), ("a", unreadable)]
    manifest.write_documents([unreadable])
    assert Manifest(LocalFolder(tmp_path)).documents() == {"a": unreadable}
    assert asdict(unreadable).keys() == set(DOCUMENTS.names)


def test_a_manifest_may_be_moved(tmp_path: Path) -> None:
    writer = Manifest(LocalFolder(tmp_path / "a"), "r1").plan_writer()
    writer.write(chunks("d", "one"), 0)
    writer.close()
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert [chunk.text for chunk in Manifest(LocalFolder(tmp_path / "b")).plans()["d"]] == ["one"]
