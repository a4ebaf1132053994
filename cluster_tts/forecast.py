"""How long so many requests take at the least, at given limits. Arithmetic only: no clock, no randomness.

With n requests of U units of text in all, each under way for L seconds; limits of R requests and C units in any window
of W seconds (guard included), a burst of B requests, and P places in flight, the last request cannot leave before::

    last = max( ⌊(n - 1) / R⌋ W,  (n - B) W / R,  (⌈U / C⌉ - 1) W )

for a window's worth may leave at once, unless the burst is smaller, and the next only once the window is over. Nor can
the work be done before all places have been filled as often as needed::

    seconds = max( last + L,  ⌈n / P⌉ L )

Real runs take longer: texts and answers are uneven, requests are refused or fail.
"""

import math
from dataclasses import dataclass

from cluster_tts.quota import Limits


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to ask for: so many requests with so many units of text in all, each under way for so long."""

    requests: int
    units: float
    latency_s: float


def seconds(work: Work, limits: Limits | None, places: int) -> float:
    """How long ``work`` takes at the least with ``limits``; no more than ``places`` requests are in flight at once."""
    if not work.requests:
        return 0.0
    in_flight = places
    last_s = 0.0
    if limits is not None:
        in_flight = min(places, limits.in_flight or places)
        last_s = _last_leaves_s(work, limits)
    return max(last_s + work.latency_s, math.ceil(work.requests / in_flight) * work.latency_s)


def _last_leaves_s(work: Work, limits: Limits) -> float:
    window_s = limits.window_s + limits.guard_s
    leaves_s = [0.0]
    if limits.requests is not None:
        leaves_s.append((work.requests - 1) // limits.requests * window_s)
        if limits.burst is not None:
            leaves_s.append((work.requests - limits.burst) * window_s / limits.requests)
    if limits.characters is not None:
        leaves_s.append((math.ceil(work.units / limits.characters) - 1) * window_s)
    return max(leaves_s)
