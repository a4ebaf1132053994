"""A million finished chunks over clips of 100 bytes: time and peak memory to plan on, to read back, and for `status`.

    python benchmarks/million.py [--chunks 1000000] [--documents 10 4000 40000] [--folder DIR]

The same chunks as few huge and as many small documents. Every command is a process of its own; its memory is the peak
of its resident set (VmHWM). Exits with 1 where a bound is missed. Needs 6 GB of disk and leaves nothing there, unless
`--folder` is given: what is made there is used again.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_tts import config, documents
from cluster_tts.clips import Clips
from cluster_tts.job import Job
from cluster_tts.manifest import DocumentRow, Manifest, PlanReader
from cluster_tts.model import Outcome, Sound, Status
from cluster_tts.planning import make_plan
from cluster_tts.stitching import BESIDE
from cluster_tts.storage import LocalFolder

FRAMES, RATE = 28, 8000


def clip() -> bytes:
    """A sound of 100 bytes, header included."""
    with BytesIO() as file, wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(bytes(2 * FRAMES))
        return file.getvalue()


CLIP = clip()
SOUND = Sound(FRAMES, RATE, len(CLIP), hashlib.sha256(CLIP).hexdigest())
ROWS_A_FLUSH = 250  # what a run adds every few seconds
MOST_S, MOST_MB = 60.0, 1536.0
SETTINGS = ("provider.name=tone", "provider.options.rate=8000", "provider.options.characters_per_second=1000",
            "check.characters_per_second=null", "engine=local")  # fmt: skip

INSIDE = """
import atexit, re, sys, time
def tell():
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print(f"took={time.process_time()} {peak}", file=sys.stderr)
atexit.register(tell)
if sys.argv[1] == "resume":
    import asyncio
    from cluster_tts.commands import RunOptions, run_job
    from cluster_tts import config
    async def resume(out, source, *settings):
        stop = asyncio.Event()
        def watch(progress):
            if progress.spoken:
                stop.set()
        result = await run_job(config.load(overrides=[*settings, f"out={out}"]), [source], stop, RunOptions(watch))
        sys.exit(result.exit_code)
    asyncio.run(resume(*sys.argv[2:]))
from cluster_tts.cli import main
main()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one shape of the million stands."""

    folder: Path
    documents: int

    @property
    def texts(self) -> Path:
        return self.folder / f"texts-{self.documents}"

    @property
    def out(self) -> Path:
        return self.folder / f"out-{self.documents}"

    @property
    def settings(self) -> tuple[str, ...]:
        return (*SETTINGS, f"clips.dir={self.folder / 'clips'}")

    @property
    def job(self) -> Job:
        return config.load(overrides=[*self.settings, f"out={self.out}"], environ={})


def make(place: Place, chunks: int) -> None:
    """The texts, and an OUT in which all is done, by the project's own writers."""
    if (place.out / "report.json").exists():
        return
    each = chunks // place.documents
    place.texts.mkdir(parents=True)
    for number in range(place.documents):
        lines = (f"Verse {n} tells of tide {n * 7919 % 1_000_003}." for n in range(number * each, (number + 1) * each))
        (place.texts / f"d{number:05}.txt").write_text("\n\n".join(lines))
    job = place.job
    manifest = Manifest(LocalFolder(place.out / "manifest"), "20260101T000000-made")
    plan = make_plan(job, documents.find([str(place.texts)]), manifest, manifest.plan_writer())
    clips = Clips.of(job)
    reader = PlanReader()
    made = Path(clips.folder.address("made")).exists()
    for rows, (name, location) in enumerate(plan.locations.items()):
        for number, planned in enumerate(reader.chunks(location)):
            manifest.add([Outcome(clip_id=planned.clip_id, document=name, chunk_index=planned.index, attempt=1,
                                  status=Status.SPOKEN, characters=len(planned.text), sound=SOUND, latency_s=0.2,
                                  billed_characters=len(planned.text), started_at=1e9, finished_at=1e9 + 0.2,
                                  worker="worker-0-abcdef", node="127.0.0.1")])  # fmt: skip
            if not made:
                path = Path(clips.address(planned.clip_id))
                if not (number & 255 or rows):
                    Path(str(clips.folder)).mkdir(parents=True, exist_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(CLIP)
            if (rows * each + number + 1) % ROWS_A_FLUSH == 0:
                manifest.flush()
    manifest.flush()
    Path(clips.folder.address("made")).touch()
    (place.out / "documents").mkdir()
    manifest.write_documents(_joined(place, row) for row in plan.rows.values())
    run(place, "report")


def _joined(place: Place, row: DocumentRow) -> DocumentRow:
    path = f"documents/{row.document}.wav"
    (place.out / path).write_bytes(CLIP)
    for suffix in BESIDE:
        (place.out / f"documents/{row.document}.{suffix}").touch()
    return replace(
        row, status="whole", missing=0, path=path, size_bytes=len(CLIP), sha256=SOUND.sha256, duration_s=SOUND.seconds
    )


def leave_unjoined(place: Place) -> None:
    """As if the run had been killed when all was spoken and nothing joined."""
    folder = LocalFolder(place.out / "manifest")
    manifest = Manifest(folder, term=Manifest(folder).newest_term())
    rows = manifest.documents().values()
    manifest.write_documents(replace(row, status="planned", path=None, size_bytes=None, sha256=None) for row in rows)


def take_half_away(place: Place, back: bool = False) -> None:
    """Half of the shelves of clips, out of the way or back where they were."""
    there, away = place.folder / "clips", place.folder / "clips-away"
    away.mkdir(exist_ok=True)
    source, target = (away, there) if back else (there, away)
    for shelf in sorted(source.glob("?[13579bdf]")):
        shutil.rmtree(target / shelf.name, ignore_errors=True)  # of the few clips made meanwhile
        shelf.rename(target / shelf.name)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one command took."""

    what: str
    seconds: float
    cpu_s: float
    peak_mb: float
    told: str

    @property
    def kept(self) -> bool:
        return self.seconds <= MOST_S and self.peak_mb <= MOST_MB


def run(place: Place, what: str, *options: str) -> Figure:
    """One command over the OUT of ``place``, in a process of its own."""
    asks = what in ("plan", "run", "resume")
    arguments = [what, str(place.out)] if not asks else [what, str(place.texts), "--out", str(place.out)]
    if what == "resume":
        arguments = [what, str(place.out), str(place.texts)]
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", INSIDE, *arguments, *options, *(place.settings if asks else ())],
        capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    took = re.findall(r"^took=([\d.]+) (\d+)$", ended.stderr, re.MULTILINE)
    if ended.returncode not in (0, 3, 75) or not took:
        raise RuntimeError(f"{what} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    [(cpu_s, peak_kb)] = took
    return Figure(" ".join([what, *options]), seconds, float(cpu_s), int(peak_kb) / 1024, told(ended.stdout))


def told(stdout: str) -> str:
    """The one number by which one sees that a command did what it should."""
    try:
        content = json.loads(stdout)
    except ValueError:
        return ""
    if "requests_to_speak" in content:
        return f"{content['requests_to_speak']:,} to speak"
    totals = content.get("totals", {})
    return f"{totals.get('documents_whole', 0):,} documents whole, {totals.get('spoken', 0):,} spoken"


def figures(place: Place) -> Iterator[Figure]:
    """All that is measured of one shape."""
    yield run(place, "plan", "--json")
    yield run(place, "run", "--json")
    run(place, "report")  # the totals of all runs again, not of the one that had nothing to do
    yield run(place, "status")
    yield run(place, "status", "--json")
    yield run(place, "report", "--json")
    leave_unjoined(place)
    yield replace(run(place, "plan", "--json"), what="plan, all spoken, none joined")
    take_half_away(place)
    parts = set((place.out / "manifest" / "outcomes").iterdir())
    try:
        yield replace(run(place, "plan", "--json"), what="plan, half of the clips gone")
        yield replace(run(place, "resume"), what="run, half gone: to the first clip")
    finally:
        take_half_away(place, back=True)
        for part in set((place.out / "manifest" / "outcomes").iterdir()) - parts:
            part.unlink()


def measure(folder: Path, chunks: int, shapes: Sequence[int]) -> bool:
    kept = True
    print(f"{chunks:,} chunks; wanted: at most {MOST_S:g} s and {MOST_MB:,.0f} MB each")
    for count in shapes:
        place = Place(folder, count)
        start = time.perf_counter()
        make(place, chunks)
        print(f"{count:,} documents of {chunks // count:,} chunks (made in {time.perf_counter() - start:.0f} s)")
        manifest = Manifest(LocalFolder(place.out / "manifest"))
        whole = list(manifest.documents().values())
        try:
            for figure in figures(place):
                kept = kept and figure.kept
                print(
                    f"  {figure.what:36}{figure.seconds:7.1f} s{figure.cpu_s:7.1f} s of CPU{figure.peak_mb:8.0f} MB"
                    f"  {figure.told}{'' if figure.kept else '   MISSED'}",
                    flush=True,
                )
        finally:
            Manifest(manifest.folder, term=manifest.newest_term()).write_documents(whole)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, nargs="+", default=[10, 4_000, 40_000])
    parser.add_argument("--folder", type=Path, help="where all is made, and left for the next time")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)).absolute()
        return 0 if measure(folder, options.chunks, options.documents) else 1


if __name__ == "__main__":
    raise SystemExit(main())
