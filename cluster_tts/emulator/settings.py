"""Every option of an emulator, checked: what its account allows, how slow it is, what goes wrong and how often."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cluster_tts.emulator import EMULATORS
from cluster_tts.errors import JobError, nearest

COUNTS = ("sliding", "fixed", "bucket")
PLANS = ("free", "starter", "creator", "pro", "scale", "business", "enterprise")
CREDIT_STATUSES = (401, 402)
MOST_PORT = 65_535
BURSTS = ("burst", "burst_characters")
AT_LEAST_ONE = ("window_s", "characters_per_second", "expire_after_s", "retry_after_s")


@dataclass(frozen=True)
class Settings:
    """What ``cluster-tts emulate`` is told, see there. None: no such limit.

    Rates are per minute, as providers publish them, and hold for ``window_s`` in proportion.

    Raises:
        JobError: a value makes no sense; one line says which.
    """

    provider: str
    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = None
    requests_per_minute: float | None = None
    characters_per_minute: float | None = None
    max_concurrent: int | None = None
    window_s: float = 60.0
    count: str = "sliding"
    burst: int | None = None
    burst_characters: int | None = None
    queue: bool = False
    quiet: bool = False
    polls_per_minute: float | None = 3000.0
    out_of_credit_after: int | None = None
    credit_status: int = 401
    plan: str = "pro"
    self_hosted: bool = False
    travel_s: float = 0.0
    latency_s: float = 0.0
    latency_per_character_s: float = 0.0
    jitter: float = 0.0
    characters_per_second: float = 15.0
    faults: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    retry_after_s: int = 1
    expire_after_s: float = 3600.0
    log: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("provider", self.provider, tuple(EMULATORS))
        _one_of("--count", self.count, COUNTS)
        _one_of("--plan", self.plan, PLANS)
        _one_of("--credit-status", self.credit_status, CREDIT_STATUSES)
        if not 0 <= self.port <= MOST_PORT:
            raise JobError(f"--port {self.port} must be from 0 (any free one) to {MOST_PORT}")
        self._check_numbers()
        self._check_limits()
        if self.self_hosted and self.provider != "openai":
            raise JobError(f"--self-hosted is for openai, not {self.provider}")

    def per_window(self, per_minute: float | None) -> float | None:
        """A limit per minute as a limit per window."""
        return None if per_minute is None else per_minute * self.window_s / 60.0

    def _check_numbers(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if not math.isfinite(value) or (value < 0 and name != "seed"):
                raise JobError(f"{option(name)} {value} must be a number from 0 up")
            if name in AT_LEAST_ONE and not value > 0:
                raise JobError(f"{option(name)} {value} must be more than 0")
        for name in BURSTS:
            burst = getattr(self, name)
            if burst is not None and burst < 1:
                raise JobError(f"{option(name)} {burst} must be at least 1")

    def _check_limits(self) -> None:
        """A window too short for a single request would refuse everything, which only a limit of 0 should."""
        for name in BURSTS:
            if getattr(self, name) is not None and self.count != "bucket":
                raise JobError(f"{option(name)} is for --count bucket, not {self.count}")
        if self.queue and not self.max_concurrent:
            raise JobError("--queue needs --max-concurrent of at least 1: what lets a request wait is a taken place")
        for name in ("requests_per_minute", "characters_per_minute"):
            limit = self.per_window(getattr(self, name))
            burst = self.burst if name == "requests_per_minute" else self.burst_characters
            if limit is not None and 0 < limit < 1 and burst is None:
                least = math.ceil(self.window_s / limit)
                raise JobError(f"{option(name)} is less than one a window of {self.window_s:g} s: --window {least}?")


def option(name: str) -> str:
    """How the command line calls a setting."""
    return f"--{name.removesuffix('_s').replace('_', '-')}"


def read_rates(texts: list[str]) -> dict[str, float]:
    """The rates in ``NAME=RATE`` arguments: a share of 1, or a percentage; the same name adds up."""
    rates: dict[str, float] = {}
    for text in texts:
        name, equals, rate = text.partition("=")
        try:
            value = float(rate.removesuffix("%")) / (100.0 if rate.endswith("%") else 1.0)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise JobError(f"--fault '{text}' must be NAME=RATE, as in cut=0.05")
        rates[name.strip()] = rates.get(name.strip(), 0.0) + value
    return rates


def _one_of(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise JobError(f"{name} '{value}' is unknown: {nearest(str(value), [str(word) for word in known])}")
