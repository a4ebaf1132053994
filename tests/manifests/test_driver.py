"""What a preStop hook calls: it asks the runs of a pod to stop, once each, and waits until they have."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster_tts.watched import STOPPING
from tests.manifests.rendering import K8S

DRIVER = K8S / "image" / "driver.py"

RUN = """\
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("begun", flush=True)
while True:
    signal.sigwait([signal.SIGTERM])
    print("asked", file=sys.stderr if "--log" in sys.argv else sys.stdout, flush=True)
    if sys.stdin.readline() == "end\\n":
        break
"""

Start = Callable[..., subprocess.Popen[str]]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which Linux has")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """What a pod sees of /proc: the processes of the test alone, not those of the machine."""
    folder = tmp_path / "proc"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, proc: Path) -> Iterator[Start]:
    """Start a program of the given name and words that ends, once it was asked to, when it reads so."""
    with ExitStack() as stack:

        def started(name: str, *words: str, **options: object) -> subprocess.Popen[str]:
            program = tmp_path / name
            program.write_text(RUN)
            command = [sys.executable, "-u", str(program), *words]
            running = stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    **options,  # type: ignore[call-overload]
                )
            )
            stack.callback(running.kill)
            assert running.stdout.readline() == "begun\n"
            (proc / str(running.pid)).symlink_to(f"/proc/{running.pid}")
            return running

        yield started


@pytest.fixture
def called(proc: Path) -> Iterator[Start]:
    """Call the script, as the hook or the probe does."""
    with ExitStack() as stack:

        def call(what: str, within_s: float = 20) -> subprocess.Popen[str]:
            command = [sys.executable, str(DRIVER), what, "--within", str(within_s), "--proc", str(proc)]
            return stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))

        yield call


def said(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline()


def end(running: subprocess.Popen[str]) -> None:
    assert running.stdin is not None
    running.stdin.write("end\n")
    running.stdin.flush()


@pytest.mark.parametrize("words", [("synthesize.py", "texts"), ("cluster-tts", "run", "texts")])
def test_it_asks_a_run_to_stop_and_waits_until_it_has(called: Start, start: Start, words: tuple[str, ...]) -> None:
    running = start(*words)
    hook = called("stop")
    assert said(running) == "asked\n"
    assert (hook.poll(), running.poll()) == (None, None), "it waits as long as the run is there"
    end(running)
    _, told = hook.communicate(timeout=20)
    assert (hook.returncode, told) == (0, "")


def test_every_run_is_asked_and_others_are_left_alone(called: Start, start: Start) -> None:
    runs = [start("synthesize.py", "a"), start("cluster-tts", "run", "b")]
    others = [start("cluster-tts", "status", "out"), start("other.py", "synthesize.py")]
    hook = called("stop")
    for running in runs:
        assert said(running) == "asked\n"
        end(running)
    assert hook.wait(20) == 0
    assert [other.poll() for other in others] == [None, None]
    for other in others:
        other.send_signal(signal.SIGTERM)
        assert said(other) == "asked\n", "this is the first signal that it hears"


def test_a_run_that_does_not_end_is_named_and_not_waited_for_any_longer(called: Start, start: Start) -> None:
    running = start("synthesize.py")
    hook = called("stop", within_s=0.3)
    _, told = hook.communicate(timeout=20)
    assert hook.returncode == 1
    assert told == f"driver.py: [{running.pid}] did not end within 0.3 s; the same command continues them\n"
    assert running.poll() is None


def test_a_run_that_is_stopping_already_is_not_asked_twice(called: Start, start: Start, tmp_path: Path) -> None:
    """``ray job stop`` has sent the first SIGTERM; a run hears no second one, and nobody should send it."""
    log = tmp_path / "job-driver.log"
    with log.open("w") as file:
        file.write(f"cluster-tts: {STOPPING}\n")
        file.flush()
        running = start("synthesize.py", "--log", stderr=file)
    hook = called("stop", within_s=0.5)
    assert hook.wait(20) == 1, "it has waited, in vain"
    assert "asked" not in log.read_text()
    running.send_signal(signal.SIGTERM)
    end(running)
    assert running.wait(20) == 0
    assert "asked" in log.read_text(), "nobody had asked before"


def test_nothing_is_waited_for_where_no_run_is(called: Start, proc: Path) -> None:
    (proc / "self").mkdir()
    (proc / "999999999").mkdir()
    hook = called("stop")
    assert hook.wait(20) == 0
    health = called("healthy")
    assert health.communicate(timeout=20)[1] == "driver.py: there is no run\n"
    assert health.returncode == 1


@pytest.mark.parametrize(("silent", "verdict"), [(timedelta(seconds=5), 0), (timedelta(hours=1), 1)])
def test_a_run_is_healthy_while_it_gives_signs_of_life(
    called: Start, start: Start, tmp_path: Path, silent: timedelta, verdict: int
) -> None:
    heartbeat = (datetime.now(UTC) - silent).isoformat(timespec="milliseconds")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text(json.dumps({"heartbeat": heartbeat}))
    start("cluster-tts", "run", "texts", "--out", str(tmp_path / "out"))
    health = called("healthy")
    _, told = health.communicate(timeout=20)
    assert health.returncode == verdict, told
    assert ("has not heard from" in told) == bool(verdict)


def test_a_run_that_writes_to_a_url_or_has_just_begun_is_healthy_and_a_halted_one_is_not(
    called: Start, start: Start, tmp_path: Path
) -> None:
    running = start("synthesize.py", "texts", f"--out={tmp_path}/new")
    start("cluster-tts", "run", "texts", "--out", "s3://bucket/audio")
    assert called("healthy").wait(20) == 0
    running.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
    health = called("healthy")
    assert health.communicate(timeout=20)[1] == f"driver.py: {running.pid} is stopped\n"
    assert health.returncode == 1
