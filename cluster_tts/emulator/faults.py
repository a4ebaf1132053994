"""Which fault an answer gets, drawn from the seed and the number of the request's arrival, and what the fault costs.

Not from the text: the same text asked again can succeed, as with a real provider.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from statistics import NormalDist

from cluster_tts.errors import JobError

RESETS = ("reset",)  # nothing came back, nothing is charged
STALLS = ("stall", "hang")
BROKEN = ("cut", "cut_length")  # which HTTP itself shows (providers.md 0)
BAD_AUDIO = ("cut_quietly", "empty", "header_only", "json", "html", "wrong_format")  # a 200 that no SDK doubts

TRANSPORT = (*RESETS, *STALLS, *BROKEN, *BAD_AUDIO)
"""Faults that every provider has, besides ``busy`` and its table of errors."""

CHARGED = frozenset({*STALLS, *BROKEN, *BAD_AUDIO})
"""What was generated is charged, however it arrives (providers.md 0: a retried POST can be billed twice)."""

OTHER_SPELLINGS = {
    "bad_json": "json",
    "connection_reset": "reset",
    "cut_content_length": "cut_length",
    "cut_stream": "cut",
    "header": "header_only",
    "short_length": "cut_length",
    "stalled": "stall",
    "truncated": "cut_quietly",
    "wrong_container": "wrong_format",
}
FILLERS = ("http_", "status_")
ENDINGS = ("_body", "_in_a_200", "_in_200")

QUIETLY_LEFT = 0.4  # of the audio, when it ends early as if it were whole
NEVER, ALWAYS = 1e-12, 1.0 - 1e-12


def plain(name: str) -> str:
    """A fault's name in its one spelling: ``cut-body`` is ``cut``, ``Header-Only`` is ``header_only``."""
    name = name.strip().lower().replace("-", "_")
    for filler in FILLERS:
        name = name.removeprefix(filler)
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return OTHER_SPELLINGS.get(name, name)


class Faults:
    """Draws for each arrival its fault and its part of chance.

    Raises:
        JobError: a name is none of ``known``, or the rates add up to more than 1.
    """

    def __init__(self, rates: Mapping[str, float], known: Iterable[str], seed: int = 0) -> None:
        names = list(dict.fromkeys(known))
        self._seed = seed
        self._steps: list[tuple[float, str]] = []
        total = 0.0
        for given, rate in rates.items():
            if (name := plain(given)) not in names:
                raise JobError(f"unknown fault '{given}': known are {', '.join(sorted(names))}")
            if not 0.0 <= rate <= 1.0:
                raise JobError(f"--fault {given}={rate:g}: the rate must be from 0 to 1")
            total += rate
            self._steps.append((total, name))
        if total > 1.0 + 1e-9:
            raise JobError(f"the rates of --fault add up to {total:g}, more than 1")

    def draw(self, number: int) -> str | None:
        """The fault of arrival ``number``; None: it is answered well."""
        if not self._steps:
            return None
        chance = self._chance("fault", number)
        return next((name for step, name in self._steps if chance < step), None)

    def slowness(self, number: int, sigma: float) -> float:
        """What the latency of arrival ``number`` is multiplied by: log-normal, half of all are above 1."""
        if not sigma:
            return 1.0
        chance = min(max(self._chance("slowness", number), NEVER), ALWAYS)
        return math.exp(sigma * NormalDist().inv_cdf(chance))

    def lateness(self, number: int) -> float:
        """The part of the longest travelling time that the request sent as ``number`` takes: evenly from 0 to 1."""
        return self._chance("lateness", number)

    def _chance(self, what: str, number: int) -> float:
        drawn = hashlib.blake2b(f"{self._seed}:{what}:{number}".encode(), digest_size=7).digest()
        return int.from_bytes(drawn, "big") / (1 << 56)
