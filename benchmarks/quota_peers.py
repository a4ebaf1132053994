"""The same work done by others: the ancestors' script and async-batch-llm, each told the whole limit."""

import json
import math
from pathlib import Path

from quota_figures import Figure, first_s, in_flight, list_schedule, refused, span_s
from quota_rows import BURST, PATIENCE_S, TRAVEL, against_counting
from quota_runs import Emulator, script, texts

SCRIPT, BATCH = "quota_script.py", "quota_batch_llm.py"


def rate(folder: Path, tool: str, processes: int, count: str, scale: float) -> list[Figure]:
    """Somebody else's way with 1,500 requests on 600 a minute, in one process or several, each told the whole limit."""
    number, limit = round(1500 * scale), 600
    burst = ["--burst", str(BURST)] if count == "bucket" else []
    more = ["--burst-s", "1"] if count == "bucket" and tool == BATCH else []
    with Emulator(folder, "openai", "--requests-per-minute", str(limit), "--count", count, *burst, *TRAVEL) as emulator:
        running = []
        for name in "AB"[:processes]:
            given = folder / f"{name}.json"
            given.write_text(json.dumps(texts(name, number // processes)))
            running.append(script(emulator, tool, str(given), "--rpm", str(limit), *more))
        told = [json.loads(process.communicate(timeout=PATIENCE_S)[0] or "{}") for process in running]
        log = emulator.log()
    if not all(told):
        raise RuntimeError(f"{tool} ended without a word, see above")
    return against_counting(log, number, limit, count, None)


def places(folder: Path, tool: str, most: int, scale: float) -> list[Figure]:
    """Somebody else's way with places: told the limit exactly."""
    number = max(4 * most, round(300 * scale))
    median_s = 2.0 / math.exp(0.5**2 / 2)
    options = ("--max-concurrent", str(most), "--latency", f"{median_s:.4f}", "--sigma", "0.5")
    with Emulator(folder, "openai", *options) as emulator:
        given = folder / "A.json"
        given.write_text(json.dumps(texts("A", number)))
        script(emulator, tool, str(given), "--at-once", str(most)).communicate(timeout=PATIENCE_S)
        log = emulator.log()
    ideal_s = list_schedule((entry["latency_s"] for entry in log if not entry["refused"]), most)
    out_s = max(entry["arrival_s"] for entry in log)
    return [
        Figure("in flight / limit", in_flight(log, first_s(log), out_s) / most),
        Figure("time / list schedule", span_s(log) / ideal_s),
        Figure("refused", len(refused(log))),
    ]
