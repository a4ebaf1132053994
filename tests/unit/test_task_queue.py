"""Leases, order and verdicts under a handed-in clock."""

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from cluster_tts.lending import Ledger, Loans, Orders
from cluster_tts.model import Clip, Outcome, Sound, Status
from cluster_tts.task_queue import TAIL_ROUNDS, TaskQueue


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def clip(name: str, characters: int | None = None) -> Clip:
    return Clip(name, f"text of {name}" if characters is None else "a" * characters, "document", 0)


def outcome(name: str, status: Status = Status.SPOKEN) -> Outcome:
    sound = Sound(10, 10, 10, "00") if status in (Status.SPOKEN, Status.FOUND) else None
    return Outcome(
        clip_id=name, document="document", chunk_index=0, attempt=1, status=status, characters=1, sound=sound
    )


def ids(queue: TaskQueue, worker: str, want: int = 1, holding: tuple[str, ...] = ()) -> list[str]:
    return [lent.id for lent in queue.serve(worker, holding, (), want).clips]


HAD: "WeakKeyDictionary[TaskQueue, Mapping[str, int]]" = WeakKeyDictionary()


def tell(queue: TaskQueue, clips: Sequence[Clip] = (), dead: Sequence[str] = (), **orders: Any) -> Ledger:
    """What a driver does: each outcome is taken once, and the next orders say that it was."""
    ledger = queue.exchange(Orders(clips, dead, had=HAD.get(queue, {}), **orders))
    HAD[queue] = ledger.had
    return ledger


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> TaskQueue:
    queue = TaskQueue(lease_s=60, max_deaths=3, clock=clock, silent_s=math.inf)
    tell(queue, [clip(name) for name in "abcd"])
    return queue


def test_clips_are_lent_in_the_order_they_were_put_and_no_more_than_wanted(queue: TaskQueue) -> None:
    assert ids(queue, "w1", 2) == ["a", "b"]
    assert ids(queue, "w2", 9) == ["c", "d"]
    assert ids(queue, "w3") == []


def test_a_clip_that_is_known_is_not_put_again_until_it_was_collected(queue: TaskQueue) -> None:
    ids(queue, "w", 4)
    queue.serve("w", ("b", "c", "d"), [outcome("a")], 0)
    assert tell(queue, [clip("a"), clip("b")]).waiting == 0
    assert tell(queue, [clip("a")]).waiting == 1


def test_an_expired_lease_brings_the_clip_back_before_anything_later(queue: TaskQueue, clock: Clock) -> None:
    assert ids(queue, "vanished", 2) == ["a", "b"]
    clock.now = 60.0
    assert ids(queue, "w", 3) == ["a", "b", "c"]


def test_holding_renews_a_lease(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "w", 2)
    clock.now = 59.0
    ids(queue, "w", 0, holding=("a",))
    clock.now = 100.0
    assert ids(queue, "other", 9) == ["b", "c", "d"]


def test_a_worker_that_comes_back_late_still_holds_what_nobody_took(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "w")
    clock.now = 100.0
    assert ids(queue, "w", 1, holding=("a",)) == ["b"]
    clock.now = 150.0
    assert ids(queue, "other", 9) == ["c", "d"]


def test_what_a_worker_does_not_hold_comes_back_at_once(queue: TaskQueue) -> None:
    """It stopped before it began it, or the answer that lent it was lost on the way."""
    ids(queue, "w", 3)
    ids(queue, "w", 0, holding=("b",))
    assert ids(queue, "other", 9) == ["a", "c", "d"]


def test_a_worker_cannot_renew_what_somebody_else_holds(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "late")
    clock.now = 60.0
    assert ids(queue, "w") == ["a"]
    clock.now = 119.0
    ids(queue, "late", 0, holding=("a",))
    clock.now = 120.0
    assert ids(queue, "third") == ["a"]


def test_a_late_success_is_taken_and_ends_the_clip(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "late")
    clock.now = 60.0
    assert ids(queue, "w") == ["a"]
    queue.serve("late", (), [outcome("a")], 0)
    clock.now = 200.0
    assert ids(queue, "w", 9) == ["b", "c", "d"]
    assert [o.status for o in tell(queue).outcomes] == [Status.SPOKEN]


def test_a_late_success_for_a_clip_that_waits_again_takes_it_out_of_the_line(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "late")
    clock.now = 60.0
    ids(queue, "w", 0)
    queue.serve("late", (), [outcome("a")], 0)
    assert ids(queue, "w", 9) == ["b", "c", "d"]


def test_a_late_failure_is_recorded_but_does_not_count_against_the_clip(queue: TaskQueue, clock: Clock) -> None:
    ids(queue, "late")
    clock.now = 60.0
    assert ids(queue, "w") == ["a"]
    queue.serve("late", (), [outcome("a", Status.FAILED)], 0)
    ledger = tell(queue)
    assert [o.status for o in ledger.outcomes] == [Status.RETRIED]
    assert ledger.lent == 1


def test_a_failure_of_the_holder_is_final(queue: TaskQueue) -> None:
    ids(queue, "w")
    queue.serve("w", (), [outcome("a", Status.RETRIED), outcome("a", Status.FAILED)], 0)
    ledger = tell(queue)
    assert [o.status for o in ledger.outcomes] == [Status.RETRIED, Status.FAILED]
    assert (ledger.waiting, ledger.lent) == (3, 0)


def kill_twice(queue: TaskQueue, names: int) -> None:
    for worker in "first", "second":
        ids(queue, worker, names)
        tell(queue, dead=[worker])


def test_a_dead_workers_clips_come_back_at_once_and_the_attempts_are_told(queue: TaskQueue) -> None:
    ids(queue, "w", 2)
    ledger = tell(queue, dead=["w"])
    told = [(o.clip_id, o.status, o.error_kind, o.worker) for o in ledger.outcomes]
    assert told == [(name, Status.RETRIED, "worker_died", "w") for name in "ab"]
    assert ids(queue, "other", 9) == ["a", "b", "c", "d"], "one death proves nothing"


def test_a_machine_that_goes_condemns_nothing_however_often(queue: TaskQueue) -> None:
    for number in range(20):
        assert ids(queue, f"w{number}", 2) == ["a", "b"]
        ledger = tell(queue, lost=[f"w{number}"])
        assert {o.status for o in ledger.outcomes} == {Status.RETRIED}
    assert ids(queue, "w", 9) == ["a", "b", "c", "d"]


def test_what_two_workers_died_with_is_lent_alone(queue: TaskQueue) -> None:
    kill_twice(queue, 2)
    assert ids(queue, "other", 9) == ["a"]
    assert ids(queue, "other", 9, holding=("a",)) == [], "nothing is lent beside a suspect"
    assert ids(queue, "third", 9) == ["b"]
    assert ids(queue, "fourth", 9) == ["c", "d"]


def test_a_suspect_first_in_line_waits_until_a_worker_is_empty_and_nobody_overtakes_it(queue: TaskQueue) -> None:
    assert ids(queue, "w0") == ["a"]
    tell(queue, dead=["w0"])
    assert ids(queue, "w1") == ["a"]
    assert ids(queue, "w2") == ["b"]
    tell(queue, dead=["w1"])
    assert ids(queue, "w2", 9, holding=("b",)) == []
    loans = queue.serve("w2", (), [outcome("b")], 9)
    assert [lent.id for lent in loans.clips] == ["a"]


def test_innocent_clips_that_were_lent_with_a_poisonous_one_survive_it(clock: Clock) -> None:
    queue = TaskQueue(max_deaths=3, clock=clock)
    tell(queue, [clip(name) for name in "abc"])
    ended: list[tuple[str, Status]] = []
    for number in range(20):
        worker = f"w{number}"
        lent = ids(queue, worker, 9)
        if "b" in lent:
            ledger = tell(queue, dead=[worker])
        else:
            queue.serve(worker, (), [outcome(name) for name in lent], 0)
            ledger = tell(queue)
        ended += [(o.clip_id, o.status) for o in ledger.outcomes if o.is_final]
    assert sorted(ended) == [("a", Status.SPOKEN), ("b", Status.FAILED), ("c", Status.SPOKEN)]


def test_a_clip_that_kills_worker_after_worker_is_given_up(queue: TaskQueue) -> None:
    for number in range(3):
        assert ids(queue, f"w{number}") == ["a"]
        ledger = tell(queue, dead=[f"w{number}"])
    assert [(o.clip_id, o.status, o.error_kind) for o in ledger.outcomes] == [("a", Status.FAILED, "worker_died")]
    assert ids(queue, "w9") == ["b"]


def test_a_closed_queue_lends_nothing_and_says_so_but_still_takes_reports(queue: TaskQueue) -> None:
    ids(queue, "w")
    tell(queue, close=True)
    loans = queue.serve("w", (), [outcome("a")], 1)
    assert loans.closed
    assert not loans.clips
    assert len(tell(queue).outcomes) == 1


SHORT_TO_LONG = [clip(name, 10 * number) for number, name in enumerate("abcdefghij", 1)]


def test_as_long_as_more_is_to_come_clips_are_lent_in_order(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, SHORT_TO_LONG)
    assert ids(queue, "w", 3) == ["a", "b", "c"]


def test_in_the_last_three_rounds_the_longest_go_first_and_those_before_them_in_order(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, SHORT_TO_LONG, last=True)
    assert lent_one_by_one(queue, places=2) == list("abcd") + list("jihgfe")


def test_clips_as_long_as_each_other_stay_in_order(queue: TaskQueue) -> None:
    tell(queue, last=True)
    assert ids(queue, "w", 9) == ["a", "b", "c", "d"]


def test_what_comes_back_towards_the_end_is_lent_before_the_longest(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, SHORT_TO_LONG)
    assert ids(queue, "w", 3) == ["a", "b", "c"]
    ids(queue, "w", 0, holding=("a", "c"))
    tell(queue, last=True)
    assert ids(queue, "w", 3, holding=("a", "c")) == ["b", "j", "i"]
    ids(queue, "w", 0, holding=("a", "b", "c", "j"))
    assert ids(queue, "w", 2, holding=("a", "b", "c", "j")) == ["i", "h"]


def test_a_suspect_is_lent_alone_towards_the_end_too(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, SHORT_TO_LONG, last=True)
    for worker in "v", "w":
        assert ids(queue, worker, 5) == ["j", "i", "h", "g", "f"]
        tell(queue, dead=[worker], last=True)
    assert [ids(queue, f"w{n}", 9) for n in range(6)] == [["j"], ["i"], ["h"], ["g"], ["f"], ["e", "d", "c", "b", "a"]]


def test_what_is_mended_after_the_last_is_sorted_in_with_what_waits(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, SHORT_TO_LONG[:4], last=True)
    assert ids(queue, "w", 1) == ["a"], "four is more than three rounds of one"
    tell(queue, [clip("mended", 25)], last=True)
    assert ids(queue, "v", 9) == ["d", "c", "mended", "b"]


def lent_one_by_one(queue: TaskQueue, places: int) -> list[str]:
    """The order of lending to a worker that asks for one more whenever one has ended."""
    holding = ids(queue, "w", places)
    lent = list(holding)
    while holding:
        ended = holding.pop(0)
        loans = queue.serve("w", holding, [outcome(ended)], 1)
        holding += [loan.id for loan in loans.clips]
        lent += [loan.id for loan in loans.clips]
    return lent


def end_of(latencies: Sequence[float], places: int) -> float:
    """When the last ends, if whatever place is free first takes the next."""
    free = [0.0] * places
    for latency in latencies:
        heapq.heappush(free, heapq.heappop(free) + latency)
    return max(free)


@pytest.mark.parametrize("places", [3, 5, 10])
def test_three_rounds_of_longest_first_come_as_near_to_the_ideal_as_all_would(places: int, clock: Clock) -> None:
    """Simulated runs of 300 chunks, latency by length and by chance. Less would not do, more gains less than 1 %."""
    chance = random.Random(places)
    ends: dict[str, list[float]] = {"order": [], "tail": [], "all": []}
    for _ in range(40):
        lengths = [chance.randint(100, 400) for _ in range(300)]
        latency = {str(n): (0.3 + 0.01 * c) * chance.lognormvariate(0, 0.2) for n, c in enumerate(lengths)}
        ideal = max(sum(latency.values()) / places, *latency.values())
        queue = TaskQueue(clock=clock)
        tell(queue, [clip(str(n), c) for n, c in enumerate(lengths)], last=True)
        lent = lent_one_by_one(queue, places)
        assert sorted(lent, key=int) == list(latency)
        in_order = 300 - TAIL_ROUNDS * places
        assert lent[:in_order] == list(latency)[:in_order]
        whole = sorted(latency, key=lambda name: -lengths[int(name)])
        for name, order in (("order", list(latency)), ("tail", lent), ("all", whole)):
            ends[name].append(end_of([latency[n] for n in order], places) / ideal)
    mean = {name: sum(values) / len(values) for name, values in ends.items()}
    assert mean["tail"] < 1 + 0.6 * (mean["order"] - 1)
    assert mean["tail"] < mean["all"] + 0.01


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_clip_ends_exactly_once(seed: int) -> None:
    chance, clock = random.Random(seed), Clock()
    queue = TaskQueue(lease_s=10, max_deaths=10**9, clock=clock)
    todo = [clip(str(n), chance.randint(1, 9)) for n in range(50)]
    holding: dict[str, set[str]] = {"w1": set(), "w2": set(), "w3": set()}
    ended: dict[str, int] = {}
    for _ in range(3000):
        clock.now += chance.uniform(0, 3)
        worker = chance.choice(sorted(holding))
        action = chance.random()
        dead: list[str] = []
        if action < 0.1:
            del holding[worker]
            dead, holding[f"{worker}+"] = [worker], set()
        elif action < 0.8:
            done = [name for name in sorted(holding[worker]) if chance.random() < 0.5]
            holding[worker].difference_update(done)
            loans = queue.serve(worker, sorted(holding[worker]), [outcome(name) for name in done], 2)
            holding[worker].update(lent.id for lent in loans.clips)
        more = [todo.pop() for _ in range(min(2, len(todo)))]
        for o in tell(queue, more, dead, last=not todo).outcomes:
            ended[o.clip_id] = ended.get(o.clip_id, 0) + o.is_final
    assert sorted(ended, key=int) == [str(n) for n in range(50)]
    assert tell(queue).lent == 0


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_only_poison_is_given_up_and_nothing_starves(seed: int) -> None:
    """Whoever holds poison dies at its next action; others stall, lose their leases, and report late."""
    chance, clock = random.Random(seed), Clock()
    queue = TaskQueue(lease_s=10, max_deaths=3, clock=clock)
    poison = {"7", "8", "23"}
    todo = [clip(str(n), chance.randint(1, 9)) for n in range(50)]
    holding: dict[str, set[str]] = {"w1": set(), "w2": set(), "w3": set()}
    ended: dict[str, set[Status]] = {}
    for _ in range(3000):
        clock.now += chance.uniform(0, 3)
        worker = chance.choice(sorted(holding))
        dead: list[str] = []
        if holding[worker] & poison:
            del holding[worker]
            dead, holding[f"{worker}+"] = [worker], set()
        elif chance.random() < 0.8:
            done = [name for name in sorted(holding[worker]) if chance.random() < 0.5]
            holding[worker].difference_update(done)
            want = 4 - len(holding[worker])
            loans = queue.serve(worker, sorted(holding[worker]), [outcome(name) for name in done], want)
            holding[worker].update(lent.id for lent in loans.clips)
        more = [todo.pop() for _ in range(min(2, len(todo)))]
        for o in tell(queue, more, dead, last=not todo).outcomes:
            if o.is_final:
                ended.setdefault(o.clip_id, set()).add(o.status)
    assert ended == {str(n): {Status.FAILED if str(n) in poison else Status.SPOKEN} for n in range(50)}
    assert tell(queue).lent == 0


def test_outcomes_are_kept_until_the_driver_says_that_it_has_them(queue: TaskQueue) -> None:
    ids(queue, "w", 2)
    queue.serve("w", ("b",), [outcome("a")], 0)
    first = queue.exchange()
    assert [o.clip_id for o in first.outcomes] == ["a"]
    assert queue.exchange().outcomes == first.outcomes, "the answer may have been lost on its way"
    assert queue.serve("w", ("b",), (), 0).kept == 0
    assert not queue.exchange(Orders(had=first.had)).outcomes
    assert queue.serve("w", ("b",), (), 0).kept == 1


def test_an_outcome_that_is_told_twice_counts_once_and_a_gap_is_asked_for(queue: TaskQueue) -> None:
    ids(queue, "w", 3)
    told = [outcome("a"), outcome("b"), outcome("c")]
    assert queue.serve("w", (), told[:2], 0, first=0).next == 2
    assert queue.serve("w", (), told, 0, first=0).next == 3
    assert [o.clip_id for o in tell(queue).outcomes] == ["a", "b", "c"]
    loans = queue.serve("w", (), [outcome("d")], 9, first=7)
    assert (loans.next, loans.clips) == (3, ()), "nothing is taken, nor lent, before the rest was heard"


def test_a_queue_that_nobody_has_told_anything_takes_nothing_and_lends_nothing() -> None:
    new = TaskQueue()
    assert new.serve("w", ("a",), [outcome("b")], 5, first=4) == Loans(next=4)
    assert new.exchange(Orders([clip("a")], queue="another")).queue == new.name
    assert new.serve("w", (), (), 5, first=4).clips == ()


def test_a_new_queue_lends_nothing_until_the_workers_have_said_what_they_hold(clock: Clock) -> None:
    new = TaskQueue(clock=clock)
    new.resume(Orders([clip(name) for name in "abcd"], had={"w1": 3}, queue=new.name), ["w1", "w2", "w3"])
    assert new.serve("w1", ("a",), (), 5, first=3) == Loans(next=3, kept=3)
    assert new.exchange(Orders(lost=["w3"], queue=new.name)).lent == 2, "what w1 holds, and what w2 may hold"
    loans = new.serve("w2", (), [outcome("b", Status.FAILED)], 5, first=0)
    assert [each.id for each in loans.clips] == ["c", "d"]
    assert [(o.clip_id, o.status) for o in tell(new).outcomes] == [("b", Status.FAILED)], "it was theirs to give up"


def test_a_new_queue_waits_for_silent_workers_no_longer_than_fifteen_seconds(clock: Clock) -> None:
    new = TaskQueue(clock=clock)
    new.resume(Orders([clip("a")], queue=new.name), ["silent"])
    assert ids(new, "w") == []
    clock.now = 15.0
    tell(new)
    assert ids(new, "w") == ["a"]


def test_a_call_that_a_worker_made_before_it_died_is_lent_nothing_and_what_it_tells_is_taken(queue: TaskQueue) -> None:
    ids(queue, "w")
    tell(queue, dead=["w"])
    assert queue.serve("w", ("a",), [outcome("b")], 5).clips == ()
    assert tell(queue).lent == 0
    assert ids(queue, "v", 9) == ["a", "c", "d"]


def test_what_somebody_has_died_with_is_not_taken_for_held_by_a_worker_that_comes_back_late(
    queue: TaskQueue, clock: Clock
) -> None:
    assert ids(queue, "late", 2) == ["a", "b"]
    clock.now = 60.0
    assert ids(queue, "v") == ["a"]
    tell(queue, dead=["v"])
    assert ids(queue, "late", 0, holding=("a", "b")) == []
    assert ids(queue, "u", 9) == ["a", "c", "d"], "the late one holds nothing but b"


def test_nothing_is_lent_while_the_driver_is_silent_and_all_again_once_it_is_heard(clock: Clock) -> None:
    queue = TaskQueue(clock=clock)
    tell(queue, [clip(name) for name in "abc"])
    assert ids(queue, "w") == ["a"]
    clock.now = 15.0
    assert ids(queue, "w", 5, holding=("a",)) == []
    tell(queue)
    assert ids(queue, "w", 5, holding=("a",)) == ["b", "c"]
