"""How long a server asks us to wait, in every spelling that has been seen."""

import math
import re
from collections.abc import Mapping

from cluster_tts.providers.answers import LONGEST_DELAY_S, Said
from cluster_tts.providers.durations import go_duration_s, number, seconds_until
from cluster_tts.providers.told import used_up_s

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")  # OpenAI and Azure; other services of Azure
IN_WORDS = re.compile(
    r"(?:try again|retry|resets?|wait) (?:(?:in|after|for) )?(?:about |~ ?)?"
    r"(?:((?:\d+(?:\.\d+)?(?:h|m(?!s)|s|ms))+)(?!\w)|(\d+(?:\.\d+)?) ?(second|sec|minute|min|hour|millisecond)s?\b)",
    re.IGNORECASE | re.ASCII,
)
UNITS_S = {"millisecond": 1e-3, "second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0}


def named_delay_s(headers: Mapping[str, str], said: Said) -> float | None:
    """The pause that an answer names, the most exact spelling first; None where it names none.

    ``retry-after-ms``, ``Retry-After`` in seconds or as a date (read against the answer's own ``Date``, for clocks
    differ), a number in the body, the words of the message (``Please try again in 20s``, Azure's ``Please retry after
    8 seconds``), and last the reset of a limit of which nothing remains: it tells when the bucket is *full*, so it is
    longer than needed (providers.md 1.4, 4.5). A delay may be read from a message; what an answer means, never.
    """
    for seconds in (
        _milliseconds_s(headers),
        seconds_until(headers.get("Retry-After"), headers.get("Date")),
        said.after_s,
        _in_words_s(said.message),
        used_up_s(headers),
    ):
        if seconds is not None and math.isfinite(seconds):
            return min(max(0.0, seconds), LONGEST_DELAY_S)
    return None


def _milliseconds_s(headers: Mapping[str, str]) -> float | None:
    values = (number(headers.get(name)) for name in MILLISECONDS)
    return next((value / 1000.0 for value in values if value is not None), None)


def _in_words_s(message: str) -> float | None:
    if not (found := IN_WORDS.search(message)):
        return None
    span, amount, unit = found.groups()
    return go_duration_s(span.lower()) if span else float(amount) * UNITS_S[unit.lower()]
