"""Limits that nobody has told, found by asking a little more: one at a time, and stopping at the first refusal.

Arithmetic only: time is handed in.
"""

import math

FIRST_REFUSAL_S = 0.25  # a refusal was seen to take 240 ms (providers.md 2.5); measured from the first one on
LEAST_REFUSAL_S, MOST_REFUSAL_S = 0.1, 2.0
LONGEST_PAUSE_S = 900.0


class Ceiling:
    """How far it is known to be safe to go, and how it is found out whether farther is.

    Up to ``proven`` may be used at any time. Beyond it one step is tried, and the next once it would be known that it
    was too far. The first that is refused ends that: what was refused is never tried again before ``pause_s``, which
    doubles with every try in vain; an infinite pause means never again. A step is one request; of what ``strides`` it
    doubles with each that went well, up to a twentieth of what is proven.
    """

    def __init__(
        self, proven: float, most: float = math.inf, pause_s: float = math.inf, *, strides: bool = False
    ) -> None:
        self.proven = min(proven, most)
        self.most = most
        self.refusals = 0
        self._in_vain = 0  # tries in a row that were refused
        self._pause_s = pause_s
        self._strides = strides
        self._step = 1.0
        self._bound = math.inf  # what was refused, until more may be tried again
        self._quiet_until = -math.inf
        self._probe: tuple[float, float, float] | None = None  # since when, how far, and how far it may go

    def __repr__(self) -> str:
        return f"<Ceiling proven={self.proven:g} most={self.most:g} refusals={self.refusals}>"

    @property
    def is_final(self) -> bool:
        """Whether no more will be tried."""
        return self.proven >= self.most or (self.refusals > 0 and self._pause_s == math.inf)

    @property
    def is_trying(self) -> bool:
        """Whether more than is proven is being tried."""
        return self._probe is not None

    def allowed(self, amount: float, now: float, known_s: float) -> float:
        """How far one more ``amount`` may go now, if ``known_s`` later it is known whether that was too far."""
        if now >= self._quiet_until:
            self._bound = math.inf
        if self._probe is not None and self._probe[0] + known_s <= now:
            self.proved(self._probe[1])
            self._probe = None
            self._step = min(2 * self._step, max(1.0, self.proven / 20))
        if self._probe is not None:
            return self._probe[2]
        if self.is_final or now < self._quiet_until:
            return self.proven
        return min(self.most, self.proven + max(amount, self._step if self._strides else 0.0))

    def wait_s(self, now: float, known_s: float) -> float:
        """Seconds until ``allowed`` may grow by itself; infinite if it does not."""
        if self.is_final:
            return math.inf
        if self._probe is not None:
            return max(0.0, self._probe[0] + known_s - now)
        return self._quiet_until - now if now < self._quiet_until else math.inf

    def took(self, level: float, now: float) -> None:
        """Note that a request left that goes so far."""
        if level <= self.proven + 1e-9:
            return
        if self._probe is None:
            upto = self.proven + self._step if self._strides else level
            self._probe = now, level, min(self.most, max(level, upto))
        else:
            self._probe = self._probe[0], max(level, self._probe[1]), max(level, self._probe[2])

    def proved(self, level: float) -> None:
        """Note that so much was taken."""
        self.proven = max(self.proven, min(self.most, self._bound, level))

    def told(self, level: float) -> None:
        """Note that so much can be taken: whoever knows says so."""
        self._bound = math.inf
        self.proved(level)

    def refused(self, level: float, now: float) -> None:
        """Note that a request which went so far was refused."""
        self.proven = max(1.0, min(self.proven, math.ceil(level - 1e-9) - 1))
        self._in_vain = self._in_vain + 1 if self.is_trying else 0
        self._probe, self._bound, self._step = None, self.proven, 1.0
        self._quiet_until = now + min(
            max(LONGEST_PAUSE_S, self._pause_s), self._pause_s * 2.0 ** min(self._in_vain, 10)
        )
        self.refusals += 1


class RoundTrip:
    """How long a refusal takes to come back, on the long side."""

    def __init__(self) -> None:
        self.seconds = FIRST_REFUSAL_S

    def measured(self, seconds: float) -> None:
        longest = min(MOST_REFUSAL_S, max(LEAST_REFUSAL_S, 2 * seconds))
        self.seconds = max(longest, (self.seconds + longest) / 2)


class Growth:
    """How many in flight are worth it where nothing ever refuses: servers that queue what they cannot do at once.

    The level doubles as long as that raises what is spoken a second by a tenth, up to ``most``.
    """

    WORTH = 1.1

    def __init__(self, most: int, level: int = 2) -> None:
        self.most = most
        self.level = min(level, most)
        self.is_settled = self.level >= most
        self._before: float | None = None  # units a second at half the level
        self._begun: float | None = None
        self._units = 0
        self._count = 0

    def reached(self, level: float, now: float) -> None:
        """Note that so many are in flight: from then on it is measured what that brings."""
        if level >= self.level and self._begun is None:
            self._begun, self._units, self._count = now, 0, 0

    def spoken(self, units: int, now: float) -> None:
        """Note a success."""
        if self.is_settled or self._begun is None:
            return
        self._units, self._count = self._units + units, self._count + 1
        if self._count < 3 * self.level or now <= self._begun:
            return
        speed = self._units / (now - self._begun)
        if self._before is not None and speed < self.WORTH * self._before:
            self.level, self.is_settled = max(1, self.level // 2), True
            return
        self._before, self._begun = speed, None
        self.level = min(self.most, 2 * self.level)
        self.is_settled = self.level >= self.most
