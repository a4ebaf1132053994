"""How long a server asks us to wait, in every spelling that has been seen."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from cluster_tts.providers.answers import LONGEST_DELAY_S, Said

GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m(?!s)|s|ms|us|µs|ns))+")
GO_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
GO_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
IN_WORDS = re.compile(
    r"(?:try again|retry|resets?) (?:in|after) ~?((?:\d+(?:\.\d+)?(?:h|m(?!s)|s|ms))+)", re.IGNORECASE
)


def named_delay_s(headers: Mapping[str, str], said: Said) -> float | None:
    """The pause that an answer names, the most exact spelling first; None where it names none.

    ``retry-after-ms``, ``Retry-After`` in seconds or as a date (read against the answer's own ``Date``, for clocks
    differ), a number in the body, the words of the message (``Please try again in 20s``), and last the reset of a
    limit of which nothing remains: it tells when the bucket is *full*, so it is longer than needed
    (providers.md 1.4, 4.5). A delay may be read from a message; what an answer means, never.
    """
    for seconds in (
        _number(headers.get("retry-after-ms"), 1e-3),
        _retry_after_s(headers),
        said.after_s,
        _in_words_s(said.message),
        _reset_s(headers),
    ):
        if seconds is not None and math.isfinite(seconds):
            return min(max(0.0, seconds), LONGEST_DELAY_S)
    return None


def go_duration_s(text: str) -> float | None:
    """Seconds of a duration as Go prints it: ``12ms``, ``1s``, ``6m0s``, ``1h2m3.5s``; None if it is none."""
    if not GO_DURATION.fullmatch(text.strip()):
        return None
    return sum(float(amount) * GO_UNITS_S[unit] for amount, unit in GO_PART.findall(text))


def _number(text: str | None, unit_s: float) -> float | None:
    try:
        return float(text) * unit_s if text is not None else None
    except ValueError:
        return None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After")
    if value is None:
        return None
    if (seconds := _number(value, 1.0)) is not None:
        return seconds
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("Date", ""))
        return (until - now).total_seconds()
    except (ValueError, TypeError):
        return None


def _in_words_s(message: str) -> float | None:
    found = IN_WORDS.search(message)
    return go_duration_s(found[1]) if found else None


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """The longest reset among the limits of which nothing remains. Azure's copies are bare seconds."""
    used_up = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    resets = [headers.get(f"x-ratelimit-reset-{kind}", "") for kind in used_up]
    seconds = [_number(reset, 1.0) if (span := go_duration_s(reset)) is None else span for reset in resets]
    return max((each for each in seconds if each is not None), default=None)
