"""The preStop hook on a real head: the driver is a child of Ray's there, and is ended in good order all the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from tests.cluster.test_job_submit import can_unshare
from tests.manifests.rendering import K8S, ROOT

SCRIPT = """
set -e
ip link set lo up
ray start --head --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 --temp-dir="$TEMP" --num-cpus=2 >/dev/null
ray job submit --address http://127.0.0.1:8265 --no-wait --submission-id run -- $PYTHON $JOBS/synthesize.py "$TEXTS" \
    --out "$OUT" provider.name=tone provider.options.latency_s=1 workers.count=1 workers.slots=1 >/dev/null
until compgen -G "$OUT/clips/*/*" >/dev/null; do read -rt 0.2 <> <(:) || true; done
$PYTHON $DRIVER stop --within 45
ray job logs --address http://127.0.0.1:8265 run
"""


@pytest.mark.ray
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_the_hook_ends_the_driver_of_a_ray_job_in_good_order(tmp_path: Path) -> None:
    texts, out, temp = tmp_path / "texts", tmp_path / "out", Path("/tmp", f"rh{os.getpid()}")
    texts.mkdir()
    (texts / "a.txt").write_text("\n\n".join(f"This is paragraph {number}." for number in range(60)))
    environment = {
        **os.environ, "OUT": str(out), "TEMP": str(temp), "TEXTS": str(texts), "JOBS": str(ROOT / "jobs"),
        "DRIVER": str(K8S / "image" / "driver.py"), "PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    try:
        # --mount-proc: the hook sees what is in this pod, and nothing of the machine.
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", SCRIPT],
            env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    assert (report["status"], report["exit_code"]) == ("interrupted", 75), done.stdout
    assert 0 < report["totals"]["spoken"] < 60
