"""How long to wait for an answer: as long as this provider's answers to texts of this length have taken, and much more.

A request that hangs is then noticed in seconds instead of after ``provider.timeout_s``, which is the most in any case.
Arithmetic only: what answers took is handed in.
"""

from collections import deque
from statistics import median, quantiles

ENOUGH = 20  # answers before anything is concluded from them
REMEMBERED = 200  # answers
EVERY = 10  # so many answers later it is worked out anew
GENEROSITY = 6.0  # times what 19 of 20 answers do not exceed: a request that is given up may well be charged
SHORTEST_S = 10.0
EASY = 5  # answers for which half the time would have done, before it is halved again


class Timeouts:
    """Learns from answers, never gives more than ``most_s``, and gives way where it was too strict.

    A time-out may mean a request that hangs or a server that has become slow, whose answers are then never seen. Hence
    each doubles the time for all, up to ``most_s``, and only answers for which half of it would have done bring it down
    again. Those that were allowed less than what holds by now had begun before it was raised: they do not count again.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._answers: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._learned: _Pace | None = None
        self._leniency = 1.0
        self._easy = 0
        self._until_new = ENOUGH

    def __repr__(self) -> str:
        return (
            f"<Timeouts {self._learned} x {self._leniency:g} of {len(self._answers)} answers, most {self._most_s:g} s>"
        )

    def of(self, characters: int) -> float:
        """Seconds to wait for the answer to a text of this length."""
        if self._learned is None:
            return self._most_s
        return min(self._most_s, self._leniency * max(SHORTEST_S, GENEROSITY * self._learned.latency_s(characters)))

    def answered(self, characters: int, latency_s: float) -> None:
        """Note how long the whole of an answer took."""
        self._answers.append((characters, latency_s))
        self._until_new -= 1
        self._easy += latency_s <= self.of(characters) / 2
        if self._until_new <= 0:
            self._learned, self._until_new = _Pace.of(list(self._answers)), EVERY
        if self._easy >= EASY:
            self._leniency, self._easy = max(1.0, self._leniency / 2), 0

    def timed_out(self, characters: int, allowed_s: float) -> None:
        """Note that the answer to a text was not there after ``allowed_s``."""
        self._easy = 0
        if self.of(characters) <= allowed_s < self._most_s:
            self._leniency *= 2


class _Pace:
    """Latency as a line over the length of the text that 19 of 20 answers stay below."""

    def __init__(self, base_s: float, per_character_s: float, longest: int) -> None:
        self._base_s = base_s
        self._per_character_s = per_character_s
        self._longest = longest

    def __repr__(self) -> str:
        return f"{self._base_s:.2f} s + {self._per_character_s:.4f} s a character"

    @classmethod
    def of(cls, answers: list[tuple[int, float]]) -> "_Pace":
        """Tukey's resistant line: through the medians of the shortest and the longest third, deaf to outliers."""
        answers = sorted(answers)
        third = len(answers) // 3
        (short, short_s), (long, long_s) = (
            (median(c for c, _ in part), median(s for _, s in part)) for part in (answers[:third], answers[-third:])
        )
        slope = max(0.0, (long_s - short_s) / (long - short)) if long > short else 0.0
        base = max(0.0, median(latency - slope * characters for characters, latency in answers))
        usual = [max(base + slope * characters, 1e-3) for characters, _ in answers]
        above = [latency / expected for (_, latency), expected in zip(answers, usual, strict=True)]
        slowest = max(1.0, quantiles(above, n=20)[-1])
        return cls(slowest * base, slowest * slope, answers[-1][0])

    def latency_s(self, characters: int) -> float:
        """For texts longer than any seen at least in proportion to their length: nothing is known of them."""
        known = min(characters, self._longest)
        return (self._base_s + self._per_character_s * known) * max(1.0, characters / max(self._longest, 1))
