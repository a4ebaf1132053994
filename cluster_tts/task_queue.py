"""What waits, what is lent to whom and until when, what is done: one truth for many workers.

Work is pulled. A clip is lent for ``lease_s`` seconds and comes back by itself when its lease is neither renewed nor
settled, so a worker that vanishes costs time, never a clip. Plain and synchronous: time comes in as ``clock``.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from cluster_tts.model import Clip, Outcome, Status

TAIL_ROUNDS = 3
"""So many rounds of clips before the end the longest go first. Simulated (tests/unit/test_task_queue.py): fewer leave
places idle while a long clip that was begun late ends; more gains next to nothing, and documents are finished later."""


@dataclass(frozen=True, slots=True)
class Loans:
    """The queue's answer to a worker: what it may start now, and whether more can ever come."""

    clips: tuple[Clip, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The queue's answer to the driver: what ended since it last asked, and how the queue stands."""

    outcomes: tuple[Outcome, ...]
    waiting: int
    lent: int


@dataclass(slots=True)
class _Loan:
    clip: Clip
    order: int
    worker: str
    expires: float


class TaskQueue:
    """Lends clips in the order they were put, towards the end the longest first; what comes back is lent again before
    anything that was never lent.

    A clip is known from ``put`` until its final outcome is collected, so putting it again changes nothing. A late
    success is always taken, since the clip is whole; a late failure does not count against a clip that somebody else
    holds by now. ``max_deaths`` bounds how many workers one clip may take with it before it is given up. A clip that
    was held when a worker died is lent alone from then on, so that only the clip that kills is ever convicted; while it
    is first in line nobody is lent more until a worker has become empty for it.
    """

    def __init__(self, lease_s: float = 60.0, max_deaths: int = 5, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._max_deaths = max_deaths
        self._clock = clock
        self._waiting: list[tuple[int, Clip]] = []
        self._lent: dict[str, _Loan] = {}
        self._known: set[str] = set()
        self._deaths: dict[str, int] = {}
        self._outcomes: deque[Outcome] = deque()
        self._put = 0
        self._furthest = -1  # the highest order that was ever lent
        self._last = False  # nothing more is to come, as far as the driver knows
        self._in_order = True  # what waits and was never lent, as it was put
        self._closed = False

    def __repr__(self) -> str:
        return f"<TaskQueue waiting={len(self._waiting)} lent={len(self._lent)} closed={self._closed}>"

    def exchange(self, clips: Sequence[Clip] = (), dead_workers: Iterable[str] = (), last: bool = False) -> Ledger:
        """The driver's one call: hand in more clips and dead workers, take the outcomes that came in since.

        ``last`` says that no more clips are to come; it may be taken back.
        """
        self._in_order = self._in_order or bool(clips)
        self._last = last
        for worker in dead_workers:
            self._forget(worker)
        for clip in clips:
            if clip.id not in self._known:
                self._known.add(clip.id)
                heapq.heappush(self._waiting, (self._put, clip))
                self._put += 1
        outcomes = tuple(self._outcomes)
        self._outcomes.clear()
        self._known.difference_update(outcome.clip_id for outcome in outcomes if outcome.is_final)
        return Ledger(outcomes, len(self._waiting), len(self._lent))

    def serve(self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int) -> Loans:
        """A worker's one call: report what ended, tell all it holds (clip ids), borrow up to ``want`` more.

        What it holds is renewed; what was lent to it and it does not hold comes back.
        """
        self._settle(worker, outcomes)
        now = self._clock()
        for loan in [loan for loan in self._lent.values() if loan.worker == worker]:
            if loan.clip.id in holding:
                loan.expires = now + self._lease_s
            else:
                self._return(loan)
        self._take_back_expired()
        held = [clip_id for clip_id, loan in self._lent.items() if loan.worker == worker]
        clips: list[Clip] = []
        tail = TAIL_ROUNDS * (len(self._lent) + want)
        while len(clips) < want and self._waiting and not self._closed:
            if self._last and self._in_order and len(self._waiting) <= tail:
                self._put_longest_first()
            if held and (self._waiting[0][1].id in self._deaths or held[-1] in self._deaths):
                break  # a suspect is lent alone
            order, clip = heapq.heappop(self._waiting)
            self._lent[clip.id] = _Loan(clip, order, worker, now + self._lease_s)
            self._furthest = max(self._furthest, order)
            held.append(clip.id)
            clips.append(clip)
        return Loans(tuple(clips), self._closed)

    def close(self) -> None:
        """Lend nothing more; what is lent may still be reported."""
        self._closed = True

    def _settle(self, worker: str, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            loan = self._lent.get(outcome.clip_id)
            theirs = loan is not None and loan.worker == worker
            if outcome.status is Status.FAILED and not theirs:
                # Somebody else holds the clip, or will: the attempt is recorded, the verdict is not.
                outcome = replace(outcome, status=Status.RETRIED)
            self._outcomes.append(outcome)
            if outcome.is_final:
                self._drop(outcome.clip_id)

    def _drop(self, clip_id: str) -> None:
        self._deaths.pop(clip_id, None)
        if self._lent.pop(clip_id, None) is None and clip_id in self._known:
            remaining = [entry for entry in self._waiting if entry[1].id != clip_id]
            if len(remaining) < len(self._waiting):
                heapq.heapify(remaining)
                self._waiting = remaining

    def _put_longest_first(self) -> None:
        """Let those that were never lent change places, so that no long clip is begun when the others are done."""
        fresh = sorted(entry for entry in self._waiting if entry[0] > self._furthest)
        longest_first = sorted((clip for _, clip in fresh), key=lambda clip: -len(clip.text))
        again = [entry for entry in self._waiting if entry[0] <= self._furthest]
        self._waiting = again + [(order, clip) for (order, _), clip in zip(fresh, longest_first, strict=True)]
        heapq.heapify(self._waiting)
        self._in_order = False

    def _take_back_expired(self) -> None:
        now = self._clock()
        for loan in [loan for loan in self._lent.values() if loan.expires <= now]:
            self._return(loan)

    def _return(self, loan: _Loan) -> None:
        del self._lent[loan.clip.id]
        heapq.heappush(self._waiting, (loan.order, loan.clip))

    def _forget(self, worker: str) -> None:
        """Take back what a dead worker held; a clip that took too many workers with it is given up."""
        for loan in [loan for loan in self._lent.values() if loan.worker == worker]:
            deaths = self._deaths[loan.clip.id] = self._deaths.get(loan.clip.id, 0) + 1
            if deaths < self._max_deaths:
                self._return(loan)
                continue
            clip = loan.clip
            self._drop(clip.id)
            self._outcomes.append(
                Outcome(
                    clip_id=clip.id,
                    document=clip.document,
                    chunk_index=clip.chunk_index,
                    attempt=deaths,
                    status=Status.FAILED,
                    characters=len(clip.text),
                    error_kind="worker_died",
                    error_message=f"{deaths} workers died while speaking it; it is given up",
                    worker=worker,
                )
            )
