"""Signals are heard by a thread, for the main one may be busy; and what is said at the end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from cluster_tts import watched
from cluster_tts.cli import _print_ended
from cluster_tts.display import PlainConsole
from cluster_tts.watched import AT_ONCE, heard, heeded

BUSY = """
import os, signal, time
from cluster_tts.watched import heard
with heard(lambda: print("first", flush=True), lambda: (print("second", flush=True), os._exit(75))):
    print("ready", flush=True)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        sum(range(10_000_000))  # one call of C, during which no Python handler runs
"""


def test_the_first_and_the_others_are_told_apart_and_handlers_come_back() -> None:
    told: list[str] = []
    news = threading.Event()

    def note(what: str) -> None:
        told.append(what)
        news.set()

    before = {number: signal.getsignal(number) for number in heeded()}
    with heard(lambda: note("first"), lambda: note("other")):
        for number, expected in (
            (signal.SIGTERM, ["first"]),
            (signal.SIGINT, ["first", "other"]),
            (signal.SIGINT, ["first", "other", "other"]),
        ):
            os.kill(os.getpid(), number)
            assert news.wait(10)
            news.clear()
            assert told == expected
    assert {number: signal.getsignal(number) for number in heeded()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_after_any_signal_is_heard_while_the_main_thread_is_busy(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "ready\n"
        busy.send_signal(number)
        assert busy.stdout.readline() == "first\n"
        begun = time.monotonic()
        busy.send_signal(signal.SIGINT)
        assert busy.stdout.readline() == "second\n"
        assert busy.wait(10) == 75
        assert time.monotonic() - begun < 10, "not when the main thread is done"


@pytest.fixture
def hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_closed_ends_a_run_but_not_under_nohup(
    hangup: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert heeded() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert heeded() == [signal.SIGINT, signal.SIGTERM]
    monkeypatch.delattr(signal, "SIGHUP")
    assert heeded() == [signal.SIGINT, signal.SIGTERM]
    monkeypatch.undo()


@pytest.mark.parametrize("as_json", [True, False])
def test_whoever_is_ended_at_once_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    watched._end(PlainConsole(stderr=True), _print_ended if as_json else None)
    out, err = capsys.readouterr()
    assert (set(codes), err) == ({75}, f"{AT_ONCE}\n")
    if as_json:
        assert json.loads(out) == {"status": "interrupted", "exit_code": 75, "message": AT_ONCE}
    else:
        assert out == ""


def test_a_terminal_that_is_gone_does_not_keep_a_run_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(PlainConsole):
        def say(self, text: str) -> None:
            raise OSError(5, "Input/output error")

        def show_cursor(self, show: bool = True) -> bool:
            raise OSError(5, "Input/output error")

    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    console = Gone(stderr=True)
    watched._end(console, None)
    assert (set(codes), console.quiet) == ({75}, True)
