"""Folders of a process's own, and what becomes of those whose process was killed."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster_tts import scratch
from cluster_tts.limiter.liveness import Process


def test_folders_of_killed_runs_are_cleared_away_and_those_of_living_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scratch, "PLACE", tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = Process.here().machine
    kept = f"ctts-{os.getpid()}-{here}-alive", f"ctts-{ended.pid}-elsewhe-dead", "ctts-other", f"ctts-{ended.pid}-old"
    for name in (f"ctts-{ended.pid}-{here}-dead", *kept):
        (tmp_path / name).mkdir()
    scratch.clear_away_the_dead()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
