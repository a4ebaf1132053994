"""Rows counted a batch at a time come to what they come to one by one."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from cluster_tts.columns import count_rows
from cluster_tts.manifest import Manifest, last_words
from cluster_tts.model import Outcome, Sound, Status
from cluster_tts.report import Totals, note_failure
from cluster_tts.storage import LocalFolder

KINDS = (None, "", "timeout", "rate_limited", "slow_down", "gate", "budget", "worker_died", "bad_audio")
SIZES = (0, 1, 99, 100, 101, 199, 200, 201, 5_000, 2_000_000)
MADE = Outcome(clip_id="a", document="d", chunk_index=0, attempt=1, status=Status.SPOKEN, characters=1)


def some(chance: random.Random) -> Outcome:
    """Any row, also such as no run would write. Sums of its times and its cost are exact."""
    return Outcome(
        clip_id=chance.choice("abcd"),
        document=chance.choice(["one", "two", "drei — ü"]),
        chunk_index=chance.randrange(10),
        attempt=chance.randrange(5),
        status=chance.choice(list(Status)),
        characters=chance.choice(SIZES),
        speaker=chance.choice([None, "ANNA", "Ben"]),
        sound=chance.choice([None, Sound(chance.randrange(1_000), 8, 9, "ab")]),
        error_kind=chance.choice(KINDS),
        billed_characters=chance.choice([None, 0, 7]),
        cost_usd=chance.choice([None, chance.randrange(1_000) / 64]),
        latency_s=chance.randrange(1_000) / 64,
        gate_wait_s=chance.randrange(1_000) / 64,
    )


def recorded(folder: Path, outcomes: list[Outcome]) -> list[pa.RecordBatch]:
    """What a manifest that holds these rows, in two parts, gives back."""
    manifest = Manifest(LocalFolder(folder), "r")
    for half in outcomes[: len(outcomes) // 2], outcomes[len(outcomes) // 2 :]:
        manifest.add(half)
        manifest.flush()
    return list(manifest.outcomes())


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 400])
def test_totals_and_last_words_are_those_of_rows_counted_one_by_one(tmp_path: Path, rows: int) -> None:
    chance = random.Random(rows)
    outcomes = [some(chance) for _ in range(rows)]
    singly, in_batches = Totals(), Totals()
    failed, found = dict[str, Outcome](), dict[str, Outcome]()
    for outcome in outcomes:
        singly.count(outcome)
        note_failure(failed, outcome)
    for batch in recorded(tmp_path, outcomes):
        count_rows(in_batches, batch)
        for outcome in last_words(batch, found):
            note_failure(found, outcome)
    assert in_batches == singly
    assert in_batches.as_dict(2.0) == singly.as_dict(2.0)
    assert found == failed


def test_rows_that_decide_nothing_are_not_looked_at(tmp_path: Path) -> None:
    [batch] = recorded(tmp_path, [MADE])
    assert list(last_words(batch, ())) == []
    assert [outcome.clip_id for outcome in last_words(batch, {"a"})] == ["a"]


def test_a_status_that_nobody_knows_is_told(tmp_path: Path) -> None:
    [batch] = recorded(tmp_path, [MADE])
    strange = batch.set_column(batch.schema.get_field_index("status"), "status", pa.array(["sung"]))
    with pytest.raises(ValueError, match="sung"):
        count_rows(Totals(), strange)
