"""The record of a run: what is on disk after each flush, and failures named by text and position."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_tts.errors import Interrupted
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation
from cluster_tts.model import Chunk, Outcome, Sound, Status
from cluster_tts.record import FLUSH_S, Record, failures, line, read_report, write_whole
from cluster_tts.storage import LocalFolder

SOUND = Sound(16_000, 8_000, 9, "ab" * 32)


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


def outcome(clip_id: str, status: Status = Status.SPOKEN) -> Outcome:
    bad = status in (Status.FAILED, Status.RETRIED)
    return Outcome(
        clip_id=clip_id, document="d", chunk_index=1, attempt=3, status=status, characters=10,
        sound=None if bad else SOUND, error_kind="timeout" if bad else None, error_message="no answer" if bad else None,
    )  # fmt: skip


def row(name: str, status: str = "planned") -> DocumentRow:
    return DocumentRow(document=name, source=f"{name}.txt", status=status, chunks=2)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(LocalFolder(tmp_path / "manifest"), "r1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(tmp_path: Path, manifest: Manifest, clock: Clock) -> Record:
    record = Record(LocalFolder(tmp_path), manifest, clock)
    record.rows = {"d": row("d")}
    return record


def test_a_flush_writes_outcomes_documents_and_report(
    tmp_path: Path, manifest: Manifest, record: Record, clock: Clock
) -> None:
    record.add(outcome("a"))
    record.document(row("d", "whole"))
    clock.now += 4
    report = record.flush("whole", 0)
    assert [each.clip_id for each in manifest.read_outcomes()] == ["a"]
    assert manifest.documents() == {"d": row("d", "whole")}
    content = read_report(LocalFolder(tmp_path))
    assert content == json.loads(json.dumps(report.as_dict()))
    assert content is not None
    assert (content["run_id"], content["status"], content["exit_code"]) == ("r1", "whole", 0)
    assert (content["started_at"], content["heartbeat"]) == (
        "2026-05-28T20:26:40.000+00:00",
        "2026-05-28T20:26:44.000+00:00",
    )
    assert content["totals"]["run_s"] == 4.0
    assert content["totals"]["spoken"] == content["totals"]["documents_whole"] == 1


def test_a_running_run_is_told_by_report_json_and_has_no_page_yet(tmp_path: Path, record: Record) -> None:
    record.flush("running", None)
    content = read_report(LocalFolder(tmp_path))
    assert content is not None
    assert (content["status"], content["exit_code"]) == ("running", None)
    assert not (tmp_path / "report.html").exists()
    record.flush("interrupted", 75, "stopped <by hand>")
    assert "stopped &lt;by hand&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_beat_flushes_every_two_seconds_and_no_oftener(manifest: Manifest, record: Record, clock: Clock) -> None:
    def told() -> int:
        return len(list(manifest.read_outcomes()))

    record.beat()
    record.add(outcome("a"))
    clock.now += FLUSH_S - 0.01
    record.beat()
    assert told() == 0
    clock.now += 0.01
    record.beat()
    assert told() == 1


def test_documents_of_earlier_runs_stay_in_the_manifest_but_not_in_the_report(
    tmp_path: Path, manifest: Manifest, record: Record
) -> None:
    manifest.write_documents([row("earlier", "whole"), row("d", "incomplete")])
    record.flush("whole", 0)
    assert manifest.documents() == {"earlier": row("earlier", "whole"), "d": row("d")}
    content = read_report(LocalFolder(tmp_path))
    assert content is not None
    assert [each["name"] for each in content["documents"]] == ["d"]


def test_a_flush_leaves_no_temporary(tmp_path: Path, record: Record) -> None:
    record.add(outcome("a"))
    record.flush("whole", 0)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_failures_are_named_by_document_position_and_text(manifest: Manifest, record: Record) -> None:
    writer = manifest.plan_writer()
    texts = [("Good.", "g"), ("Bad.", "b"), ("Good.", "g"), ("Bad.", "b"), ("Unasked.", "u")]
    for name in ("d", "e", "whole"):
        writer.write([(Chunk(name, index, 0, text), clip) for index, (text, clip) in enumerate(texts)], 0)
    plans = writer.close()
    for each in (outcome("g"), outcome("b", Status.RETRIED), outcome("b", Status.FAILED)):
        record.add(each)
    rows = [row("d", "incomplete"), row("e", "incomplete"), row("whole", "whole"), row("gone", "incomplete")]
    told = list(failures(record.failed, rows, plans, None))
    assert [(f.document, f.chunk_index, f.text) for f in told] == [
        ("d", 1, "Bad."),
        ("d", 3, "Bad."),
        ("e", 1, "Bad."),
        ("e", 3, "Bad."),
    ], "every place that a shared clip leaves silent"
    assert {(f.kind, f.message, f.attempts) for f in told} == {("timeout", "no answer", 3)}


def test_a_place_of_an_incomplete_document_whose_clip_is_gone_is_named_too(manifest: Manifest) -> None:
    writer = manifest.plan_writer()
    for name in ("d", "going on"):
        writer.write([(Chunk(name, n, 0, f"Text {n}."), clip) for n, clip in enumerate("abc")], 0)
    rows = [replace(row("d", "incomplete"), missing=1), row("going on", "planned")]
    told = list(failures({}, rows, writer.close(), lambda: {"a", "c"}))
    assert [(f.document, f.chunk_index, f.text, f.kind) for f in told] == [("d", 1, "Text 1.", "missing")]
    assert "run's own command" in told[0].message


def test_a_clip_that_came_late_is_no_failure(record: Record) -> None:
    record.add(outcome("b", Status.FAILED))
    record.add(outcome("b"))
    assert record.failed == {}


def test_a_line_of_the_log_names_clip_and_attempt(record: Record, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "cluster_tts"):
        record.add(outcome("a"))
        record.add(outcome("b", Status.RETRIED))
    (good, bad) = caplog.records
    assert good.levelno == logging.DEBUG
    assert good.getMessage() == "clip a (d #1) attempt 3: spoken"
    assert bad.levelno == logging.WARNING
    assert bad.getMessage() == "clip b (d #1) attempt 3: retried, timeout: no answer"


def test_a_report_line_holds_what_the_row_says() -> None:
    whole = DocumentRow(
        document="d", source="d.txt", status="whole", duration_s=1.5, chunks=2, missing=1, characters=3,
        path="documents/d.wav", size_bytes=4, sha256="ab", error="e",
    )  # fmt: skip
    told = line(whole)
    assert told.name == "d"
    for name in ("status", "duration_s", "chunks", "missing", "characters", "path", "sha256", "error"):
        assert getattr(told, name) == getattr(whole, name)


def test_who_reads_while_a_file_is_written_sees_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    write_whole(LocalFolder(tmp_path), "report.json", "old")

    def full(self: Path, target: Path) -> Path:
        assert path.read_text() == "old"
        assert self.parent == path.parent, "a rename is atomic within one folder only"
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(LocalFolder(tmp_path), "report.json", "new")
    assert path.read_text() == "old"
    write_whole(LocalFolder(tmp_path), "report.json", "neu ü")
    assert path.read_text(encoding="utf-8") == "neu ü"


@pytest.mark.parametrize("content", [None, "", "{", "[]", "5"])
def test_a_report_that_is_missing_or_broken_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    assert read_report(LocalFolder(tmp_path)) is None


def test_a_run_that_an_error_ends_lists_what_failed_too(tmp_path: Path, manifest: Manifest, record: Record) -> None:
    writer = manifest.plan_writer()
    writer.write([(Chunk("d", 0, 0, "Good."), "g"), (Chunk("d", 1, 0, "Bad."), "b")], 0)
    record.locations = writer.close()
    record.add(outcome("b", Status.FAILED))
    record.beat()
    assert json.loads((tmp_path / "report.json").read_text())["failures"] == [], "while it runs there is no time for it"
    record.missing = {"clips": 2, "documents": 1, "characters": 9, "cost_usd": None}
    record.flush("refused", 78, "the account refuses")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(each["document"], each["text"]) for each in report["failures"]] == [("d", "Bad.")]
    assert report["missing"] == {"clips": 2, "documents": 1, "characters": 9, "cost_usd": None}


def test_a_report_is_written_even_where_the_plan_cannot_be_read(
    tmp_path: Path, manifest: Manifest, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    record.locations = {"d": PlanLocation(LocalFolder(tmp_path), "gone.parquet", (0,), 0)}
    record.add(outcome("b", Status.FAILED))
    assert record.flush("failed", 1, "the disk fails").failures == ()
    assert "the report cannot say what failed" in caplog.text


def test_the_report_tells_how_the_quota_stands_and_what_was_asked_for_each_document(
    tmp_path: Path, manifest: Manifest, record: Record
) -> None:
    record.flush("running", None)
    content = read_report(LocalFolder(tmp_path))
    assert content is not None
    assert content["quota"] is None, "nobody's quota was needed yet"
    refused = replace(outcome("b", Status.RETRIED), error_kind="rate_limited")
    for each in (outcome("a"), outcome("a", Status.FOUND), refused, outcome("b", Status.RETRIED), outcome("b")):
        record.add(each)
    record.gauge.course = (0.0, 3.0)
    record.flush("whole", 0)
    content = read_report(LocalFolder(tmp_path))
    assert content is not None
    (document,) = content["documents"]
    assert (document["requests"], document["refused"], document["errors"]) == (4, 1, 1)
    assert (content["totals"]["requests"], content["totals"]["share_refused"]) == (4, 0.25)
    assert content["quota"]["predicted_s"] == 3.0


class Lost:
    """The fence of a run that loses its OUT when it is told to."""

    lost = False

    def check(self) -> None:
        if self.lost:
            raise Interrupted("another run has taken over 'out'")


def test_a_run_that_has_lost_its_out_writes_nothing_any_more(tmp_path: Path, manifest: Manifest, clock: Clock) -> None:
    fence = Lost()
    record = Record(LocalFolder(tmp_path), manifest, clock, fence)
    record.document(DocumentRow(document="d", source="d.txt", status="planned"))
    record.add(outcome("a"))
    record.flush("running", None)
    record.add(outcome("b"))
    fence.lost = True
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Interrupted, match="taken over"):
        record.flush("interrupted", 75)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
