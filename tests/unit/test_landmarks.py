"""Whoever is to work for a run sees its folders, or says so before anything is paid."""

import errno
import pickle
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cluster_tts.errors import JobError
from cluster_tts.job import ClipsSettings, Job
from cluster_tts.landmarks import APPEARS_S, Landmarks, left_in
from cluster_tts.storage import LocalFolder


@dataclass
class Clock:
    """Time that only passes while somebody sleeps; ``at_s``: then ``path`` appears."""

    now: float = 0.0
    at_s: float = float("inf")
    path: Path = Path()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.at_s:
            self.path.touch()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(out=str(tmp_path / "out"), clips=ClipsSettings(str(tmp_path / "shared")))


def elsewhere(landmarks: Landmarks, which: int) -> Landmarks:
    """The same as another machine finds them, which has another disk at the path of the one or the other."""
    files = list(pickle.loads(pickle.dumps(landmarks)).files)
    files[which] = replace(files[which], path=files[which].path.with_name("not-there"))
    return replace(landmarks, files=tuple(files))


def test_where_all_is_well_nothing_is_said_and_afterwards_nothing_stays(job: Job, tmp_path: Path) -> None:
    with left_in(job) as landmarks:
        assert len(landmarks.files) == 2
        pickle.loads(pickle.dumps(landmarks)).require()
        assert {each.path.parent for each in landmarks.files} == {tmp_path / "out/manifest", tmp_path / "shared"}
        assert not [*LocalFolder(tmp_path / "out").files(), *LocalFolder(tmp_path / "shared").files()], "hidden"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("which", "setting"), [(0, "--out"), (1, "clips.dir")])
def test_a_host_that_sees_another_folder_at_the_path_is_named_with_what_to_do(
    job: Job, which: int, setting: str
) -> None:
    clock = Clock()
    with left_in(job) as landmarks, pytest.raises(JobError) as error:
        elsewhere(landmarks, which).require(clock, clock.sleep)
    place = job.clips.dir if which else job.out
    said = str(error.value)
    assert f"host '{socket.gethostname()}' does not see '{place}'" in said
    assert f"give {setting} as a URL" in said
    assert "\n" not in said
    assert error.value.exit_code == 2
    assert clock.now == APPEARS_S


def test_a_disk_in_a_network_may_take_its_time_to_show_a_file(job: Job) -> None:
    with left_in(job) as landmarks:
        late = landmarks.files[0].path
        late.unlink()
        clock = Clock(at_s=APPEARS_S - 1, path=late)
        landmarks.require(clock, clock.sleep)
    assert APPEARS_S - 1 <= clock.now < APPEARS_S


class ReadOnly(LocalFolder):
    def make(self) -> None:
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_host_that_cannot_write_is_named_too(tmp_path: Path) -> None:
    folder = ReadOnly(tmp_path / "clips")
    with pytest.raises(JobError, match=rf"host '.*' cannot write to '{folder}'.*Read-only file system; mend it"):
        Landmarks((), (folder,)).require()


def test_a_bucket_needs_no_landmark(tmp_path: Path) -> None:
    with left_in(Job(out="s3://bucket/out")) as landmarks:
        assert landmarks.files == ()
        assert [str(folder) for folder in landmarks.folders] == ["s3://bucket/out", "s3://bucket/out/clips"]


def test_they_are_kept_from_being_swept_away_as_long_as_workers_come(job: Job) -> None:
    with left_in(job) as landmarks:
        for each in landmarks.files:
            each.path.unlink()
        landmarks.refresh()
        landmarks.require()


def test_of_each_folder_that_has_videos_one_has_to_be_there(job: Job, tmp_path: Path) -> None:
    films = [tmp_path / name for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4")]
    for film in films:
        film.parent.mkdir(exist_ok=True)
        film.write_bytes(b"film")
    clock = Clock()
    with left_in(job, films) as landmarks:
        assert {each.parent for each in landmarks.videos} == {tmp_path / "a", tmp_path / "b"}
        landmarks.refresh()
        pickle.loads(pickle.dumps(landmarks)).require()
        films[2].rename(tmp_path / "elsewhere.mp4")
        with pytest.raises(JobError, match=rf"does not see '{films[2]}' .*on every node, or set media\.video=none$"):
            landmarks.require(clock, clock.sleep)
        landmarks.refresh()
        assert not films[2].exists(), "nothing is ever touched where videos are"
