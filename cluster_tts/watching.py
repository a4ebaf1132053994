"""How the quota of a run stands, asked every second; and what people have to be told of it while there is time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from cluster_tts.gauge import low_line
from cluster_tts.job import Job
from cluster_tts.prices import dollars
from cluster_tts.quota.limits import Standing
from cluster_tts.record import Record
from cluster_tts.workload import Plan

log = logging.getLogger(__name__)

EVERY_S = 1.0
LAST_S = 1.0  # that the end of a run waits for the last word


class Watching:
    """Keeps the record's gauge. Nothing here can hold up a run or end it: what goes wrong is told as everything is."""

    def __init__(self, job: Job, plan: Plan, record: Record, ask: Callable[[], Awaitable[Standing | None]]) -> None:
        self._job = job
        self._plan = plan
        self._record = record
        self._ask = ask
        self._question: asyncio.Task[Standing | None] | None = None
        self._asked_at = 0.0
        self._begun: float | None = None
        self._told: set[str] = set()
        self._made = 0
        self._made_at: float | None = None

    def look(self, anything_ended: bool = False) -> None:
        """Take in the answer if it is there, ask again if it is time to; ``anything_ended``: clips, since the last
        look."""
        now = asyncio.get_running_loop().time()
        if self._begun is None:
            self._begun = now
        if anything_ended:
            self._record.gauge.run_s = now - self._begun
        if self._question is not None and self._question.done():
            self._take(self._question, now)
            self._question = None
        if self._question is None and now - self._asked_at >= EVERY_S:
            self._asked_at = now
            self._question = asyncio.ensure_future(self._ask())
        for line in self._low():
            self._tell_once(line.partition(":")[0], line)

    def left_s(self, made: int, clips: int) -> float | None:
        """How long the rest takes by the plan, which knows when the account lets requests leave; None: not known."""
        now = asyncio.get_running_loop().time()
        if made != self._made or self._made_at is None:
            self._made, self._made_at = made, now
        return self._record.gauge.left_s(min(1.0, made / clips), now - self._made_at) if clips else None

    async def last(self) -> None:
        """Ask once more, for what happened since, and no longer than a moment."""
        if self._question is None:
            self._question = asyncio.ensure_future(self._ask())
        await asyncio.wait({self._question}, timeout=LAST_S)
        if self._question.done():
            self._take(self._question, asyncio.get_running_loop().time())
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for no answer any more."""
        if self._question is not None:
            self._question.cancel()
            await asyncio.gather(self._question, return_exceptions=True)
            self._question = None

    def _take(self, question: "asyncio.Task[Standing | None]", now: float) -> None:
        if question.cancelled():  # by whoever was asked, who is going: there is no answer
            return
        try:
            standing = question.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on without the figures
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._tell_once("standing", f"cannot tell how the quota stands ({what}); the run goes on")
            return
        if standing is not None:
            for line in self._record.gauge.read(standing, now):
                log.info("quota: %s", line)

    def _tell_once(self, about: str, line: str) -> None:
        if about not in self._told:
            self._told.add(about)
            log.warning("%s", line)
            self._record.gauge.say(line)

    def _low(self) -> Iterator[str]:
        """A line for each budget of which little is left."""
        quota, purse, totals = self._job.quota, self._record.purse, self._record.totals
        spoken = totals.characters
        if not spoken:
            return  # what the rest takes is judged by what this run has spoken
        rest = max(0, self._plan.characters_to_speak - spoken) / spoken
        for key, left, budget, spent, amount in (
            ("budget_usd", purse.usd, quota.budget_usd, totals.cost_usd, dollars),
            (
                "budget_characters", purse.characters, quota.budget_characters, totals.billed_characters,
                "{:,.0f} characters".format,
            ),
        ):  # fmt: skip
            if left is not None and budget and (line := low_line(left - spent, budget, spent * rest, amount)):
                yield f"{line} (quota.{key})"
