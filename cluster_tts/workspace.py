"""OUT as a place to work in: folders that can be written to, the log, and what is said when storage refuses."""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cluster_tts import scratch
from cluster_tts import storage as places
from cluster_tts.clips import Clips
from cluster_tts.errors import CTTSError, Interrupted, JobError
from cluster_tts.job import ClipsSettings, Job
from cluster_tts.logs import Style
from cluster_tts.record import Fence
from cluster_tts.stitching import clear
from cluster_tts.storage import Folder

log = logging.getLogger(__name__)

LOG = "run.log"
SWEEP_S = 60.0  # what is younger may be the claim of a run that waits for its turn
CLIPS_SWEEP_S = 3600.0  # no answer takes so long
IN_THE_WAY = (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError)
"""No trouble of storage's: as long as nothing has been spoken, the next try meets it too."""
SPOOL_S = 30.0  # a bucket gets the log again no oftener: it takes the whole of it each time


def absolute(job: Job) -> Job:
    """The job with places that mean the same to every process, wherever it was started."""
    folder = str(places.at(job.clips.dir).absolute()) if job.clips.dir else None
    return replace(job, out=str(places.at(job.out).absolute()), clips=ClipsSettings(folder))


def make_room(job: Job) -> None:
    """Make the folders of a run, and find out now whether they can be written to."""
    out = places.at(job.out)
    for folder, key in (out, "--out"), (Clips.of(job).folder, "clips.dir" if job.clips.dir else "--out"):
        try:
            folder.make()
        except OSError as error:
            reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or error
            raise JobError(f"cannot write to '{folder}': {reason}; choose another folder with {key}") from None


def sweep(job: Job, clips: bool = True) -> None:
    """Clear away what killed processes left half written: at once where it can be told that they were, else what nobody
    has written to for long."""
    out = places.at(job.out)
    for folder in out / "manifest", out / "documents":
        folder.sweep(SWEEP_S)
    if clips:
        Clips.of(job).folder.sweep(CLIPS_SWEEP_S)
    scratch.clear_away_the_dead()


def clear_document(out: Folder, name: str) -> None:
    """Remove a document's audio, in every format, its items, its video, and what tells of it."""
    clear(out / "documents", name)


@contextmanager
def storage(out: Folder) -> Iterator[None]:
    """Turns what storage refuses, in or around ``out``, into one line for a person."""
    try:
        yield
    except OSError as error:
        raise JobError(f"{refusal(error, out)}, or choose another folder with --out") from error


@contextmanager
def resumable(out: Folder, mistakes: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """``storage`` once work has begun: nothing is lost, and the same command continues, but for ``mistakes``."""
    try:
        yield
    except mistakes:
        raise
    except OSError as error:
        log.exception("interrupted")
        raise Interrupted(f"{refusal(error, out)}, then run the same command again to continue") from error
    except CTTSError:
        raise
    except Exception:
        log.exception("the run failed")
        raise


def refusal(error: OSError, out: Folder) -> str:
    """What storage refused, and what to do about it."""
    if isinstance(error, ConnectionError | TimeoutError):
        return f"contact was lost ({error}): mend it"
    return f"cannot use '{error.filename2 or error.filename or out}' ({error.strerror or error}): make room or mend it"


def run_id() -> str:
    """Sorts by time, and differs between two runs that start at once."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class Spool:
    """A log that is written beside and brought to its place now and then, since a bucket lets nobody append."""

    def __init__(self, out: Folder, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._path = path
        self._clock = clock
        self._next = clock() + SPOOL_S

    def flushed(self) -> None:
        """Bring it there, if the last time is long enough ago."""
        if self._clock() >= self._next:
            self._next = self._clock() + SPOOL_S
            try:
                self.bring()
            except OSError as error:  # no log is worth a run
                log.warning("run.log could not be brought to %s, which is tried again: %s", self._out, error)

    def bring(self) -> None:
        """Bring it there now."""
        self._out.write(LOG, self._path.read_bytes())


@contextmanager
def log_file(out: Folder, verbose: bool, fence: Fence | None = None, style: Style = Style()) -> Iterator[Spool | None]:
    """Everything this package logs meanwhile also goes to ``OUT/run.log``, appended.

    Gives what has to be told of every flush, where the log is on its way only. One that ``fence`` keeps from writing
    leaves it where it is.
    """
    if out.is_local:
        with _logged(Path(out.address(LOG)), verbose, style):
            yield None
        return
    with out.new(LOG) as path:
        with suppress(FileNotFoundError):
            path.write_bytes(out.read(LOG))
        spool = Spool(out, path)
        try:
            with _logged(path, verbose, style):
                yield spool
        finally:
            try:
                if fence is not None:
                    fence.check()
                spool.bring()
            except Interrupted:
                pass  # another run owns OUT, and its log
            except OSError as error:  # what there is to say of storage is said by what needs it
                log.warning("run.log could not be brought to %s: %s", out, error)


@contextmanager
def _logged(path: Path, verbose: bool, style: Style) -> Iterator[None]:
    logger = logging.getLogger("cluster_tts")
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(style.formatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
