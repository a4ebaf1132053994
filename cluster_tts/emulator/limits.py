"""What an account may ask, counted as providers count: plain arithmetic, time is an argument.

``sliding`` looks back one window from now, ``fixed`` starts anew with each window of the clock, ``bucket`` fills evenly
up to its size. An amount is 1 for a request, or its characters.
"""

import math
from collections import deque
from typing import NamedTuple, Protocol

EPSILON = 1e-9  # so that what may go "in 0.3 s" may go when 0.3 s have passed, whatever 0.1 + 0.2 is


class Standing(NamedTuple):
    """How a limit stands: ``reset_s`` is until it is as if nothing had ever been asked."""

    limit: int
    used: int
    remaining: int
    reset_s: float


class Verdict(NamedTuple):
    """Whether a request may come in. ``refused``: '', 'requests', 'characters' or 'concurrency'.

    ``wait_s`` is until the same request would fit if nothing else came; infinite where time alone does not help.
    """

    refused: str
    wait_s: float
    limit: int
    used: int
    requested: int


ADMITTED = Verdict("", 0.0, 0, 0, 0)


class Count(Protocol):
    """One limit and what was counted against it."""

    def wait_s(self, amount: int, now: float) -> float:
        """Until ``amount`` fits; infinite if it never does."""

    def add(self, amount: int, now: float) -> None:
        """Count ``amount``, whether it fits or not."""

    def standing(self, now: float) -> Standing:
        """How the limit stands."""

    def change(self, limit: float, now: float) -> None:
        """Hold another limit per window from now on; what was counted stays counted."""


class Sliding:
    """At most ``limit`` in any window that ends now; the log is exact."""

    def __init__(self, limit: float, window_s: float) -> None:
        self.limit, self.window_s = math.floor(limit + EPSILON), window_s
        self._log: deque[tuple[float, int]] = deque()
        self._total = 0

    def wait_s(self, amount: int, now: float) -> float:
        self._forget(now)
        excess = self._total + amount - self.limit
        if excess <= 0:
            return 0.0
        if amount > self.limit:
            return math.inf
        return self._leaves(excess) + self.window_s - now

    def add(self, amount: int, now: float) -> None:
        self._forget(now)
        self._log.append((now, amount))
        self._total += amount

    def standing(self, now: float) -> Standing:
        self._forget(now)
        reset_s = self._log[-1][0] + self.window_s - now if self._log else 0.0
        return Standing(self.limit, self._total, max(0, self.limit - self._total), reset_s)

    def change(self, limit: float, now: float) -> None:
        self.limit = math.floor(limit + EPSILON)

    def _leaves(self, excess: int) -> float:
        """When the entry came with which ``excess`` will have left, found from the nearer end of the log."""
        if excess <= self._total / 2:
            for came, amount in self._log:
                excess -= amount
                if excess <= 0:
                    return came
        kept = self._total - excess
        for came, amount in reversed(self._log):
            kept -= amount
            if kept < 0:
                return came
        return self._log[0][0]

    def _forget(self, now: float) -> None:
        while self._log and self._log[0][0] <= now - self.window_s + EPSILON:
            self._total -= self._log.popleft()[1]


class Fixed:
    """At most ``limit`` from each multiple of the window to the next: twice as much around the turn."""

    def __init__(self, limit: float, window_s: float) -> None:
        self.limit, self.window_s = math.floor(limit + EPSILON), window_s
        self._window, self._total = 0, 0

    def wait_s(self, amount: int, now: float) -> float:
        self._turn(now)
        if self._total + amount <= self.limit:
            return 0.0
        return math.inf if amount > self.limit else self._left_s(now)

    def add(self, amount: int, now: float) -> None:
        self._turn(now)
        self._total += amount

    def standing(self, now: float) -> Standing:
        self._turn(now)
        reset_s = self._left_s(now) if self._total else 0.0
        return Standing(self.limit, self._total, max(0, self.limit - self._total), reset_s)

    def change(self, limit: float, now: float) -> None:
        self.limit = math.floor(limit + EPSILON)

    def _left_s(self, now: float) -> float:
        return (self._window + 1) * self.window_s - now

    def _turn(self, now: float) -> None:
        if (window := math.floor(now / self.window_s + EPSILON)) != self._window:
            self._window, self._total = window, 0


class Bucket:
    """Fills with ``limit`` per window, holds at most ``size`` (by default a whole window's); starts full.

    A refused amount takes what is left.
    """

    def __init__(self, limit: float, window_s: float, size: float | None = None) -> None:
        self._window_s, self._given_size = window_s, size
        self._filled_at = 0.0
        self._hold(limit)
        self._level = self.size

    def wait_s(self, amount: int, now: float) -> float:
        self._fill(now)
        missing = amount - self._level
        if missing <= EPSILON:
            return 0.0
        return math.inf if amount > self.size + EPSILON else missing / self._rate

    def add(self, amount: int, now: float) -> None:
        self._fill(now)
        self._level = max(0.0, self._level - amount)

    def standing(self, now: float) -> Standing:
        self._fill(now)
        remaining = math.floor(self._level + EPSILON)
        reset_s = (self.size - self._level) / self._rate if self._rate else 0.0
        return Standing(self.limit, math.ceil(self.size - self._level - EPSILON), remaining, reset_s)

    def change(self, limit: float, now: float) -> None:
        """As if what is missing from the bucket had been taken from one of the new size."""
        self._fill(now)
        missing = self.size - self._level
        self._hold(limit)
        self._level = max(0.0, self.size - missing)

    def _hold(self, limit: float) -> None:
        self.size = 0.0 if limit <= 0 else limit if self._given_size is None else float(self._given_size)
        self.limit, self._rate = math.floor(limit + EPSILON), limit / self._window_s

    def _fill(self, now: float) -> None:
        self._level = min(self.size, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now


def count(how: str, limit: float | None, window_s: float, burst: int | None = None) -> Count | None:
    """The count of a limit per window, ``how`` being 'sliding', 'fixed' or 'bucket'; None where there is no limit."""
    if limit is None:
        return None
    if how == "bucket":
        return Bucket(limit, window_s, burst)
    return Sliding(limit, window_s) if how == "sliding" else Fixed(limit, window_s)


class Account:
    """All limits of an account. A request comes in if all of them allow it, else it takes nothing.

    With ``refusals_count`` a refused request counts as a request (not its characters: nothing was made of them).
    """

    def __init__(
        self,
        requests: Count | None = None,
        characters: Count | None = None,
        most_in_flight: int | None = None,
        *,
        refusals_count: bool = False,
    ) -> None:
        self.requests, self.characters = requests, characters
        self.most_in_flight, self.refusals_count = most_in_flight, refusals_count
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<Account in_flight={self.in_flight} of {self.most_in_flight}, {self.requests}, {self.characters}>"

    def admit(self, characters: int, now: float) -> Verdict:
        """Let a request in, which takes a place until ``leave``, or say what is in its way."""
        if self.most_in_flight is not None and self.in_flight >= self.most_in_flight:
            return self._refused("concurrency", now)
        if self.requests is not None and self.requests.wait_s(1, now) > 0:
            return self._refused("requests", now)
        if self.characters is not None and self.characters.wait_s(characters, now) > 0:
            return self._refused("characters", now, characters)
        if self.requests is not None:
            self.requests.add(1, now)
        if self.characters is not None:
            self.characters.add(characters, now)
        self.in_flight += 1
        return ADMITTED

    def leave(self) -> None:
        """Give back the place of a request that was admitted."""
        self.in_flight -= 1

    def _refused(self, what: str, now: float, amount: int = 1) -> Verdict:
        counted = self.characters if what == "characters" else self.requests if what == "requests" else None
        before = counted.standing(now) if counted is not None else None
        if self.refusals_count and self.requests is not None:
            self.requests.add(1, now)  # before the wait is reckoned, which it prolongs
        if counted is None or before is None:
            return Verdict(what, math.inf, self.most_in_flight or 0, self.in_flight, amount)
        return Verdict(what, counted.wait_s(amount, now), before.limit, before.used, amount)
