"""What an answer means: read once, from its status *and* the codes in its body, by a table that each provider has.

A status alone says little: a 429 may mean "wait", "fewer at once" or "there is no money left", a 401 may be about
money, and a 404 about a model that was switched off.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cluster_tts.errors import AccountRefused, ChunkError, CTTSError, JobError, RetryLater
from cluster_tts.keys import redact
from cluster_tts.model import Receipt
from cluster_tts.providers.durations import go_duration_s, number

LONGEST_QUOTE = 300  # characters of a server's words in a message
LONGEST_DELAY_S = 30 * 86_400.0  # nobody means more
DELAYS = {  # fields of error objects, and their unit in seconds
    "retry_after": 1.0, "retry_after_seconds": 1.0, "retry_after_s": 1.0, "retryAfter": 1.0, "retryAfterSeconds": 1.0,
    "retry_after_ms": 1e-3, "retryAfterMs": 1e-3,
}  # fmt: skip
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal would obey them
CODE = re.compile(r"\S{1,100}")  # a word: some servers put a sentence where others put a code


class Meaning(Enum):
    """What follows from an answer that is no success; the value is the kind that manifest and report count by."""

    LATER = "rate_limited"  # too many in a while: again after the named delay, at a lower rate
    FEWER = "too_many_at_once"  # again once one of one's own requests has ended, with fewer in flight
    SLOWER = "slow_down"  # grown too fast, within the limits
    BUSY = "busy"  # their load, not ours: again after a longer pause
    FAULT = "server_error"  # again
    HOPELESS = "refused_text"  # this clip can never work as it is asked for
    MISTAKE = "wrong_request"  # no clip can: model, address or method is wrong
    REFUSED = "account_refused"  # the key, the plan or the region is not allowed to
    NO_CREDIT = "no_credit"  # the purse is empty


Row = tuple[int | str, str, Meaning]
"""Status (or ``"5xx"``, ``"*"``), a code in the body (``""``: whatever it says), and what that means."""

COMMON: tuple[Row, ...] = (
    (402, "", Meaning.NO_CREDIT),
    (401, "", Meaning.REFUSED),
    (403, "", Meaning.REFUSED),
    (404, "", Meaning.MISTAKE),
    (405, "", Meaning.MISTAKE),
    (408, "", Meaning.FAULT),
    (409, "", Meaning.FAULT),
    (410, "", Meaning.MISTAKE),
    (425, "", Meaning.FAULT),
    (429, "", Meaning.LATER),
    (503, "", Meaning.BUSY),
    (529, "", Meaning.BUSY),
    ("4xx", "", Meaning.HOPELESS),
    ("5xx", "", Meaning.FAULT),
    ("*", "", Meaning.MISTAKE),  # a redirect, or no HTTP worth the name
)
"""What holds where a provider's own table says nothing."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the body of an answer says: codes in the order of their weight, a message, a delay in seconds if any."""

    codes: tuple[str, ...]
    message: str
    after_s: float | None = None


def read_body(body: bytes) -> Said:
    """What an error body says, in any of the shapes seen.

    ``{"error": {…}}`` (OpenAI), ``{"detail": {…} | […] | "…"}`` (ElevenLabs, FastAPI), flat objects (Cartesia,
    Replicate), ``Title: Message`` (older Cartesia) and the HTML of a proxy: providers.md 1.5, 2.6, 3.5, 4.5, 5.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return Said((), _plain(text))
    if not isinstance(content, dict):
        return Said((), _quoted(text))
    inner = next((content[key] for key in ("error", "detail") if isinstance(content.get(key), dict | list)), content)
    fields: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    # FastAPI servers put the code into `error`, next to `message`.
    codes = [fields[key] for key in ("code", "error_code", "status", "type", "error") if key in fields]
    return Said(
        tuple(code for code in codes if isinstance(code, str) and CODE.fullmatch(code)),
        _quoted(" ".join(_words(inner)) or text),
        _after_s(content, fields),
    )


def meaning(table: Sequence[Row], status: int, codes: Sequence[str]) -> Meaning:
    """The first row of ``table``, then of ``COMMON``, that fits."""
    statuses = (status, f"{status // 100}xx", "*")
    return next(row[2] for row in (*table, *COMMON) if row[0] in statuses and (not row[1] or row[1] in codes))


def as_error(what: Meaning, said: str, after_s: float | None, receipt: Receipt) -> CTTSError:
    """The error to raise; ``said`` is who answered what, for a person."""
    if what is Meaning.HOPELESS:
        return ChunkError(said, what.value, receipt)
    if what is Meaning.MISTAKE:
        return JobError(f"{said}; check provider.model, provider.base_url and provider.options")
    if what is Meaning.REFUSED:
        return AccountRefused(f"{said}; check the API key and what its account may use", what.value, receipt)
    if what is Meaning.NO_CREDIT:
        return AccountRefused(
            f"{said}; add credit or raise the limit, then run the same command again", what.value, receipt
        )
    return RetryLater(said, what.value, after_s, receipt)


def _after_s(*places: Mapping[str, Any]) -> float | None:
    """The delay that an error object names, in whichever of its places and spellings comes first."""
    found = (
        delay_s * unit_s
        for fields in places
        for name, unit_s in DELAYS.items()
        if (delay_s := _delay(fields.get(name))) is not None
    )
    return next(found, None)


def _delay(value: Any) -> float | None:
    """A number, or a text that is one or a duration."""
    if isinstance(value, str):
        value = go_duration_s(value) if (plain := number(value)) is None else plain
    is_delay = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LONGEST_DELAY_S
    return float(value) if is_delay else None


def _words(inner: Any) -> Iterator[str]:
    """What is meant for a person in an error object, or in FastAPI's list of ``{"loc", "msg"}``."""
    for entry in inner if isinstance(inner, list) else [inner]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            loc = entry.get("loc")
            place = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
            words = [entry[key] for key in ("title", "message", "msg", "detail") if isinstance(entry.get(key), str)]
            if not words and isinstance(entry.get("error"), str):
                words = [entry["error"]]
            yield f"{place}: {' '.join(words)}" if place else ": ".join(words)


def _plain(text: str) -> str:
    if title := re.search(r"<title[^<>]{0,100}>(.{0,500}?)</title>", text, re.IGNORECASE | re.DOTALL):
        return _quoted(f"an HTML page: {title[1]}")
    return _quoted(re.sub(r"<[^<>]*>", " ", text) if text.startswith("<") else text)


def _quoted(text: str) -> str:
    """A server's words as they may be shown: one line, not endless, without a key of ours."""
    words = (CONTROL.sub("", word) for word in redact(text).split())
    line = " ".join(word for word in words if word)
    return f"{line[:LONGEST_QUOTE].rstrip()} ..." if len(line) > LONGEST_QUOTE else line
