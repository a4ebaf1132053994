"""What workers and the limiter say to each other, also across runs that were started by different versions.

The limiter of a cluster outlives the run that made it. ``PROTOCOL`` grows whenever a message here, or what it is made
of, changes; runs that speak another protocol than the limiter they meet are told so (``cluster.crew``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cluster_tts.model import News, Purse, Want
from cluster_tts.quota.limits import Limits

PROTOCOL = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """On whose behalf a worker asks: its run, what the run says of the account, and what it may spend."""

    run: str
    limits: Limits = field(default_factory=Limits)
    share: float = 1.0
    weight: float = 1.0
    adaptive: bool = True
    max_unknown: int = 32
    purse: Purse = field(default_factory=Purse)


@dataclass(frozen=True, slots=True)
class Ask:
    """A worker's whole state at the gate, so that a repeated or late message does no harm.

    ``wants`` are the requests that wait to leave, by number; ``done`` those that ended since the last ask, with how
    long ago each left, and ``news`` tells what came of them. ``number`` grows with every ask of a worker: an older one
    arriving late changes no wants. ``era`` is that of the limiter which answered last. A limiter of another era knows
    nothing of this worker: it is told ``sent`` (how long ago, and the units of text), what the worker ``holds``, and
    what all else has cost that it sent, at most: ``spent``.
    """

    worker: str
    number: int
    wants: Mapping[int, Want]
    done: tuple[tuple[int, float], ...] = ()
    news: tuple[News, ...] = ()
    era: str = ""
    sent: tuple[tuple[float, int], ...] | None = None
    holds: Mapping[int, Want] = field(default_factory=dict)
    spent: tuple[float, int] = (0.0, 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """Which requests may leave. ``tell_s`` asks for what was sent in the last so many seconds; ``broke`` says that
    nothing of this run leaves any more, and why."""

    era: str
    granted: tuple[int, ...] = ()
    tell_s: float | None = None
    broke: str = ""


class LimiterPort(Protocol):
    """What a worker needs of the limiter, wherever it runs."""

    async def ask(self, account: str, claim: Claim, ask: Ask) -> Reply: ...
