"""The ancestor's digests, four at once: 7,500 characters of narrative and a dialogue of 50 turns each, five in flight.

The account is an emulator of ElevenLabs, a tenth as slow as the real one: 2 s a request and 10 ms a character became
0.2 s and 1 ms. Told are the times at which the parts of each digest were there, memory (the proportional set size of
all processes, sampled), and, heard in the audio, whether anything of one digest is in another. Exit code 1 where that
is so, a text is missing or out of order, a request was refused, or memory went over the ancestor's 2 GB.

    python benchmarks/digests.py [--digests 4] [--engine ray]
"""

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from heard import digest_of, digests, finished, letters
from quota_runs import Emulator
from shown import SPEECH, Ran, run

SCALE = 10
PLACES, LATENCY_S, PER_CHARACTER_S = 5, 2.0, 0.01
CHARACTERS, TURNS = 7_500, 50
MOST_BYTES = 2 << 30
VOICES = {"ADA": "21m00Tcm4TlvDq8ikWAM", "TOM": "JBFqnCBsd6RMkjVDRZzb"}
TOWNS = ("Ashwick", "Brindle", "Carrow", "Dunmere", "Elsham", "Fenton", "Garth", "Holme")
PHRASES = (
    "the tide came in before anyone had counted it", "the market opened an hour late and closed on time",
    "a letter was found that nobody remembered writing", "the new bridge was crossed by a dog and two bakers",
    "the council agreed that it would agree next week", "somebody mended the clock and did not say so",
    "the library lent out its last umbrella", "rain fell on the procession and nobody went home",
)  # fmt: skip


@dataclass(frozen=True)
class Digest:
    """What a digest says, and nobody else: its narrative, and who says what in its dialogue."""

    name: str
    narrative: str
    turns: list[tuple[str, str]]


def make(number: int) -> Digest:
    """A digest in which every sentence names its town and counts."""
    chance, town = random.Random(number), TOWNS[number % len(TOWNS)]
    paragraphs: list[str] = [f"# The {town} Digest"]
    counted = 0
    while sum(map(len, paragraphs)) < CHARACTERS:
        sentences = []
        for _ in range(chance.randint(3, 7)):
            counted += 1
            sentences.append(f"In {town}, on day {counted}, {chance.choice(PHRASES)}.")
        paragraphs.append(" ".join(sentences))
    turns = [
        (name, f"{town} again, number {at}: {chance.choice(PHRASES)}.")
        for at, name in enumerate(list(VOICES) * (TURNS // 2), 1)
    ]
    return Digest(town.lower(), "\n\n".join(paragraphs), turns)


def write(folder: Path, count: int) -> list[Digest]:
    """Each digest as two files: ``<town>.md`` and ``<town>-talk.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [make(number) for number in range(count)]
    for each in made:
        (folder / f"{each.name}.md").write_text(f"{each.narrative}\n", encoding="utf-8")
        script = "\n\n".join(f"{name}: {words}" for name, words in each.turns)
        (folder / f"{each.name}-talk.txt").write_text(f"{script}\n", encoding="utf-8")
    return made


def check(made: list[Digest], out: Path) -> list[str]:
    """What is missing, out of order, or in a digest to which it does not belong."""
    documents, wrong = finished(out), []
    owners: dict[str, str] = {}  # of each text that is heard anywhere, by its digest
    for each in made:
        owners |= {digest_of(words): f"{each.name}-talk" for _, words in each.turns}
        if each.name in documents:
            owners |= {digest_of(chunk["text"]): each.name for chunk in documents[each.name].chunks}
    for each in made:
        for name in (each.name, f"{each.name}-talk"):
            if name not in documents:
                wrong.append(f"there is no document '{name}'")
                continue
            audio = documents[name].audio
            assert audio is not None
            heard = [digest for digest, _ in digests(audio)]
            strangers = {owners.get(digest, "nobody") for digest in heard} - {name}
            wrong += [f"'{name}' has something in it of {stranger}" for stranger in sorted(strangers)]
            if name == each.name:
                wanted = [digest_of(chunk["text"]) for chunk in documents[name].chunks]
                if letters(documents[name].text) != letters(each.narrative):
                    wrong.append(f"'{name}' is not the text of its file")
            else:
                wanted = [digest_of(words) for _, words in each.turns]
            if heard != wanted:
                wrong.append(f"'{name}': heard {len(heard)} texts, {len(wanted)} expected in order")
    return wrong


def speak(folder: Path, count: int, engine: str) -> tuple[Ran, list[Digest], list[str], int, float]:
    """Write the digests, speak all in one command; what is wrong, how many requests, and the least time they take."""
    made = write(folder / "digests", count)
    account = ("--max-concurrent", str(PLACES), "--latency", str(LATENCY_S / SCALE))
    account += ("--latency-per-character", str(PER_CHARACTER_S / SCALE), "--sigma", "0.3")
    told = [f"voices.{name}={voice}" for name, voice in VOICES.items()]
    with Emulator(folder, "elevenlabs", *SPEECH, *account) as emulator:
        ran = run(folder, "digest", [folder / "digests"], emulator, "quota.plan=creator", *told, engine=engine)
        log = emulator.log()
    ran.demand_success()
    wrong = check(made, ran.out)
    if refused := sum(1 for entry in log if entry["refused"]):
        wrong.append(f"{refused} requests were refused")
    if ran.most_bytes > MOST_BYTES:
        wrong.append(f"{ran.most_bytes / 2**20:.0f} MB of memory")
    return ran, made, wrong, len(log), sum(entry["latency_s"] for entry in log) / PLACES


def main() -> int:
    """Print times and memory; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digests", type=int, default=4)
    parser.add_argument("--engine", default="local")
    options = parser.parse_args()
    if not 0 < options.digests <= len(TOWNS):
        parser.error(f"--digests must be from 1 to {len(TOWNS)}")
    with tempfile.TemporaryDirectory(prefix="digests-") as folder:
        ran, made, wrong, asked, least_s = speak(Path(folder), options.digests, options.engine)
    print(f"{len(made)} digests in one command, {asked} requests, {PLACES} in flight, time / {SCALE}")
    print(
        f"{ran.seconds:.1f} s in all, {least_s:.1f} s if the account were never idle; {ran.most_bytes / 2**20:.0f} MB"
    )
    for each in made:
        parts = [
            f"{name} after {ran.finished_s.get(name, float('nan')):.1f} s" for name in (each.name, f"{each.name}-talk")
        ]
        print(f"  {', '.join(parts)}")
    print(*wrong or ["every text in its own digest, in order"], sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
