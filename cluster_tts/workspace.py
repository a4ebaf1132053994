"""OUT as a place to work in: folders that can be written to, the log, and what is said when storage refuses."""

import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cluster_tts.errors import CTTSError, Interrupted, JobError
from cluster_tts.job import DOCUMENT_FORMATS, Job

log = logging.getLogger(__name__)


def make_room(job: Job) -> None:
    """Make the folders of a run, find out now whether they can be written to, and clear away what a kill left."""
    for folder, setting in (job.out_dir, "--out"), (job.clips_dir, "clips.dir" if job.clips.dir else "--out"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or error
            raise JobError(f"cannot write to '{folder}': {reason}; choose another folder with {setting}") from None
    for left in (job.out_dir / "documents").glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    for left in (job.out_dir / "manifest").rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def clear_document(out: Path, name: str) -> None:
    """Remove a document's audio, in every format, and what tells of it."""
    for suffix in (*DOCUMENT_FORMATS, "json", "srt"):
        (out / "documents" / f"{name}.{suffix}").unlink(missing_ok=True)


@contextmanager
def storage(out: Path) -> Iterator[None]:
    """Turns what the file system refuses, in or around ``out``, into one line for a person."""
    try:
        yield
    except OSError as error:
        raise JobError(f"{refusal(error, out)}, or choose another folder with --out") from error


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """``storage`` once work has begun: nothing is lost, and the same command continues."""
    try:
        yield
    except OSError as error:
        log.exception("interrupted")
        raise Interrupted(f"{refusal(error, out)}, then run the same command again to continue") from error
    except CTTSError:
        raise
    except Exception:
        log.exception("the run failed")
        raise


def refusal(error: OSError, out: Path) -> str:
    """What the file system refused, and what to do about it."""
    if isinstance(error, ConnectionError | TimeoutError):
        return f"contact was lost ({error}): mend it"
    return f"cannot use '{error.filename2 or error.filename or out}' ({error.strerror or error}): make room or mend it"


def run_id() -> str:
    """Sorts by time, and differs between two runs that start at once."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@contextmanager
def log_file(path: Path, verbose: bool) -> Iterator[None]:
    """Everything this package logs meanwhile also goes to ``path``, appended."""
    logger = logging.getLogger("cluster_tts")
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
