"""How a run stands at a moment, for whoever watches it."""

from dataclasses import dataclass, field

from cluster_tts.gauge import Note
from cluster_tts.quota.limits import Standing
from cluster_tts.report import Asked, Spread


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run stands, for whoever watches it."""

    documents: int
    documents_whole: int
    documents_incomplete: int
    clips: int
    """Clips that were missing at the start; ``spoken``, ``found`` and ``failed`` of them are dealt with."""
    spoken: int
    found: int
    failed: int
    in_flight: int
    joining: int
    characters: int
    audio_s: float
    asked: Asked = field(default_factory=Asked)
    """How many requests there were, and how many of them were refused."""
    gate_wait_s: Spread | None = None
    """How long the last requests waited at the gate, and ``latency_s`` how long for their answers."""
    latency_s: Spread | None = None
    quota: Standing | None = None
    left_s: float | None = None
    """How long the rest takes by the plan."""
    notes: tuple[Note, ...] = ()
    """Lines for people, numbered upwards: each is to be shown once."""
