"""What was sent: by the window, exactly, and as it is drawn from a bucket that is filled again. Arithmetic only."""

import math
from collections import deque
from collections.abc import Iterable

Use = tuple[float, int, int]
"""When something left, how many requests it was, and their units of text."""


class Log:
    """What left in the last ``span_s`` seconds, exactly, and its sums."""

    def __init__(self, uses: Iterable[Use] = (), grain_s: float = 0.0) -> None:
        """What leaves within ``grain_s`` is one entry, as old as the youngest of it: thousands a second stay few."""
        self._grain_s = grain_s
        self._begun = -math.inf
        self.uses: deque[Use] = deque(sorted(uses))
        self.requests = sum(use[1] for use in self.uses)
        self.units = sum(use[2] for use in self.uses)

    def add(self, now: float, requests: int, units: int) -> None:
        if self.uses and now - self._begun < self._grain_s:
            _, before, units_before = self.uses.pop()
            self.uses.append((now, before + requests, units_before + units))
        else:
            self._begun = now
            self.uses.append((now, requests, units))
        self.requests += requests
        self.units += units

    def forget(self, until: float) -> None:
        """Drop what left at ``until`` or before."""
        while self.uses and self.uses[0][0] <= until:
            self._drop()

    def _drop(self) -> None:
        _, requests, units = self.uses.popleft()
        self.requests -= requests
        self.units -= units


class Bucket:
    """The provider's bucket as seen from here: ``drawn`` of it, refilled at ``rate`` a second."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._drawn = 0.0
        self._at = -math.inf

    def drawn(self, now: float) -> float:
        if now <= self._at:
            return self._drawn
        return max(0.0, self._drawn - (now - self._at) * self.rate) if self._drawn else 0.0

    def take(self, amount: float, now: float) -> None:
        self._drawn, self._at = self.drawn(now) + amount, max(now, self._at)

    def wait_s(self, amount: float, burst: float, guard_s: float, now: float) -> float:
        """Seconds until ``amount`` may leave, where the provider's holds ``burst``; what is more than the guard leaves
        of it, or more than all of it, leaves when the provider's must be full."""
        room = max(1.0, burst - guard_s * self.rate)
        excess = self._drawn - (now - self._at) * self.rate + min(amount, max(burst, 1.0)) - room
        refilled_s = excess / self.rate if excess > 1e-9 else 0.0
        singly_s = (1 / self.rate + guard_s) / burst if burst - guard_s * self.rate < 1 else 0.0
        return max(0.0, refilled_s, self._at + singly_s - now)
