"""The figures of a run handed to Ray, whose agents show them to Prometheus. See ``figures`` for what they are.

What was pushed is on the node's metrics port within ten seconds, or at once when the run disconnects from Ray:
measured with Ray 2.60, ``ray.shutdown`` sends what is left. Of a histogram only the counts are exact there; Ray makes
up the sum from the middles of the buckets.
"""

import time
from collections.abc import Callable
from typing import Any

from ray.util import metrics

from cluster_tts.figures import BOUNDS_S, COUNTER, FIGURES, HISTOGRAM, Snapshot

EVERY_S = 2.0  # Ray hands them on every ten


class Metrics:
    """The figures of one run, labelled by nothing but the provider and what each is told apart by: Ray adds the driver
    (``WorkerId``), by which runs can be told apart."""

    def __init__(
        self, provider: str, figures: Callable[[], Snapshot], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._figures = figures
        self._clock = clock
        self._next = 0.0
        self._metrics: dict[str, Any] = {}
        self._counted: dict[tuple[str, str], float] = {}  # what each counter has been brought to
        self._observed: dict[str, int] = {}
        self._kinds = {figure.name: figure for figure in FIGURES}

    def beat(self) -> None:
        """Push if it is time to."""
        if self._clock() >= self._next:
            self._next = self._clock() + EVERY_S
            self.push()

    def push(self) -> None:
        """Bring every figure to where it stands now."""
        values, times = self._figures()
        for name, by_label in values.items():
            for label, value in by_label.items():
                self._set(name, label, value)
        for name, measured in times.items():
            for value in measured[self._observed.get(name, 0) :]:
                self._metric(name).observe(value, self._tags(name, ""))
            self._observed[name] = len(measured)

    def _set(self, name: str, label: str, value: float) -> None:
        if self._kinds[name].kind != COUNTER:
            self._metric(name).set(value, self._tags(name, label))
            return
        more = value - self._counted.get((name, label), 0.0)
        if more > 0:  # Ray takes no other
            self._metric(name).inc(more, self._tags(name, label))
            self._counted[name, label] = value

    def _tags(self, name: str, label: str) -> dict[str, str]:
        key = self._kinds[name].label
        return {"provider": self._provider, **({key: label} if key else {})}

    def _metric(self, name: str) -> Any:
        if name not in self._metrics:
            figure = self._kinds[name]
            tags = ("provider", figure.label) if figure.label else ("provider",)
            if figure.kind == HISTOGRAM:
                self._metrics[name] = metrics.Histogram(name, figure.told, list(BOUNDS_S), tags)
            else:
                kind = metrics.Counter if figure.kind == COUNTER else metrics.Gauge
                self._metrics[name] = kind(name, figure.told, tags)
        return self._metrics[name]
