"""Three runs on a cluster of two nodes, in a network namespace of their own: one loses its second node, one has it
drained, one has its own drained. Prints what came of each as JSON. Run by ``test_nodes``."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from cluster_tts.manifest import Manifest
from cluster_tts.storage import LocalFolder

HEAD, ADDRESS = "127.0.0.1", "127.0.0.1:6379"
ON_A_CORE = 4  # workers
RAY = str(Path(sys.executable).parent / "ray")


def ray(*arguments: str) -> str:
    return subprocess.run([RAY, *arguments], check=True, capture_output=True, text=True).stdout


def add_node(temp: Path) -> "subprocess.Popen[bytes]":
    """A second node, on another address of loopback; ended by ending its processes."""
    return subprocess.Popen(
        [RAY, "start", f"--address={ADDRESS}", "--node-ip-address=127.0.0.2", "--num-cpus=1", "--block"],
        stdout=(temp / "node.log").open("ab"), stderr=subprocess.STDOUT,
    )  # fmt: skip


def nodes() -> dict[str, str]:
    """The ids of the living nodes by address."""
    program = (
        "import json, ray; ray.init(address='127.0.0.1:6379', log_to_driver=False, logging_level='ERROR');"
        "print(json.dumps({n['NodeManagerAddress']: n['NodeID'] for n in ray.nodes() if n['Alive']}))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    # Ray puts a line of its own there where a node has just died.
    found: dict[str, str] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return found


def wait_for(condition: Callable[[], object], what: str, within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


def kill_all(node: "subprocess.Popen[bytes]") -> None:
    for process in [*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)]:
        process.kill()
    node.wait()


def drain(node_id: str) -> None:
    ray(
        "drain-node", "--address", ADDRESS, "--node-id", node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message", "a test", "--deadline-remaining-seconds", "60",
    )  # fmt: skip


def run(texts: Path, out: Path, workers: int, meanwhile: Callable[[], None]) -> dict[str, object]:
    """A run of so many workers; ``meanwhile`` happens once all of them have spoken."""
    driver = subprocess.Popen(
        [
            sys.executable, "-m", "cluster_tts", "run", str(texts), "--out", str(out), f"cluster.address={ADDRESS}",
            "provider.name=tone", "provider.options.latency_s=1.6", "check.characters_per_second=null",
            f"workers.count={workers}", "workers.slots=1",
        ],
        stderr=(out.parent / f"{out.name}.log").open("wb"),
    )  # fmt: skip
    outcomes = lambda: list(Manifest(LocalFolder(out / "manifest")).read_outcomes())  # noqa: E731
    wait_for(lambda: driver.poll() is not None or len({o.worker for o in outcomes()}) == workers, "all speak")
    meanwhile()
    code = driver.wait(timeout=90)
    rows = outcomes()
    return {
        "exit_code": code,
        "statuses": [str(o.status) for o in rows],
        "kinds": sorted({o.error_kind or "" for o in rows}),
        "spoken_twice": len([o for o in rows if o.status == "spoken"]) - len({o.clip_id for o in rows}),
        "said": (out.parent / f"{out.name}.log").read_text()[-2000:],
        "log": (out / "run.log").read_text()[-3000:],
    }


def main(texts: Path, temp: Path) -> None:
    ray("start", "--head", f"--node-ip-address={HEAD}", "--num-cpus=1", "--include-dashboard=false",
        f"--temp-dir={os.environ['RAY_TEMP']}")  # fmt: skip
    second = add_node(temp)
    wait_for(lambda: len(nodes()) == 2, "the second node is there")
    lost = run(texts, temp / "lost", 2 * ON_A_CORE, lambda: kill_all(second))
    second = add_node(temp)
    wait_for(lambda: "127.0.0.2" in nodes(), "another second node is there")
    ids = nodes()
    drained = run(texts, temp / "drained", 2 * ON_A_CORE, lambda: drain(ids["127.0.0.2"]))
    own = run(texts, temp / "own", ON_A_CORE, lambda: drain(ids[HEAD]))
    print(json.dumps({"lost": lost, "drained": drained, "own": own}))  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
