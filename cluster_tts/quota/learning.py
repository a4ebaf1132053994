"""What an account's answers teach of its limits: arithmetic only, time is handed in.

Headers that tell a limit are believed at once (``announced``). What nobody tells is found by going a little farther
(``finding``, ``ceiling``), and what others on the account use up is noticed. Whatever is learned only narrows what the
runs themselves name.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from cluster_tts.errors import REFUSALS
from cluster_tts.model import News
from cluster_tts.quota.announced import Announced, Sent, per_window, whole
from cluster_tts.quota.ceiling import Ceiling
from cluster_tts.quota.counting import Quota
from cluster_tts.quota.finding import Finding, as_places
from cluster_tts.quota.health import Health
from cluster_tts.quota.limits import Limits
from cluster_tts.quota.logs import Log

SMALLER = 7 / 8  # what is left of a rate that was taken before, and is refused now
MANY_REFUSALS, LOOK_BACK_WINDOWS = 3, 2  # so many in so long are no accident, whatever delay the server names
LONGEST_BACK_OFF_S = 60.0
LEAST_COOL_S = 0.25  # also where a server says "at once": it has just refused
MOST_BURST_REFUSALS = 3
FULL = 0.95  # a window that is used so far was refused for its rate, not for its burst
UNBLAMED = frozenset(
    {"refused_text", "wrong_request", "account_refused", "no_credit", "busy", "cancelled", "unused", "storage"}
)
"""Kinds of error that say nothing of how the account fares."""


class Learner:
    """What is known of one account. ``limits`` are those to hold to for the next request."""

    def __init__(
        self, adaptive: bool, max_unknown: int, known: Mapping[str, float], say: Callable[[str], None]
    ) -> None:
        self._adaptive = adaptive
        self._say = say
        self.announced = Announced(say)
        self.finding = Finding(self.announced, max_unknown, known)
        self.health = Health()
        self.refused = 0
        self._refusals: deque[float] = deque(maxlen=1000)  # when each left
        self._heard_at = -math.inf
        self._narrowed_at = -math.inf
        self._in_a_row = 0
        self._is_wary = False

    def name(self, limits: Limits, share: float) -> None:
        """Hold to what the runs name, the least of it."""
        if self._adaptive:
            self.finding.name(limits, share)
        else:
            self.finding.named, self.finding.share = limits, share

    def limits(self, units: int, now: float) -> Limits:
        """What to hold to if the next request has so many units."""
        limits = self.finding.limits(units, now) if self._adaptive else self.finding.named
        if (cap := self.health.cap) is None:
            return limits
        return replace(limits, in_flight=as_places(min(cap, limits.in_flight or cap)))

    def wait_s(self, now: float) -> float:
        """Seconds until ``limits`` may widen by itself."""
        return self.finding.wait_s(now)

    def took(self, sent: Sent, quota: Quota) -> None:
        """Note that a request left. The first after a refusal goes alone, until one of it would have come back."""
        if self._is_wary:
            self._is_wary = False
            quota.cool(sent.left + self.finding.round_trip.seconds)
        for ceiling, level in self.finding.levels(sent):
            ceiling.took(level, sent.left)
        if self.finding.growth is not None:
            self.finding.growth.reached(sent.in_flight, sent.left)

    def hear(self, sent: Sent, news: News, quota: Quota, now: float) -> None:
        """Learn from what came of a request."""
        if self._adaptive and news.told is not None:
            news = replace(news, told=per_window(news.told, self.finding.named.window_s))
            self._hear_told(sent, news, quota, now)
        if news.kind in REFUSALS:
            self._hear_refusal(sent, news, quota, now)
            return
        if not news.kind:
            self._in_a_row = 0
            for ceiling, level in self.finding.levels(sent):
                ceiling.proved(level)
            if self.finding.grow(news.units, now) and (growth := self.finding.growth):
                self._say(f"{growth.level} in flight: more bring no more speech, or quota.max_unknown is reached")
        if news.kind not in UNBLAMED and self.health.ended(bool(news.kind), sent.in_flight):
            self._tell_health()

    def learned(self) -> dict[str, float]:
        """What was found out, as settings: of the whole account, per minute."""
        return self.finding.learned()

    def _hear_told(self, sent: Sent, news: News, quota: Quota, now: float) -> None:
        finding = self.finding
        if news.told is None:
            return
        self.announced.hear(sent, news.told, quota, finding.named)
        finding.open()
        if finding.burst is None or finding.share < 1.0:
            return  # beside clusters that we cannot see nothing can be read from what remains
        if found := self.announced.burst(news.told, finding.named.window_s):
            finding.burst.told(found[0])
            if found[1] and not finding.burst.is_final:
                finding.burst.refusals += 1  # its size is known: nothing is left to be found by refusals
        if finding.is_narrowed:
            quota.noticed = Log()  # what is left beside others was found by refusals: they are not counted twice
        elif whole(finding.burst):
            self.announced.notice_others(sent, news.told, quota, now)

    def _hear_refusal(self, sent: Sent, news: News, quota: Quota, now: float) -> None:
        self.refused += 1
        self._refusals.append(sent.left)
        self.finding.round_trip.measured(news.latency_s)
        if sent.left >= self._heard_at:  # else it left before anything could be learned from the last one
            self._heard_at = now
            self._in_a_row += 1
        self._is_wary = news.kind != "too_many_at_once"
        taught = self._adaptive and self._narrow(sent, news, quota, now)
        if news.after_s is not None and not (taught and news.kind == "too_many_at_once"):
            quota.cool(now + max(LEAST_COOL_S, news.after_s))
        elif not taught or (news.kind != "too_many_at_once" and self._in_a_row > 1):
            quota.cool(now + min(LONGEST_BACK_OFF_S, 2.0 ** (min(self._in_a_row, 10) - 1)))

    def _narrow(self, sent: Sent, news: News, quota: Quota, now: float) -> bool:
        """Lower what this refusal is about; whether that alone keeps the next request from being refused."""
        finding = self.finding
        if news.kind == "too_many_at_once":
            if sent.in_flight <= 1:
                return False  # somebody else has all places: only time helps
            if finding.places_refused(sent.in_flight, now) and finding.places is not None:
                self._say(f"at most {finding.places.proven:g} requests in flight, learned from a refusal")
            return True
        if news.kind == "slow_down":  # within the limits, but all at once
            finding.even_until = now + finding.named.window_s
            return False
        finding.stop_growing()
        if news.told is not None and news.told.limit_requests:
            if sent.window_requests <= news.told.limit_requests:
                self._narrow_rate(sent, quota, now)  # there was room by our count: somebody else has taken it
            return True  # how much is left was read from the same answer
        if bursting := self._bursting(sent):
            ceiling, level, what = bursting
            ceiling.refused(level, now)
            self._say(f"no more than {math.floor(ceiling.proven)} {what} at once, learned from a refusal")
        elif news.after_s is None or not self._keeps_to_a_rate or self._is_usual(now):
            self._narrow_rate(sent, quota, now)
        return True

    def _bursting(self, sent: Sent) -> tuple[Ceiling, float, str] | None:
        """The burst that a refused request went beyond, if it was that and not the rate."""
        for ceiling, drawn, used, what in (
            (self.finding.burst, sent.requests_drawn, sent.window_requests, "requests"),
            (self.finding.burst_units, sent.units_drawn, sent.window_units, "units of text"),
        ):
            if ceiling is None or used > FULL * ceiling.most or ceiling.refusals >= MOST_BURST_REFUSALS:
                continue
            slack = 2 * (1 if what == "requests" else sent.units)  # what travelling times add to a burst
            if drawn > ceiling.proven - slack:
                return ceiling, min(drawn, ceiling.proven) if ceiling.refusals else drawn, what
        return None

    @property
    def _keeps_to_a_rate(self) -> bool:
        return self.finding.named.requests is not None or self.finding.named.characters is not None

    def _is_usual(self, now: float) -> bool:
        """Whether refusals come again and again, or come when the server had said they would not."""
        since = now - LOOK_BACK_WINDOWS * self.finding.named.window_s
        return self._in_a_row > 1 or sum(left > since for left in self._refusals) > MANY_REFUSALS

    def _narrow_rate(self, sent: Sent, quota: Quota, now: float) -> None:
        """What was taken in the window of the refused request is what may be asked; less, if as much was taken before.

        Those that left up to a guard later may have arrived before it.
        """
        by_text = self.finding.named.characters is not None and self.finding.named.requests is None
        since, until = sent.left - self.finding.named.window_s, sent.left + self.finding.named.guard_s
        taken = sum(use[2 if by_text else 1] for use in quota.mine.uses if since < use[0] <= until)
        refused = sum(since < left <= until for left in self._refusals)
        level: float = max(2, taken - refused * (sent.units if by_text else 1) + 1)
        ceiling = self.finding.units if by_text else self.finding.requests
        if sent.left < self._narrowed_at and ceiling is not None:
            level = max(level, ceiling.proven + 1)  # it left before the last lesson was learned
        elif ceiling is not None and level > SMALLER * ceiling.proven and not ceiling.is_trying:
            level = max(2, level * SMALLER)
        self._narrowed_at = now
        if ceiling is None:
            named = self.finding.named
            ceiling = self.finding.rate(math.inf, named.characters if by_text else named.requests)
            if by_text:
                self.finding.units = ceiling
            else:
                self.finding.requests = ceiling
        before = ceiling.proven
        ceiling.refused(level, now)
        if ceiling.proven < before:
            what = "units of text" if by_text else "requests"
            self._say(f"at most {ceiling.proven:g} {what} in {self.finding.named.window_s:g} s, learned from a refusal")

    def _tell_health(self) -> None:
        cap, share = self.health.cap, self.health.failed_share
        if cap is None:
            self._say("requests succeed again: as many in flight as the limits allow")
        else:
            self._say(f"{share:.0%} of the last requests failed: no more than {cap} in flight for now")
