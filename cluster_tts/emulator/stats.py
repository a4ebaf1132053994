"""What happened at the emulator, in counts: nothing here decides. Time is an argument, in seconds since the start.

Memory stays bounded over a million requests: texts are kept for those asked first and those charged twice, up to
``MOST_TEXTS`` each; of all others only a hash.
"""

from collections import Counter, deque
from typing import Any

from cluster_tts.emulator.limits import EPSILON
from cluster_tts.emulator.speech import digest_of

MOST_TEXTS = 10_000
MOST_SECONDS = 100_000


class Window:
    """The largest count of requests and characters in any window so far, exactly."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._log: deque[tuple[float, int]] = deque()
        self._characters = 0
        self.most_requests, self.most_characters = 0, 0

    def add(self, characters: int, now: float) -> None:
        while self._log and self._log[0][0] <= now - self._window_s + EPSILON:
            self._characters -= self._log.popleft()[1]
        self._log.append((now, characters))
        self._characters += characters
        self.most_requests = max(self.most_requests, len(self._log))
        self.most_characters = max(self.most_characters, self._characters)

    def latest(self) -> list[tuple[float, int]]:
        """When what came last came, as far back as one window from there, and its characters."""
        return list(self._log)

    def as_dict(self) -> dict[str, int]:
        return {"requests": self.most_requests, "characters": self.most_characters}


class InFlight:
    """How many are at work: now, at most, and on average from the first arrival to the last end."""

    def __init__(self) -> None:
        self.now, self.peak = 0, 0
        self._area, self._first, self._last = 0.0, 0.0, 0.0
        self._started = False

    def change(self, by: int, now: float) -> None:
        if not self._started:
            self._started, self._first, self._last = True, now, now
        self._area += self.now * (now - self._last)
        self._last = now
        self.now += by
        self.peak = max(self.peak, self.now)

    def as_dict(self) -> dict[str, float]:
        span = self._last - self._first
        return {"now": self.now, "peak": self.peak, "mean": round(self._area / span, 3) if span else 0.0}


class Stats:
    """Counters of one emulator; ``as_dict`` is what ``GET /_emulator/stats`` answers."""

    def __init__(self, window_s: float) -> None:
        self.arrivals, self.served, self.left = 0, 0, 0
        self.charged, self.charged_characters = 0, 0
        self.polls, self.downloads = 0, 0
        self.refused: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.admitted, self.arrived = Window(window_s), Window(window_s)
        self.in_flight = InFlight()
        self._asked: dict[str, int] = {}
        self._charged_times: dict[int, int] = {}
        self._repeats: dict[str, int] = {}
        self._per_second: Counter[int] = Counter()
        self._first_s: float | None = None
        self._last_s: float | None = None
        self._last_end_s: float | None = None

    def arrive(self, now: float) -> int:
        """Count an arrival; its number, from 1, is what its fault is drawn from."""
        self.arrivals += 1
        self._last_s = now
        if self._first_s is None:
            self._first_s = now
        return self.arrivals

    def ask(self, text: str, characters: int, now: float) -> None:
        """Count what a well-formed arrival asks for."""
        self.arrived.add(characters, now)
        if text in self._asked or len(self._asked) < MOST_TEXTS:
            self._asked[text] = self._asked.get(text, 0) + 1

    def admit(self, characters: int, now: float) -> None:
        self.admitted.add(characters, now)
        self.in_flight.change(1, now)

    def charge(self, text: str, characters: int, times: int = 1) -> None:
        """Count what is paid for a text; ``times=-1`` takes it back."""
        self.charged += times
        self.charged_characters += characters * times
        key = hash(text)
        total = self._charged_times[key] = self._charged_times.get(key, 0) + times
        if text not in self._repeats and len(self._repeats) >= MOST_TEXTS:
            text = f"#{digest_of(text):010x}"
        if total > 1:
            self._repeats[text] = total
        else:
            self._repeats.pop(text, None)
        if not total:
            del self._charged_times[key]

    def serve(self, now: float) -> None:
        self.served += 1
        if len(self._per_second) < MOST_SECONDS:
            self._per_second[int(now)] += 1

    def leave(self, now: float) -> None:
        """Count the end of something that was admitted."""
        self.in_flight.change(-1, now)
        self._last_end_s = now

    def as_dict(self) -> dict[str, Any]:
        return {
            "arrivals": self.arrivals,
            "served": self.served,
            "charged": self.charged,
            "charged_characters": self.charged_characters,
            "refused": dict(self.refused),
            "faults": dict(self.faults),
            "left": self.left,
            "polls": self.polls,
            "downloads": self.downloads,
            "largest_window": self.admitted.as_dict(),
            "largest_window_arrivals": self.arrived.as_dict(),
            "in_flight": self.in_flight.as_dict(),
            "repeats": dict(self._repeats),
            "asked": dict(self._asked),
            "texts_charged": len(self._charged_times),
            "first_arrival_s": self._first_s,
            "last_arrival_s": self._last_s,
            "last_end_s": self._last_end_s,
            "served_per_second": sorted(self._per_second.items()),
        }
