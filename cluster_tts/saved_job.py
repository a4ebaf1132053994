"""``OUT/job.yaml``: the job of a run, kept for those who come later."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cluster_tts import __version__, config
from cluster_tts import storage as places
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.workspace import absolute, storage

NAME = "job.yaml"
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
    if out.size(NAME) is None:
        raise JobError(f"'{where}' holds no run: there is no {NAME} in it; give the folder that a run had as --out")
    with storage(out), out.local(NAME) as path:
        version = _version_of(path)
        if version not in (None, __version__):
            with _of_another(version, out.address(NAME)):
                config.load([path])
        return replace(config.load([path, *files], settings), out=where)


def _version_of(path: Path) -> str | None:
    """The version of this program that saved the job; None where it does not say."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline().strip()
    return first.removeprefix(BY_VERSION) if first.startswith(BY_VERSION) else None


@contextmanager
def _of_another(version: str | None, where: str) -> Iterator[None]:
    """Says of a saved job that cannot be read that another version of this program saved it."""
    try:
        yield
    except JobError as error:
        raise JobError(
            f"{error}; '{where}' was saved by cluster_tts {version}, and this is {__version__}: use that one, or the "
            "run's own command again with this one, which saves it anew"
        ) from None
