"""Whether a process that left its name somewhere still runs."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_tts.limiter import liveness
from cluster_tts.limiter.liveness import Process


def test_this_process_lives() -> None:
    assert Process.here().is_alive() is True


def test_a_pid_that_was_given_to_another_process_is_no_sign_of_life() -> None:
    assert replace(Process.here(), start="1").is_alive() is False


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**80])
def test_pids_that_nobody_has_are_dead(pid: int) -> None:
    assert replace(Process.here(), pid=pid).is_alive() is False


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        status = liveness._status(process.pid)
        assert status is not None
        assert replace(Process.here(), pid=process.pid, start=status[1]).is_alive() is False


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"place": "another boot, or container"}])
def test_nothing_can_be_said_of_processes_elsewhere(elsewhere: dict[str, str]) -> None:
    assert replace(Process.here(), **elsewhere).is_alive() is None  # type: ignore[arg-type]


def test_without_proc_the_dead_are_known_and_the_living_may_be_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(liveness, "PROC", tmp_path)
    here = Process.here()
    assert (here.start, here.place) == ("", "")
    assert here.is_alive() is None
    assert replace(here, pid=2**22 + 1).is_alive() is False
