"""From what the user named to documents: files, folders, globs, tables, each document with a name of its own."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from cluster_tts import storage
from cluster_tts.documents import batch, readers, runs, table, tables, urls
from cluster_tts.documents.columns import has_texts
from cluster_tts.documents.names import Found, alike, choose
from cluster_tts.documents.readers import READABLE, READERS
from cluster_tts.documents.reading import USUAL, Reading
from cluster_tts.documents.subtitles import SUFFIXES as SUBTITLES
from cluster_tts.documents.videos import Videos, beside_url, in_bucket
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.model import Document

log = logging.getLogger(__name__)

WILDCARD = re.compile(r"[*?\[]")


def find(sources: Sequence[str], reading: Reading = USUAL) -> list[Document]:
    """The documents that ``sources`` lead to, in the order of the sources and within each in reading order.

    A source is a file, a folder or a glob, by path or by URL. Folders are searched to the bottom, without hidden
    entries, without what runs have left there, and without following links to other folders, so that a loop of links
    ends. Names depend on the set of files, and on what tables say, but not on the order of the sources. A table is one
    document, as many as its column ``document`` tells, or those that its rows name, which are then not found beside it
    once more; one that cannot be read is found all the same, for its reader to say why. One that was come upon and
    holds other data is left out.

    Raises:
        JobError: a source is missing, unreadable, of an unknown kind or without documents, or leads to a file that
            another has led to; a table of jobs names what is not there; a subtitle file has several videos beside it,
            or is where the run will write its own.
    """
    if not sources:
        raise JobError("no sources: name at least one file, folder or glob")
    found: dict[str, Found] = {}
    for source in sources:
        for each in sorted(_search(source, reading), key=lambda each: _reading_order(each.below)):
            other = found.setdefault(each.real, each)
            if other is not each:
                linked = "" if each.path == other.path else f" (it is '{other.path}' by another name)"
                raise JobError(
                    f"'{each.path}'{linked} is given twice, by '{other.source}' and by '{each.source}': name it once"
                )
    documents = batch.without_twins([each for every in found.values() for each in _expanded(every, reading)])
    for source in sources:
        if not any(each.source == source for each in documents):
            raise JobError(
                f"'{source}' leads to nothing that can be spoken: the tables there have neither texts nor sources of "
                "texts; name the column in reading.columns.text"
            )
    batch.refuse_clashes(documents)
    names, videos = choose(documents), Videos()
    for index, each in enumerate(documents):
        if reading.video and each.video is None:
            documents[index] = replace(each, video=_video_of(each, videos))
    subtitles = [each.path for each in documents if each.below.suffix.lower() in SUBTITLES]
    of_video = [each.video for each in documents if each.video and reading.video]
    runs.refuse_overwritten([*subtitles, *of_video], reading.out)
    return [
        Document(names[each.key], each.path, each.part, each.voice, each.video if reading.video else None)
        for each in documents
    ]


def _expanded(found: Found, reading: Reading) -> list[Found]:
    """The documents in what was found: those in a table, else itself."""
    if found.below.suffix.lower() not in tables.SUFFIXES:
        return [found]
    try:
        with readers.local(Document("", found.path)) as path:
            try:
                if found.searched and not has_texts(tables.outline(path), reading.columns):
                    log.warning("'%s' is left out, for none of its columns is one of texts", found.path)
                    return []
                jobs = batch.jobs(path, found, reading, lambda job: _expanded(job, reading))
                parts = table.parts(path, reading) if jobs is None else []
            except JobError as error:
                raise JobError(str(error).replace(str(path), str(found.path))) from None
    except (DocumentError, OSError):  # which its reader meets again
        return [found]
    if jobs is not None:
        return jobs
    return [replace(found, part=part, name=_part_name(found, part)) for part in parts] or [found]


def _video_of(found: Found, videos: Videos) -> Path | str | None:
    """The video beside what was found. In a bucket it was listed with it, unless that is named itself."""
    if isinstance(found.path, Path):
        return videos.beside(found.path)
    return None if found.searched else beside_url(found.path)


def _part_name(found: Found, part: str) -> str | None:
    """Where a row of a table of jobs has a name, so have the documents in its file."""
    return f"{found.name}__{part}" if found.name is not None and part else found.name


def _search(source: str, reading: Reading) -> list[Found]:
    if not source:
        raise JobError("a source is empty: name a file, folder or glob")
    if storage.is_url(source):
        folder = None if source.startswith("s3://") else storage.at(source)
        if not isinstance(folder, storage.LocalFolder):
            return _search_bucket(source, reading)
        path = folder.path
    else:
        path = Path(source)
    try:
        if path.is_dir():
            root, files = path, set(_expand(path, ["**"]))
        elif path.is_file():
            root, files = path.parent, {path}
            if path.suffix and path.suffix.lower() not in READERS:
                raise JobError(f"'{source}' cannot be read: what can be read is {READABLE}")
        elif path.exists():
            raise JobError(f"'{source}' is neither a file nor a folder: copy its text to a file")
        elif WILDCARD.search(source):
            fixed = next(index for index, part in enumerate(path.parts) if WILDCARD.search(part))
            root = Path(*path.parts[:fixed])
            files = set(_expand(root, path.parts[fixed:]))
        else:
            raise JobError(f"'{source}' does not exist: check the path")
        if not path.is_file():
            is_run = runs.in_folder(root, reading.out)
            files = {file for file in files if not runs.left_by_run(file.relative_to(root), is_run)}
    except OSError as error:
        raise JobError(f"'{error.filename or source}' cannot be read: {error.strerror}; check the path") from None
    if not files:
        what = "has nothing to speak in it" if path.is_dir() else "matches nothing that can be spoken"
        raise JobError(f"'{source}' {what}: what is looked for is {', '.join(READERS)}")
    folder_name = root.resolve().name
    return [
        Found(file, source, folder_name, file.relative_to(root), os.path.realpath(file), searched=not path.is_file())
        for file in files
    ]


def _search_bucket(source: str, reading: Reading) -> list[Found]:
    there = urls.search(source)
    readable = [
        each
        for each in there.files
        if each.below.suffix.lower() in READERS or (there.is_file and not each.below.suffix)
    ]
    if not there.is_file:
        is_run = runs.in_bucket([*there.files, *there.others], reading.out)
        readable = [each for each in readable if not runs.left_by_run(each.below, is_run)]
    if there.is_file and not readable:
        raise JobError(f"'{source}' cannot be read: what can be read is {READABLE}")
    if not readable:
        raise JobError(f"'{source}' leads to nothing that can be spoken: what is looked for is {', '.join(READERS)}")
    videos = in_bucket(readable, [*there.files, *there.others]) if reading.video else {}
    return [
        Found(
            each.url, source, each.folder, each.below, each.url, video=videos.get(each.url), searched=not there.is_file
        )
        for each in readable
    ]


def _expand(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """The readable files below ``folder`` that ``pattern``, a glob in parts, stands for; some may come twice."""
    head, *rest = pattern
    if head == "**":
        for each in _folders(folder):
            yield from _expand(each, rest or ["*"])
        return
    for entry in folder.iterdir():
        if not fnmatchcase(entry.name, head) or (entry.name.startswith(".") and not head.startswith(".")):
            continue
        if rest and entry.is_dir():
            yield from _expand(entry, rest)
        elif not rest and entry.suffix.lower() in READERS and not entry.is_dir():
            yield entry


def _folders(top: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, names, _ in os.walk(top, onerror=refuse):
        names[:] = [name for name in names if not name.startswith(".")]
        yield Path(folder)


def _reading_order(below: PurePath) -> tuple[list[str], str]:
    """Sorts ``chapter-2`` before ``chapter-10``, and upper case with lower."""
    stem = below.with_suffix("").parts
    return [re.sub(r"\d+", lambda digits: digits[0].zfill(20), alike(part)) for part in stem], str(below)
