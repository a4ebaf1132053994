"""``ray job submit -- python jobs/...`` against ``ray start --head``, inside a network namespace of its own: started,
stopped in mid-run, continued, joined again, reported.

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

from cluster_tts.manifest import Manifest
from cluster_tts.storage import LocalFolder

ROOT = Path(__file__).parent.parent.parent

SCRIPT = """
set -e
ip link set lo up
ray start --head --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 --temp-dir="$TEMP" --num-cpus=2 >/dev/null
export RAY_ADDRESS=http://127.0.0.1:8265
submit() { ray job submit --working-dir "$WORK" --runtime-env-json "$GRACE" "$@"; }
GRACE='{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}}'
RUN="python jobs/synthesize.py texts provider.name=tone provider.options.latency_s=0.5 workers.slots=1"
if submit -- $RUN; then exit 9; fi
submit --submission-id first --no-wait -- $RUN --out "$OUT"
until grep -q '"spoken": *[1-9]' "$OUT/report.json" 2>/dev/null; do sleep 0.2; done
ray job stop first
cp "$OUT/report.json" "$OUT.stopped.json"
submit --submission-id second -- $RUN --out "$OUT"
cp "$OUT/report.json" "$OUT.continued.json"
submit -- python jobs/stitch.py "$OUT" stitching.format=flac
submit -- python jobs/report.py "$OUT" --json
"""


def can_unshare() -> bool:
    return (
        all(map(shutil.which, ("unshare", "ip")))
        and not subprocess.run(
            ["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.ray
@pytest.mark.timeout(240)
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_jobs_leave_their_outcome_in_out_are_stopped_in_good_order_and_go_on_where_they_were(tmp_path: Path) -> None:
    work, out, temp = tmp_path / "work", tmp_path / "out", Path("/tmp", f"rj{os.getpid()}")
    (work / "texts").mkdir(parents=True)
    shutil.copytree(ROOT / "jobs", work / "jobs")
    (work / "texts" / "a.txt").write_text("\n\n".join(f"Sentence number {n} is one of many." for n in range(40)))
    environment = {
        **os.environ, "OUT": str(out), "TEMP": str(temp), "WORK": str(work), "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    try:
        # --pid and --kill-child: the head is the namespace's, and ends with it.
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", SCRIPT],
            env=environment, capture_output=True, text=True, timeout=230, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is relative, and this job's folder is a copy that vanishes with it" in done.stdout
    assert "Traceback" not in done.stdout

    stopped, continued = (json.loads(Path(f"{out}.{name}.json").read_text()) for name in ("stopped", "continued"))
    assert (stopped["status"], stopped["exit_code"]) == ("interrupted", 75), stopped
    assert (continued["status"], continued["exit_code"]) == ("whole", 0), continued
    assert [each["job"]["submission_id"] for each in (stopped, continued)] == ["first", "second"]
    assert set(stopped["job"]) == {"submission_id", "node", "ray_version"}
    assert "submitted as first, runs on" in (out / "run.log").read_text()
    spoken = [row.clip_id for row in Manifest(LocalFolder(out / "manifest")).read_outcomes() if row.status == "spoken"]
    assert len(spoken) == len(set(spoken)) == 40, "what was in flight had its grace: nothing was paid twice"

    assert (out / "documents" / "a.flac").is_file()
    told = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    assert json.loads(told)["totals"]["documents_whole"] == 1
