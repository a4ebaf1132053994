"""Where documents are joined, and what becomes of a joining whose machine goes: decided by us, carried by Ray."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

import ray

from cluster_tts.cluster import joins, nodes
from cluster_tts.cluster.joins import MOST_DEATHS, Joiners
from cluster_tts.cluster.session import Session
from cluster_tts.errors import DocumentError
from cluster_tts.joining import JoinOrder

ORDER = cast(JoinOrder, SimpleNamespace(document="book"))


class Machines:
    """A cluster of which nothing is real but the names; ``begun`` has each joining's node and its result to come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **cores: int) -> None:
        self.cores = cores
        self.draining: frozenset[str] = frozenset()
        self.begun: list[tuple[str, asyncio.Future[Any]]] = []
        self.cancelled: list[asyncio.Future[Any]] = []
        self._node = ""
        monkeypatch.setattr(joins, "join_remotely", self)
        monkeypatch.setattr(joins, "LOOK_S", 0.01)
        monkeypatch.setattr(joins, "PAUSE_S", 0.0)
        monkeypatch.setattr(nodes, "cores", lambda: dict(self.cores))
        monkeypatch.setattr(nodes, "draining", lambda: self.draining)
        monkeypatch.setattr(ray, "cancel", lambda reference, force: self.cancelled.append(reference))

    def options(self, *, label_selector: dict[str, str], **others: Any) -> "Machines":
        self._node = label_selector["ray.io/node-id"]
        return self

    def remote(self, order: JoinOrder) -> "asyncio.Future[Any]":
        self.begun.append((self._node, asyncio.get_running_loop().create_future()))
        return self.begun[-1][1]

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.begun) < count:  # noqa: ASYNC110 - what is waited for happens in another task
                await asyncio.sleep(0)


async def test_a_document_is_joined_where_the_least_is_being_joined_for_the_size_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines = Machines(monkeypatch, large=4, small=1)
    joiners = Joiners()
    waiting = [asyncio.create_task(joiners.join(ORDER)) for _ in range(5)]
    await machines.wait_for(5)
    assert sorted(node for node, _ in machines.begun) == ["large"] * 4 + ["small"]
    for _, result in machines.begun:
        result.set_result("joined")
    assert await asyncio.gather(*waiting) == ["joined"] * 5
    for _ in range(2):
        again = asyncio.create_task(joiners.join(ORDER))
        await machines.wait_for(len(machines.begun) + 1)
        machines.begun[-1][1].set_result("joined")
        await again
    assert "small" in [node for node, _ in machines.begun[5:]], "one after the other takes its turn too"


async def test_no_machine_that_is_about_to_go_or_does_not_see_the_folders_is_given_a_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines = Machines(monkeypatch, blind=8, going=8, seeing=1, unknown=8)
    machines.draining = frozenset({"going"})
    joiners = Joiners(lambda: {"going", "seeing", "gone long ago"})
    waiting = [asyncio.create_task(joiners.join(ORDER)) for _ in range(3)]
    await machines.wait_for(3)
    assert {node for node, _ in machines.begun} == {"seeing"}
    for _, result in machines.begun:
        result.set_result("joined")
    await asyncio.gather(*waiting)


async def test_a_joining_whose_machine_goes_is_given_up_and_begun_on_another_however_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = MOST_DEATHS + 2
    machines = Machines(monkeypatch, **{f"node-{number}": 1 for number in range(times + 1)})
    task = asyncio.create_task(Joiners().join(ORDER))
    for number in range(times):
        await machines.wait_for(number + 1)
        del machines.cores[machines.begun[-1][0]]
    await machines.wait_for(times + 1)
    machines.begun[-1][1].set_result("joined")
    assert await task == "joined"
    assert len({node for node, _ in machines.begun}) == times + 1
    assert len(machines.cancelled) == times, "whatever Ray may still make of it"


async def test_a_machine_that_goes_just_as_it_is_chosen_is_not_counted_either(monkeypatch: pytest.MonkeyPatch) -> None:
    times = MOST_DEATHS + 2
    machines = Machines(monkeypatch, **{f"node-{number}": 1 for number in range(times + 1)})
    task = asyncio.create_task(Joiners().join(ORDER))
    for number in range(times):
        await machines.wait_for(number + 1)
        node, result = machines.begun[-1]
        del machines.cores[node]
        result.set_exception(ray.exceptions.TaskUnschedulableError("the node does not exist any more"))
    await machines.wait_for(times + 1)
    machines.begun[-1][1].set_result("joined")
    assert await task == "joined"


async def test_a_document_that_ends_the_process_that_joins_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(monkeypatch, only=1)
    task = asyncio.create_task(Joiners().join(ORDER))
    for number in range(MOST_DEATHS + 1):
        await machines.wait_for(number + 1)
        machines.begun[-1][1].set_exception(ray.exceptions.WorkerCrashedError())
    with pytest.raises(DocumentError, match=rf"joining 'book' ended its process {MOST_DEATHS + 1} times"):
        await task


async def test_who_no_longer_waits_for_a_joining_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(monkeypatch, only=1)
    task = asyncio.create_task(Joiners().join(ORDER))
    await machines.wait_for(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(machines.cancelled) == 1


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
async def test_what_ray_says_of_a_machine_that_is_gone_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(order: JoinOrder) -> str:
        return f"joined {order.document}"

    session = Session(None)
    session.open()
    try:
        answers = iter([{"0" * 56: 8}])  # a node that Ray does not know, or not any more
        there = nodes.cores
        monkeypatch.setattr(nodes, "cores", lambda: next(answers, None) or there())
        monkeypatch.setattr(joins, "join_remotely", ray.remote(join))
        assert await Joiners().join(ORDER) == "joined book"
        assert next(answers, None) is None
    finally:
        session.close()
