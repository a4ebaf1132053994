"""A run with a person in front of it: how it goes on is shown, and signals end it in good order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from cluster_tts.commands import RunOptions, run_job
from cluster_tts.display import PlainConsole
from cluster_tts.endings import Result
from cluster_tts.errors import EXIT_CONTINUE
from cluster_tts.job import Job
from cluster_tts.live import shown

STOPPING = "stopping: what is in flight may end; a second signal ends at once"
AT_ONCE = "ended at once; run the same command again to continue"
Summary = Callable[[str, int], object]


def run_watched(job: Job, sources: Sequence[str], options: RunOptions, summary: Summary | None = None) -> Result:
    """Run with a display, stopping in good order on a first signal and at once on a second one; then ``summary``, if
    there is one, is given message and exit code, for machines."""

    async def watched() -> Result:
        stop, console = asyncio.Event(), PlainConsole(stderr=True)
        heed = Heed(stop, lambda text: _say(console, text), lambda: _end(console, summary))
        for number in heeded():
            asyncio.get_running_loop().add_signal_handler(number, heed)
        with shown(console) as watch:
            return await run_job(job, sources, stop, replace(options, watch=watch, tell=console.say))

    return asyncio.run(watched())


class Heed:
    """What a signal does. The first sets ``stop``, which something else may have set before; the next ends at once."""

    def __init__(self, stop: asyncio.Event, say: Callable[[str], object], end: Callable[[], object]) -> None:
        self._stop = stop
        self._say = say
        self._end = end
        self._came = False

    def __call__(self) -> None:
        if self._came:
            self._end()
            return
        self._came = True
        self._stop.set()
        self._say(STOPPING)


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
    """Leave the process as it is."""
    with suppress(OSError):
        console.show_cursor()  # which a live display had hidden
    _say(console, AT_ONCE)
    if summary is not None:
        with suppress(OSError):
            summary(AT_ONCE, EXIT_CONTINUE)
            sys.stdout.flush()
    os._exit(EXIT_CONTINUE)
