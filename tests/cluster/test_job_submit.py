"""``ray job submit -- python jobs/synthesize.py`` against ``ray start --head``, inside a network namespace of its own.

A head listens on every interface, so it is started where there is none but loopback.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

ROOT = Path(__file__).parent.parent.parent

SCRIPT = """
set -e
ip link set lo up
ray start --head --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 --temp-dir="$TEMP" --num-cpus=2 >/dev/null
export RAY_ADDRESS=http://127.0.0.1:8265
ray job submit --working-dir "$WORK" -- python jobs/synthesize.py texts --out "$OUT" provider.name=tone
if ray job submit --working-dir "$WORK" -- python jobs/synthesize.py texts provider.name=tone; then exit 9; fi
"""


def can_unshare() -> bool:
    return (
        all(map(shutil.which, ("unshare", "ip")))
        and not subprocess.run(
            ["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.ray
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_submitted_job_leaves_its_outcome_in_out_and_a_relative_out_is_refused(tmp_path: Path) -> None:
    work, out, temp = tmp_path / "work", tmp_path / "out", Path("/tmp", f"rj{os.getpid()}")
    (work / "texts").mkdir(parents=True)
    shutil.copytree(ROOT / "jobs", work / "jobs")
    (work / "texts" / "a.txt").write_text("One sentence. And another one.\n\nA second paragraph.\n")
    environment = {
        **os.environ, "OUT": str(out), "TEMP": str(temp), "WORK": str(work), "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    try:
        # --pid and --kill-child: the head is the namespace's, and ends with it.
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", SCRIPT],
            env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is relative, and this job's folder is a copy that vanishes with it" in done.stdout
    report = json.loads((out / "report.json").read_text())
    assert (report["status"], report["exit_code"]) == ("whole", 0)
    assert (out / "documents" / "a.wav").is_file()
