"""A report as one HTML page without anything from outside: for people, at a glance. Names and texts are others' words:
they are shown, never obeyed."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from cluster_tts.gauge import in_words, shares_used, used_line
from cluster_tts.report import MOST_FAILURES, DocumentLine, Report, clock, percent


def page(report: Report) -> str:
    """The whole page."""
    content = report.as_dict()
    message = f"<p>{escape(report.message)}</p>" if report.message else ""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>cluster_tts report</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body>"
        f"<h1>cluster_tts <small>run {escape(report.run_id)}, {escape(report.heartbeat)}</small></h1>{message}"
        f"{_tiles(report.status, content['totals'], content['quota'] or {})}"
        f"{_quota(content['totals'], content['quota'] or {})}{_troubles(content['totals'])}"
        f"{_documents(report.documents)}{_failures(report)}</body></html>\n"
    )


def _tiles(status: str, totals: Mapping[str, Any], quota: Mapping[str, Any]) -> str:
    refused, used, of_set = percent(totals.get("share_refused")), *map(percent, shares_used(quota))
    predicted, took = quota.get("predicted_s"), quota.get("run_s")
    tiles = [
        ("status", status, status),
        ("documents whole", f"{totals['documents_whole']} of {totals['documents']}", ""),
        ("audio joined", clock(totals["document_audio_s"]), ""),
        ("clips spoken / found", f"{totals.get('spoken', 0)} / {totals.get('found', 0)}", ""),
        ("failed / tried again", f"{totals.get('failed', 0)} / {totals.get('retried', 0)}", ""),
        ("characters a second", f"{totals.get('characters_per_s', 0):,.0f}", ""),
        ("share of the quota used", used, ""),
        ("share of the limits set used", of_set, ""),
        ("share of requests refused", refused, "incomplete" if totals.get("refused") else ""),
        ("predicted / took", f"{clock(predicted)} / {clock(took)}" if None not in (predicted, took) else "", ""),
        ("cost", f"${totals.get('cost_usd', 0):.2f}", ""),
    ]
    tile_html = "".join(
        f'<div class="tile"><span>{escape(name)}</span><b class="{escape(kind)}">{escape(str(value))}</b></div>'
        for name, value, kind in tiles
        if value
    )
    return f"<div class='tiles'>{tile_html}</div>"


def _quota(totals: Mapping[str, Any], quota: Mapping[str, Any]) -> str:
    """What the account allowed, what was made of it, and what was learned."""
    if not quota:
        return ""
    learned = ", ".join(f"quota.{name}={value:g}" for name, value in quota.get("learned", {}).items())
    rows = [
        ("account", quota.get("account") or ""),
        ("limits set", in_words(quota.get("named", {}))),
        ("limits in force", in_words(quota.get("limits", {}))),
        ("learned", learned),
        ("share of the quota used", used_line(quota)),
        ("requests of this run", _asked(totals)),
        ("seconds at the gate", _spread(totals, "gate_wait")),
        ("seconds to an answer", _spread(totals, "latency")),
        ("at most in flight, because requests fail", str(quota.get("degraded_to") or "")),
        ("limiters that share the account", str(quota["parties"]) if (quota.get("parties") or 1) > 1 else ""),
    ]
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in quota.get("notes", ()))
    table = _table((), [(escape(name), escape(value)) for name, value in rows if value])
    return f"<h2>Quota</h2>{table}{f'<ul>{notes}</ul>' if notes else ''}"


def _asked(totals: Mapping[str, Any]) -> str:
    if not totals.get("requests"):
        return ""
    refused = f"{totals['refused']:,} refused ({percent(totals['share_refused'])})"
    return f"{totals['requests']:,}, {refused}; errors in {percent(totals['error_rate']) or 'none'} of the others"


def _spread(totals: Mapping[str, Any], what: str) -> str:
    middle, high = totals.get(f"{what}_p50_s"), totals.get(f"{what}_p95_s")
    return "" if middle is None or high is None else f"{middle:.2f} half of the time, at most {high:.2f} for 95 of 100"


def _troubles(totals: Mapping[str, Any]) -> str:
    """Which sizes of chunks fail, and whose; nothing where none did."""
    sizes = [(f"{size['characters_up_to']:,}", size) for size in totals.get("by_size", ())]
    speakers = [(escape(speaker["speaker"]), speaker) for speaker in totals.get("by_speaker", ())]
    by_size = _asked_by("By size of chunk", "characters up to", sizes)
    return by_size + _asked_by("By speaker", "speaker", speakers)


def _asked_by(heading: str, what: str, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    if not any(each["errors"] or each["refused"] for _, each in asked):
        return ""
    rows = [
        (name, f"{each['requests']:,}", f"{each['refused']:,}", f"{each['errors']:,}", percent(each["error_rate"]))
        for name, each in asked
    ]
    return f"<h2>{heading}</h2>" + _table((what, "requests", "refused", "errors", "of those not refused"), rows)


def _documents(lines: Sequence[DocumentLine]) -> str:
    """Every document; refusals and errors only where there were any."""
    troubled = any(line.refused or line.errors for line in lines)
    names = ("document", "status", "chunks", "missing", "characters", "audio")
    rows = []
    for line in lines:
        trouble = (f"{line.requests}", f"{line.refused or ''}", f"{line.errors or ''}") if troubled else ()
        rows.append(
            (
                escape(line.name),
                f'<span class="{line.status}">{line.status}</span>',
                f"{line.chunks}",
                f"{line.missing or ''}",
                f"{line.characters:,}",
                f'<span class="time">{clock(line.duration_s)}</span>',
                *trouble,
                escape(line.error or line.path or ""),
            )
        )
    return "<h2>Documents</h2>" + _table(
        (*names, *(("requests", "refused", "errors") if troubled else ()), "file"), rows
    )


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    rows = [
        (
            escape(failure.document), f"{failure.chunk_index}", escape(failure.kind), f"{failure.attempts}",
            escape(failure.message), escape(failure.text[:200]),
        )
        for failure in report.failures[:MOST_FAILURES]
    ]  # fmt: skip
    return "<h2>What is missing, and why</h2>" + _table(
        ("document", "chunk", "kind", "attempts", "message", "text"), rows
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>" if names else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2330;background:#fff}
h1 small{font-size:.55em;font-weight:400;color:#68707f}h2{margin-top:2rem;font-size:1.1rem}
.tiles{display:flex;flex-wrap:wrap;gap:.75rem}.tile{border:1px solid #d9dde5;border-radius:8px;padding:.6rem 1rem}
.tile span{display:block;color:#68707f;font-size:.85em}.tile b{font-size:1.25em;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e6e9ef}
td{overflow-wrap:anywhere;font-variant-numeric:tabular-nums}th{color:#68707f;font-weight:600;font-size:.85em}
.time{white-space:nowrap}
.whole{color:#14713d}.incomplete,.unreadable,.failed{color:#b3261e}.interrupted,.planned,.running{color:#8a5a00}
"""
