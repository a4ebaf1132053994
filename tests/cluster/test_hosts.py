"""A machine that does not see where a run writes to is named before anything is paid; with another all is well."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from tests.cluster.test_job_submit import ROOT, can_unshare


@pytest.mark.ray
@pytest.mark.timeout(200)
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_node_that_does_not_see_out_ends_the_run_before_anything_is_asked_for(tmp_path: Path) -> None:
    texts, temp = tmp_path / "texts", Path("/tmp", f"rh{os.getpid()}")
    texts.mkdir()
    for number in range(4):
        paragraphs = [f"Document {number}, paragraph {n}, says something of its own." for n in range(10)]
        (texts / f"document-{number}.txt").write_text("\n\n".join(paragraphs))
    environment = {
        **os.environ, "RAY_TEMP": str(temp), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    program = f"ip link set lo up && exec {sys.executable} -m tests.cluster.blind_node {texts} {tmp_path}"
    try:
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", program],
            env=environment, capture_output=True, text=True, timeout=190, check=False, cwd=ROOT,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    came = json.loads(done.stdout.splitlines()[-1])
    blind, seeing = came["blind"], came["seeing"]
    assert blind["exit_code"] == 2, blind
    assert f"host '{socket.gethostname()}' does not see '{tmp_path / 'blind/out'}'" in blind["said"]
    assert "mount the same folder at that path on every node, or give --out as a URL" in blind["said"]
    assert "Traceback" not in blind["said"]
    assert (blind["report"]["status"], blind["report"]["exit_code"]) == ("failed", 2)
    assert (blind["clips"], blind["workers"]) == (0, []), "nothing was asked for, on the other node neither"
    assert seeing["exit_code"] == 0, seeing
    assert seeing["report"]["totals"]["documents_whole"] == 4
    assert seeing["clips"] == 40
    lines = [json.loads(line) for text in came["logs"] for line in text.splitlines() if line.startswith("{")]
    begun = {line["worker"] for line in lines if line["run"] == seeing["report"]["run_id"]}
    assert set(seeing["workers"]) <= begun, "among the lines of others one run can be read alone"
    assert {line["run"] for line in lines} == {seeing["report"]["run_id"]}, "the blind one never began"
    assert blind["hidden"] == seeing["hidden"] == [], "landmarks go with their run"
