"""Hosts that share nothing but a network and a bucket: one that is cut off in mid-run costs what it had in flight.

``make hosts`` does the same with three hosts and forty documents, also over a shared folder and with submitted jobs.
"""

import re
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from tests.cluster.test_job_submit import ROOT, can_unshare


@pytest.mark.ray
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_host_that_loses_its_network_costs_what_it_had_in_flight_and_the_bytes_are_those_of_one_machine() -> None:
    command = [sys.executable, "benchmarks/hosts.py", "--hosts", "2", "--documents", "8", "--case", "bucket", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for case in "undisturbed", "bucket":
        assert re.search(rf"^{case} +0 +8/8 +0 .* kept$", done.stdout, re.MULTILINE), done.stdout
