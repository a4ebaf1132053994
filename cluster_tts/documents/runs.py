"""What runs have left in folders that are searched: manifests and subtitles that nobody means to have spoken.

The readable files of a run are the Parquet below ``manifest`` and the subtitles in ``documents``; texts and tables that
stand beside them are the user's.
"""

import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts import storage
from cluster_tts.documents.urls import Remote, without_query
from cluster_tts.errors import JobError
from cluster_tts.manifest import schemas

MANIFEST, DOCUMENTS = "manifest", "documents"
ROWS = "documents*.parquet"
BESIDE = ("job.yaml", "report.json")  # the manifest, whose own files may be damaged
WRITTEN = (".srt", ".vtt")  # beside the audio of documents
(MARK,) = schemas.DOCUMENTS.metadata  # which all versions have

IsRun = Callable[[PurePath], bool]
"""Whether a folder, by its path below the one that is searched, is one that a run writes to."""


def left_by_run(below: PurePath, is_run: IsRun) -> bool:
    """Whether the readable file at ``below`` was left by a run. The folder that is searched may itself be a run's, but
    what is inside ``manifest`` or ``documents`` counts only from above: who names these means what is there."""
    *folders, name = below.parts
    written = PurePath(name).suffix.lower() in WRITTEN
    return any(
        (folder == MANIFEST or (folder == DOCUMENTS and written)) and is_run(PurePath(*folders[:depth]))
        for depth, folder in enumerate(folders)
    )


def in_folder(root: Path, out: str | None) -> IsRun:
    """Of the folders below ``root``; ``out`` is where this run writes, whether it has begun or not."""
    own = _real(out)

    @cache
    def is_run(below: PurePath) -> bool:
        folder = root / below
        if own is not None and os.path.realpath(folder) == own:
            return True
        rows = (folder / MANIFEST).glob(ROWS)
        return any(map(_is_ours, rows)) or all((folder / name).is_file() for name in BESIDE)

    return is_run


def in_bucket(listed: Iterable[Remote], out: str | None) -> IsRun:
    """Of the folders that the files ``listed`` are in."""
    by_path = {each.below: each for each in listed}
    rows: dict[PurePath, list[Remote]] = {}
    for below, each in by_path.items():
        if below.parent.name == MANIFEST and fnmatchcase(below.name, ROWS):
            rows.setdefault(below.parent.parent, []).append(each)
    some = next(iter(by_path.values()), None)
    top = without_query(some.url)[0].removesuffix(str(some.below)) if some else ""
    own = None if out is None else storage.at(out).address("")

    @cache
    def is_run(below: PurePath) -> bool:
        if own is not None and f"{top}{'/'.join(below.parts)}".rstrip("/") == own:
            return True
        return any(map(_is_ours_there, rows.get(below, ()))) or all(below / name in by_path for name in BESIDE)

    return is_run


def refuse_overwritten(paths: Iterable[Path | str], out: str | None) -> None:
    """Raise ``JobError`` where one of ``paths``, subtitles or videos, stands where the run writes such files itself."""
    if out is None:
        return
    own, address = _real(out), f"{storage.at(out).address('')}/{DOCUMENTS}/"
    for path in paths:
        inside = (
            own is not None and Path(os.path.realpath(path)).is_relative_to(Path(own, DOCUMENTS))
            if isinstance(path, Path)
            else path.startswith(address)
        )
        if inside:
            raise JobError(
                f"'{path}' is where this run writes subtitles and videos itself: choose another folder with --out"
            )


def _real(out: str | None) -> str | None:
    """The path of ``out`` without links; None where it is in a bucket."""
    folder = None if out is None else storage.at(out)
    return os.path.realpath(folder.path) if isinstance(folder, storage.LocalFolder) else None


def _is_ours(file: Any) -> bool:
    try:
        return MARK in (pq.read_schema(file).metadata or {})
    except (OSError, pa.ArrowException):  # of somebody else's, or damaged
        return False


def _is_ours_there(remote: Remote) -> bool:
    folder, name = storage.file_at(remote.url)
    try:
        with folder.open(name) as file:
            return _is_ours(file)
    except OSError:
        return False
