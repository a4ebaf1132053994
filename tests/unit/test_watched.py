"""Signals are heard by a thread: the main one may be busy."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cluster_tts.watched import heard, heeded

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
        for expected in (["first"], ["first", "other"], ["first", "other", "other"]):
            os.kill(os.getpid(), signal.SIGTERM)
            assert news.wait(10)
            news.clear()
            assert told == expected
    assert {number: signal.getsignal(number) for number in heeded()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_is_heard_while_the_main_thread_is_busy(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "ready\n"
        busy.send_signal(number)
        assert busy.stdout.readline() == "first\n"
        begun = time.monotonic()
        busy.send_signal(number)
        assert busy.stdout.readline() == "second\n"
        assert busy.wait(10) == 75
        assert time.monotonic() - begun < 10, "not when the main thread is done"
