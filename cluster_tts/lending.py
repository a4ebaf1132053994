"""What the queue, its workers and the driver tell each other."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cluster_tts.model import Clip, Outcome


@dataclass(frozen=True, slots=True)
class Loans:
    """The queue's answer to a worker: what it may start now, and whether more can ever come.

    Of the worker's outcomes, counted from its first, the queue wants to hear the ``next``; ``kept`` of them are the
    driver's by now, so that nobody will ask for them again.
    """

    clips: tuple[Clip, ...] = ()
    closed: bool = False
    next: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the driver tells the queue.

    ``last``: no more clips are to come, as far as is known; it may be taken back. ``dead`` are workers that died,
    ``lost`` those whose machine went, for which no clip is to blame. ``had`` says how many outcomes of each worker the
    driver has. ``queue`` is the one they are meant for; empty: whichever there is.
    """

    clips: Sequence[Clip] = ()
    dead: Collection[str] = ()
    lost: Collection[str] = ()
    last: bool = False
    close: bool = False
    had: Mapping[str, int] = field(default_factory=dict)
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The queue's answer to the driver: what ended since it last asked, and how the queue stands.

    ``had`` is to be handed back with the next orders: only then are these outcomes forgotten.
    """

    outcomes: tuple[Outcome, ...]
    waiting: int
    lent: int
    had: Mapping[str, int] = field(default_factory=dict)
    queue: str = ""
