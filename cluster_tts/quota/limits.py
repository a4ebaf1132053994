"""What an account may be asked, and how it stands: the limits of a window, and the figures for people."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from cluster_tts.job import QuotaSettings

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one account, per window; None: no such limit is known. Characters are units of the model.

    ``burst`` is how many requests, ``burst_characters`` how much text may leave at once; None: a whole window's.
    """

    requests: float | None = None
    characters: float | None = None
    in_flight: int | None = None
    window_s: float = 60.0
    guard_s: float = 0.1
    burst: float | None = None
    burst_characters: float | None = None

    @classmethod
    def of(cls, settings: QuotaSettings) -> "Limits | None":
        """The limits that ``settings`` name, cut to ``share``; None where they name none."""
        rates = [rate for rate in (settings.requests_per_minute, settings.characters_per_minute) if rate is not None]
        slowest_s = max((60.0 / (rate * settings.share) for rate in rates), default=0.0)
        window_s = max(settings.window_s, slowest_s)  # so that rounding down leaves at least one a window
        per_window = settings.share * window_s / 60.0
        limits = cls(
            requests=_scaled(settings.requests_per_minute, per_window),
            characters=_scaled(settings.characters_per_minute, per_window),
            in_flight=settings.max_concurrent_requests
            and max(1, int(settings.max_concurrent_requests * settings.share)),
            window_s=window_s,
            guard_s=settings.guard_ms / 1000.0,
            burst=settings.burst and max(1, int(settings.burst * settings.share)),
            burst_characters=settings.burst_characters and max(1, int(settings.burst_characters * settings.share)),
        )
        return limits if limits.any_known else None

    @property
    def any_known(self) -> bool:
        return self.requests is not None or self.characters is not None or self.in_flight is not None

    def least(self, other: "Limits") -> "Limits":
        """Limits that keep both, whatever their windows."""
        return max(self._within(other), other._within(self), key=Limits._rate)

    def _within(self, other: "Limits") -> "Limits":
        """The smaller of each, over the window of ``self``: what ``other`` allows in its own is spread over as many
        windows of ``self`` as could touch it."""
        touched = max(1, math.ceil(other.window_s / self.window_s - 1e-9))
        return Limits(
            requests=_smaller(self.requests, _scaled(other.requests, 1 / touched)),
            characters=_smaller(self.characters, _scaled(other.characters, 1 / touched)),
            in_flight=_smaller(self.in_flight, other.in_flight),
            window_s=self.window_s,
            guard_s=max(self.guard_s, other.guard_s),
            burst=_smaller(self.burst, other.burst),
            burst_characters=_smaller(self.burst_characters, other.burst_characters),
        )

    def _rate(self) -> tuple[float, float, float]:
        """What is let through a second; of equal rates that of the longer window lets more leave at once."""
        rates = (math.inf if limit is None else limit / self.window_s for limit in (self.requests, self.characters))
        return next(rates), next(rates), self.window_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an account stands with its limiter, for people. Counts are of the window that ends now, all runs together."""

    account: str
    limits: Limits
    """What is in force: as named by the runs, as learned, and cut to this limiter's part of them."""
    requests: int
    characters: int
    in_flight: int
    waiting: int
    granted: int
    """Requests let through since the limiter has known the account; ``refused`` of them the provider did not take."""
    refused: int
    cool_s: float
    """Nothing leaves for so long, because the provider said so."""
    remaining: float | None
    """Share of the scarcest limit that is left in the window, from 0 to 1; None where no rate is known."""
    degraded_to: int | None
    """No more than this in flight, because too many requests fail; None: all is well."""
    learned: Mapping[str, float]
    """What was found out, by the name of the setting it could be written as: ``max_concurrent_requests`` and others."""
    parties: int
    """Limiters on this machine that share the account: 1 where nobody else does."""
    notes: tuple[tuple[int, str], ...]
    """Lines for people, numbered upwards: limits learned, degrading, others noticed. The last hundred."""


def _scaled(limit: float | None, by: float) -> float | None:
    return None if limit is None else math.floor(limit * by + 1e-9)


def _smaller(one: N | None, other: N | None) -> N | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
