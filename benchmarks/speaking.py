"""How much of two cores the Ray engine turns into speech, against one process that does nothing but call the voice.

Prints the ratio of speeds over the same chunks (wanted: at least 1.6 on 2 cores), measured in one run: single, Ray,
single again. The Ray side counts from the first chunk begun to the last one ended, as the manifest says. Then the
time from the command to the first spoken chunk, beyond what a bare Ray needs to start an actor.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster_tts.manifest import Manifest, PlanLocation
from cluster_tts.storage import LocalFolder

SAMPLE = Path(__file__).parent.parent / "samples" / "alice-in-wonderland-i-v.txt"

SINGLE = """
import json, sys, time
from hibari import Hibari
texts = json.load(open(sys.argv[1]))
voice = Hibari()
voice("Warm up, so that nothing is loaded on the clock.", seed=0)
start = time.perf_counter()
for text in texts:
    voice(text, seed=0)
print(time.perf_counter() - start)
"""

BARE_RAY = """
import os, time
start = time.perf_counter()
os.environ.update(RAY_AUTH_MODE="disabled", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0")
import ray
ray.init(address="local", include_dashboard=False, object_store_memory=80_000_000, log_to_driver=False)
@ray.remote
class Actor:
    def ready(self): return True
ray.get(Actor.remote().ready.remote())
print(time.perf_counter() - start)
"""


def write_text(path: Path, copies: int) -> None:
    """The sample several times over, each copy in its own words, since equal chunks are spoken once."""
    paragraphs = SAMPLE.read_text(encoding="utf-8").split("\n\n")
    path.write_text(
        "\n\n".join(f"Reading {copy}. {text}" for copy in range(1, copies + 1) for text in paragraphs if text.strip())
    )


def single_process_s(texts: Path) -> float:
    return float(subprocess.run([sys.executable, "-c", SINGLE, str(texts)], capture_output=True, check=True).stdout)


def ray_engine(source: Path, out: Path) -> tuple[float, float, list[str]]:
    """Seconds from the first chunk begun to the last ended, seconds to the first spoken chunk, and all texts."""
    began = time.time()
    subprocess.run([sys.executable, "-m", "cluster_tts", "run", str(source), "--out", str(out)], check=True)
    outcomes = list(Manifest(LocalFolder(out / "manifest")).read_outcomes())
    first_spoken_s = min(o.finished_at for o in outcomes) - began
    took_s = max(o.finished_at for o in outcomes) - min(o.started_at for o in outcomes)
    [plan] = Manifest(LocalFolder(out / "manifest")).plans().values()
    return took_s, first_spoken_s, distinct(plan)


def distinct(plan: PlanLocation) -> list[str]:
    """The texts that are spoken: equal chunks are one clip."""
    return list({chunk.clip_id: chunk.text for chunk in plan}.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=4, help="how often the sample is spoken (4: more than 60 s)")
    copies = parser.parse_args().copies
    with tempfile.TemporaryDirectory() as folder:
        source, texts = Path(folder, "text.txt"), Path(folder, "chunks.json")
        write_text(source, copies)
        subprocess.run(
            [sys.executable, "-m", "cluster_tts", "run", str(source), "--out", f"{folder}/plan", "engine=local",
             "provider.name=tone", "provider.options.latency_s=0", "provider.options.characters_per_second=1000",
             "check.characters_per_second=null", "chunking.max_characters=400"],
            check=True, capture_output=True,
        )  # fmt: skip
        [plan] = Manifest(LocalFolder(Path(folder, "plan", "manifest"))).plans().values()
        texts.write_text(json.dumps(distinct(plan)))
        before = single_process_s(texts)
        took_s, first_spoken_s, spoken = ray_engine(source, Path(folder, "out"))
        after = single_process_s(texts)
        assert spoken == json.loads(texts.read_text()), "both sides must speak the same chunks"
        characters = sum(map(len, spoken))
        single_s = (before + after) / 2
        bare_s = float(subprocess.run([sys.executable, "-c", BARE_RAY], capture_output=True, check=True).stdout)
    print(f"{len(spoken)} chunks, {characters:,} characters")
    print(f"one process, voice only   {single_s:6.1f} s   ({before:.1f} and {after:.1f})")
    print(f"Ray engine, all of it     {took_s:6.1f} s")
    print(f"ratio                     {single_s / took_s:6.2f}     wanted: at least 1.6 on 2 cores")
    print(f"command to first chunk    {first_spoken_s:6.1f} s, a bare Ray with one actor {bare_s:.1f} s")


if __name__ == "__main__":
    main()
