"""The whole run over a crew: feed what is missing, settle what ended, join what became whole.

Nothing here knows where the work is done. A ``Crew`` speaks and joins; ``local`` and ``cluster`` each have one, and
both give the same bytes.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import Protocol

from cluster_tts.assembly import as_incomplete, as_whole, order_of
from cluster_tts.clips import Clips, digest
from cluster_tts.errors import AccountRefused, DamagedClips, DocumentError, JobError
from cluster_tts.job import Job
from cluster_tts.joining import JoinOrder
from cluster_tts.lending import Ledger
from cluster_tts.model import Clip, Outcome, Status
from cluster_tts.progress import Progress
from cluster_tts.quota.limits import Standing
from cluster_tts.record import Record
from cluster_tts.stitching import Joined
from cluster_tts.storage import at
from cluster_tts.watching import Watching
from cluster_tts.workload import Plan
from cluster_tts.workspace import clear_document

log = logging.getLogger(__name__)

TICK_S = 0.2  # each look costs the queue and the driver a few milliseconds of a core that could speak
WIND_UP_TICK_S = 0.05
MOST_MENDINGS = 3  # of one document whose clips turn out damaged, so that a dying disk ends the run


class Crew(Protocol):
    """Whoever does the work: workers that pull clips from a queue, and joiners."""

    backlog: int
    """How many clips to keep waiting, so that nobody idles and nothing large is held."""

    joiners: int
    """How many documents may be joined at once."""

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        """Hand in clips (``last``: and no more are to come), take what ended.

        Raises ``JobError`` where nobody can go on.
        """

    async def join(self, order: JoinOrder) -> Joined | None:
        """Join one document, or only items of it, of which nothing is told; raises ``DamagedClips``, and
        ``DocumentError`` where joining it never comes to an end."""

    async def wind_up(self) -> Ledger:
        """Lend nothing more; take what ended of what is lent. To be called again until nothing is."""

    async def standing(self) -> Standing | None:
        """How the account stands that is asked; None where none is, or as long as nothing is known."""

    async def aclose(self) -> None:
        """End at once whatever still works, and leave nothing behind."""


class Run:
    """One run of a plan over a crew."""

    def __init__(self, job: Job, plan: Plan, record: Record, crew: Crew, watch: Callable[[Progress], None]) -> None:
        self._job = job
        self._plan = plan
        self._record = record
        self._crew = crew
        self._watch = watch
        self._clips = Clips.of(job)
        self._feed: Iterator[Clip] = plan.clips()
        self._open = set(plan.pending)
        self._whole: deque[str] = deque()
        self._joins: dict[asyncio.Task[Joined | None], str] = {}
        self._given_up: list[str] = []
        self._mendings: Counter[str] = Counter()
        self._to_make = plan.completion.clips - plan.completion.there
        self._watching = Watching(job, plan, record, crew.standing)
        self._sort_out(name for name in plan.pending if plan.completion.is_settled(name))

    async def until_done(self, stop: asyncio.Event, grace_s: float) -> None:
        """Return when every document is whole or given up, or after ``stop`` when what was under way has ended.

        Raises:
            JobError: the crew cannot go on.
        """
        try:
            await self._speak(stop)
            await self._dismiss(grace_s)
            if self._joins:  # of a run that is to stop
                await asyncio.wait(self._joins, timeout=grace_s)
                self._finish_joins()
            await self._clear(self._given_up)
            if not stop.is_set():
                await self._join_items(self._given_up)
            await self._watching.last()
        except BaseException as error:
            # What was done is recorded, as far as there is anybody left to tell, and a disk left to take it.
            with suppress(JobError, OSError):
                # A job that cannot go on has requests in flight that are paid; a cancelled one has nobody waiting.
                await self._dismiss(grace_s if isinstance(error, JobError) else 0)
                if isinstance(error, AccountRefused):
                    await self._join_what_is_whole()
            raise
        finally:
            await self._watching.aclose()
            for task in self._joins:
                task.cancel()
            await asyncio.gather(*self._joins, return_exceptions=True)
            for name in self._open:  # whatever ended the run: what it had made until then is missing no more
                self._record.document(replace(self._record.rows[name], missing=self._plan.completion.missing(name)))
        self._watch(self._progress(0))

    async def _dismiss(self, grace_s: float) -> None:
        """Have nothing more begun, and give what was begun ``grace_s`` to end; it is written down as it does."""
        now = asyncio.get_running_loop().time
        deadline = now() + grace_s
        while True:
            ledger = await self._crew.wind_up()
            self._settle(ledger.outcomes)
            if not ledger.lent:
                self._record.nothing_under_way()
            if not ledger.lent or now() >= deadline:
                self._record.keep()  # whoever stops us may not wait for what follows
                return
            self._record.beat()
            await asyncio.sleep(WIND_UP_TICK_S)

    async def _join_what_is_whole(self) -> None:
        """Join what is left to join although nothing more can be spoken: the next run may be long in coming."""
        try:
            while self._whole or self._joins:
                self._start_joins()
                if self._joins:
                    await asyncio.wait(self._joins)
                    self._finish_joins()
            await self._clear(self._given_up)
            await self._join_items([*self._given_up, *sorted(self._open)])
        except OSError as error:  # the account's refusal is the graver of the two
            log.error("cannot join what is whole: %s; `cluster-tts stitch` does it later", error)

    async def _clear(self, names: Iterable[str]) -> None:
        """Remove what an earlier run has left of documents that stay incomplete: audio is there only when whole."""
        for name in self._plan.again.intersection(names):
            if self._record.fence is not None:
                self._record.fence.check()
            await asyncio.to_thread(clear_document, at(self._job.out), name)

    async def _join_items(self, names: Iterable[str]) -> None:
        """Join what items are whole of documents that are not, where items have files of their own."""
        for name in names if self._job.stitching.each_item else ():
            try:
                await self._crew.join(self._order(name, only_items=True))
            except (DamagedClips, DocumentError) as error:
                log.warning("not all items of %s were joined: %s", name, error, extra={"document": name})

    async def _speak(self, stop: asyncio.Event) -> None:
        ledger = Ledger((), 0, 0)
        while self._open and not stop.is_set():
            ledger = await self._crew.exchange(*self._next(ledger))
            self._settle(ledger.outcomes)
            self._finish_joins()
            self._start_joins()
            self._watching.look(bool(ledger.outcomes))
            self._record.beat()
            self._watch(self._progress(ledger.lent))
            await self._tick(stop)

    async def _tick(self, stop: asyncio.Event) -> None:
        """Wait a moment; less if a document has been joined, so that many short ones do not wait for each other."""
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({stopped, *self._joins}, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _next(self, ledger: Ledger) -> tuple[list[Clip], bool]:
        """What there is room for, and whether nothing follows it. What is to be mended may follow all the same."""
        room = max(0, self._crew.backlog - ledger.waiting)
        clips = list(islice(self._feed, room))
        self._record.hand_out(clips)
        return clips, len(clips) < room

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        completion = self._plan.completion
        for outcome in outcomes:
            self._record.add(outcome)
            settled: list[str] = []
            if outcome.status is Status.FAILED:
                settled = completion.fail(outcome.clip_id)
            elif outcome.sound is not None:
                settled = completion.have(outcome.clip_id, outcome.sound)
            self._sort_out(name for name in settled if name in self._open)

    def _sort_out(self, settled: Iterable[str]) -> None:
        """Documents for which nothing more can come are whole, or given up."""
        for name in settled:
            if self._plan.completion.is_whole(name):
                self._whole.append(name)
            else:
                self._give_up(name)

    def _start_joins(self) -> None:
        while self._whole and len(self._joins) < self._crew.joiners:
            name = self._whole.popleft()
            # A clip shared with a document that found it damaged may have been lost and made again meanwhile.
            if name not in self._open or name in self._joins.values() or not self._plan.completion.is_whole(name):
                continue
            self._joins[asyncio.create_task(self._crew.join(self._order(name)))] = name

    def _order(self, name: str, only_items: bool = False) -> JoinOrder:
        badge = self._record.fence.badge if self._record.fence else None
        return order_of(self._job, self._plan, name, badge, only_items)

    def _finish_joins(self) -> None:
        for task in [task for task in self._joins if task.done()]:
            name = self._joins.pop(task)
            try:
                joined = task.result()
            except DamagedClips as damage:
                self._mend(name, damage)
                continue
            except DocumentError as error:
                self._give_up(name, str(error))
                continue
            assert joined is not None, "a whole document is joined as a whole"
            self._open.discard(name)
            self._plan.completion.release(name)
            self._record.document(as_whole(self._plan.rows[name], joined))
            about = {"document": name, "status": "whole"}
            log.info("%s is whole: %d chunks, %.1f s", name, joined.chunks, joined.seconds, extra=about)
            if joined.complaint:
                log.warning("%s has its audio, but no video: %s", name, joined.complaint, extra=about)

    def _mend(self, name: str, damage: DamagedClips) -> None:
        """Have damaged clips spoken again, and no more than those."""
        log.warning("%s", damage, extra={"document": name})
        for clip_id in damage.clip_ids:
            if not self._is_sound(clip_id):  # another document may have had it made again meanwhile
                self._clips.remove(clip_id)
                self._plan.completion.lose(clip_id)
        if self._plan.completion.is_whole(name):
            self._whole.append(name)
        self._mendings[name] += 1
        if self._mendings[name] <= MOST_MENDINGS:
            self._feed = chain(self._plan.clips_of(name), self._feed)
            return
        self._give_up(name, f"{damage}; it was mended {MOST_MENDINGS} times: is the disk in order?")
        for clip_id in damage.clip_ids:  # nobody makes them again: others that want them wait in vain
            self._sort_out(each for each in self._plan.completion.fail(clip_id) if each in self._open)

    def _is_sound(self, clip_id: str) -> bool:
        """Whether the clip on disk is what was last measured of it."""
        known = self._plan.completion.sound(clip_id)
        try:
            with self._clips.local(clip_id) as path:
                return known is not None and digest(path) == known.sha256
        except OSError:
            return False

    def _give_up(self, name: str, error: str | None = None) -> None:
        self._open.discard(name)
        missing = self._plan.completion.missing(name)
        if name in self._plan.postponed:
            self._record.document(replace(self._plan.rows[name], missing=missing))
            return
        self._given_up.append(name)
        self._record.document(as_incomplete(self._plan.rows[name], missing, error))
        reason, about = error or f"{missing} of its clips are missing", {"document": name, "status": "incomplete"}
        log.error("%s stays incomplete: %s", name, reason, extra=about)

    def _progress(self, in_flight: int) -> Progress:
        states, totals = self._record.states, self._record.totals
        gate_wait_s, latency_s = totals.lately()
        made = sum(totals.attempts[status] for status in (Status.SPOKEN, Status.FOUND, Status.FAILED))
        return Progress(
            documents=states.total(),
            documents_whole=states["whole"],
            documents_incomplete=states["incomplete"] + states["unreadable"],
            clips=self._to_make,
            spoken=totals.attempts[Status.SPOKEN],
            found=totals.attempts[Status.FOUND],
            failed=totals.attempts[Status.FAILED],
            in_flight=in_flight,
            joining=len(self._joins),
            characters=totals.characters,
            audio_s=totals.audio_s,
            asked=replace(totals.asked),
            gate_wait_s=gate_wait_s,
            latency_s=latency_s,
            quota=self._record.gauge.standing,
            left_s=self._watching.left_s(made, self._to_make),
            notes=tuple(self._record.gauge.notes),
        )
