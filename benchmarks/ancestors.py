"""Replay the ancestors' own tables: theirs, the ideal and ours, from the first request to the last answer.

Time is taken at the emulator, a process of its own whose answers take so long a character; ours is ``cluster-tts run``
with the quota of the row. Theirs is what they did: batches that wait for their slowest member, or one request every so
many seconds. The ideal is the best schedule known for the chunks that were asked for; where ``chunking.balance`` is
given, their work divided by the places. Minutes became seconds in the rows that say so.
"""

import argparse
import heapq
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from quota_figures import Entry
from quota_runs import OURS, WORDS, Emulator, environment

WANTED = 0.97
PER_CHARACTER_S = 0.0075
SHUFFLES = 300
ENDING = " harbour."  # no abbreviation, as which a word that is cut short may pass


@dataclass(frozen=True)
class Row:
    """One line of the table. ``texts`` are documents of paragraphs; ``places`` what may be in flight."""

    name: str
    texts: Sequence[Sequence[str]]
    places: int | None = None
    settings: tuple[str, ...] = ()
    per_minute: float | None = None
    window_s: float = 60.0
    burst: int | None = None
    count: str = "sliding"
    per_character_s: float = PER_CHARACTER_S
    balanced: bool = False


def segment(number: int, characters: int) -> str:
    """One sentence of so many characters that no other number gives."""
    text, at = f"No {number:04}", number
    while len(text) < characters:
        text, at = f"{text} {WORDS[at % len(WORDS)]}", at + 1
    return f"{text[: characters - len(ENDING)].rstrip()}{ENDING}"


def segments(count: int, shortest: int = 60, longest: int = 180) -> list[str]:
    """Subtitle segments, evenly spread over the lengths."""
    return [segment(n, shortest + (n * 7919) % (longest - shortest + 1)) for n in range(count)]


def narrative(number: int, chunks: int, characters: int) -> str:
    """A paragraph that is cut into so many chunks of about so many characters, each of ten sentences."""
    return " ".join(segment(100 * number + n, characters // 10 - 1) for n in range(10 * chunks))


def rows() -> list[Row]:
    """The five ancestors' tables."""
    found = [
        Row(f"dubbing, {count} segments", [segments(count)], places, per_character_s=2 * PER_CHARACTER_S)
        for count in (37, 25, 15)
        for places in (1, 3, 5, 10)
    ]
    found += [Row("verses, 300 segments", [segments(300)], places) for places in (3, 5, 10)]
    cut = ("chunking.max_characters=600",)
    for places in (5, 10):
        for digests in (1, 3):
            texts = [[narrative(n, 8, 600)] for n in range(digests)]
            name = "digest, 8 x 40 s (/10)" if digests == 1 else f"{digests} digests, 8 x 40 s (/10)"
            found.append(Row(name, texts, places, cut, per_character_s=4 / 600))
            even = (*cut, f"chunking.balance={places}")
            found.append(Row(f"{name}, balanced", texts, places, even, per_character_s=4 / 600, balanced=True))
    found.append(Row("reading, 50 x 12 s (/8)", [[segment(n, 300) for n in range(50)]], 5, per_character_s=1.5 / 300))
    rates = (
        Row("reading, 6 a minute (/6)", [segments(24)], per_minute=36, window_s=10, burst=6),
        Row("reading, 6 a minute, one at once", [segments(8)], per_minute=6, burst=1, count="bucket"),
    )
    found.extend(rates)
    return found


def measure(row: Row, folder: Path) -> tuple[list[Entry], str]:
    """What the emulator saw of a row, and what the run said if it did not end well."""
    source = folder / "texts"
    source.mkdir()
    for number, paragraphs in enumerate(row.texts):
        (source / f"{number}.txt").write_text("\n\n".join(paragraphs) + "\n")
    account, quota = ["--latency-per-character", f"{row.per_character_s}"], list(row.settings)
    if row.places is not None:
        account += ["--max-concurrent", str(row.places)]
        quota.append(f"quota.max_concurrent_requests={row.places}")
    if row.per_minute is not None:
        account += ["--requests-per-minute", f"{row.per_minute}", "--window", f"{row.window_s}", "--count", row.count]
        account += ["--burst", f"{row.burst}"] if row.count == "bucket" else []
        quota += [f"quota.requests_per_minute={row.per_minute}", f"quota.window_s={row.window_s}"]
        quota.append(f"quota.burst={row.burst}")
    with Emulator(folder, "openai", *account) as emulator:
        warm_up(emulator)
        command = [
            *(sys.executable, "-m", "cluster_tts", "run", str(source), "--out", str(folder / "out")),
            *("provider.name=openai", f"provider.base_url={emulator.url}", *OURS, *quota),
        ]
        own = environment(CLUSTER_TTS_STATE_DIR=str(folder / "state"))
        ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
        return emulator.log(), ran.stderr if ran.returncode else ""


def warm_up(emulator: Emulator) -> None:
    """Have it answer once and forget it: what it loads for its first answer is no provider's latency."""
    body = b'{"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "wav"}'
    for path in ("/audio/speech", "/_emulator/reset"):
        request = Request(f"{emulator.url}{path}", data=body, headers={"Content-Type": "application/json"})
        with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
            answer.read()


def ideal_s(row: Row, latencies: Sequence[float]) -> float:
    """The shortest time in which an account could give these answers."""
    if row.per_minute is not None:
        if row.count == "bucket":
            return (len(latencies) - (row.burst or 1)) * 60 / row.per_minute + min(latencies)
        window = int(row.per_minute * row.window_s / 60)
        return (len(latencies) - 1) // window * row.window_s + min(latencies[-window:])
    assert row.places is not None
    if row.balanced:
        return sum(latencies) / row.places
    chance = random.Random(0)
    shuffled = [list_schedule(chance.sample(latencies, len(latencies)), row.places) for _ in range(SHUFFLES)]
    return min(longest_first_s(row, latencies), multifit(latencies, row.places), *shuffled)


def longest_first_s(row: Row, latencies: Sequence[float]) -> float:
    """What a rule can reach that knows which text is longer and no more."""
    return list_schedule(sorted(latencies, reverse=True), row.places or 1)


def multifit(latencies: Sequence[float], places: int) -> float:
    """The shortest time into which the longest first fit wherever there is room first, for one who knows all latencies.

    Coffman, Garey and Johnson, 1978: at most 2/11 above the best schedule, mostly the best itself.
    """
    low, high = max(sum(latencies) / places, *latencies), 2 * max(sum(latencies) / places, *latencies)
    for _ in range(30):
        middle = (low + high) / 2
        if fits(latencies, places, middle):
            high = middle
        else:
            low = middle
    return high


def fits(latencies: Sequence[float], places: int, end: float) -> bool:
    """Whether all end by then, each given to the first place that has the time."""
    busy = [0.0] * places
    for latency in sorted(latencies, reverse=True):
        place = next((place for place in range(places) if busy[place] + latency <= end), None)
        if place is None:
            return False
        busy[place] += latency
    return True


def list_schedule(latencies: Sequence[float], places: int) -> float:
    """When the last ends, if whatever place is free first takes the next."""
    free = [0.0] * places
    for latency in latencies:
        heapq.heapreplace(free, free[0] + latency)
    return max(free)


def theirs_s(row: Row, latencies: Sequence[float]) -> float:
    """In batches, each as long as its longest; or evenly spaced."""
    if row.per_minute is not None:
        return (len(latencies) - 1) * 60 / row.per_minute + latencies[-1]
    assert row.places is not None
    return sum(max(latencies[start : start + row.places]) for start in range(0, len(latencies), row.places))


def main() -> int:
    """Print the table; 1 if a row falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", default="", help="rows whose name holds this, as in '37 segments at 5'")
    only = parser.parse_args().only
    short = 0
    head = f"{'':34}{'places':>7}{'chunks':>8}{'theirs s':>10}{'ideal s':>9}{'longest first':>15}"
    print(f"{head}{'ours s':>8}{'of ideal':>10}{'refused':>9}")
    for row in rows():
        if only not in f"{row.name} at {row.places}":
            continue
        with tempfile.TemporaryDirectory(prefix="ancestors-") as folder:
            log, said = measure(row, Path(folder))
        served = [entry for entry in log if not entry["refused"]]
        if said or not served:
            print(f"{row.name} at {row.places}: the run did not end well: {said.strip().splitlines()[-1:]}")
            short += 1
            continue
        latencies = [entry["left_s"] - entry["admitted_s"] for entry in served]
        ours = max(entry["left_s"] or 0 for entry in log) - log[0]["arrival_s"]
        ideal, refused = ideal_s(row, latencies), len(log) - len(served)
        ratio = ideal / ours
        good = ratio >= WANTED and not refused
        longest = f"{longest_first_s(row, latencies):.1f}" if row.places else ""
        short += not good
        print(
            f"{row.name:34}{row.places or '':>7}{len(served):>8}{theirs_s(row, latencies):>10.1f}{ideal:>9.1f}"
            f"{longest:>15}{ours:>8.1f}{ratio:>10.3f}{refused:>9}{'' if good else '  short'}",
            flush=True,
        )
    return int(short > 0)


if __name__ == "__main__":
    sys.exit(main())
