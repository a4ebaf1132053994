"""What a scrape of the metrics port tells of a run: something while it goes on, and in the end what its report says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from cluster_tts.figures import DOCUMENTS, FIGURES
from tests.cluster.test_job_submit import ROOT, can_unshare


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, temp = tmp_path_factory.mktemp("metrics"), Path("/tmp", f"rm{os.getpid()}")
    for number in range(2):
        paragraphs = [f"Document {number}, paragraph {n}, says something of its own." for n in range(40)]
        (folder / f"document-{number}.txt").write_text("\n\n".join(paragraphs))
    environment = {
        **os.environ, "RAY_TEMP": str(temp), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT), "CLUSTER_TTS_STATE_DIR": str(folder / "state"),
    }  # fmt: skip
    program = f"ip link set lo up && exec {sys.executable} -m tests.cluster.scraping '{folder}/*.txt' {folder}"
    try:
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", program],
            env=environment, capture_output=True, text=True, timeout=110, check=False, cwd=ROOT,
        )  # fmt: skip
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def of(series: dict[str, float], name: str, **labels: str) -> float:
    own = ",".join(f'{key}="{value}"' for key, value in sorted({"provider": "openai", **labels}.items()))
    return series.get(f"ray_cluster_tts_{name}{{{own}}}", 0.0)


@pytest.mark.ray
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_scrape_at_the_end_of_a_run_equals_its_report(came: dict[str, Any]) -> None:
    report, after = came["report"], came["after"]
    assert report["exit_code"] == 0, came["said"]
    totals, quota = report["totals"], report["quota"]
    for name in "requests", "refused", "characters", "billed_characters":
        assert of(after, f"{name}_total") == totals[name], name
    assert of(after, "cost_usd_total") == pytest.approx(totals["cost_usd"], abs=1e-6)
    assert of(after, "audio_seconds_total") == pytest.approx(totals["audio_s"], abs=1e-2)
    for status in "spoken", "found", "failed", "retried":
        assert of(after, "clips_total", status=status) == totals[status], status
    assert totals["errors"], "the emulator fails one request in ten"
    for kind, number in totals["errors"].items():
        assert of(after, "errors_total", kind=kind) == number, kind
    standing = [line["status"] for line in report["documents"]]
    assert {status: of(after, "documents", status=status) for status in DOCUMENTS} == {
        status: standing.count(status) for status in DOCUMENTS
    }
    for name in "latency_seconds", "gate_wait_seconds":
        assert of(after, f"{name}_count") == totals["requests"], name
    assert of(after, "quota_used") == pytest.approx(quota["share_used"], abs=1e-4)
    assert of(after, "quota_in_use") == pytest.approx(quota["in_use"], abs=1e-4)
    assert of(after, "budget_left") == totals["budget_left"]
    assert (of(after, "in_flight"), of(after, "waiting")) == (quota["in_flight"], quota["waiting"]) == (0, 0)


@pytest.mark.ray
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_a_run_is_seen_while_it_goes_on_by_figures_that_only_grow(came: dict[str, Any]) -> None:
    spoken = [of(series, "clips_total", status="spoken") for series in came["during"]]
    assert len({number for number in spoken if 0 < number < came["report"]["totals"]["spoken"]}) >= 2, spoken
    assert spoken == sorted(spoken)
    assert max(of(series, "in_flight") for series in came["during"]) >= 1
    assert max(of(series, "documents", status="planned") for series in came["during"]) == 2
    known = {f"ray_{figure.name}" for figure in FIGURES}
    names = {series.partition("{")[0] for series in came["after"]}
    assert {name.removesuffix("_total") for name in names if not name.endswith(("_bucket", "_count", "_sum"))} <= known
