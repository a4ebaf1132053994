"""What waits, what is lent to whom and until when, what is done: one truth for many workers.

Work is pulled. A clip is lent for ``lease_s`` seconds and comes back by itself when its lease is neither renewed nor
settled, so a worker that vanishes costs time, never a clip. Plain and synchronous: time comes in as ``clock``.
"""

import heapq
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.model import Clip, Outcome, Status

TAIL_ROUNDS = 3
"""So many rounds of clips before the end the longest go first. Simulated (tests/unit/test_task_queue.py): fewer leave
places idle while a long clip that was begun late ends; more gains next to nothing, and documents are finished later."""
SUSPECT = 2
"""Workers that died with a clip: from so many on it is lent alone. Were one enough, dozens would wait to be."""
SILENT_S = 15.0
"""A driver that was not heard for so long may have lost OUT to another run, which pays for the same: nothing is lent
until it is heard again."""
ROLL_S = 15.0
"""So long a queue in another's place waits for workers to say what they hold; they ask every second."""


@dataclass(slots=True)
class _Loan:
    clip: Clip
    order: int
    worker: str
    expires: float


class TaskQueue:
    """Lends clips in the order they were put, towards the end the longest first; what comes back is lent again before
    anything that was never lent.

    A clip is known from being put until its final outcome is the driver's, so putting it again changes nothing. A late
    success is always taken, since the clip is whole; a late failure does not count against a clip that somebody else
    holds by now. ``max_deaths`` bounds how many workers one clip may take with it before it is given up. From the
    second on it is lent alone, so that only the clip that kills is ever convicted; while it is first in line nobody is
    lent more until a worker has become empty for it.

    It may die: the driver notices by the ``name`` that another has taken its place, and tells it by ``resume`` what it
    knows. Outcomes are numbered by worker, and kept by it until they are the driver's: none is lost or counted twice.
    """

    def __init__(
        self,
        lease_s: float = 60.0,
        max_deaths: int = 5,
        clock: Callable[[], float] = time.monotonic,
        silent_s: float = SILENT_S,
    ) -> None:
        self.name = secrets.token_hex(4)
        self._lease_s = lease_s
        self._max_deaths = max_deaths
        self._clock = clock
        self._silent_s = silent_s
        self._heard_at = clock()  # when the driver was heard last
        self._waiting: list[tuple[int, Clip]] = []
        self._lent: dict[str, _Loan] = {}
        self._known: set[str] = set()
        self._deaths: dict[str, int] = {}
        self._buried: set[str] = set()  # workers that are known to be dead
        self._outcomes: list[tuple[str, int, Outcome]] = []  # with whose, and its how-manieth, until the driver has it
        self._told: dict[str, int] = {}  # how many outcomes of each worker were heard,
        self._had: dict[str, int] = {}  # and how many are the driver's
        self._put = 0
        self._furthest = -1  # the highest order that was ever lent
        self._last = False  # nothing more is to come, as far as the driver knows
        self._in_order = True  # what waits and was never lent, as it was put
        self._closed = False
        self._is_open = False  # the driver has told what there is
        self._roll: set[str] = set()  # workers that have yet to say what they hold of a queue before this one,
        self._roll_ends = 0.0  # if they do so until then

    def __repr__(self) -> str:
        return f"<TaskQueue {self.name} waiting={len(self._waiting)} lent={len(self._lent)} closed={self._closed}>"

    def exchange(self, orders: Orders = Orders()) -> Ledger:
        """The driver's one call: hand in more clips and dead workers, take the outcomes that came in since.

        Orders for another queue change nothing; the answer's ``queue`` says whom they have reached.
        """
        if orders.queue not in ("", self.name):
            return Ledger((), 0, 0, queue=self.name)
        self._is_open, self._heard_at = True, self._clock()
        self._forget_collected(orders.had)
        self._in_order = self._in_order or bool(orders.clips)
        self._last, self._closed = orders.last, self._closed or orders.close
        for worker in orders.dead:
            self._bury(worker, blame=True)
        for worker in orders.lost:
            self._bury(worker, blame=False)
        for clip in orders.clips:
            if clip.id not in self._known:
                self._known.add(clip.id)
                heapq.heappush(self._waiting, (self._put, clip))
                self._put += 1
        had = dict(self._had)
        for worker, number, _ in self._outcomes:
            had[worker] = max(had.get(worker, 0), number + 1)
        outcomes = tuple(outcome for _, _, outcome in self._outcomes)
        # Who has not been heard yet may hold something: to the driver it is as if it had been lent.
        return Ledger(outcomes, len(self._waiting), len(self._lent) + len(self._roll_call()), had, self.name)

    def resume(self, orders: Orders, workers: Collection[str]) -> Ledger:
        """Take the place of a queue that died: ``orders.clips`` are all clips that were handed in and have not ended.

        Nothing is lent before each of ``workers`` has said what it holds, or ``ROLL_S`` have passed.
        """
        if orders.queue != self.name:
            return self.exchange(orders)  # it reached yet another one
        self._roll = set(workers)
        self._roll_ends = self._clock() + ROLL_S
        self._told = dict(orders.had)
        return self.exchange(orders)

    def serve(
        self, worker: str, holding: Sequence[str], outcomes: Sequence[Outcome], want: int, first: int | None = None
    ) -> Loans:
        """A worker's one call: report what ended, tell all it holds (clip ids), borrow up to ``want`` more.

        ``outcomes`` are the worker's ``first`` and those that follow (None: they follow on those before). What was
        heard already is passed over; where some were not heard, nothing is taken, and the answer says from which on
        they are to be told again. What it holds is renewed; what was lent to it and it does not hold comes back.
        """
        if worker in self._buried:  # a call that it made before it died
            holding, want = (), 0
        told = self._told.get(worker, 0)
        first = told if first is None else first
        if not self._is_open:
            return Loans(next=first)
        if first > told:
            return Loans((), self._closed, told, self._had.get(worker, 0))
        self._settle(worker, outcomes[told - first :])
        now = self._clock()
        for loan in [loan for loan in self._lent.values() if loan.worker == worker]:
            if loan.clip.id in holding:
                loan.expires = now + self._lease_s
            else:
                self._return(loan)
        self._take_back_expired()
        self._adopt(worker, holding)
        self._roll.discard(worker)
        is_led = now - self._heard_at < self._silent_s
        clips = tuple(self._lend(worker, want)) if is_led and not self._roll_call() else ()
        return Loans(clips, self._closed, self._told.get(worker, 0), self._had.get(worker, 0))

    def _roll_call(self) -> Collection[str]:
        return self._roll if self._clock() < self._roll_ends else ()

    def _lend(self, worker: str, want: int) -> Iterator[Clip]:
        held = [clip_id for clip_id, loan in self._lent.items() if loan.worker == worker]
        tail = TAIL_ROUNDS * (len(self._lent) + want)
        for _ in range(want):
            if not self._waiting or self._closed:
                return
            if self._last and self._in_order and len(self._waiting) <= tail:
                self._put_longest_first()
            if held and (self._is_suspect(self._waiting[0][1].id) or self._is_suspect(held[-1])):
                return  # a suspect is lent alone
            order, clip = heapq.heappop(self._waiting)
            self._lend_to(worker, clip, order)
            self._furthest = max(self._furthest, order)
            held.append(clip.id)
            yield clip

    def _is_suspect(self, clip_id: str) -> bool:
        return self._deaths.get(clip_id, 0) >= SUSPECT

    def _lend_to(self, worker: str, clip: Clip, order: int) -> None:
        self._lent[clip.id] = _Loan(clip, order, worker, self._clock() + self._lease_s)

    def _adopt(self, worker: str, holding: Collection[str]) -> None:
        """Note what a worker holds although this queue did not lend it, or believed to have got it back; but not what
        somebody has died with, which may only be held where nothing else is."""
        held = {each for each in holding if each in self._known and not (each in self._lent or each in self._deaths)}
        for order, clip in [entry for entry in self._waiting if entry[1].id in held] if held else ():
            self._take_out(clip.id)
            self._lend_to(worker, clip, order)

    def _forget_collected(self, had: Mapping[str, int]) -> None:
        """Forget the outcomes that the driver has, and the clips that ended with them."""
        self._had = dict(had)
        for worker, number, outcome in self._outcomes:
            if number < had.get(worker, 0) and outcome.is_final:
                self._known.discard(outcome.clip_id)
        self._outcomes = [entry for entry in self._outcomes if entry[1] >= had.get(entry[0], 0)]

    def _note(self, worker: str, outcome: Outcome) -> None:
        number = self._told.get(worker, 0)
        self._told[worker] = number + 1
        self._outcomes.append((worker, number, outcome))

    def _settle(self, worker: str, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            loan = self._lent.get(outcome.clip_id)
            theirs = loan.worker == worker if loan else worker in self._roll
            if outcome.status is Status.FAILED and not theirs:
                # Somebody else holds the clip, or will: the attempt is recorded, the verdict is not.
                outcome = replace(outcome, status=Status.RETRIED)
            self._note(worker, outcome)
            if outcome.is_final:
                self._drop(outcome.clip_id)

    def _drop(self, clip_id: str) -> None:
        self._deaths.pop(clip_id, None)
        if self._lent.pop(clip_id, None) is None and clip_id in self._known:
            self._take_out(clip_id)

    def _take_out(self, clip_id: str) -> None:
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

    def _bury(self, worker: str, blame: bool) -> None:
        """Take back what a dead worker held; what it may have asked for is told as attempts.

        With ``blame`` the clips count as those that may have killed it; one that took too many with it is given up.
        """
        self._buried.add(worker)
        self._roll.discard(worker)
        for loan in [loan for loan in self._lent.values() if loan.worker == worker]:
            deaths = self._deaths.get(loan.clip.id, 0)
            if blame:
                deaths = self._deaths[loan.clip.id] = deaths + 1
            if deaths < self._max_deaths:
                self._return(loan)
                status, what = Status.RETRIED, "its worker died" if blame else "its worker's machine went"
            else:
                self._drop(loan.clip.id)
                status, what = Status.FAILED, f"{deaths} workers died while speaking it; it is given up"
            # By a name that no other queue has: numbers begin anew with every queue.
            self._note(f"queue {self.name}", _died(loan.clip, worker, max(1, deaths), status, what))


def _died(clip: Clip, worker: str, attempt: int, status: Status, what: str) -> Outcome:
    return Outcome(
        clip_id=clip.id, document=clip.document, chunk_index=clip.chunk_index, attempt=attempt, status=status,
        characters=len(clip.text), error_kind="worker_died", error_message=what, worker=worker,
    )  # fmt: skip
