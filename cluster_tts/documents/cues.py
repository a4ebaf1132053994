"""Subtitle files, whatever is broken in them, as cues: times and text as written, in the order of the file.

SubRip and WebVTT are read here, since pysubs2 takes notes and names of WebVTT cues for words of the cue before, text
with times in it for new cues, cuts hours at two digits, and needs hours for a cue of nothing but ``<``. The lines of
Advanced SubStation Alpha are read by it, one by one: a bad one is not the end of the file.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pysubs2 import SSAFile

LONGEST_LINE = 10_000  # characters; none that is shown to people is so long
AT_ONCE = 500  # lines that pysubs2 is given
STAMP = r"(-?)(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?"
# "1 00:00:01,000 --> 00:00:02,000 X1:40": a number may stand before on the same line, settings may follow.
TIMING = re.compile(rf"\s*(?:\d+\s+)?{STAMP}\s*[-‐‑–—=]{{1,3}}\s?>\s*{STAMP}")
ARROW = "-->"
COUNTER = re.compile(r"\s*(\d{1,9})\s*")
SILENT_BLOCKS = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:\s|$)")
EVENT = re.compile(r"\s*Dialogue\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """A cue as it stands in a file: times in milliseconds, lines with all marks, a speaker where there is a field."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    speaker: str = ""


class Cues:
    """The cues in the lines of a file; ``left_out`` counts the lines that were none, once all were read."""

    def __init__(self, lines: Iterable[str], suffix: str) -> None:
        self.left_out = 0
        self._lines = list(self._short(lines))
        self._kind = _kind(self._lines, suffix)

    def __iter__(self) -> Iterator[Written]:
        return {"vtt": self._webvtt, "ass": self._substation}.get(self._kind, self._subrip)()

    def _short(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if len(line) > LONGEST_LINE:
                self.left_out += 1
            else:
                yield line

    def _subrip(self) -> Iterator[Written]:
        """Text goes on over blank lines up to the next times, as players take it."""
        times: tuple[int, int] | None = None
        text: list[str] = []
        number = 0  # of the cue, as its counter says

        def cue() -> Iterator[Written]:
            if times:
                yield Written(*times, tuple(line for line in text if line.strip()))
            else:
                self.left_out += sum(bool(line.strip()) for line in text)

        for line in self._lines:
            found = _times(line)
            if not found and ARROW not in line:
                text.append(line)
                continue
            if text and (counter := COUNTER.fullmatch(text[-1])):
                if len(text) == 1 or not text[-2].strip() or int(counter[1]) == number + 1:
                    text.pop()
                number = int(counter[1])
            yield from cue()
            self.left_out += not found
            times, text = found, []
        yield from cue()

    def _webvtt(self) -> Iterator[Written]:
        """Blank lines end everything; what stands before the times of a cue is its name."""
        for block in _blocks(self._lines):
            begun: int | None = None
            times: tuple[int, int] | None = None
            for index, line in enumerate(block):
                if ARROW in line and (found := _times(line)):  # without a blank line before, it may be the next cue
                    if times and begun is not None:
                        yield Written(*times, tuple(block[begun:index]))
                    begun, times = index + 1, found
            if times and begun is not None:
                yield Written(*times, tuple(block[begun:]))
            elif not SILENT_BLOCKS.match(block[0]):
                self.left_out += len(block)

    def _substation(self) -> Iterator[Written]:
        events = [f"Dialogue:{line.partition(':')[2]}" for line in self._lines if EVENT.match(line)]
        for start in range(0, len(events), AT_ONCE):
            yield from self._events(events[start : start + AT_ONCE])

    def _events(self, lines: list[str]) -> list[Written]:
        """Of a bad line nothing can be told but that some line is bad: then they are read one by one."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of margins that are no numbers
                read = SSAFile.from_string("\n".join(lines), "ssa" if "Marked=" in lines[0][:40] else "ass")
        except (ValueError, TypeError):
            if len(lines) > 1:
                return [cue for line in lines for cue in self._events([line])]
            self.left_out += 1
            return []
        return [Written(event.start, event.end, (event.text,), event.name.strip()) for event in read]


def _kind(lines: list[str], suffix: str) -> str:
    """What the lines are, which is not always what the file is called."""
    head = next((line.strip() for line in lines if line.strip()), "")
    if head.startswith("WEBVTT"):
        return "vtt"
    if head.startswith("[Script Info]") or any(EVENT.match(line) for line in lines[:500]):
        return "ass"
    return suffix.lower().removeprefix(".").replace("ssa", "ass")


def _times(line: str) -> tuple[int, int] | None:
    found = TIMING.match(line)
    if not found:
        return None
    parts = found.groups()
    return _milliseconds(*parts[:5]), _milliseconds(*parts[5:])


def _milliseconds(sign: str, hours: str | None, minutes: str, seconds: str, thousandths: str | None) -> int:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole * 1000 + int((thousandths or "").ljust(3, "0"))) * (-1 if sign else 1)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in (*lines, ""):
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []
