"""Folders below /tmp for as long as a process lives; what killed ones left is cleared away by those that come later."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cluster_tts.limiter.liveness import Process, has_died

PLACE = Path("/tmp")  # a short path: Ray puts unix sockets below it, whose names may have 107 bytes
PREFIX = "ctts-"


def new() -> Path:
    """An empty folder; whoever made it removes it."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{Process.here().machine}-", dir=PLACE))


def own() -> Path:
    """The one that this process has for itself until it ends."""
    return _own(os.getpid())


@cache
def _own(pid: int) -> Path:
    clear_away_the_dead()
    folder = new()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def clear_away_the_dead() -> None:
    """Remove what processes of this user that were killed could not remove themselves."""
    for folder in PLACE.glob(f"{PREFIX}*-*-*"):
        pid, machine, _ = folder.name.removeprefix(PREFIX).split("-", 2)
        try:
            # Containers may share /tmp, and a number is another process in each of them.
            if has_died(pid, machine) and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # somebody else was as thoughtful
            continue
