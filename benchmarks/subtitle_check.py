"""Does dubbing keep the times of its subtitle file? A parser and an ear that know nothing of how it was made.

What is promised: the speech of every cue begins within 20 ms of the file, unless ``<name>.json`` says of it that it was
shifted, and then by as much as it says. Of cues that are spoken as one the first is on time; of the others nothing is
promised. No word is lost, and none is heard twice.
"""

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile as sf
from heard import Finished, covered, digest_of, digests_between, letters, onset_s

ON_TIME_S = 0.02
TREATMENTS = ("as is", "space", "speed", "stretch", "shift", "over")  # each graver than the one before
TIMES = re.compile(r"(\d+:)?(\d+):(\d+)[.,](\d+)\s*-->\s*(\d+:)?(\d+):(\d+)[.,](\d+)")
MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}")
ASS_TIME = re.compile(r"(\d+):(\d+):(\d+)\.(\d+)")
NEAR_S, LATER_S = 0.06, 0.4  # where the beginning of a speech is looked for, before and after it should be there
MOST_TOLD = 5


@dataclass(frozen=True)
class FileCue:
    """A cue as its file has it: seconds, and the lines that are to be spoken, without marks."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]

    @property
    def is_speech(self) -> bool:
        return any(map(letters, self.lines))


def parse(path: Path) -> list[FileCue]:
    """The cues of a file in the order of their starts."""
    content = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    cues = list(_ass(content) if path.suffix == ".ass" else _blocks(content, path.suffix))
    return sorted(cues, key=lambda cue: cue.start_s)


def _blocks(content: str, suffix: str) -> Iterator[FileCue]:
    for block in re.split(r"\n[ \t]*\n", content):
        lines = block.strip("\n").split("\n")
        at = next((at for at, line in enumerate(lines) if TIMES.match(line.strip())), None)
        if at is None:
            continue
        found = TIMES.match(lines[at].strip())
        assert found is not None
        start_s, end_s = _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:])
        plain = [MARKUP.sub("", line) for line in lines[at + 1 :]]
        yield FileCue(start_s, end_s, tuple(html.unescape(line) if suffix == ".vtt" else line for line in plain))


def _ass(content: str) -> Iterator[FileCue]:
    for line in content.split("\n"):
        if line.startswith("Dialogue:"):
            fields = line.removeprefix("Dialogue:").split(",", 9)
            start, end = (ASS_TIME.match(each.strip()) for each in fields[1:3])
            assert start is not None
            assert end is not None
            plain = MARKUP.sub("", fields[9])
            yield FileCue(_seconds(*start.groups()), _seconds(*end.groups()), tuple(re.split(r"\\[Nn]", plain)))


def _seconds(hours: str | None, minutes: str | None, seconds: str | None, fraction: str | None) -> float:
    whole = int((hours or "0").rstrip(":")) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{fraction}")


@dataclass
class Verdict:
    """What was found of one document. ``worst_s`` is the largest distance from the file of a speech not said to be
    shifted, as heard; ``told_s`` the same as reported; ``unheard`` begin while others speak, where no ear can tell."""

    name: str
    cues: int = 0
    speeches: int = 0
    treated: Counter[str] = field(default_factory=Counter)
    heard: int = 0
    unheard: int = 0
    worst_s: float = 0.0
    told_s: float = 0.0
    most_shifted_s: float = 0.0
    over: int = 0
    wrong: list[str] = field(default_factory=list)

    def share(self, treatment: str) -> float:
        return self.treated[treatment] / max(1, self.treated.total())


def check(source: Path, document: Finished, most_shift_s: float) -> Verdict:
    """Hold a dubbed document against its subtitle file."""
    found = Verdict(source.name)
    cues = [cue for cue in parse(source) if cue.is_speech]
    found.cues, found.speeches = len(cues), len(document.chunks)
    _check_words(cues, document, found)
    _check_cues(cues, document, found)
    _check_speeches(document, most_shift_s, found)
    return found


def _owners(document: Finished) -> list[int | None]:
    """For each chunk the one that its cues are reported for: itself, or the one that it goes on from."""
    reported = {entry["chunk"] for entry in document.cues}
    owners: list[int | None] = []
    for number, chunk in enumerate(document.chunks):
        before = document.chunks[number - 1] if number else {"slot": None}
        goes_on = owners[-1] if number and before["slot"] == chunk["slot"] else None
        owners.append(number if number in reported else goes_on)
    return owners


def treatments(did: Any) -> list[str]:
    """What was done, in words: a list, or a text of several."""
    return re.findall(r"[a-z]+", did) if isinstance(did, str) else list(did or ())


def _check_words(cues: list[FileCue], document: Finished, found: Verdict) -> None:
    """Nothing lost, nothing doubled, whatever was put together with what."""
    wanted = Counter(letters(" ".join(line for cue in cues for line in cue.lines)))
    spoken = Counter(letters(document.text))
    if wanted != spoken:
        lost, more = (wanted - spoken).total(), (spoken - wanted).total()
        found.wrong.append(f"{lost} letters of the file are not spoken, {more} are spoken that are not in it")


def _check_cues(cues: list[FileCue], document: Finished, found: Verdict) -> None:
    """Each cue of the file is reported at its own start, and its words are in its speech."""
    reported: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in document.cues:
        reported[_ms(entry["start_s"])].append(entry)
    texts: dict[int | None, str] = defaultdict(str)
    for chunk, owner in zip(document.chunks, _owners(document), strict=True):
        texts[owner] += letters(chunk["text"])
    for cue in cues:
        entries = reported.get(_ms(cue.start_s), [])
        numbers = {entry["chunk"] for entry in entries} - {None}
        text = " ".join(texts[number] for number in sorted(numbers))
        if not entries:
            found.wrong.append(f"the cue at {cue.start_s:.3f} s is not reported")
        elif any(letters(line) not in text for line in cue.lines):
            found.wrong.append(f"the cue at {cue.start_s:.3f} s is not spoken by chunks {sorted(numbers)}, as is said")
    starts = {_ms(cue.start_s) for cue in cues}
    spoken = [entry for entry in document.cues if entry["chunk"] is not None]
    foreign = [entry for entry in spoken if _ms(entry["start_s"]) not in starts]
    found.wrong += [f"a cue is reported at {entry['start_s']} s, where the file has none" for entry in foreign]
    for entry in spoken:
        done = [word for word in TREATMENTS if word in treatments(entry["did"])]
        found.treated[done[-1] if done else "as is"] += 1


def _check_speeches(document: Finished, most_shift_s: float, found: Verdict) -> None:
    """Each speech begins at the start of its first cue, as reported and as heard."""
    firsts: dict[int, float] = {}
    for entry in document.cues:
        if (number := entry["chunk"]) is not None:
            firsts[number] = min(entry["start_s"], firsts.get(number, entry["start_s"]))
    hidden, owners = covered(document.chunks, document.rate), _owners(document)
    assert document.audio is not None
    with sf.SoundFile(document.audio) as audio:
        for number, chunk in enumerate(document.chunks):
            start_s = chunk["start_frame"] / document.rate
            done = treatments(chunk["did"])
            if number not in firsts:  # the rest of a cue that was too long for one request
                if owners[number] is None:
                    found.wrong.append(f"chunk {number} at {start_s:.3f} s belongs to no cue")
                continue
            late_s = start_s - firsts[number]
            found.over += "over" in done
            _check_report(number, chunk, late_s, most_shift_s, found)
            told_late_s = chunk["shift_s"] if "shift" in done else 0.0
            if hidden[number]:
                found.unheard += 1
                continue
            heard_s = _heard(audio, chunk["text"], start_s, "stretch" in done)
            if heard_s is None:
                found.wrong.append(f"chunk {number} is not heard at {start_s:.3f} s")
                continue
            found.heard += 1
            off_s = heard_s - firsts[number] - told_late_s
            if abs(off_s) > abs(found.worst_s):
                found.worst_s = off_s
            if abs(off_s) > ON_TIME_S:
                found.wrong.append(f"chunk {number} is heard {1000 * off_s:+.0f} ms from where it should be")


def _check_report(number: int, chunk: dict[str, Any], late_s: float, most_shift_s: float, found: Verdict) -> None:
    """What is said of one speech: on time, or late by as much as it says and not by more than is allowed."""
    if "shift" not in treatments(chunk["did"]):
        found.told_s = max(found.told_s, abs(late_s), key=abs)
        if abs(late_s) > ON_TIME_S:
            found.wrong.append(f"chunk {number} begins {1000 * late_s:+.0f} ms from its cue and is not said to be late")
        return
    found.most_shifted_s = max(found.most_shifted_s, late_s)
    if abs(late_s - chunk["shift_s"]) > ON_TIME_S:
        found.wrong.append(f"chunk {number} is late by {late_s:.3f} s and said to be by {chunk['shift_s']:.3f} s")
    if late_s > most_shift_s + 0.001:
        found.wrong.append(f"chunk {number} is late by {late_s:.3f} s, more than {most_shift_s:g} s")


def _heard(audio: sf.SoundFile, text: str, start_s: float, is_stretched: bool) -> float | None:
    """When a speech begins to be heard: by the tones of its own digest, or, stretched, by the end of silence."""
    if is_stretched:  # faster tones are none that the ear knows
        return onset_s(audio, start_s, NEAR_S, LATER_S)
    wanted = digest_of(text)
    heard = digests_between(audio, start_s - NEAR_S, start_s + LATER_S + 0.26)
    return next((at_s for digest, at_s in heard if digest == wanted), None)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


COLUMNS = ("file", "cues", "speeches", *TREATMENTS, "heard", "hidden", "worst ms", "shifted ms", "promise")


def table(verdicts: list[Verdict]) -> list[str]:
    """One line a file: the share of its cues by the gravest that was done to them; then what is wrong, if anything."""
    rows = [COLUMNS, *map(_row, verdicts)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    for verdict in verdicts:
        lines += [f"{verdict.name}: {wrong}" for wrong in verdict.wrong[:MOST_TOLD]]
        if len(verdict.wrong) > MOST_TOLD:
            lines.append(f"{verdict.name}: and {len(verdict.wrong) - MOST_TOLD} more")
    return lines


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.name, str(verdict.cues), str(verdict.speeches), *(f"{verdict.share(each):.1%}" for each in TREATMENTS),
        str(verdict.heard), str(verdict.unheard), f"{1000 * verdict.worst_s:+.1f}",
        f"{1000 * verdict.most_shifted_s:.0f}", "BROKEN" if verdict.wrong else "kept",
    )  # fmt: skip
