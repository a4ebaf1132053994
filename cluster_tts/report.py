"""Outcomes and document rows to counts, minutes, cost and failures. Arithmetic only; others read, write and show."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cluster_tts.errors import REFUSALS
from cluster_tts.model import Outcome, Status

Spread = tuple[float, float]
"""A median and a 95th percentile."""
SCHEMA_VERSION = 1
MOST_FAILURES = 1_000  # a report names so many; the manifest has them all
SHORTEST = 100  # characters: the smallest bucket that errors are counted by; each further one is twice as wide
NOBODY_ASKED = frozenset({"gate", "budget", "worker_died"})
"""Kinds of error by which a clip fails without a request, as far as anybody knows."""
LATELY = 200  # requests


@dataclass(slots=True)
class Asked:
    """So many requests, of which so many were refused, for the account's limits, and so many failed otherwise."""

    requests: int = 0
    refused: int = 0
    errors: int = 0

    def count(self, error_kind: str | None) -> None:
        self.requests += 1
        self.refused += error_kind in REFUSALS
        self.errors += error_kind is not None and error_kind not in REFUSALS

    @property
    def share_refused(self) -> float | None:
        return round(self.refused / self.requests, 4) if self.requests else None

    @property
    def error_rate(self) -> float | None:
        """Errors in those that were not refused."""
        answered = self.requests - self.refused
        return round(self.errors / answered, 4) if answered else None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "requests": self.requests, "refused": self.refused, "errors": self.errors, "error_rate": self.error_rate,
        }  # fmt: skip


@dataclass(slots=True)
class Totals:
    """What one run has done so far."""

    attempts: Counter[Status] = field(default_factory=Counter)
    characters: int = 0
    billed_characters: int = 0
    cost_usd: float = 0.0
    audio_s: float = 0.0
    latency_s: "array[float]" = field(default_factory=lambda: array("f"))
    gate_wait_s: "array[float]" = field(default_factory=lambda: array("f"))
    errors: Counter[str] = field(default_factory=Counter)
    asked: Asked = field(default_factory=Asked)
    by_document: dict[str, Asked] = field(default_factory=dict)
    by_size: dict[int, Asked] = field(default_factory=dict)  # the most characters that the chunks of a bucket have
    by_speaker: dict[str, Asked] = field(default_factory=dict)  # those that the sources name

    def count(self, outcome: Outcome) -> None:
        self.attempts[outcome.status] += 1
        if outcome.error_kind:
            self.errors[outcome.error_kind] += 1
        self.billed_characters += outcome.billed_characters or 0
        self.cost_usd += outcome.cost_usd or 0.0
        if outcome.status is Status.SPOKEN and outcome.sound is not None:
            self.characters += outcome.characters
            self.audio_s += outcome.sound.seconds
        if outcome.status is not Status.FOUND and outcome.error_kind not in NOBODY_ASKED:
            self.latency_s.append(outcome.latency_s)
            self.gate_wait_s.append(outcome.gate_wait_s)
            self.asked.count(outcome.error_kind)
            self.by_document.setdefault(outcome.document, Asked()).count(outcome.error_kind)
            self.by_size.setdefault(bucket(outcome.characters), Asked()).count(outcome.error_kind)
            if outcome.speaker is not None:
                self.by_speaker.setdefault(outcome.speaker, Asked()).count(outcome.error_kind)

    def lately(self) -> tuple[Spread | None, Spread | None]:
        """The waits at the gate and the latencies of the last requests."""
        return spread(self.gate_wait_s[-LATELY:]), spread(self.latency_s[-LATELY:])

    def as_dict(self, run_s: float) -> dict[str, Any]:
        """Counts, sums and quantiles, ready for JSON. Seconds unless named otherwise."""
        latency, gate_wait = (spread(times) or (None, None) for times in (self.latency_s, self.gate_wait_s))
        return {
            **{str(status): self.attempts[status] for status in Status},
            "characters": self.characters,
            "billed_characters": self.billed_characters,
            "cost_usd": round(self.cost_usd, 6),
            "audio_s": round(self.audio_s, 3),
            "run_s": round(run_s, 3),
            "characters_per_s": round(self.characters / run_s, 1) if run_s > 0 else 0.0,
            "latency_p50_s": latency[0],
            "latency_p95_s": latency[1],
            "gate_wait_p50_s": gate_wait[0],
            "gate_wait_p95_s": gate_wait[1],
            "requests": self.asked.requests,
            "refused": self.asked.refused,
            "share_refused": self.asked.share_refused,
            "error_rate": self.asked.error_rate,
            "errors": dict(self.errors),
            "by_size": [{"characters_up_to": most, **asked.as_dict()} for most, asked in sorted(self.by_size.items())],
            "by_speaker": [{"speaker": name, **asked.as_dict()} for name, asked in sorted(self.by_speaker.items())],
        }


def bucket(characters: int) -> int:
    """The most characters of the bucket that a chunk is counted in: 100, 200, 400, ..."""
    most = SHORTEST
    while most < characters:
        most *= 2
    return most


def note_failure(failed: dict[str, Outcome], outcome: Outcome) -> None:
    """Keep in ``failed`` the last word on each clip that was given up and not made since."""
    if outcome.status is Status.FAILED:
        failed[outcome.clip_id] = outcome
    elif outcome.is_final:
        failed.pop(outcome.clip_id, None)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of ``values`` lie; None where there are none."""
    if not len(values):
        return None
    at = min(len(values) - 1, int(share * len(values)))
    return round(float(np.partition(np.asarray(values), at)[at]), 4)  # a report of a million is written again and again


def spread(values: Sequence[float]) -> Spread | None:
    """Median and 95th percentile; None where there are no values."""
    middle, high = quantile(values, 0.5), quantile(values, 0.95)
    return None if middle is None or high is None else (middle, high)


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One document as a report shows it."""

    name: str
    status: str
    chunks: int
    missing: int
    characters: int
    duration_s: float | None
    path: str | None
    sha256: str | None
    error: str | None
    requests: int = 0
    refused: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A place in a document that has no sound, and why."""

    document: str
    chunk_index: int
    text: str
    kind: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where a run stands."""

    run_id: str
    status: str  # running | whole | incomplete | interrupted | failed
    exit_code: int | None
    started_at: str
    heartbeat: str
    message: str | None
    totals: dict[str, Any]
    documents: tuple[DocumentLine, ...]
    failures: tuple[Failure, ...] = ()
    missing: Mapping[str, Any] | None = None  # clips, documents, characters, cost_usd; None while it runs
    job: Mapping[str, str] | None = (
        None  # submission_id, node, ray_version; None where it was not submitted to a cluster
    )
    quota: Mapping[str, Any] | None = None  # see ``gauge``; None where nobody's quota is needed

    def as_dict(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "exit_code": self.exit_code,
            "started_at": self.started_at,
            "heartbeat": self.heartbeat,
            "message": self.message,
            "job": self.job and dict(self.job),
            "totals": {**count_documents(self.documents), **self.totals},
            "quota": self.quota and dict(self.quota),
            "documents": [_as_dict(line) for line in self.documents],
            "missing": self.missing and dict(self.missing),
            "failures": [_as_dict(failure) for failure in self.failures[:MOST_FAILURES]],
        }


def count_documents(lines: Iterable[DocumentLine]) -> dict[str, Any]:
    """Documents by status, their chunks, and the seconds of audio that are joined."""
    lines = list(lines)
    by_status = Counter(line.status for line in lines)
    return {
        "documents": len(lines),
        "documents_whole": by_status["whole"],
        "documents_incomplete": by_status["incomplete"] + by_status["unreadable"],
        "chunks": sum(line.chunks for line in lines),
        "chunks_missing": sum(line.missing for line in lines),
        "document_characters": sum(line.characters for line in lines),
        "document_audio_s": round(sum(line.duration_s or 0.0 for line in lines), 3),
    }


def percent(share: float | None) -> str:
    """A share for people, never rounded to all or nothing that it is not; nothing for None."""
    if share is None:
        return ""
    if 0 < share < 1:
        return f"{min(share, 0.999):.1%}" if share >= 0.001 else "<0.1%"
    return f"{share:.0%}"


def clock(seconds: float | None) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _as_dict(line: DocumentLine | Failure) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__slots__}
