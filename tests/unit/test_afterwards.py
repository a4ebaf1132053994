"""Status, report and stitch where there is less than a finished run: what they say of it, and what they never say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster_tts import saved_job
from cluster_tts.afterwards import report_out, status_of, stitch_out
from cluster_tts.errors import Interrupted, JobError
from cluster_tts.fencing import Fence
from cluster_tts.job import Job, ProviderSettings
from cluster_tts.manifest import DocumentRow, Manifest
from cluster_tts.model import Chunk, Outcome, Sound, Status
from cluster_tts.record import Record
from cluster_tts.storage import LocalFolder

SOUND = Sound(8_000, 8_000, 16_044, "ab" * 32)
CLIPS = [f"{number:032}" for number in range(4)]
ROW = DocumentRow(document="a", source="a.txt", status="planned", chunks=4, missing=4)


class Unreachable:
    """A bucket that nobody answers for."""

    is_local = False

    def __truediv__(self, name: str) -> "Unreachable":
        return self

    def __str__(self) -> str:
        return "s3://bucket/out"

    def absolute(self) -> "Unreachable":
        return self

    def address(self, name: str) -> str:
        return f"s3://bucket/out/{name}"

    def __getattr__(self, verb: str) -> Any:
        def refuse(*arguments: object) -> None:
            raise ConnectionError(f"s3://bucket/out does not answer ({verb})")

        return refuse


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """What a run leaves that was killed when it had made three of four clips."""
    job = Job(out=str(tmp_path), provider=ProviderSettings(name="tone"))
    (tmp_path / saved_job.NAME).write_text(saved_job.text_of(job))
    manifest = Manifest(LocalFolder(tmp_path / "manifest"), "r1", term=1)
    writer = manifest.plan_writer()
    writer.write([(Chunk("a", number, 0, f"Text {number}."), clip) for number, clip in enumerate(CLIPS)], 0)
    writer.close()
    record = Record(LocalFolder(tmp_path), manifest)
    record.rows = {"a": ROW}
    record.flush("running", None)
    for clip, status in zip(CLIPS, (Status.SPOKEN, Status.SPOKEN, Status.FOUND, Status.RETRIED), strict=True):
        sound = None if status is Status.RETRIED else SOUND
        outcome = Outcome(
            clip_id=clip, document="a", chunk_index=0, attempt=1, status=status, characters=1, sound=sound
        )
        manifest.add([outcome])
    manifest.flush()
    return tmp_path


@pytest.mark.parametrize("command", [status_of, report_out, lambda where: stitch_out(where, ())])
def test_storage_that_does_not_answer_is_not_taken_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setattr("cluster_tts.storage.at", lambda where: Unreachable())
    with pytest.raises(JobError, match=r"s3://bucket/out does not answer") as caught:
        command("s3://bucket/out")
    assert "holds no run" not in str(caught.value)


def test_status_of_a_killed_run_counts_what_it_had_made(out: Path) -> None:
    told = status_of(str(out))
    assert (told.status, told.exit_code) == ("interrupted", 75)
    assert [(line.status, line.missing) for line in told.documents] == [("planned", 1)]


def test_a_clip_that_was_there_before_anybody_looked_at_it_is_not_missing(out: Path) -> None:
    Manifest(LocalFolder(out / "manifest"), "r2", term=2).write_documents([replace(ROW, missing=0)])
    assert [line.missing for line in status_of(str(out)).documents] == [0]


def test_documents_that_are_all_damaged_are_never_whole(out: Path) -> None:
    Record(LocalFolder(out), Manifest(LocalFolder(out / "manifest"))).flush("whole", 0)
    for path in (out / "manifest").glob("documents*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    told = status_of(str(out))
    assert (told.status, told.exit_code) == ("interrupted", 75)
    assert "is damaged: run the run's own command again, which mends it" in (told.message or "")


def test_a_report_is_left_to_the_run_that_is_at_work(out: Path) -> None:
    before = (out / "report.json").read_bytes()
    fence = Fence(LocalFolder(out), "r2")
    assert fence.try_once()
    with pytest.raises(JobError, match=r"a run is at work on .* and writes its own report; use status"):
        report_out(str(out))
    assert (out / "report.json").read_bytes() == before
    fence.release()
    report_out(str(out))
    assert (out / "report.json").read_bytes() != before


def test_a_document_whose_plan_is_gone_is_named(out: Path) -> None:
    manifest = Manifest(LocalFolder(out / "manifest"), "r2", term=2)
    manifest.write_documents([ROW, replace(ROW, document="b"), replace(ROW, document="c", status="unreadable")])
    with pytest.raises(Interrupted, match=r"the plan of 'b' is gone: run the run's own command again, which makes it"):
        stitch_out(str(out), ())


@pytest.mark.parametrize("content", [None, b"\0\1\2", b"- a list", b"nonsense: 1"])
def test_a_saved_job_that_is_gone_or_damaged_is_saved_anew_by_a_run(out: Path, content: bytes | None) -> None:
    (out / saved_job.NAME).unlink()
    if content is not None:
        (out / saved_job.NAME).write_bytes(content)
    with pytest.raises(JobError, match="run the run's own command again, which saves it anew") as caught:
        stitch_out(str(out), ())
    assert str(out / saved_job.NAME) in str(caught.value)


def test_what_is_wrong_with_settings_is_not_blamed_on_the_saved_job(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobError) as caught:
        stitch_out(str(out), ["stitching.gap=1"])
    assert "saves it anew" not in str(caught.value)
    monkeypatch.setenv("CLUSTER_TTS_STITCHING__GAP", "1")
    with pytest.raises(JobError) as caught:
        stitch_out(str(out), ())
    assert "saves it anew" not in str(caught.value)


def test_clips_without_a_manifest_are_not_no_run(out: Path) -> None:
    for path in (out / "manifest").glob("documents*.parquet"):
        path.unlink()
    with pytest.raises(JobError, match="holds no run"):
        status_of(str(out))
    (out / "clips/ab").mkdir(parents=True)
    (out / "clips/ab/abc.wav").touch()
    with pytest.raises(JobError, match=r"is gone, .* finds the clips that are there without paying for them"):
        status_of(str(out))
