"""What a run has not made, in words and in numbers."""

from dataclasses import asdict
from pathlib import Path

import pytest

from cluster_tts.clips import Clips
from cluster_tts.config import load
from cluster_tts.documents import find
from cluster_tts.errors import AccountRefused, Interrupted
from cluster_tts.job import Job
from cluster_tts.manifest import Manifest
from cluster_tts.missing import Missing, missing_of, missing_told
from cluster_tts.planning import make_plan
from cluster_tts.record import Record
from cluster_tts.storage import at
from cluster_tts.workload import Plan


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return load(overrides=["provider.name=openai", "provider.model=tts-1", f"out={tmp_path / 'out'}"], environ={})


@pytest.fixture
def plan(tmp_path: Path, job: Job) -> Plan:
    """Three clips of a hundred characters, one of them in both documents."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for name, letters in (("a", "pq"), ("b", "qr")):
        (texts / f"{name}.txt").write_text("\n\n".join(letter * 100 for letter in letters))
    return make_plan(job, find([str(texts)]), Manifest(at(job.out) / "manifest"))


def test_a_clip_that_several_documents_lack_is_paid_for_once(job: Job, plan: Plan) -> None:
    missing = missing_of(plan, job)
    assert (missing.clips, missing.documents, missing.characters) == (3, 2, 300)
    assert missing.cost_usd == pytest.approx(300 * 15e-6)


def test_a_clip_that_is_on_disk_costs_nothing_although_nobody_has_looked_at_it_yet(job: Job, plan: Plan) -> None:
    clip_id = next(clip_id for clip_id, _, documents in plan.completion.lacking() if documents == ("a",))
    path = Path(Clips.of(job).address(clip_id))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"speech")
    missing = missing_of(plan, job)
    assert (missing.clips, missing.documents, missing.characters) == (2, 2, 200)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (Missing(1_200, 3, 9, 1.45), "1,200 clips of 3 documents are missing, about $1.45 more"),
        (Missing(1, 1, 9, 0.004), "1 clip of 1 document is missing, <$0.01 more"),
        (Missing(2, 1, 9, None), "2 clips of 1 document are missing"),
    ],
)
def test_it_says_how_many_of_how_many_documents_and_what_they_cost_where_that_is_known(
    missing: Missing, said: str
) -> None:
    assert str(missing) == said


def test_a_refusal_of_the_account_names_what_is_missing_and_keeps_its_kind(job: Job, plan: Plan) -> None:
    record = Record(at(job.out), Manifest(at(job.out) / "manifest"))
    with pytest.raises(AccountRefused) as caught, missing_told(job, plan, record):
        raise AccountRefused("no credit", "no_credit")
    assert str(caught.value) == "no credit; 3 clips of 2 documents are missing, <$0.01 more"
    assert caught.value.kind == "no_credit"
    assert record.missing == asdict(missing_of(plan, job))


def test_whatever_else_ends_a_run_is_told_as_it_is_and_the_report_has_what_is_missing(job: Job, plan: Plan) -> None:
    record = Record(at(job.out), Manifest(at(job.out) / "manifest"))
    with pytest.raises(Interrupted, match=r"^out of patience$"), missing_told(job, plan, record):
        raise Interrupted("out of patience")
    assert record.missing is not None
    assert record.missing["clips"] == 3
