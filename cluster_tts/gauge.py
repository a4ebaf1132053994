"""How much of an account's quota a run used, from what the limiter tells every second or so, and lines for people.

Arithmetic only: time is handed in. The share used is counted where it hurts: of all limits in force the one that is
nearest to being used up, and only while requests were waiting, for a quota that nobody needs is not wasted. Limits that
were learned from refusals may be lower than those the job names: what was used of these is counted beside it.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cluster_tts.job import QuotaSettings
from cluster_tts.model import Purse
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.report import Totals, percent

MOST_NOTES = 100
WORTH_TELLING = 0.02  # of difference between what was used of the limits in force and of those the job names
LOW = 0.1  # of a budget: from there on people are told that it runs low
Note = tuple[int, str]
"""A line for people, and its number in this run."""


class Gauge:
    """What is known of the quota of one run: the latest standing, the share that was used, what there was to say."""

    def __init__(self, named: Limits | None = None) -> None:
        self.named = named
        """The limits that the job names; None: none."""
        self.standing: Standing | None = None
        self.course: Sequence[float] = ()
        """When each part of the clips would be made, by the plan: from 0 to all. Empty: not known."""
        self.run_s: float | None = None
        """How long speaking took, from the first request that was handed out to the last answer; None: not yet."""
        self.notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._said = 0
        self._heard = 0  # the number of the limiter's last note
        self._read_at: float | None = None
        self._first_at = 0.0
        self._in_force, self._of_named = Mean(), Mean()

    def __repr__(self) -> str:
        return f"<Gauge used={self.share_used} notes={self._said}>"

    @property
    def share_used(self) -> float | None:
        """The mean share of the scarcest limit in force that was used while requests were waiting; None where none
        ever did."""
        return self._in_force.value

    @property
    def share_of_named(self) -> float | None:
        """The same of the limits that the job names."""
        return self._of_named.value

    @property
    def predicted_s(self) -> float | None:
        """How long the plan said that speaking would take."""
        return self.course[-1] if self.course else None

    def left_s(self, share_made: float, idle_s: float) -> float | None:
        """How long the rest takes by the plan, with so much made and the last of it so long ago; None: not known."""
        if not self.course:
            return None
        made_s = self.course[int(share_made * (len(self.course) - 1) + 1e-9)]
        return max(0.0, self.course[-1] - made_s - idle_s)

    def read(self, standing: Standing, now: float) -> list[str]:
        """Take in how the account stands; what its limiter has to say that it had not said before."""
        if self._read_at is None:
            self._first_at = self._read_at = now
        if standing.waiting:
            elapsed_s, past_s = now - self._first_at, now - self._read_at
            self._in_force.add(share_of(standing, standing.limits, elapsed_s), past_s)
            self._of_named.add(share_of(standing, self.named or Limits(), elapsed_s), past_s)
        self._read_at, self.standing = now, standing
        latest = max((number for number, _ in standing.notes), default=self._heard)
        if latest < self._heard:  # another limiter, which counts from the beginning
            self._heard = 0
        new = [line for number, line in standing.notes if number > self._heard]
        self._heard = latest
        for line in new:
            self.say(line)
        return new

    def say(self, line: str) -> None:
        """Note a line for people."""
        self._said += 1
        self.notes.append((self._said, line))

    def as_dict(self) -> dict[str, Any] | None:
        """The section ``quota`` of ``report.json``; None where nobody's quota was needed."""
        standing = self.standing
        if standing is None and self.predicted_s is None:
            return None
        return {
            "account": standing and standing.account,
            "named": known(self.named) if self.named else {},
            "limits": known(standing.limits) if standing else {},
            "learned": dict(standing.learned) if standing else {},
            "degraded_to": standing and standing.degraded_to,
            "parties": standing and standing.parties,
            "in_use": _rounded(share_of(standing, standing.limits), 4) if standing else None,
            "in_flight": standing and standing.in_flight,
            "waiting": standing and standing.waiting,
            "granted": standing and standing.granted,
            "refused": standing and standing.refused,
            "share_used": _rounded(self.share_used, 4),
            "share_of_named": _rounded(self.share_of_named, 4),
            "predicted_s": _rounded(self.predicted_s, 1),
            "run_s": _rounded(self.run_s, 1),
            "notes": [line for _, line in self.notes],
        }


class Mean:
    """The mean of values, each of which held for so many seconds."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._seconds = 0.0

    @property
    def value(self) -> float | None:
        return self._sum / self._seconds if self._seconds else None

    def add(self, value: float | None, seconds: float) -> None:
        if value is not None:
            self._sum += value * seconds
            self._seconds += seconds


def share_of(standing: Standing, limits: Limits, elapsed_s: float = math.inf) -> float | None:
    """How much of the scarcest of ``limits`` is in use, from 0 to 1; None where there is none.

    What a window allows is no more than the burst and what has been added to it in ``elapsed_s``.
    """
    shares = [
        used / most
        for used, most in (
            (standing.requests, _so_far(limits.requests, limits.burst, limits, elapsed_s)),
            (standing.characters, _so_far(limits.characters, limits.burst_characters, limits, elapsed_s)),
            (standing.in_flight, limits.in_flight),
        )
        if most
    ]
    return min(1.0, max(shares)) if shares else None


def known(limits: Limits) -> dict[str, float]:
    """Those of ``limits`` that there are."""
    return {name: value for name, value in asdict(limits).items() if value is not None}


def as_settings(learned: Mapping[str, float], when: str) -> str:
    """What was learned of an account, as a file for ``-c``."""
    lines = "".join(f"  {name}: {value:.10g}\n" for name, value in sorted(learned.items()))
    return f"# What a run learned of its account, {when}; use it with -c\nquota:\n{lines}"


def in_words(limits: Mapping[str, float]) -> str:
    """Limits, as ``known`` gives them, for people. A burst of a whole window is none."""
    window = f"in {limits.get('window_s', 60):g} s"
    burst, most = limits.get("burst"), limits.get("requests", math.inf)
    told = (
        (limits.get("requests"), f"requests {window}"),
        (limits.get("characters"), f"characters {window}"),
        (limits.get("in_flight"), "in flight"),
        (None if burst is None or burst >= most else burst, "at once"),
    )
    return ", ".join(f"{value:,.10g} {what}" for value, what in told if value is not None)


def shares_used(quota: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Of a report's section: what was used of the limits in force, and of those that the job names if that is less."""
    used, of_named = quota.get("share_used"), quota.get("share_of_named")
    same = of_named is None or (used is not None and used - of_named <= WORTH_TELLING)
    return used, None if same else of_named


def used_line(quota: Mapping[str, Any]) -> str:
    """The same for people; empty where nothing ever waited."""
    used, of_named = shares_used(quota)
    parts = [f"{percent(used)} of the limits in force"] if used is not None else []
    if of_named is not None:
        parts.append(f"{percent(of_named)} of those set")
    return f"{', '.join(parts)} used while requests were waiting" if parts else ""


def low_line(left: float, budget: float, needed: float, amount: Any) -> str | None:
    """A line that says how little is left of a budget; None while there is enough or more than a tenth.

    ``needed`` is what all that is missing will take, ``amount`` writes such a number for people.
    """
    if left > LOW * budget or needed <= 0:
        return None
    will_do = "enough for the rest" if left >= needed else f"the rest takes about {amount(needed)}"
    return f"the budget runs low: {amount(max(0.0, left))} of {amount(budget)} left, {will_do}"


def budget_left(purse: Purse, totals: Totals, quota: QuotaSettings) -> float | None:
    """The share of a budget that is left, of two the smaller; None where there is none. ``purse`` is what was left of
    it when the run began, ``totals`` what the run has spent since."""
    shares = [
        max(0.0, (left - spent) / budget)
        for left, spent, budget in (
            (purse.usd, totals.cost_usd, quota.budget_usd),
            (purse.characters, totals.billed_characters, quota.budget_characters),
        )
        if left is not None and budget
    ]
    return round(min(shares), 4) if shares else None


def _so_far(limit: float | None, burst: float | None, limits: Limits, elapsed_s: float) -> float | None:
    if limit is None or burst is None or burst >= limit:
        return limit
    return min(limit, burst + limit * elapsed_s / limits.window_s)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
