"""What a kill did to a run, reckoned from the emulator's log and from what is left on disk. Plain arithmetic.

An entry of the log is a dictionary as ``cluster_tts.emulator.log.Entry`` has it. Each text is asked for by one chunk
only and differs from all others in its first characters, so that a text that was paid twice tells which chunk it was.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Entry = Mapping[str, Any]

ON_ITS_WAY_S = 0.25  # an answer that left so shortly before the kill may not have become a clip
MOST_LOST_S = 50.0  # a second start takes ten; more means that something was only noticed when a lease of 60 s ran out
LOOKED_S = 0.25  # how late it may be noticed that orphans have died
NOBODY_ASKING_DIES = ("queue", "limiter", "join", "sigterm")
GOES_ON = ("worker", "node", "queue", "limiter", "join")


@dataclass(frozen=True)
class Kill:
    """One blow: who fell, and when by the emulator's clock, which lies between ``before_s`` and ``after_s``.

    A driver's workers outlive it and go on asking: ``orphans_s`` is when the last of them had died.
    """

    victim: str
    before_s: float
    after_s: float
    processes: int
    orphans_s: float | None = None

    def to_tell(self) -> str:
        return f"{self.victim}@{self.after_s:.1f}s"


@dataclass(frozen=True)
class Told:
    """One case: the blows, how often the command was started until it was whole, and what came out."""

    victim: str
    number: int
    kills: tuple[Kill, ...]
    exit_codes: tuple[int, ...]
    lost_chunks: int
    different: tuple[str, ...]  # names of documents that differ from those of the undisturbed run, or lack
    repaid: int
    in_flight: int  # at the blows, by the emulator's own count: what may be paid again
    repaid_unasked: tuple[str, ...]  # texts paid again that nobody was being asked for at any blow
    refused: int
    lost_s: float
    left_behind: tuple[str, ...]
    complaint: str = ""  # whatever else broke: a hang, a command that never became whole
    said: tuple[str, ...] = field(default=(), repr=False)  # the last words of each start

    @property
    def bound(self) -> int:
        """What may be paid again: nothing where nobody that asks was hit."""
        return 0 if self.victim in NOBODY_ASKING_DIES else self.in_flight

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        found = [self.complaint] if self.complaint else []
        if not self.kills:
            found.append("nobody was hit")
        if self.lost_chunks:
            found.append(f"{self.lost_chunks} chunks lost")
        if self.different:
            found.append(f"{len(self.different)} documents differ")
        if self.repaid > self.bound:
            found.append(f"{self.repaid} paid again, {self.bound} allowed")
        if self.repaid_unasked:
            found.append(f"{len(self.repaid_unasked)} paid again that were not in flight: {self.repaid_unasked[0]}")
        if self.refused:
            found.append(f"{self.refused} refused")
        if self.lost_s > MOST_LOST_S:
            found.append(f"{self.lost_s:.0f} s lost")
        if self.left_behind:
            found.append(f"left behind: {', '.join(self.left_behind[:4])}")
        if not allowed_exits(self.victim, self.exit_codes):
            found.append(f"exit codes {' '.join(map(str, self.exit_codes))}")
        return found


def allowed_exits(victim: str, codes: Sequence[int]) -> bool:
    """Whether a run may end like that: 0 at last; before it only what the blow itself explains."""
    if not codes or codes[-1] != 0:
        return False
    if victim in GOES_ON:
        return len(codes) == 1
    explained = {"driver": -9, "power": -9, "sigterm": 75}.get(victim)
    return all(code == explained for code in codes[:-1])


def in_flight(log: Sequence[Entry], kill: Kill) -> set[str]:
    """The texts that were being asked for at the kill, or had just been answered: at the death of those who asked."""
    if kill.orphans_s is None:
        return _in_flight(log, kill.before_s, kill.after_s)
    return _in_flight(log, kill.orphans_s - LOOKED_S, kill.orphans_s)


def _in_flight(log: Iterable[Entry], before_s: float, after_s: float) -> set[str]:
    return {
        entry["text"]
        for entry in log
        if entry["admitted_s"] is not None
        and entry["admitted_s"] <= after_s
        and (entry["left_s"] is None or entry["left_s"] >= before_s - ON_ITS_WAY_S)
    }


def paid_again(repeats: Mapping[str, int]) -> int:
    """Requests that were paid beyond the first for each text, of the emulator's ``stats()["repeats"]``."""
    return sum(times - 1 for times in repeats.values())


def not_in_flight(repeats: Iterable[str], asked: set[str], letters: int) -> tuple[str, ...]:
    """Texts paid again that are none of ``asked``; the log keeps the first ``letters`` of a text."""
    return tuple(sorted(text[:letters] for text in repeats if text[:letters] not in asked))


COLUMNS = ("victim", "runs", "killed", "lost", "paid again", "(allowed)", "different", "refused", "s lost",
           "exit codes", "left behind", "promise")  # fmt: skip


def table(told: Sequence[Told]) -> list[str]:
    """One line a victim, in the order in which they came first; ``!`` where a promise was broken."""
    rows = [COLUMNS, *(_row(victim, [t for t in told if t.victim == victim]) for victim in _in_order(told))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _in_order(told: Iterable[Told]) -> list[str]:
    return list(dict.fromkeys(one.victim for one in told))


def _row(victim: str, told: Sequence[Told]) -> tuple[str, ...]:
    broken = sum(bool(one.broken()) for one in told)
    seconds = [one.lost_s for one in told]
    codes = dict.fromkeys(" ".join(map(str, one.exit_codes)) for one in told)
    return (
        victim,
        str(len(told)),
        str(sum(len(one.kills) for one in told)),
        _sum(told, lambda one: one.lost_chunks),
        _each(told, lambda one: one.repaid),
        _each(told, lambda one: one.bound),
        _sum(told, lambda one: len(one.different)),
        _sum(told, lambda one: one.refused),
        f"{median(seconds):.0f} (most {max(seconds):.0f})",
        " | ".join(codes),
        _sum(told, lambda one: len(one.left_behind)),
        f"! {broken} of {len(told)} broken" if broken else "kept",
    )


def _sum(told: Iterable[Told], count: Callable[[Told], int]) -> str:
    return str(sum(map(count, told)))


def _each(told: Iterable[Told], count: Callable[[Told], int]) -> str:
    return " ".join(str(count(one)) for one in told)
