"""The ancestors' jobs over the emulators of their providers, with the documents in ``examples/``, each checked.

The checks (``job_checks``) read the documents by themselves: order from the sound, items, pauses, speakers, times.
``scripture`` and ``vocabulary`` are run once more with something added, and only that is asked for. ``languages`` is
spoken by the voice inside the package. Exit code 1 where anything is wrong.

    python benchmarks/jobs.py [NAME...] [--engine ray]
"""

import argparse
import csv
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import job_checks as checks
from heard import finished
from quota_runs import Emulator
from shown import EXAMPLES, SPEECH, Ran, run

MOST_TOLD = 8
RACHEL, GEORGE = "21m00Tcm4TlvDq8ikWAM", "JBFqnCBsd6RMkjVDRZzb"
OF_DIGEST = {"ADA": RACHEL, "TOM": GEORGE}
OF_DUBBING = {"ADA": "nova", "TOM": "echo"}


@dataclass
class Told:
    """What came of one job."""

    job: str
    ran: Ran
    asked: int = 0
    again: int | None = None  # what was asked for once something was added
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        documents = finished(self.ran.out)
        chunks = sum(len(each.chunks) for each in documents.values())
        items = sum(1 for path in (self.ran.out / "documents").glob("*/*"))
        audio_s = sum(each.frames / each.rate for each in documents.values())
        head = (
            f"{self.job:<12}{len(documents):>10}{chunks:>8}{items:>7}{audio_s:>9.0f}{self.ran.seconds:>7.1f}"
            f"{self.asked:>8}{'-' if self.again is None else self.again:>8}  {'WRONG' if self.wrong else 'right'}"
        )
        more = [f"    and {len(self.wrong) - MOST_TOLD} more"] if len(self.wrong) > MOST_TOLD else []
        return [head, *(f"    {wrong}" for wrong in self.wrong[:MOST_TOLD]), *more]


def scripture(folder: Path, engine: str) -> Told:
    added = ["stones-2", "2-21", "And whoever reads this has already begun."]
    return _grown(folder, engine, "scripture", "chapters.csv", "openai", checks.scripture, added, "quota.plan=tier1")


def vocabulary(folder: Path, engine: str) -> Told:
    added = ["ebb", "The going out of the tide.", "Wait for the ebb, and walk.", "e07c00bc-4134-4eae-9ea4-1a55fb45746b"]
    return _grown(folder, engine, "vocabulary", "words.csv", "cartesia", checks.vocabulary, added, "quota.plan=pro")


def dubbing(folder: Path, engine: str) -> Told:
    with _emulator(folder, "openai") as emulator:
        ran = run(folder, "dubbing", [EXAMPLES / "dubbing"], emulator, *_voices(OF_DUBBING), engine=engine)
        ran.demand_success()
        log = emulator.log()
    return Told("dubbing", ran, len(log), None, checks.dubbing(EXAMPLES / "dubbing", ran.out, log, OF_DUBBING, "onyx"))


def digest(folder: Path, engine: str) -> Told:
    told = (*_voices(OF_DIGEST), "quota.plan=creator")
    with _emulator(folder, "elevenlabs", "--max-concurrent", "5") as emulator:
        ran = run(folder, "digest", [EXAMPLES / "digest"], emulator, *told, engine=engine)
        ran.demand_success()
        log = emulator.log()
    return Told("digest", ran, len(log), None, checks.digest(EXAMPLES / "digest", ran.out, log, OF_DIGEST, RACHEL))


def reading(folder: Path, engine: str) -> Told:
    source = EXAMPLES / "reading" / "on-paths.txt"
    with _emulator(folder, "replicate", "--requests-per-minute", "600") as emulator:
        ran = run(folder, "reading", [source], emulator, "quota.plan=standard", engine=engine)
        ran.demand_success()
        log = emulator.log()
    return Told("reading", ran, len(log), None, checks.reading(source, ran.out, log))


def languages(folder: Path, engine: str) -> Told:
    batch = EXAMPLES / "languages" / "batch.csv"
    ran = run(folder, "languages", [batch], None, engine=engine)
    ran.demand_success()
    return Told("languages", ran, 0, None, checks.languages(batch, ran.out))


def _grown(
    folder: Path, engine: str, job: str, table: str, provider: str,
    check: Callable[[Path, Path, checks.Log], list[str]], added: list[str], *settings: str,
) -> Told:  # fmt: skip
    """A table spoken, then spoken again with one row more."""
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(shutil.copy(EXAMPLES / job / table, folder / table))
    concurrent = ("--max-concurrent", "3") if provider == "cartesia" else ()
    with _emulator(folder, provider, *concurrent) as emulator:
        ran = run(folder, job, [source], emulator, *settings, engine=engine)
        ran.demand_success()
        log = emulator.log()
        wrong = check(source, ran.out, log)
        with source.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(added)
        run(folder, job, [source], emulator, *settings, engine=engine).demand_success()
        grown = emulator.log()
    wrong += [f"with a row more: {each}" for each in check(source, ran.out, grown)]
    again, wanted = len(grown) - len(log), 3 if job == "vocabulary" else 1
    if again != wanted:
        wrong.append(f"with a row more {again} requests were made where {wanted} would do")
    return Told(job, ran, len(log), again, wrong)


def _emulator(folder: Path, provider: str, *options: str) -> Emulator:
    folder.mkdir(parents=True, exist_ok=True)
    return Emulator(folder, provider, *SPEECH, "--latency", "0.05", "--sigma", "0.5", *options)


def _voices(voices: dict[str, str]) -> list[str]:
    return [f"voices.{name}={voice}" for name, voice in voices.items()]


JOBS = {job.__name__: job for job in (scripture, vocabulary, dubbing, digest, reading, languages)}


def main() -> int:
    """Print a line for each job; 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="NAME", help=f"of {', '.join(JOBS)}; all, if none is named")
    parser.add_argument("--engine", default="local")
    options = parser.parse_args()
    if unknown := set(options.jobs) - set(JOBS):
        parser.error(f"there is no job {', '.join(sorted(unknown))}")
    print(f"{'job':<12}{'documents':>10}{'chunks':>8}{'items':>7}{'audio s':>9}{'s':>7}{'asked':>8}{'again':>8}")
    broken = 0
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        for name in options.jobs or JOBS:
            try:
                told = JOBS[name](Path(folder, name), options.engine)
            except RuntimeError as error:  # the other jobs are told all the same
                print(f"{name:<12}{error}", flush=True)
                broken += 1
                continue
            broken += bool(told.wrong)
            print(*told.lines(), sep="\n", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
