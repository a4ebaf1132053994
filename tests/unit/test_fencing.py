"""Fences over a real folder, in a time of the tests' own."""

import asyncio
import pickle
from pathlib import Path

import pytest

from cluster_tts.claims import SILENT_S, TRUST_S, Owner, State
from cluster_tts.errors import Interrupted
from cluster_tts.fencing import Badge, Fence, Machine, at_work
from cluster_tts.manifest import Manifest
from cluster_tts.storage import LocalFolder


class Bench(Machine):
    """A machine whose time stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.time = self.asleep = 0.0
        self.dead: set[str] = set()
        self.who = ""

    def owner(self) -> Owner:
        return Owner(1, "", self.who, "")

    def is_dead(self, owner: Owner) -> bool:
        return owner.host in self.dead

    def now(self) -> float:
        return self.time

    def slept(self) -> float:
        return self.time + self.asleep


@pytest.fixture
def bench() -> Bench:
    return Bench()


def fence(out: Path, bench: Bench, name: str) -> Fence:
    bench.who = name
    return Fence(LocalFolder(out), name, Manifest(LocalFolder(out) / "manifest").newest_term, bench)


def owner(out: Path, bench: Bench, name: str) -> Fence:
    one = fence(out, bench, name)
    assert one.try_once()
    return one


def names(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "manifest/claims").iterdir())


def test_terms_grow_from_run_to_run_also_over_what_tables_carry_in_their_names(tmp_path: Path, bench: Bench) -> None:
    first = owner(tmp_path, bench, "a")
    first.release()
    assert first.term == 1
    (tmp_path / "manifest/documents-000041.parquet").touch()
    second = owner(tmp_path, bench, "b")
    assert second.term == 42
    assert names(tmp_path) == ["b.000042.json"]


def test_nothing_may_be_written_before_out_is_owned_and_after_it_was_lost(tmp_path: Path, bench: Bench) -> None:
    first, second = fence(tmp_path, bench, "a"), fence(tmp_path, bench, "b")
    with pytest.raises(Interrupted, match="belongs to another run"):
        second.check()
    assert first.try_once()
    assert not second.try_once()
    with pytest.raises(Interrupted, match="belongs to another run"):
        second.check()
    bench.time += SILENT_S
    assert second.try_once()
    with pytest.raises(Interrupted, match=r"another run \(pid 1 on host b, .*\) has taken over") as lost:
        first.check()
    assert lost.value.exit_code == 75
    assert first.error is lost.value
    first.release()
    second.check()
    assert names(tmp_path) == ["b.000002.json"]


def test_a_fresh_owner_asks_storage_nothing(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one = owner(tmp_path, bench, "a")
    bench.time += TRUST_S - 0.1
    monkeypatch.setattr(LocalFolder, "files", None)
    one.check()
    bench.time += 0.2
    with pytest.raises(TypeError):
        one.check()


def test_a_machine_that_was_suspended_looks_again_though_its_clock_stood_still(tmp_path: Path, bench: Bench) -> None:
    first = owner(tmp_path, bench, "a")
    bench.dead = {"a"}  # as others would think
    owner(tmp_path, bench, "b")
    first.check()  # for so long it was promised
    bench.asleep += 3600
    with pytest.raises(Interrupted):
        first.check()


def test_a_dead_owner_is_followed_at_once(tmp_path: Path, bench: Bench) -> None:
    owner(tmp_path, bench, "a")
    second = fence(tmp_path, bench, "b")
    assert not second.try_once()
    bench.dead.add("a")
    assert second.try_once()


def test_whether_a_run_is_at_work_is_told_by_claims_that_have_not_ended_of_processes_that_have_not(
    tmp_path: Path, bench: Bench
) -> None:
    assert not at_work(LocalFolder(tmp_path), bench), "nobody ever was"
    one = owner(tmp_path, bench, "a")
    assert at_work(LocalFolder(tmp_path), bench)
    one.release()
    assert not at_work(LocalFolder(tmp_path), bench)
    owner(tmp_path, bench, "b")
    bench.dead = {"b"}
    assert not at_work(LocalFolder(tmp_path), bench)


def test_a_badge_that_was_sent_knows_who_owns_out(tmp_path: Path, bench: Bench) -> None:
    first = owner(tmp_path, bench, "a")
    badge: Badge = pickle.loads(pickle.dumps(first.badge))
    badge.check()
    bench.dead.add("a")
    second = owner(tmp_path, bench, "b")
    with pytest.raises(Interrupted, match="taken over"):
        badge.check()
    second.release()
    with pytest.raises(Interrupted, match="taken over"):
        badge.check()  # also when that has ended


def test_who_never_owned_leaves_nothing(tmp_path: Path, bench: Bench) -> None:
    owner(tmp_path, bench, "a")
    second = fence(tmp_path, bench, "b")
    assert second.step() is State.WAITS
    second.release()
    assert names(tmp_path) == ["a.000001.json"]
    assert second.step() is State.WAITS  # a step that was under way in a thread
    assert names(tmp_path) == ["a.000001.json"]
    fence(tmp_path / "other", bench, "c").release()
    assert not (tmp_path / "other").exists()


def test_waiting_is_told_once_and_ends_with_a_signal(tmp_path: Path, bench: Bench) -> None:
    owner(tmp_path, bench, "a")
    second, stop, told = fence(tmp_path, bench, "b"), asyncio.Event(), list[str]()

    def tell(line: str) -> None:
        told.append(line)
        stop.set()

    with pytest.raises(Interrupted, match="stopped while another run") as stopped:
        asyncio.run(second.take(stop, tell, lambda: None))
    assert stopped.value.exit_code == 75
    assert len(told) == 1
    assert told[0].startswith("another run (pid 1 on host a, since ")
    assert f"works on '{tmp_path}': waiting; it is taken over once it has been silent for 30 s" in told[0]
