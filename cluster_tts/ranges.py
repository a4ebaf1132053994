"""What the types of a job cannot say: the values that each setting may have."""

import math
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from cluster_tts.errors import JobError
from cluster_tts.job import (
    COUNTED_BY,
    DIALOGUE,
    DOCUMENT_FORMATS,
    ENGINES,
    FITS,
    GROUPS,
    LIMITS,
    LOG_FORMATS,
    TRACKS,
    UNITS,
    VIDEOS,
    Job,
)

SURROGATE = re.compile("[\ud800-\udfff]")

LONGEST_GAP_MS = 60_000
LONGEST_CROSSFADE_MS = 2_000
MOST_CONTEXT = 1_000  # characters
MOST_PLACES = 1_000


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _positive(value: float | None) -> bool:
    return value is None or 0 < value < math.inf


def _not_negative(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf


def _counted(value: int | str) -> bool:
    return value == "auto" or (isinstance(value, int) and value >= 1)


def _ascending(value: list[float] | None) -> bool:
    return value is None or (len(value) == 2 and 0 < value[0] < value[1])


def _is_day(value: str | None) -> bool:
    try:
        return value is None or (date.fromisoformat(value).isoformat() == value)
    except ValueError:
        return False


def _is_server(value: str | None) -> bool:
    """Whether it is an address without secrets in it, for it is written to logs and to ``job.yaml``."""
    try:
        url = urlsplit(value or "http://none")
        named = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False
    clean = not (url.query or url.fragment or "@" in url.netloc or re.search(r"\s", value or ""))
    return value != "" and url.scheme in ("http", "https") and named and clean


def _are_names(value: list[str] | None) -> bool:
    return value is None or all(isinstance(name, str) for name in value)


def _is_language(value: str | None) -> bool:
    return value is None or re.fullmatch("[a-z]{3}", value) is not None


def _is_variable(value: str | None) -> bool:
    return value is None or re.fullmatch("[A-Z_][A-Z0-9_]*", value) is not None


RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("out", lambda value: bool(value.strip()), "must name a folder"),
    ("out", _is_utf8, "must be a name in UTF-8"),
    ("engine", lambda value: value in ENGINES, f"must be one of {', '.join(ENGINES)}"),
    ("provider.base_url", _is_server, "must be like https://host/v1, without user, password and query, or null"),
    ("provider.api_key_env", _is_variable, "must be the name of an environment variable, in capitals; never the key"),
    ("provider.timeout_s", _positive, "must be above 0"),
    ("provider.connect_timeout_s", _positive, "must be above 0"),
    ("provider.idle_timeout_s", _positive, "must be above 0"),
    ("retry.max_attempts", lambda value: value >= 1, "must be at least 1"),
    ("chunking.max_characters", lambda value: value >= 1, "must be at least 1"),
    ("chunking.context_characters", lambda value: 0 <= value <= MOST_CONTEXT, f"must be from 0 to {MOST_CONTEXT}"),
    (
        "chunking.balance",
        lambda value: value is None or 1 <= value <= MOST_PLACES,
        f"must be 1 to {MOST_PLACES}, or null",
    ),
    ("check.characters_per_second", _ascending, "must be [least, most] with 0 < least < most, or null"),
    ("stitching.format", lambda value: value in DOCUMENT_FORMATS, f"must be one of {', '.join(DOCUMENT_FORMATS)}"),
    ("stitching.sample_rate", lambda value: value is None or 8_000 <= value <= 192_000, "must be from 8000 to 192000"),
    ("stitching.gap_ms", lambda value: 0 <= value <= LONGEST_GAP_MS, f"must be from 0 to {LONGEST_GAP_MS}"),
    ("stitching.paragraph_gap_ms", lambda value: 0 <= value <= LONGEST_GAP_MS, f"must be from 0 to {LONGEST_GAP_MS}"),
    *(
        (f"stitching.{gap}", lambda value: 0 <= value <= LONGEST_GAP_MS, f"must be from 0 to {LONGEST_GAP_MS}")
        for gap in ("speaker_gap_ms", "heading_gap_ms")
    ),
    (
        "stitching.crossfade_ms",
        lambda value: 0 <= value <= LONGEST_CROSSFADE_MS,
        f"must be from 0 to {LONGEST_CROSSFADE_MS}",
    ),
    ("stitching.loudness_lufs", lambda value: value is None or -40 <= value <= -9, "must be from -40 to -9, or null"),
    ("reading.dialogue", lambda value: value in DIALOGUE, f"must be one of {', '.join(DIALOGUE)}"),
    ("timeline.fit", lambda value: value in FITS, f"must be one of {', '.join(FITS)}"),
    ("timeline.group", lambda value: value in GROUPS, f"must be one of {', '.join(GROUPS)}"),
    ("timeline.pause_ms", lambda value: 0 <= value <= 2_000, "must be from 0 to 2000"),
    ("timeline.max_speed", lambda value: 1 <= value <= 2, "must be from 1 to 2"),
    ("timeline.max_stretch", lambda value: 1 <= value <= 2, "must be from 1 to 2"),
    ("timeline.max_shift_ms", lambda value: 0 <= value <= 10_000, "must be from 0 to 10000"),
    ("media.video", lambda value: value in VIDEOS, f"must be one of {', '.join(VIDEOS)}"),
    ("media.track", lambda value: value in TRACKS, f"must be one of {', '.join(TRACKS)}"),
    ("media.duck_db", lambda value: value is None or 0 <= value <= 60, "must be from 0 to 60, or null"),
    ("media.language", _is_language, "must be three letters as in ISO 639-2, or null"),
    ("workers.count", _counted, "must be 'auto' or at least 1"),
    ("workers.slots", _counted, "must be 'auto' or at least 1"),
    ("logging.format", lambda value: value in LOG_FORMATS, f"must be one of {', '.join(LOG_FORMATS)}"),
    *((f"quota.{limit}", _positive, "must be above 0, or null") for limit in LIMITS),
    ("quota.window_s", _positive, "must be above 0"),
    ("quota.guard_ms", lambda value: 0 <= value < math.inf, "must be at least 0"),
    ("quota.share", lambda value: 0 < value <= 1, "must be above 0 and at most 1"),
    ("quota.burst_characters", _positive, "must be above 0, or null"),
    ("quota.max_unknown", lambda value: value >= 1, "must be at least 1"),
    ("quota.weight", lambda value: 0 < value < math.inf, "must be above 0"),
    ("quota.patience_s", _positive, "must be above 0"),
    ("quota.budget_usd", _positive, "must be above 0, or null"),
    ("quota.budget_characters", _positive, "must be above 0, or null"),
    ("catalogue.read_on", _is_day, "must be a day like 2026-11-20, or null"),
    ("catalogue.counted_by", lambda value: value in COUNTED_BY, f"must be one of {', '.join(COUNTED_BY)}"),
    *((f"catalogue.classes.*.{limit}", _positive, "must be above 0, or null") for limit in LIMITS),
    ("catalogue.latency_s", _not_negative, "must be at least 0"),
    ("catalogue.latency_s_per_character", _not_negative, "must be at least 0"),
    ("catalogue.models.*.unit", lambda value: value in UNITS, f"must be one of {', '.join(UNITS)}"),
    ("catalogue.models.*.max_characters", _positive, "must be above 0, or null"),
    ("catalogue.models.*.usd_per_million_characters", _not_negative, "must be at least 0, or null"),
    ("catalogue.models.*.usd_per_minute", _not_negative, "must be at least 0, or null"),
    ("catalogue.models.*.usd_per_machine_second", _not_negative, "must be at least 0, or null"),
    ("catalogue.models.*.credits_per_character", _not_negative, "must be at least 0, or null"),
    ("catalogue.models.*.shutdown", _is_day, "must be a day like 2026-11-20, or null"),
    *((f"catalogue.plans.*.{limit}", _positive, "must be above 0, or null") for limit in LIMITS),
    *((f"catalogue.plans.*.groups.*.{limit}", _positive, "must be above 0, or null") for limit in LIMITS),
    ("catalogue.plans.*.models", _are_names, "must be a list of names, or null"),
    ("catalogue.plans.*.usd_per_month", _not_negative, "must be at least 0, or null"),
    ("catalogue.plans.*.credits_per_month", _positive, "must be above 0, or null"),
)
"""What types cannot say: key (``*``: each name of a table), whether a value holds, and what would."""

UNTOLD = {"provider.api_key_env", "provider.base_url"}  # what is wrong there may well be a secret


def check_ranges(job: Job) -> None:
    """Raise ``JobError`` for the first value that cannot be, naming its key and what could."""
    for rule, holds, wanted in RULES:
        for key, value in _values(job, rule.split(".")):
            if not holds(value):
                raise JobError(f"'{key}' is {'not what it should be' if key in UNTOLD else repr(value)}: {wanted}")
    if not (job.stitching.joined or job.stitching.each_item):
        raise JobError("'stitching.joined' and 'stitching.each_item' are both false: nothing would be written, set one")
    if job.stitching.format == "mp3" and (job.stitching.sample_rate or 0) > 48_000:
        raise JobError(f"'stitching.sample_rate' is {job.stitching.sample_rate}: MP3 knows rates up to 48000")


def _values(part: Any, path: list[str], key: str = "") -> Iterator[tuple[str, Any]]:
    """What stands at ``path`` below ``part``, each by its full key."""
    if not path:
        yield key.removeprefix("."), part
    elif path[0] == "*":
        for name, entry in part.items():
            yield from _values(entry, path[1:], f"{key}.{name}")
    else:
        yield from _values(getattr(part, path[0]), path[1:], f"{key}.{path[0]}")


def is_utf8(value: Any) -> bool:
    """Whether every text in a value can be written down; lone surrogates, as bytes in file names become, cannot."""
    if isinstance(value, dict):
        return all(map(is_utf8, (*value, *value.values())))
    if isinstance(value, list):
        return all(map(is_utf8, value))
    return not (isinstance(value, str) and SURROGATE.search(value))
