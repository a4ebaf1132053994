"""Characters a second from files to a recorded plan: reading, cutting, naming the clips, writing Parquet."""

import tempfile
import time
from pathlib import Path

from cluster_tts import config, documents
from cluster_tts.manifest import Manifest
from cluster_tts.planning import make_plan
from cluster_tts.storage import at

SAMPLE = Path(__file__).parent.parent / "samples" / "alice-in-wonderland-i-v.txt"
CHARACTERS = 10_000_000

SCRIPTS = {
    "English prose": SAMPLE.read_text(encoding="utf-8"),
    "Chinese, no spaces": ("我们都是学生。他说：“你好，世界！”然后就走了，没有回头。" * 20 + "\n\n") * 20,
    "one endless word": "abcdefghij" * 5_000,
}


def main() -> None:
    for name, text in SCRIPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "text.txt")
            source.write_text((text * (CHARACTERS // len(text) + 1))[:CHARACTERS], encoding="utf-8")
            job = config.load(overrides=[f"out={folder}/out", "provider.name=tone"], environ={})
            manifest = Manifest(at(job.out) / "manifest", "bench")
            start = time.perf_counter()
            plan = make_plan(job, documents.find([str(source)]), manifest, manifest.plan_writer())
            took_s = time.perf_counter() - start
            manifest.write_documents(plan.rows.values())
            start = time.perf_counter()
            make_plan(job, documents.find([str(source)]), manifest)
            again_s = time.perf_counter() - start
        chunks = sum(row.chunks for row in plan.rows.values())
        print(
            f"{name:20} {CHARACTERS:,} characters, {chunks:,} chunks: {took_s:.2f} s, "
            f"{CHARACTERS / took_s / 1e6:.1f} million a second; again, unchanged: {again_s:.2f} s"
        )


if __name__ == "__main__":
    main()
