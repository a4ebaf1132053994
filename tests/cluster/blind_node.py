"""Two runs on a cluster of two nodes, in namespaces of their own: the second node has another disk at the path of OUT,
and then the same. Prints what came of each as JSON. Run by ``test_hosts``."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cluster_tts.manifest import Manifest
from cluster_tts.storage import LocalFolder
from tests.cluster.two_nodes import ADDRESS, HEAD, RAY, kill_all, nodes, ray, wait_for

BLIND = 'mount --make-rprivate / && mount -t tmpfs none "$HIDDEN" && exec "$@"'


def add_node(temp: Path, address: str, hidden: Path | None) -> "subprocess.Popen[bytes]":
    """A second node; ``hidden``: where it has a disk of its own."""
    start = [RAY, "start", f"--address={ADDRESS}", f"--node-ip-address={address}", "--num-cpus=2", "--block"]
    apart = ["unshare", "--mount", "bash", "-c", BLIND, "bash"] if hidden else []
    return subprocess.Popen(
        [*apart, *start], env={**os.environ, "HIDDEN": str(hidden or "")},
        stdout=(temp / "node.log").open("ab"), stderr=subprocess.STDOUT,
    )  # fmt: skip


def run(texts: Path, out: Path) -> dict[str, object]:
    """A run with workers on both nodes, and what it left."""
    ended = subprocess.run(
        [
            sys.executable, "-m", "cluster_tts", "run", str(texts), "--out", str(out), f"cluster.address={ADDRESS}",
            "provider.name=tone", "provider.options.latency_s=0.2", "check.characters_per_second=null",
            "workers.count=4", "workers.slots=1", "logging.format=json",
        ],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    rows = list(Manifest(LocalFolder(out / "manifest")).read_outcomes())
    return {
        "exit_code": ended.returncode,
        "said": ended.stderr[-1500:],
        "report": json.loads((out / "report.json").read_text()),
        "workers": sorted({row.worker for row in rows}),
        "clips": sum(1 for _ in LocalFolder(out / "clips").files()),
        "hidden": [path.name for path in out.rglob(".*") if path.is_file()],
    }


def main(texts: Path, temp: Path) -> None:
    ray("start", "--head", f"--node-ip-address={HEAD}", "--num-cpus=2", "--include-dashboard=false",
        f"--temp-dir={os.environ['RAY_TEMP']}")  # fmt: skip
    came = {}
    for name, address in ("blind", "127.0.0.2"), ("seeing", "127.0.0.3"):
        out = temp / name / "out"
        (out / "clips").mkdir(parents=True)
        node = add_node(temp, address, out if name == "blind" else None)
        wait_for(lambda address=address: address in nodes(), "the second node is there")  # type: ignore[misc]
        came[name] = run(texts, out)
        kill_all(node)  # the next run may find it among the living yet
    logs = Path(os.environ["RAY_TEMP"]).glob("session_latest/logs/worker-*.err")
    print(json.dumps({**came, "logs": [path.read_text() for path in logs]}))  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
