"""A run on a cluster whose metrics port is scraped meanwhile and afterwards, in a network namespace of its own. Prints
both, with the report, as JSON. Run by ``test_metrics``."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

RAY = str(Path(sys.executable).parent / "ray")
PORT = 8080
Series = dict[str, float]


def scrape() -> Series:
    """The figures of runs, by name and label of their own."""
    with contextlib.suppress(OSError):
        text = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5).read().decode()
        return dict(filter(None, map(_figure, text.splitlines())))
    return {}


def _figure(line: str) -> tuple[str, float] | None:
    if not line.startswith("ray_cluster_tts_"):
        return None
    name, _, rest = line.partition("{")
    labels, _, value = rest.rpartition("} ")
    own = sorted(
        label for label in labels.split(",") if label.partition("=")[0] in ("kind", "le", "provider", "status")
    )
    return f"{name}{{{','.join(own)}}}", float(value)


def main(texts: Path, temp: Path) -> None:
    environment = {**os.environ, "RAY_metrics_report_interval_ms": "1000"}
    subprocess.run(
        [
            RAY, "start", "--head", "--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false",
            f"--temp-dir={os.environ['RAY_TEMP']}", f"--metrics-export-port={PORT}",
        ],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    emulator = subprocess.Popen(
        [
            sys.executable, "-m", "cluster_tts", "emulate", "openai", "--requests-per-minute=1200", "--latency=0.2",
            "--characters-per-second=100", "--fault=500=0.1",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert emulator.stdout is not None
    url = emulator.stdout.readline().strip()
    out = temp / "out"
    driver = subprocess.Popen(
        [
            sys.executable, "-m", "cluster_tts", "run", str(texts), "--out", str(out), "cluster.address=127.0.0.1:6379",
            "provider.name=openai", f"provider.base_url={url}", "provider.format=pcm", "logging.format=json",
            "check.characters_per_second=null", "quota.requests_per_minute=1200", "quota.max_concurrent_requests=4",
            "quota.budget_characters=100000", "retry.max_attempts=10",
        ],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    during: list[Series] = []
    while driver.poll() is None:
        during.append(scrape())
        time.sleep(0.5)
    deadline = time.monotonic() + 15
    name = 'ray_cluster_tts_documents{provider="openai",status="whole"}'
    report = json.loads((out / "report.json").read_text())
    while (after := scrape()).get(name) != report["totals"]["documents_whole"] and time.monotonic() < deadline:
        time.sleep(0.2)
    said = driver.stderr.read() if driver.stderr else ""
    emulator.terminate()
    emulator.wait()
    print(json.dumps({"during": during, "after": after, "report": report, "said": said}))  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
