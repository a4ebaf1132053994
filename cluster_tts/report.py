"""Outcomes and document rows to counts, minutes, cost and failures. Arithmetic only; others read and write."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from cluster_tts.model import Outcome, Status

SCHEMA_VERSION = 1
MOST_FAILURES = 1_000  # a report names so many; the manifest has them all


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

    def count(self, outcome: Outcome) -> None:
        self.attempts[outcome.status] += 1
        if outcome.error_kind:
            self.errors[outcome.error_kind] += 1
        self.billed_characters += outcome.billed_characters or 0
        self.cost_usd += outcome.cost_usd or 0.0
        if outcome.status is not Status.FOUND:
            self.latency_s.append(outcome.latency_s)
            self.gate_wait_s.append(outcome.gate_wait_s)
        if outcome.status is Status.SPOKEN and outcome.sound is not None:
            self.characters += outcome.characters
            self.audio_s += outcome.sound.seconds

    def as_dict(self, run_s: float) -> dict[str, Any]:
        """Counts, sums and quantiles, ready for JSON. Seconds unless named otherwise."""
        return {
            **{str(status): self.attempts[status] for status in Status},
            "characters": self.characters,
            "billed_characters": self.billed_characters,
            "cost_usd": round(self.cost_usd, 6),
            "audio_s": round(self.audio_s, 3),
            "run_s": round(run_s, 3),
            "characters_per_s": round(self.characters / run_s, 1) if run_s > 0 else 0.0,
            "latency_p50_s": quantile(self.latency_s, 0.5),
            "latency_p95_s": quantile(self.latency_s, 0.95),
            "gate_wait_p50_s": quantile(self.gate_wait_s, 0.5),
            "gate_wait_p95_s": quantile(self.gate_wait_s, 0.95),
            "errors": dict(self.errors),
        }


def note_failure(failed: dict[str, Outcome], outcome: Outcome) -> None:
    """Keep in ``failed`` the last word on each clip that was given up and not made since."""
    if outcome.status is Status.FAILED:
        failed[outcome.clip_id] = outcome
    elif outcome.is_final:
        failed.pop(outcome.clip_id, None)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of ``values`` lie; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)


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
            "totals": {**count_documents(self.documents), **self.totals},
            "documents": [_as_dict(line) for line in self.documents],
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


def page(report: Report) -> str:
    """The report as one HTML page without anything from outside: for people, at a glance."""
    content = report.as_dict()
    totals = content["totals"]
    tiles = [
        ("status", report.status, report.status),
        ("documents whole", f"{totals['documents_whole']} of {totals['documents']}", ""),
        ("audio joined", clock(totals["document_audio_s"]), ""),
        ("clips spoken / found", f"{totals.get('spoken', 0)} / {totals.get('found', 0)}", ""),
        ("failed / tried again", f"{totals.get('failed', 0)} / {totals.get('retried', 0)}", ""),
        ("characters a second", f"{totals.get('characters_per_s', 0):,.0f}", ""),
        ("cost", f"${totals.get('cost_usd', 0):.2f}", ""),
    ]
    tile_html = "".join(
        f'<div class="tile"><span>{escape(name)}</span><b class="{escape(kind)}">{escape(str(value))}</b></div>'
        for name, value, kind in tiles
    )
    rows = "".join(
        f'<tr><td>{escape(line.name)}</td><td class="{line.status}">{line.status}</td>'
        f"<td>{line.chunks}</td><td>{line.missing or ''}</td><td>{line.characters:,}</td>"
        f"<td>{clock(line.duration_s)}</td><td>{escape(line.error or line.path or '')}</td></tr>"
        for line in report.documents
    )
    failures = "".join(
        f"<tr><td>{escape(f.document)}</td><td>{f.chunk_index}</td><td>{escape(f.kind)}</td><td>{f.attempts}</td>"
        f"<td>{escape(f.message)}</td><td>{escape(f.text[:200])}</td></tr>"
        for f in report.failures[:MOST_FAILURES]
    )
    failure_table = (
        "<h2>What is missing, and why</h2><table><tr><th>document</th><th>chunk</th><th>kind</th><th>attempts</th>"
        f"<th>message</th><th>text</th></tr>{failures}</table>"
        if failures
        else ""
    )
    message = f"<p>{escape(report.message)}</p>" if report.message else ""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>cluster_tts report</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body>"
        f"<h1>cluster_tts <small>run {escape(report.run_id)}, {escape(report.heartbeat)}</small></h1>{message}"
        f"<div class='tiles'>{tile_html}</div>"
        "<h2>Documents</h2><table><tr><th>document</th><th>status</th><th>chunks</th><th>missing</th>"
        f"<th>characters</th><th>audio</th><th>file</th></tr>{rows}</table>{failure_table}</body></html>\n"
    )


def clock(seconds: float | None) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2330;background:#fff}
h1 small{font-size:.55em;font-weight:400;color:#68707f}h2{margin-top:2rem;font-size:1.1rem}
.tiles{display:flex;flex-wrap:wrap;gap:.75rem}.tile{border:1px solid #d9dde5;border-radius:8px;padding:.6rem 1rem}
.tile span{display:block;color:#68707f;font-size:.85em}.tile b{font-size:1.25em;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e6e9ef}
td{overflow-wrap:anywhere;font-variant-numeric:tabular-nums}th{color:#68707f;font-weight:600;font-size:.85em}
.whole{color:#14713d}.incomplete,.unreadable,.failed{color:#b3261e}.interrupted,.planned,.running{color:#8a5a00}
"""


def _as_dict(line: DocumentLine | Failure) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__slots__}
