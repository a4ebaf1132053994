"""What runs may still spend: every request reserves the most it can cost, and its answer settles that.

Arithmetic only. Where nothing is known of what became of a request, what was reserved counts as spent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster_tts.model import News, Purse, Want

Spent = tuple[float, int]
"""Dollars and characters."""


@dataclass(slots=True)
class _Account:
    purse: Purse
    spent: dict[str, Spent] = field(default_factory=dict)  # by worker
    reserved: dict[tuple[str, int], Want] = field(default_factory=dict)  # by request


class Purses:
    """The purses of all runs on an account. One without bounds holds for ever."""

    def __init__(self) -> None:
        self._runs: dict[str, _Account] = {}

    def open(self, run: str, purse: Purse, spent: Mapping[str, Spent] | None = None) -> None:
        """Let a run spend what is in ``purse``, of which an earlier limiter saw so much spent by each worker."""
        if run not in self._runs and purse != Purse():
            self._runs[run] = _Account(purse, dict(spent or {}))

    def affords(self, run: str, want: Want) -> bool:
        """Whether what is left covers ``want`` beside all that is under way."""
        if (account := self._runs.get(run)) is None:
            return True
        usd, characters = self._used(account)
        return (account.purse.usd is None or usd + want.usd <= account.purse.usd + 1e-9) and (
            account.purse.characters is None or characters + want.characters <= account.purse.characters
        )

    def is_settled(self, run: str) -> bool:
        """Whether nothing is under way that may still turn out cheaper."""
        return run not in self._runs or not self._runs[run].reserved

    def reserve(self, run: str, key: tuple[str, int], want: Want) -> None:
        if account := self._runs.get(run):
            account.reserved[key] = want

    def spent_by(self, run: str, worker: str, spent: Spent) -> None:
        """Note what a worker says that its requests have cost, where more was not known already."""
        if account := self._runs.get(run):
            before = account.spent.get(worker, (0.0, 0))
            account.spent[worker] = max(before[0], spent[0]), max(before[1], spent[1])

    def settle(self, run: str, key: tuple[str, int], news: News | None = None) -> None:
        """Note what a request did cost: all that was reserved, as far as ``news`` does not know better."""
        if (account := self._runs.get(run)) is None or (want := account.reserved.pop(key, None)) is None:
            return
        usd = want.usd if news is None or news.cost_usd is None else news.cost_usd
        characters = want.characters if news is None or news.billed_characters is None else news.billed_characters
        before = account.spent.get(key[0], (0.0, 0))
        account.spent[key[0]] = before[0] + usd, before[1] + characters

    def spent(self) -> dict[str, dict[str, Spent]]:
        """By run and worker, with all that is under way: what a later limiter has to know."""
        found: dict[str, dict[str, Spent]] = {}
        for run, account in self._runs.items():
            of_run = found[run] = dict(account.spent)
            for (worker, _), want in account.reserved.items():
                before = of_run.get(worker, (0.0, 0))
                of_run[worker] = before[0] + want.usd, before[1] + want.characters
        return found

    def why(self, run: str, want: Want) -> str:
        """One line on a purse that does not cover ``want``."""
        account = self._runs[run]
        usd, characters = self._used(account)
        if account.purse.usd is not None and usd + want.usd > account.purse.usd + 1e-9:
            left = max(0.0, account.purse.usd - usd)
            return f"${left:.4f} is left of quota.budget_usd, and the next request may cost ${want.usd:.4f}"
        left_characters = max(0, (account.purse.characters or 0) - characters)
        return (
            f"{left_characters:,} characters are left of quota.budget_characters, and the next request may be charged "
            f"{want.characters:,}"
        )

    @staticmethod
    def _used(account: _Account) -> Spent:
        spent, reserved = account.spent.values(), account.reserved.values()
        return (
            sum(each[0] for each in spent) + sum(want.usd for want in reserved),
            sum(each[1] for each in spent) + sum(want.characters for want in reserved),
        )
