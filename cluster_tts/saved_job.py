"""``OUT/job.yaml``: the job of a run, kept for those who come later."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cluster_tts import __version__, config
from cluster_tts import storage as places
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.manifest import Manifest
from cluster_tts.workspace import absolute, storage

NAME = "job.yaml"
ANEW = "run the run's own command again, which saves it anew"
BY_VERSION = "# Saved by cluster_tts "


def text_of(job: Job) -> str:
    """What ``job.yaml`` holds."""
    return f"{BY_VERSION}{__version__}\n{config.to_yaml(absolute(job))}"


def load(where: str, settings: Sequence[str], files: Sequence[str | Path]) -> Job:
    """The job that the run in ``where`` had, with ``files`` and ``settings`` over it.

    Raises:
        JobError: there is no run, its job cannot be read, or the settings are wrong.
    """
    out = places.at(where)
    with storage(out):
        if out.size(NAME) is None:
            raise no_run(where, NAME)
        with out.local(NAME) as path:
            with _readable(_version_of(path), out.address(NAME)):
                config.load([path], environ={})
            return replace(config.load([path, *files], settings), out=where)


def no_run(where: str, lacking: str) -> JobError:
    """What is said of a place where ``lacking``, by which a run is known, is not: what else is there tells more.

    Raises:
        OSError: storage cannot be reached.
    """
    out = places.at(where)
    gone = f"'{out.address(lacking)}' is gone"
    if lacking == NAME and Manifest(out / "manifest").exists:
        return JobError(f"{gone}: {ANEW}")
    has_clips, has_documents = (any(True for _ in islice(out.files(below), 1)) for below in ("clips", "documents"))
    if has_clips or (has_documents and out.size(NAME) is not None):
        return JobError(
            f"{gone}, so what the run in '{where}' has done is not known: run the run's own command again, which "
            "finds the clips that are there without paying for them"
        )
    return JobError(f"'{where}' holds no run: there is no {lacking} in it; give the folder that a run had as --out")


def _version_of(path: Path) -> str | None:
    """The version of this program that saved the job; None where it does not say."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline().strip()
    return first.removeprefix(BY_VERSION) if first.startswith(BY_VERSION) else None


@contextmanager
def _readable(version: str | None, where: str) -> Iterator[None]:
    """Says of a saved job that cannot be read what to do; and by which version of this program it was saved, if by
    another."""
    try:
        yield
    except JobError as error:
        advice = ANEW
        if version not in (None, __version__):
            advice = (
                f"'{where}' was saved by cluster_tts {version}, and this is {__version__}: use that one, or the run's "
                "own command again with this one, which saves it anew"
            )
        raise JobError(f"{error}; {advice}") from None
