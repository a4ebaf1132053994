"""The figures of a run for whoever watches it from outside: their names, and their values at a moment.

All come from what ``report.json`` is made of, so both say the same. Arithmetic only; ``cluster.metrics`` hands them
on, where there is anybody to scrape them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster_tts.gauge import Gauge, share_of
from cluster_tts.model import Status
from cluster_tts.report import Totals

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
DOCUMENTS = ("planned", "whole", "incomplete", "unreadable")
BOUNDS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``label`` is what its values are told apart by, ``report`` where ``report.json`` has it."""

    name: str
    kind: str
    told: str
    report: str
    label: str | None = None


FIGURES = (
    Figure("cluster_tts_requests", COUNTER, "Requests that the provider answered or failed to", "totals.requests"),
    Figure("cluster_tts_refused", COUNTER, "Those refused for the account's limits", "totals.refused"),
    Figure("cluster_tts_errors", COUNTER, "Attempts that failed, refused ones too", "totals.errors", "kind"),
    Figure("cluster_tts_characters", COUNTER, "Characters spoken", "totals.characters"),
    Figure("cluster_tts_billed_characters", COUNTER, "Characters as billed", "totals.billed_characters"),
    Figure("cluster_tts_cost_usd", COUNTER, "Dollars spent, as far as prices are known", "totals.cost_usd"),
    Figure("cluster_tts_audio_seconds", COUNTER, "Seconds of audio spoken", "totals.audio_s"),
    Figure("cluster_tts_clips", COUNTER, "Attempts by how they ended", "totals.<status>", "status"),
    Figure("cluster_tts_documents", GAUGE, "Documents by how they stand", "documents[].status", "status"),
    Figure("cluster_tts_quota_used", GAUGE, "Mean share used while requests waited", "quota.share_used"),
    Figure("cluster_tts_quota_in_use", GAUGE, "Share of the scarcest limit in use now", "quota.in_use"),
    Figure("cluster_tts_in_flight", GAUGE, "The account's requests in flight", "quota.in_flight"),
    Figure("cluster_tts_waiting", GAUGE, "The account's requests waiting at the gate", "quota.waiting"),
    Figure("cluster_tts_degraded", GAUGE, "1 while fewer requests leave because many fail", "quota.degraded_to"),
    Figure("cluster_tts_budget_left", GAUGE, "Share of the budget that is left", "totals.budget_left"),
    Figure("cluster_tts_latency_seconds", HISTOGRAM, "From leaving to the last byte", "totals.latency_p50_s"),
    Figure("cluster_tts_gate_wait_seconds", HISTOGRAM, "Waits at the gate", "totals.gate_wait_p50_s"),
)
"""All there are. To Prometheus each is ``ray_`` and its name; counters end in ``_total``."""

Values = Mapping[str, Mapping[str, float]]
"""By figure, by label (empty where it has none)."""
Times = Mapping[str, Sequence[float]]
Snapshot = tuple[Values, Times]


def snapshot(totals: Totals, states: Mapping[str, int], gauge: Gauge, budget_left: float | None) -> Snapshot:
    """Every figure as it stands; ``states`` counts documents by how they stand."""
    return read(totals, states, gauge, budget_left), times(totals)


def read(totals: Totals, states: Mapping[str, int], gauge: Gauge, budget_left: float | None) -> Values:
    """The counters and gauges as they stand; what is not known, or never happened, is left out."""
    standing = gauge.standing
    known: dict[str, float | None] = {
        "cluster_tts_requests": totals.asked.requests,
        "cluster_tts_refused": totals.asked.refused,
        "cluster_tts_characters": totals.characters,
        "cluster_tts_billed_characters": totals.billed_characters,
        "cluster_tts_cost_usd": totals.cost_usd,
        "cluster_tts_audio_seconds": totals.audio_s,
        "cluster_tts_quota_used": gauge.share_used,
        "cluster_tts_quota_in_use": share_of(standing, standing.limits) if standing else None,
        "cluster_tts_in_flight": standing.in_flight if standing else None,
        "cluster_tts_waiting": standing.waiting if standing else None,
        "cluster_tts_degraded": float(standing.degraded_to is not None) if standing else None,
        "cluster_tts_budget_left": budget_left,
    }
    return {
        **{name: {"": value} for name, value in known.items() if value is not None},
        "cluster_tts_errors": dict(totals.errors),
        "cluster_tts_clips": {str(status): totals.attempts[status] for status in Status},
        "cluster_tts_documents": {status: states.get(status, 0) for status in DOCUMENTS},
    }


def times(totals: Totals) -> Times:
    """What the histograms count: a value for each request so far, in order."""
    return {
        "cluster_tts_latency_seconds": totals.latency_s,
        "cluster_tts_gate_wait_seconds": totals.gate_wait_s,
    }
