"""OUT as a place to work in: the log of a run where nothing can be appended to, and what a kill has left."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster_tts.errors import Interrupted
from cluster_tts.job import ClipsSettings, Job
from cluster_tts.storage import LocalFolder
from cluster_tts.workspace import SPOOL_S, Spool, absolute, log_file, sweep

log = logging.getLogger("cluster_tts.test")


class Bucket(LocalFolder):
    """A folder that lets nobody append: what is being written is somewhere else."""

    is_local = False

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        with LocalFolder(self.path.parent / "scratch").new(name) as path:
            yield path

    def publish(self, path: Path, name: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(self.path / name)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Taken:
    def check(self) -> None:
        raise Interrupted("taken over")


def test_a_log_that_cannot_be_appended_to_is_brought_at_the_end_after_what_was_there(tmp_path: Path) -> None:
    for words in "first", "second":
        with log_file(Bucket(tmp_path / "out"), verbose=False) as spool:
            assert spool is not None
            log.info("%s", words)
    lines = (tmp_path / "out/run.log").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["first", "second"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_spool_is_brought_with_a_flush_but_not_with_every_one(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "log"
    spool, there = Spool(LocalFolder(tmp_path / "out"), path, clock), tmp_path / "out/run.log"
    path.write_text("1")
    spool.flushed()
    assert not there.exists()
    clock.now = SPOOL_S
    spool.flushed()
    path.write_text("12")
    spool.flushed()
    assert there.read_text() == "1"
    clock.now = 2 * SPOOL_S
    spool.flushed()
    assert there.read_text() == "12"


def test_a_run_that_has_lost_its_out_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    with log_file(Bucket(tmp_path / "out"), verbose=False, fence=Taken()):
        log.info("late")
    assert not (tmp_path / "out/run.log").exists()


def test_a_log_that_cannot_be_brought_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Gone(Bucket):
        def publish(self, path: Path, name: str) -> None:
            raise OSError(errno.EHOSTUNREACH, "it cannot be reached")

    clock = Clock(SPOOL_S)
    with log_file(Gone(tmp_path / "out"), verbose=False) as spool:
        assert spool is not None
        Spool(Gone(tmp_path / "out"), tmp_path / "log", Clock()).flushed()
        (tmp_path / "log").write_text("1")
        late = Spool(Gone(tmp_path / "out"), tmp_path / "log", clock)
        clock.now += SPOOL_S
        late.flushed()
    assert caplog.text.count("run.log could not be brought") == 2


def test_a_local_log_is_appended_to_at_once(tmp_path: Path) -> None:
    with log_file(LocalFolder(tmp_path), verbose=False) as spool:
        assert spool is None
        log.info("now")
        assert "now" in (tmp_path / "run.log").read_text()


def test_what_a_kill_left_half_written_is_swept_from_the_manifest_and_the_documents(tmp_path: Path) -> None:
    for name in (
        "clips/ab/.ab.wav.cd.part",
        "manifest/outcomes/.part-0-r.parquet.ab.part",
        "documents/.d.wav.ab.part",
        "documents/d.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (0, 0))  # long ago: what is younger may be another's, who has just lost OUT
    sweep(Job(out=str(tmp_path)))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["d.wav"]


def test_places_mean_the_same_wherever_a_process_was_started(tmp_path: Path) -> None:
    job = absolute(Job(out="out", clips=ClipsSettings("shared")))
    assert (job.out, job.clips.dir) == (str(Path("out").absolute()), str(Path("shared").absolute()))
