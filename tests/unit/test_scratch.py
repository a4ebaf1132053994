"""Folders of a process's own, and what becomes of those whose process was killed."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster_tts import scratch


def test_folders_of_killed_runs_are_cleared_away_and_those_of_living_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scratch, "PLACE", tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f"ctts-{ended.pid}-dead", f"ctts-{os.getpid()}-alive", "ctts-other"):
        (tmp_path / name).mkdir()
    scratch.clear_away_the_dead()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"ctts-{os.getpid()}-alive", "ctts-other"]
