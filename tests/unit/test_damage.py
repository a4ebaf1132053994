"""Damaged files of the manifest: noticed before a row of them is believed, named once, set aside by a run alone."""

import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster_tts import sealed_json
from cluster_tts.errors import DamagedFile, Interrupted
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation
from cluster_tts.manifest import parts as parts_module
from cluster_tts.model import Chunk, Outcome, Sound, Status
from cluster_tts.storage import LocalFolder

DOCUMENTS = [DocumentRow(document=name, source=f"{name}.txt", status="planned", chunks=3) for name in "ab"]
PLAN = {name: [f"{name}, sentence {number}." for number in range(3)] for name in "ab"}
MUTATIONS = 40


def outcome(number: int) -> Outcome:
    sound = Sound(number, 8_000, number + 1, f"{number:064x}")
    return Outcome(
        clip_id=f"{number:032}", document="a", chunk_index=number, attempt=1, status=Status.SPOKEN, characters=5,
        sound=sound, cost_usd=0.5, billed_characters=5,
    )  # fmt: skip


def manifest(folder: Path, **more: bool) -> Manifest:
    return Manifest(LocalFolder(folder), "r1", **more)


def written(folder: Path) -> Manifest:
    """A manifest with every kind of file in it."""
    made = manifest(folder)
    for number in range(3):
        made.add([outcome(2 * number), outcome(2 * number + 1)])
        made.flush()
    made.write_documents(DOCUMENTS)
    writer = made.plan_writer()
    for name, texts in PLAN.items():
        writer.write([(Chunk(name, n, 0, text), f"clip of {text}") for n, text in enumerate(texts)], 0)
    writer.close()
    return made


def texts(plans: dict[str, PlanLocation]) -> dict[str, list[str]]:
    return {name: [chunk.text for chunk in plan] for name, plan in plans.items()}


def mutated(content: bytes, chance: random.Random) -> bytes:
    """``content`` cut, with a few bits flipped, or with a stretch of it gone or zero."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randrange(1, 200))
    match chance.randrange(4):
        case 0:
            return content[:start]
        case 1:
            flipped = bytearray(content)
            for _ in range(chance.choice([1, 1, 3])):
                flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            return bytes(flipped)
        case 2:
            return content[:start] + content[end:]
        case _:
            return content[:start] + bytes(end - start) + content[end:]


def test_what_is_read_of_a_mutated_manifest_is_what_was_written_or_left_out(tmp_path: Path) -> None:
    """Never other rows, never some rows of a file, never an error, whichever byte of whichever file changes."""
    written(tmp_path / "whole")
    files = sorted(path for path in (tmp_path / "whole").rglob("*") if path.is_file())
    chance = random.Random(20261121)
    left_out = 0
    for number in range(MUTATIONS):
        file, folder = chance.choice(files), tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        path = folder / file.relative_to(tmp_path / "whole")
        path.write_bytes(mutated(file.read_bytes(), chance))
        same = path.read_bytes() == file.read_bytes()
        read = manifest(folder)
        told = [each.chunk_index for each in read.read_outcomes()]
        assert told == [0, 1, 2, 3, 4, 5] or (len(told) == 4 and set(told) < {0, 1, 2, 3, 4, 5}), (number, file)
        assert list(read.documents().values()) == DOCUMENTS, "they are there twice"
        assert texts(read.plans()) in (PLAN, {}), (number, file)
        if read.damage.told:
            assert not same, (number, file)
        else:
            assert (len(told), texts(read.plans())) == (6, PLAN), (number, file)
        assert path.exists(), "whoever only reads moves nothing"
        left_out += bool(read.damage.told)
        shutil.rmtree(folder)
    assert left_out > MUTATIONS / 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("outcomes/part-*", lambda read: list(read.read_outcomes())),
        ("plan/part-*", lambda read: read.plans()),
        ("documents-*", lambda read: read.documents()),
    ],
)
def test_a_run_sets_a_damaged_file_aside_and_says_what_follows(
    tmp_path: Path, pattern: str, read: Callable[[Manifest], object], caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path)
    path = sorted(tmp_path.glob(pattern))[0]
    cut(path)
    content = path.read_bytes()
    mending = manifest(tmp_path, mends=True)
    with caplog.at_level(logging.WARNING):
        read(mending)
        read(mending)
    assert not path.exists()
    assert path.with_name(f"damaged-{path.name}").read_bytes() == content
    [message] = caplog.messages
    assert f"'{path}' is damaged (it has no end, as if it had been cut)" in message
    assert f"set aside as 'damaged-{path.name}': " in message
    caplog.clear()
    read(manifest(tmp_path))
    assert caplog.messages == []


def test_lost_outcomes_are_remembered_for_whoever_has_a_budget(tmp_path: Path) -> None:
    written(tmp_path)
    path = sorted((tmp_path / "outcomes").iterdir())[1]
    cut(path)
    looking = manifest(tmp_path)
    list(looking.read_outcomes())
    assert looking.lost_outcomes() == [str(path)]
    list(manifest(tmp_path, mends=True).read_outcomes())
    assert manifest(tmp_path).lost_outcomes() == [str(path.with_name(f"damaged-{path.name}"))]


def test_a_sum_that_is_damaged_does_not_hide_the_parts_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power cut may leave it: the sum has its name, and not its bytes."""
    monkeypatch.setattr(parts_module, "MERGE_AT", 3)
    made = manifest(tmp_path)
    for number in range(2):
        made.add([outcome(number)])
        made.flush()
    shutil.copytree(tmp_path / "outcomes", tmp_path / "before")
    made.add([outcome(2)])
    made.flush()
    [total] = (tmp_path / "outcomes").iterdir()
    cut(total)
    for path in (tmp_path / "before").iterdir():
        shutil.copy(path, tmp_path / "outcomes")
    assert [each.chunk_index for each in manifest(tmp_path, mends=True).read_outcomes()] == [0, 1]


def test_a_part_that_is_damaged_is_left_out_of_the_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MERGE_AT", 3)
    made = manifest(tmp_path, mends=True)
    for number in range(2):
        made.add([outcome(number)])
        made.flush()
    cut(sorted((tmp_path / "outcomes").iterdir())[0])
    made.add([outcome(2)])
    made.flush()
    assert [each.chunk_index for each in manifest(tmp_path).read_outcomes()] == [1, 2]
    assert sorted(path.name[:9] for path in (tmp_path / "outcomes").iterdir()) == ["damaged-p", "part-1-r1"]


def test_damage_that_comes_after_the_plan_was_looked_at_ends_the_run_so_that_it_can_continue(tmp_path: Path) -> None:
    located = written(tmp_path).plans()
    [path] = (tmp_path / "plan").iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 3] = bytes(len(content) // 3 - len(content) // 4)
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"is damaged .*; run again to mend it") as caught:
        texts(located)
    assert caught.value.exit_code == 75


def test_files_without_a_seal_are_read(tmp_path: Path) -> None:
    """Of programs that know none."""
    written(tmp_path)
    for path in (tmp_path / "outcomes").iterdir():
        pq.write_table(pq.read_table(path), path)
    assert len(list(manifest(tmp_path).read_outcomes())) == 6


# -- two runs ---------------------------------------------------------------------------------------------------------


def test_documents_of_the_highest_term_count_whoever_wrote_last(tmp_path: Path) -> None:
    before, now = Manifest(LocalFolder(tmp_path), "r1", term=3), Manifest(LocalFolder(tmp_path), "r2", term=4)
    before.write_documents(DOCUMENTS[:1])
    now.write_documents(DOCUMENTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents-000004.parquet", "documents.parquet"]
    before.write_documents(DOCUMENTS[:1])
    assert list(manifest(tmp_path).documents().values()) == DOCUMENTS
    assert now.newest_term() == 4
    (tmp_path / "documents.parquet").unlink()
    assert manifest(tmp_path).exists


@pytest.mark.parametrize("lost_after", [0, 1, 2, 3])
def test_a_run_that_has_lost_its_out_merges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost_after: int
) -> None:
    monkeypatch.setattr(parts_module, "MERGE_AT", 2)
    made = manifest(tmp_path)
    made.add([outcome(0)])
    made.flush()
    before = {path.name for path in (tmp_path / "outcomes").iterdir()}
    asked = iter(range(10))

    def still_ours() -> None:
        if next(asked) >= lost_after:
            raise Interrupted("taken over")

    made.add([outcome(1)])
    if lost_after < 3:
        with pytest.raises(Interrupted):
            made.flush(still_ours)
    else:
        made.flush(still_ours)
    after = {path.name for path in (tmp_path / "outcomes").iterdir()}
    assert (before <= after) == (lost_after < 3)
    assert len(after) == [1, 2, 2, 1][lost_after], "nor is half of a sum left"


def test_whoever_reads_while_parts_are_merged_away_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MERGE_AT", 3)
    made = manifest(tmp_path)
    for number in range(2):
        made.add([outcome(number)])
        made.flush()
    looking, looks = manifest(tmp_path), []

    def read() -> list[int]:
        told = []
        for each in looking.read_outcomes():
            if not looks:
                made.add([outcome(2)])
                made.flush()
            looks.append(each)
            told.append(each.chunk_index)
        return told

    assert looking.steadily(read) == [0, 1, 2]
    assert len(looks) == 4
    assert looking.damage.told == []


# -- JSON -------------------------------------------------------------------------------------------------------------


def test_sealed_json_is_read_as_it_was_written_or_not_at_all() -> None:
    content = {"usd": 0.1, "open": {"ä": (1.5, 2)}, "none": None, "nested": [{"a": True}]}
    text = sealed_json.dumps(content).encode()
    assert sealed_json.loads(text) == {**content, "open": {"ä": [1.5, 2]}}
    assert sealed_json.loads(b'{"a": 1}') == {"a": 1}, "of programs that know no seal"
    for position in range(len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[position] ^= 1 << bit
            try:
                read = sealed_json.loads(bytes(flipped))
            except ValueError:
                continue
            told = {name: value for name, value in read.items() if name in content}
            assert told == {**content, "open": {"ä": [1.5, 2]}}, "only the name of the seal may have suffered"
