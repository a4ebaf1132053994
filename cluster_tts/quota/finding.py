"""What is being found out of an account's limits: a ceiling for each that nobody has told. Arithmetic only."""

import math
from collections.abc import Mapping
from dataclasses import replace

from cluster_tts.quota.announced import Announced, Sent, whole
from cluster_tts.quota.ceiling import Ceiling, Growth, RoundTrip
from cluster_tts.quota.limits import Limits

START_IN_FLIGHT = 2
AGAIN_S, AGAIN_WINDOWS = 60.0, 1  # before more is tried than was refused: places, rates. Doubles with each in vain
PACED = 0.02  # of a window's may leave at once where nobody tells the rate: a mistake then costs one refusal


class Finding:
    """The ceilings of one account, and what they and what is told make of the limits that the runs name."""

    def __init__(self, announced: Announced, max_unknown: int, known: Mapping[str, float]) -> None:
        self._announced = announced
        self._max_unknown = max_unknown
        self._known = dict(known)  # of an earlier limiter, as settings: per minute and for the whole account
        self.share = 1.0
        self.named = Limits()
        self.round_trip = RoundTrip()
        self.growth: Growth | None = None
        self.places: Ceiling | None = None
        self.requests: Ceiling | None = None
        self.units: Ceiling | None = None
        self.burst: Ceiling | None = None
        self.burst_units: Ceiling | None = None
        self.even_until = -math.inf  # until then nothing leaves in bursts

    def name(self, limits: Limits, share: float) -> None:
        """Hold to what the runs name, the least of it."""
        self.named, self.share = limits, share
        window = limits.window_s / 60 * share
        if self.places is None and (known := self._known.get("max_concurrent_requests")):
            self.places = Ceiling(max(1, known * share), limits.in_flight or math.inf, AGAIN_S)
        if self.requests is None and (known := self._known.get("requests_per_minute")):
            self.requests = self.rate(max(1, known * window), limits.requests)
        if self.units is None and (known := self._known.get("characters_per_minute")):
            self.units = self.rate(max(1, known * window), limits.characters)
        self.open()

    def rate(self, proven: float, most: float | None) -> Ceiling:
        """A ceiling for a rate: whether more can be had takes a window to tell."""
        return Ceiling(proven, most or math.inf, AGAIN_WINDOWS * self.named.window_s, strides=True)

    @property
    def is_narrowed(self) -> bool:
        """Whether less than the limit on requests is asked, because more was refused."""
        return _is_narrowed(self.requests)

    def limits(self, units: int, now: float) -> Limits:
        """What to hold to if the next request has so many units."""
        named, told, share = self.named, self._announced, self.share
        trip_s, span_s = self.round_trip.seconds, named.window_s + named.guard_s
        requests = _least(named.requests, told.requests(share), _allowed(self.requests, 1, now, span_s))
        characters = _least(named.characters, told.characters(share), _allowed(self.units, units, now, span_s))
        places = _least(named.in_flight, told.in_flight(share), _allowed(self.places, 1, now, trip_s))
        return replace(
            named,
            requests=requests,
            characters=characters,
            in_flight=as_places(places),
            burst=self._at_once(named.burst, self.burst, self.requests, 1, requests, now),
            burst_characters=self._at_once(
                named.burst_characters, self.burst_units, self.units, units, characters, now
            ),
        )

    def wait_s(self, now: float) -> float:
        """Seconds until ``limits`` may widen by itself."""
        trip_s, span_s = self.round_trip.seconds, self.named.window_s + self.named.guard_s
        known = ((self.places, trip_s), (self.burst, trip_s), (self.burst_units, trip_s))
        rates = ((self.requests, span_s), (self.units, span_s))
        return min(
            (each.wait_s(now, known_s) for each, known_s in (*known, *rates) if each is not None), default=math.inf
        )

    def levels(self, sent: Sent) -> list[tuple[Ceiling, float]]:
        """Each ceiling, and how far a request went when it left."""
        pairs = (
            (self.places, sent.in_flight),
            (self.requests, sent.window_requests),
            (self.units, sent.window_units),
            (self.burst, sent.requests_drawn),
            (self.burst_units, sent.units_drawn),
        )
        return [(ceiling, level) for ceiling, level in pairs if ceiling is not None]

    def grow(self, units: int, now: float) -> bool:
        """Note a success; whether it is now known how many in flight are worth it."""
        growth = self.growth
        if growth is None or growth.is_settled or self.places is None:
            return False
        growth.spoken(units, now)
        self.places.most = growth.level
        self.places.proven = min(self.places.proven, growth.level)
        return growth.is_settled

    def stop_growing(self) -> None:
        """There is a rate to keep to, so that nothing has to be found out about places."""
        if self.growth is not None:
            self.growth = self.places = None

    def places_refused(self, in_flight: int, now: float) -> bool:
        """Note that so many in flight were one too many; whether that was news."""
        if self.growth is not None and self.places is not None:
            self.growth, self.places.most = None, math.inf
        self.places = self.places or Ceiling(math.inf, self.named.in_flight or math.inf, AGAIN_S)
        before = self.places.proven
        self.places.refused(in_flight - in_flight // 32, now)
        return self.places.proven < before

    def learned(self) -> dict[str, float]:
        """What was found out, as settings: of the whole account, per minute."""
        window = self.named.window_s / 60 * self.share
        found: dict[str, float] = {}
        for name, ceiling, scale in (
            ("max_concurrent_requests", self.places, self.share),
            ("requests_per_minute", self.requests, window),
            ("characters_per_minute", self.units, window),
        ):
            if ceiling is not None and ceiling.refusals:
                value = ceiling.proven / scale
                found[name] = int(value) if ceiling is self.places else round(value, 3)
        if self.growth is not None and self.growth.is_settled:
            found["max_concurrent_requests"] = self.growth.level
        found |= self._announced.settings(self.named.window_s)
        for name, ceiling in (("burst", self.burst), ("burst_characters", self.burst_units)):
            if ceiling is not None:
                found[name if ceiling.is_final else f"proven_{name}"] = math.floor(ceiling.proven / self.share)
        newer = {name.removeprefix("proven_") for name in found}
        return {name: value for name, value in self._known.items() if name.removeprefix("proven_") not in newer} | found

    def open(self) -> None:
        """Begin to find out what is not known: how much of a rate may leave at once; where nothing is known at all,
        how many in flight are worth it."""
        named = self.named
        declared = named.burst is not None or named.burst_characters is not None
        requests = _least(named.requests, self._announced.requests(self.share))
        characters = _least(named.characters, self._announced.characters(self.share))
        self.burst = self._burst_ceiling("burst", self.burst, None if declared else requests)
        self.burst_units = self._burst_ceiling("burst_characters", self.burst_units, None if declared else characters)
        told = self._announced.is_rate or self._announced.in_flight(self.share) is not None
        if not (named.any_known or told or self.requests or self.units or self.places):
            self.growth = Growth(self._max_unknown, START_IN_FLIGHT)
            self.places = Ceiling(START_IN_FLIGHT, self.growth.level, AGAIN_S)
        elif named.any_known or told:
            self.stop_growing()
        if self._announced.is_rate and self.requests is not None and not self.requests.refusals:
            self.requests = None  # remembered from an earlier run: what is told now is newer

    def _burst_ceiling(self, name: str, ceiling: Ceiling | None, most: float | None) -> Ceiling | None:
        if most is None:
            return None
        if ceiling is not None:
            if ceiling.most != most:
                ceiling.proven = most if whole(ceiling) else min(most, ceiling.proven)
                ceiling.most = most
            return ceiling
        if final := self._known.get(name):
            ceiling = Ceiling(max(1, final * self.share), most)
            ceiling.refusals = int(ceiling.proven < most)
            return ceiling
        return Ceiling(max(1, self._known.get(f"proven_{name}", 1) * self.share), most)

    def _at_once(
        self, declared: float | None, burst: Ceiling | None, rate: Ceiling | None, amount: float,
        limit: float | None, now: float,
    ) -> float | None:  # fmt: skip
        """The burst to reckon with: declared, told, or as far as it has been found out; without keeping any in hand
        while that goes on. A rate that nobody tells is used evenly."""
        if limit is None:
            return declared
        hand = self.named.guard_s * limit / self.named.window_s
        found = declared
        if burst is not None:
            found = burst.allowed(amount, now, self.round_trip.seconds) + (0.0 if burst.is_final else hand)
        if now < self.even_until or _is_narrowed(rate):
            found = min(found or math.inf, max(2.0, PACED * limit, amount) + hand)
        return found


def as_places(limit: float | None) -> int | None:
    """A limit in flight: whole, and never none."""
    return None if limit is None or limit == math.inf else max(1, int(limit))


def _is_narrowed(rate: Ceiling | None) -> bool:
    return rate is not None and rate.refusals > 0 and rate.proven < rate.most


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _allowed(ceiling: Ceiling | None, amount: float, now: float, known_s: float) -> float | None:
    return None if ceiling is None else ceiling.allowed(amount, now, known_s)
