"""What is done about a file in OUT that is not what was written there: it is named, and set aside by a run."""

import logging
import shutil

from cluster_tts.storage import Folder

log = logging.getLogger(__name__)

ASIDE = "damaged-"  # begins the names of files that are kept for a person to look at, and read by nobody


class Damage:
    """Tells of every damaged file once. With ``mends`` it also gives it a name that nobody reads.

    Only the run that owns OUT mends; whoever only looks tells, reads the rest and writes nothing.
    """

    def __init__(self, mends: bool = False) -> None:
        self.mends = mends
        self.told: list[str] = []  # the addresses of those that were found

    def found(self, folder: Folder, name: str, reason: object, follows: str) -> None:
        """``follows`` says what its loss means, and what becomes of it."""
        where = folder.address(name)
        if where in self.told:
            return
        self.told.append(where)
        if not self.mends:
            log.warning("'%s' is damaged (%s) and left out; the next run mends it: %s", where, reason, follows)
            return
        set_aside(folder, name)
        log.warning("'%s' is damaged (%s) and set aside as '%s%s': %s", where, reason, ASIDE, name, follows)


def set_aside(folder: Folder, name: str) -> None:
    """Give the file the name ``damaged-<name>``; it is gone from its own place only when it stands there."""
    aside = ASIDE + name
    with folder.local(name) as path, folder.new(aside) as copy:
        shutil.copyfile(path, copy)
        folder.publish(copy, aside)
    folder.remove(name)


def one_line(error: BaseException) -> str:
    """What ``error`` says, without its line breaks."""
    return " ".join(str(error).split())
