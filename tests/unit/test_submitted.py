"""What is different for a job of a cluster: a folder that goes with it, and a name under which it was submitted."""

import json
from pathlib import Path

import pytest

from cluster_tts.afterwards import report_out, stitch_out
from cluster_tts.errors import JobError
from cluster_tts.submitted import JOB_CONFIG, refuse_relative, submission


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Ray unpacks --working-dir to."""
    folder = tmp_path / "working_dir_files" / "_ray_pkg_0123"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("place", ["out", "./out", "../out"])
def test_a_relative_place_is_refused_where_the_folder_goes_with_the_job(place: str, unpacked: Path) -> None:
    with pytest.raises(JobError, match=rf"^--out '{place}' is relative, and this job's folder is a copy") as error:
        refuse_relative("--out", place)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("place", [None, "/shared/out", "s3://bucket/out"])
def test_a_place_that_outlives_the_job_is_taken(place: str | None, unpacked: Path) -> None:
    refuse_relative("--out", place)


def test_elsewhere_a_relative_place_is_anybody_s_own_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_relative("--out", "out")


def test_stitch_and_report_refuse_it_too_before_they_look(unpacked: Path) -> None:
    for command in stitch_out, report_out:
        with pytest.raises(JobError, match="OUT 'out' is relative"):
            command(*("out", ()) if command is stitch_out else ("out",))  # type: ignore[operator]


def test_as_what_a_driver_was_submitted_is_read_from_what_ray_tells_it() -> None:
    config = {"runtime_env": {}, "metadata": {"job_submission_id": "raysubmit_1", "mine": "x"}}
    found = submission({JOB_CONFIG: json.dumps(config)})
    assert found is not None
    assert found["submission_id"] == "raysubmit_1"
    assert set(found) == {"submission_id", "node", "ray_version"}


@pytest.mark.parametrize("told", ["", "{", "[]", "{}", '{"metadata": null}', '{"metadata": {}}'])
def test_who_was_not_submitted_is_told_nothing(told: str) -> None:
    assert submission({JOB_CONFIG: told} if told else {}) is None
