"""The account's state file: what limiters on one machine, and one after another, know of each other."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster_tts.errors import JobError
from cluster_tts.limiter import locks, state_file
from cluster_tts.limiter.liveness import Process
from cluster_tts.limiter.state_file import AccountFile, Busy, Mine, Unlockable, file_name, state_folder

SPAN_S = 60.1


class Wall:
    def __init__(self) -> None:
        self.now = 1_700_000_000.05

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def party(tmp_path: Path, wall: Wall) -> Callable[[str], AccountFile]:
    return lambda name: AccountFile(tmp_path / "accounts", "openai 0123456789ab", name, wall)


Party = Callable[[str], AccountFile]


def killed(file: AccountFile) -> None:
    """From now on it looks as if the process that wrote the entry had died."""
    content = json.loads(file.path.read_text())
    content["parties"][file._me]["process"]["start"] = "another process has this pid now"
    file.path.write_text(json.dumps(content))


def test_a_file_is_named_readably_and_by_its_account_alone() -> None:
    assert file_name("openai https://x/v1 0123456789ab").startswith("openai-https-x-v1-0123456789ab-")
    assert file_name("a/b") != file_name("a:b")
    assert "/" not in file_name("../../etc")


def test_the_state_folder_is_the_platforms_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_TTS_STATE_DIR", "/somewhere")
    assert state_folder() == Path("/somewhere/accounts")
    monkeypatch.delenv("CLUSTER_TTS_STATE_DIR")
    assert state_folder().parts[-2:] == ("cluster_tts", "accounts")


def test_the_first_finds_nothing_and_the_second_finds_the_first(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    assert first.open(SPAN_S) == state_file.Shared()
    wall.now += 1
    shared = second.open(SPAN_S)
    (seen,) = shared.parties
    assert (seen.id, seen.seen_me, seen.among, seen.alike, shared.older) == ("a", False, 1, False, 1)
    (seen,) = first.exchange(Mine()).parties
    assert (seen.id, seen.seen_me, seen.among, seen.alike) == ("b", True, 2, True)


def test_a_party_says_that_it_reckons_with_a_newcomer_only_once_it_knew_of_it(party: Party) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    second.open(SPAN_S)
    first.exchange(Mine())  # what it sent before this answer, it sent without knowing
    assert not second.exchange(Mine()).parties[0].seen_me
    first.exchange(Mine())
    assert second.exchange(Mine()).parties[0].seen_me


def test_what_was_sent_is_told_in_bins_that_never_make_it_older(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    second.open(SPAN_S)
    first.exchange(Mine([(0.0, 1, 10), (3.01, 1, 20), (3.02, 2, 30), (70.0, 5, 5)], {"w1": 2, "w2": 1}, waiting=True))
    wall.now += 1
    (seen,) = second.exchange(Mine()).parties
    ages = [age for age, _, _ in seen.log]
    assert [entry[1:] for entry in seen.log] == [(3, 50), (1, 10)]
    assert 3.9 <= ages[0] <= 4.02
    assert 0.9 <= ages[1] <= 1.0
    assert (seen.held, seen.places, seen.waiting) == (3, {"w1": 2, "w2": 1}, True)
    assert seen.age_s == pytest.approx(1)


def test_a_party_that_ended_in_good_order_leaves_its_log_and_nothing_unknown(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    first.close(Mine([(5.0, 4, 400)]))
    wall.now += 10
    shared = second.open(SPAN_S)
    assert (shared.parties, shared.unwritten, shared.lost, shared.older) == ((), None, (), 0)
    assert [entry[1:] for entry in shared.gone] == [(4, 400)]
    wall.now += 60
    assert second.exchange(Mine()).gone == ()
    assert "a" not in json.loads(second.path.read_text())["parties"]


def test_a_killed_party_leaves_its_log_and_when_that_ends(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    first.exchange(Mine([(5.0, 4, 400)]))
    killed(first)
    wall.now += 10
    shared = second.open(SPAN_S)
    assert shared.parties == ()
    assert shared.unwritten == pytest.approx(10)
    assert [(view.id, view.among) for view in shared.lost] == [("a", 1)]
    assert [entry[1:] for entry in shared.gone] == [(4, 400)]
    wall.now += SPAN_S
    assert second.exchange(Mine()).unwritten is None


def test_a_party_elsewhere_lives_while_it_writes(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first._process = Process(1, "", "another machine", "another boot")
    first.open(SPAN_S)
    wall.now += 29
    assert [view.id for view in second.open(SPAN_S).parties] == ["a"]
    wall.now += 2
    shared = second.exchange(Mine())
    assert (shared.parties, shared.unwritten) == ((), pytest.approx(31))


def test_what_was_learned_last_is_what_everybody_knows(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    second.open(SPAN_S)
    first.exchange(Mine(learned={"burst": 10, "max_concurrent_requests": 5}))
    assert second.exchange(Mine()).learned == {"burst": 10, "max_concurrent_requests": 5}
    second.exchange(Mine(learned={"burst": 8, "max_concurrent_requests": 5}))
    assert first.exchange(Mine(learned={"burst": 10})).learned["burst"] == 8, "saying it again is no news"
    first.close(Mine(learned={"burst": 8}))
    second.close(Mine())
    wall.now += 10**8
    assert party("c").open(SPAN_S).learned == {"burst": 8, "max_concurrent_requests": 5}


def test_what_a_run_spent_survives_its_limiter_for_a_day(party: Party, wall: Wall) -> None:
    first = party("a")
    first.open(SPAN_S)
    first.exchange(Mine(spent={"run": {"w1": (0.5, 100), "w2": (0.25, 50)}}))
    first.exchange(Mine(spent={"run": {"w1": (0.75, 150)}}))
    killed(first)
    second = party("b")
    assert second.open(SPAN_S).spent == {"run": {"w1": (0.75, 150), "w2": (0.25, 50)}}
    wall.now += 86_401
    assert second.exchange(Mine()).spent == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "program": "x"}', '{"version": "1"}', "\0" * 4096])
def test_a_damaged_file_counts_as_a_whole_window_used(
    text: str, party: Party, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    first = party("a")
    first.path.parent.mkdir(parents=True)
    first.path.write_text(text)
    with caplog.at_level(logging.WARNING):
        shared = first.open(SPAN_S)
    assert "is damaged" in caplog.text
    assert (shared.unwritten, [view.among for view in shared.lost]) == (0.0, [1])
    wall.now += SPAN_S + 2.1
    assert first.exchange(Mine()).unwritten is None


def test_a_file_of_a_newer_program_is_left_alone_and_told(party: Party) -> None:
    first = party("a")
    first.path.parent.mkdir(parents=True)
    first.path.write_text(newer := '{"version": 7, "program": "9.9", "anything": 1}')
    with pytest.raises(JobError, match=r"written by cluster_tts 9\.9.*update it") as raised:
        first.open(SPAN_S)
    assert raised.value.exit_code == 2
    assert first.path.read_text() == newer


def test_a_wall_clock_that_was_set_back_ages_what_was_written_from_now_on(party: Party, wall: Wall) -> None:
    first, second = party("a"), party("b")
    first.open(SPAN_S)
    first.close(Mine([(5.0, 4, 400)]))
    wall.now -= 3600
    assert second.open(SPAN_S).gone == ((0.0, 4, 400),)
    wall.now += 10
    assert second.exchange(Mine()).gone[0][0] == pytest.approx(10)


def test_a_long_window_is_told_in_a_thousand_bins(party: Party) -> None:
    first = party("a")
    first.open(3600.0)
    first.exchange(Mine([(age / 10, 1, 1) for age in range(36_000)]))
    log = json.loads(first.path.read_text())["parties"]["a"]["log"]
    assert len(log) <= 1001
    assert sum(entry[1] for entry in log) == 36_000


def no_locks(path: Path) -> None:
    raise locks.NoLocks(95, "Operation not supported")


def test_where_nothing_can_be_locked_the_first_runs_and_the_second_is_told(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "Lock", no_locks)
    first = party("a")
    first.open(SPAN_S)
    first.exchange(Mine())
    with pytest.raises(Unlockable, match=r"quota\.share.*CLUSTER_TTS_STATE_DIR"):
        party("b").open(SPAN_S)
    first.close(Mine())
    party("b").open(SPAN_S)


def full(path: Path) -> None:
    raise OSError(28, "No space left on device")


def test_where_nothing_can_be_written_a_run_alone_goes_on_and_one_of_two_is_told(
    party: Party, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = party("a"), party("b")
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "Lock", full)
        assert first.open(SPAN_S).parties == ()
        assert "cannot be written" in caplog.text
        assert first.exchange(Mine()).parties == ()
    first.exchange(Mine())
    second.open(SPAN_S)
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "Lock", full)
        with pytest.raises(Unlockable):
            party("c").open(SPAN_S)
        with pytest.raises(Busy):
            second.exchange(Mine())
        for _ in range(state_file.MOST_FAILED - 1):
            with pytest.raises(Busy):
                second.exchange(Mine())
        with pytest.raises(Unlockable):
            second.exchange(Mine())


CHILD = """
import sys, time
from pathlib import Path
from cluster_tts.limiter.state_file import AccountFile, Busy, Mine
file = AccountFile(Path(sys.argv[1]), "account", sys.argv[2])
file.open(60.1)
turn = 0
while turn < int(sys.argv[3]):
    try:
        file.exchange(Mine([(1.0, turn + 1, 1)]))
        turn += 1
    except Busy:  # on a busy machine, and tried again as a limiter does
        time.sleep(0.01)
print("ready", flush=True)
sys.stdin.readline()
"""
HOLDER = """
import sys
from pathlib import Path
from cluster_tts.limiter.locks import Lock
with Lock(Path(sys.argv[1])) as lock:
    print("ready", flush=True)
    sys.stdin.readline()
    lock.check()
"""


@contextmanager
def child(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has said "ready" and then waits for a line."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_a_process_killed_is_dead_at_once_before_anybody_has_waited_for_it(tmp_path: Path) -> None:
    file = AccountFile(tmp_path, "account", "me")
    with child(CHILD, tmp_path, "child", 3) as process:
        assert [view.id for view in file.open(60.1).parties] == ["child"]
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie until the block is left
        shared = file.exchange(Mine())
    assert shared.parties == ()
    assert shared.unwritten is not None
    assert [entry[1:] for entry in shared.gone] == [(3, 1)]


def test_processes_at_once_lose_none_of_each_others_entries(tmp_path: Path) -> None:
    file = AccountFile(tmp_path, "account", "me")
    file.open(60.1)
    many = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), name, "100"], stdin=subprocess.PIPE, stdout=-3)
        for name in ("one", "two", "three")
    ]
    try:
        last: dict[str, int] = {}
        while sum(last.values()) < 300:
            assert all(process.poll() is None for process in many)
            found = {view.id: sum(n for _, n, _ in view.log) for view in file.exchange(Mine()).parties}
            assert found.keys() >= last.keys(), "an entry was lost"
            assert all(found[name] >= had for name, had in last.items()), "an entry went back"
            last = found
    finally:
        for process in many:
            process.kill()
            process.communicate()


def test_a_lock_is_taken_from_a_process_that_was_stopped_with_it_and_it_notices(tmp_path: Path) -> None:
    file = AccountFile(tmp_path, "account", "me")
    with child(HOLDER, file.path.with_suffix(".lock")) as holder:
        holder.send_signal(signal.SIGSTOP)
        file.open(60.1)
        file.exchange(Mine())
        holder.send_signal(signal.SIGCONT)
        _, said = holder.communicate("\n")
    assert "its lock was taken by another process" in said


def test_a_stopped_process_keeps_its_part(tmp_path: Path) -> None:
    file = AccountFile(tmp_path, "account", "me")
    with child(CHILD, tmp_path, "child", 1) as process:
        process.send_signal(signal.SIGSTOP)
        assert [view.id for view in file.open(60.1).parties] == ["child"]
