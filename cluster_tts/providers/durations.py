"""Spans of time and points in time as servers write them into headers and messages, in seconds from now."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m(?!s)|s|ms|us|µs|ns))+", re.ASCII)
GO_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", re.ASCII)
GO_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
EARLIEST_EPOCH = 1e9  # September 2001: no span is as long, no point in time that is meant lies before
EARLIEST_EPOCH_MS = 1e12


def go_duration_s(text: str) -> float | None:
    """Seconds of a duration as Go prints it: ``12ms``, ``1s``, ``6m0s``, ``1h2m3.5s``; None if it is none."""
    if not GO_DURATION.fullmatch(text.strip()):
        return None
    return sum(float(amount) * GO_UNITS_S[unit] for amount, unit in GO_PART.findall(text))


def number(text: str | None) -> float | None:
    """The number that ``text`` is; None if it is none, or none that can be reckoned with."""
    try:
        value = float(text) if text is not None and text.isascii() else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def seconds_until(text: str | None, date: str | None) -> float | None:
    """Seconds that ``text`` names: a number of them, a duration as Go prints it, or a point in time.

    A point in time (an epoch in seconds or milliseconds, a date of HTTP or ISO 8601) is read against ``date``, the
    answer's own, for clocks differ; without one it says nothing. None as well for what is none of these.
    """
    if text is None:
        return None
    if (value := number(text)) is None:
        span_s = go_duration_s(text)
        return _between(_moment(text), _moment(date)) if span_s is None else span_s
    if value < EARLIEST_EPOCH:
        return value
    now = _moment(date)
    return None if now is None else value * (1e-3 if value >= EARLIEST_EPOCH_MS else 1.0) - now.timestamp()


def _moment(text: str | None) -> datetime | None:
    """The point in time; None for what is none and for one of an unknown zone."""
    text = (text or "").strip()
    try:
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _between(until: datetime | None, now: datetime | None) -> float | None:
    return None if until is None or now is None else (until - now).total_seconds()
