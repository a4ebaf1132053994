"""Whose turn it is: first come, first served within a run, by weight between runs. Arithmetic only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from cluster_tts.model import Want

Key = tuple[str, int]
"""A request: its worker, and the worker's number for it."""


@dataclass(slots=True)
class _Line:
    weight: float
    served: float = 0.0
    waiting: dict[Key, Want] = field(default_factory=dict)


class Turns:
    """Requests that wait. The run that was served least for its weight is next; one that waited for nothing meanwhile
    has saved nothing up, so a large run does not hold up a small one, nor a new one an old one."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._run_of: dict[Key, str] = {}
        self._now = 0.0  # how far the line that was served last has come

    def __len__(self) -> int:
        return len(self._run_of)

    def __contains__(self, key: Key) -> bool:
        return key in self._run_of

    def add(self, run: str, weight: float, key: Key, want: Want) -> None:
        """Let a request wait; one that waits already keeps its place."""
        if key in self._run_of:
            return
        line = self._lines.setdefault(run, _Line(weight))
        line.weight = weight
        if not line.waiting:
            line.served = max(line.served, self._now)
        line.waiting[key] = want
        self._run_of[key] = run

    def first(self, without: Collection[str] = ()) -> tuple[str, Key, Want] | None:
        """Whose turn it is but for some runs: run, request, and what it wants; None where nobody waits."""
        waiting = [(line.served, run) for run, line in self._lines.items() if line.waiting and run not in without]
        if not waiting:
            return None
        _, run = min(waiting)
        key, want = next(iter(self._lines[run].waiting.items()))
        return run, key, want

    def behind(self, run: str, most: int) -> list[tuple[Key, Want]]:
        """Those that follow the first of a run, the next ``most`` of them."""
        return list(islice(self._lines[run].waiting.items(), 1, 1 + most))

    def serve(self, key: Key, cost: float) -> None:
        """Note that a request has had its turn, which was worth so much."""
        line = self._lines[self._run_of[key]]
        self._now = line.served
        line.served += cost / line.weight
        self.withdraw([key])

    def withdraw(self, keys: Iterable[Key]) -> None:
        """Let requests wait no longer; those that do not wait are none."""
        for key in keys:
            if (run := self._run_of.pop(key, None)) is not None:
                del self._lines[run].waiting[key]

    def of_worker(self, worker: str) -> list[Key]:
        return [key for key in self._run_of if key[0] == worker]

    def of_run(self, run: str) -> list[Key]:
        return list(self._lines[run].waiting) if run in self._lines else []

    def forget(self, run: str) -> None:
        """Forget a run that has ended."""
        if run in self._lines and not self._lines[run].waiting:
            del self._lines[run]
