"""A run with a person in front of it: how it goes on is shown, and signals end it in good order."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from cluster_tts.commands import RunOptions, run_job
from cluster_tts.display import PlainConsole
from cluster_tts.endings import Result
from cluster_tts.errors import EXIT_CONTINUE
from cluster_tts.job import Job
from cluster_tts.live import shown

STOPPING = "stopping: what is in flight may end; a second Ctrl-C ends at once"
AT_ONCE_S = 0.5  # a last word may take so long
AT_ONCE = "ended at once; run the same command again to continue"
Summary = Callable[[str, int], object]


def run_watched(job: Job, sources: Sequence[str], options: RunOptions, summary: Summary | None = None) -> Result:
    """Run with a display, stopping in good order on a first signal and at once on a later SIGINT; then ``summary``, if
    there is one, is given message and exit code, for machines."""

    async def watched() -> Result:
        stop, console = asyncio.Event(), PlainConsole(stderr=True)
        loop = asyncio.get_running_loop()

        def first() -> None:
            stop.set()
            _say(console, STOPPING)

        with heard(lambda: loop.call_soon_threadsafe(first), lambda: _end(console, summary)), shown(console) as watch:
            return await run_job(job, sources, stop, replace(options, watch=watch, tell=console.say))

    return asyncio.run(watched())


@contextmanager
def heard(first: Callable[[], object], others: Callable[[], object]) -> Iterator[None]:
    """Signals are heard as long as the block lasts: ``first`` is called for the first, ``others`` for a later SIGINT.

    By a thread of its own, for the event loop may be in the middle of a call that storage does not answer.
    """
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in heeded()}
    woken = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        tell = first
        while number := ear.recv(1):
            # Orchestrators send SIGTERM twice, to be sure; who presses Ctrl-C twice is in a hurry.
            if number[0] in before and (tell is first or number[0] == signal.SIGINT):
                tell()
                tell = others

    listening = threading.Thread(target=listen, name="signals", daemon=True)
    listening.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        mouth.close()  # which ends the thread
        listening.join()
        ear.close()


def heeded() -> list[int]:
    """The signals that end a run. A terminal that is closed is one, unless ``nohup`` said that it is none."""
    hangup = getattr(signal, "SIGHUP", None)  # which Windows has not
    closed = [hangup] if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *closed]


def _say(console: PlainConsole, text: str) -> None:
    try:
        console.say(text)
    except OSError:  # the terminal is gone, and what is in flight is finished in silence
        console.quiet = True


def _end(console: PlainConsole, summary: Summary | None) -> None:
    """Leave the process as it is, whatever the main thread may be waiting for or have locked."""
    threading.Timer(AT_ONCE_S, os._exit, (EXIT_CONTINUE,)).start()
    with suppress(OSError):
        console.show_cursor()  # which a live display had hidden
    _say(console, AT_ONCE)
    if summary is not None:
        with suppress(OSError):
            summary(AT_ONCE, EXIT_CONTINUE)
            sys.stdout.flush()
    os._exit(EXIT_CONTINUE)
