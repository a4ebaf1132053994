"""Ten subtitle files of 200 to 2,000 cues, dubbed in one command, each held against its own file.

Fast speech, overlapping cues, cues of no length and with the end before the start, tags, right-to-left text, no blanks,
two speakers, long pauses, in srt, vtt and ass. The provider is OpenAI's emulator, whose answers last as long as speech
does and come at once. What is promised and how it is checked stands in ``subtitle_check``; exit code 1 where a promise
was broken.

    python benchmarks/dubbing.py [--scale 0.1] [--engine ray] [--keep FOLDER]

Six and a half hours of audio: needs 3 GB in the folder for temporary files (TMPDIR), or in --keep.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from heard import finished
from quota_runs import Emulator
from shown import SPEECH, Ran, run
from subtitle_check import Verdict, check, table
from subtitle_files import write

LATENCY = ("--latency", "0.05", "--sigma", "0.5")  # of a second or so, in a twentieth of the time
VOICES = ("voices.ADA=nova", "voices.TOM=onyx")
MOST_SHIFT_S = 0.4  # timeline.max_shift_ms of the job


def dub(folder: Path, scale: float, engine: str) -> tuple[Ran, list[Verdict]]:
    """Make the files, dub all of them in one command, and hold each against what was made of it."""
    sources = write(folder / "subtitles", scale)
    with Emulator(folder, "openai", *SPEECH, *LATENCY) as emulator:
        ran = run(folder, "dubbing", [folder / "subtitles"], emulator, *VOICES, engine=engine)
    ran.demand_success()
    documents = finished(ran.out)
    verdicts = []
    for source in sources:
        if source.stem in documents:
            verdicts.append(check(source, documents[source.stem], MOST_SHIFT_S))
        else:
            verdicts.append(Verdict(source.name, wrong=["there is no such document"]))
    return ran, verdicts


def main() -> int:
    """Print the table; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="so many of the cues, at least 20 a file")
    parser.add_argument("--engine", default="local")
    parser.add_argument("--keep", type=Path, help="a folder that keeps files and audio")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubbing-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        ran, verdicts = dub(folder, options.scale, options.engine)
    cues = sum(verdict.cues for verdict in verdicts)
    print(f"{len(verdicts)} files, {cues:,} cues in one command: {ran.seconds:.0f} s, {ran.most_bytes / 2**20:.0f} MB")
    print("share of cues by the gravest that was done for them; heard and hidden are counts of speeches")
    print(*table(verdicts), sep="\n")
    return int(any(verdict.wrong for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
