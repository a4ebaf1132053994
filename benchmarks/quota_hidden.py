"""Rows about limits that nobody tells: found, halved in mid-run, used up by others."""

import math
import subprocess
from pathlib import Path

from quota_figures import Figure, between, in_flight, reached_s, refused, requests, used
from quota_rows import TRAVEL
from quota_runs import Emulator, Job, script, texts


def places(folder: Path, most: int, scale: float) -> list[Figure]:
    """A limit in flight that nobody tells: found within 30 s, then kept to over 300 requests."""
    number = round(most * 30 / 0.5 + 350)
    with Emulator(
        folder, "cartesia", "--quiet", "--max-concurrent", str(most), "--latency", "0.5", "--sigma", "0.3"
    ) as emulator:
        job = Job("A", folder, texts("A", number), emulator)
        start_s = emulator.wait_for_first([job])
        emulator.sleep_until(start_s + 30 + max(15.0, 300 * 0.55 / most), [job])
        log = emulator.log()
        job.stop()
    rest = between(log, start_s + 30, math.inf)
    rest = rest[: 300 if len(rest) > 300 else None]
    end_s = rest[-1]["arrival_s"] if rest else start_s + 31
    found_s = reached_s(log, 0.9, start_s, start_s + 30, lambda at: in_flight(log, at, at + 5) / most)
    return [
        Figure("0.9 after s", found_s, high=30),
        Figure("in flight / limit", in_flight(log, start_s + 30, end_s) / most, low=0.9),
        Figure("refused share", len(refused(rest)) / max(1, len(rest)), high=0.01),
    ]


def rate(folder: Path, scale: float) -> list[Figure]:
    """A rate that nobody tells (window 10 s): 0.9 of it within three windows, then kept to over 300 requests."""
    window_s, limit = 10.0, 100
    with Emulator(folder, "openai", "--quiet", *_rate(limit, window_s), *TRAVEL) as emulator:
        job = Job("A", folder, texts("A", 900), emulator, f"quota.window_s={window_s:g}")
        start_s = emulator.wait_for_first([job]) + 3 * window_s
        emulator.sleep_until(start_s + 3 * window_s, [job])
        log = emulator.log()
        job.stop()
    rest = between(log, start_s, start_s + 3 * window_s)
    return [
        Figure("used", used(log, requests, start_s, start_s + 3 * window_s, limit, window_s), low=0.9),
        Figure("refused share", len(refused(rest)) / max(1, len(rest)), high=0.01),
    ]


def less_in_mid_run(folder: Path, how: str, scale: float) -> list[Figure]:
    """A hidden rate halved, or a neighbour taking a third: 0.9 of what is left within two windows."""
    window_s, limit, left = 10.0, 120, 60 if how == "halved" else 80
    neighbour: subprocess.Popen[str] | None = None
    with Emulator(folder, "openai", "--quiet", *_rate(limit, window_s), *TRAVEL) as emulator:
        job = Job("A", folder, texts("A", 1500), emulator, f"quota.window_s={window_s:g}")
        change_s = emulator.wait_for_first([job]) + 4 * window_s
        emulator.sleep_until(change_s, [job])
        change_s = emulator.now()
        if how == "halved":
            emulator.change(requests_per_minute=left * 60 / window_s)
        else:
            neighbour = script(emulator, "quota_neighbour.py", f"{window_s / (limit - left):g}")
        start_s = change_s + 2 * window_s
        emulator.sleep_until(start_s + 3 * window_s, [job])
        log = emulator.log()
        if neighbour is not None:
            neighbour.terminate()
            neighbour.communicate()
        job.stop()
    ours = [entry for entry in log if not entry["text"].startswith("N-")]
    rest = between(ours, change_s, start_s + 3 * window_s)
    return [
        Figure("used of what is left", used(ours, requests, start_s, start_s + 3 * window_s, left, window_s), low=0.9),
        Figure("refused share", len(refused(rest)) / max(1, len(rest)), high=0.02),
    ]


def fewer_places(folder: Path, scale: float) -> list[Figure]:
    """A limit in flight halved in mid-run, hidden: 0.9 of what is left within 20 s."""
    with Emulator(
        folder, "cartesia", "--quiet", "--max-concurrent", "10", "--latency", "0.5", "--sigma", "0.3"
    ) as emulator:
        job = Job("A", folder, texts("A", 1500), emulator)
        change_s = emulator.wait_for_first([job]) + 35
        emulator.sleep_until(change_s, [job])
        change_s = emulator.now()
        emulator.change(max_concurrent=5)
        emulator.sleep_until(change_s + 50, [job])
        log = emulator.log()
        job.stop()
    rest = between(log, change_s, change_s + 50)
    return [
        Figure("in flight / what is left", in_flight(log, change_s + 20, change_s + 50) / 5, low=0.9),
        Figure("refused share", len(refused(rest)) / max(1, len(rest)), high=0.02),
    ]


def _rate(limit: int, window_s: float) -> tuple[str, ...]:
    return ("--requests-per-minute", f"{limit * 60 / window_s:g}", "--window", f"{window_s:g}")
