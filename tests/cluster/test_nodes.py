"""Machines that go, with and without a warning: the run goes on, or stops in good order where it is its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from tests.cluster.test_job_submit import ROOT, can_unshare


@pytest.mark.ray
@pytest.mark.timeout(200)
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_node_that_goes_costs_what_it_had_in_flight_one_that_is_drained_costs_nothing(tmp_path: Path) -> None:
    texts, temp = tmp_path / "texts", Path("/tmp", f"rn{os.getpid()}")
    texts.mkdir()
    for number in range(2):
        paragraphs = [f"Document {number}, paragraph {n}, says something of its own." for n in range(25)]
        (texts / f"document-{number}.txt").write_text("\n\n".join(paragraphs))
    environment = {
        **os.environ, "RAY_TEMP": str(temp), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    program = f"ip link set lo up && exec {sys.executable} -m tests.cluster.two_nodes {texts} {tmp_path}"
    try:
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", program],
            env=environment, capture_output=True, text=True, timeout=190, check=False, cwd=ROOT,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    came = json.loads(done.stdout.splitlines()[-1])
    assert came["lost"]["exit_code"] == 0, came["lost"]
    assert came["lost"]["spoken_twice"] <= 4, "a clip of each of its workers was in flight"
    assert came["lost"]["statuses"].count("spoken") >= 50
    assert "is gone; another takes its place" in came["lost"]["log"]
    assert came["drained"]["exit_code"] == 0, came["drained"]
    assert came["drained"]["kinds"] == [""], "what was asked for was finished, the rest given back"
    assert came["drained"]["statuses"] == ["spoken"] * 50
    assert "is about to be taken away" in came["drained"]["log"]
    assert came["own"]["exit_code"] == 75, came["own"]
    assert "run the same command again" in came["own"]["said"]
