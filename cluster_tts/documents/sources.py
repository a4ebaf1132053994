"""From what the user named to documents: files, folders, globs, each document with a name of its own."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from cluster_tts import storage
from cluster_tts.documents import urls
from cluster_tts.documents.readers import READERS
from cluster_tts.errors import JobError
from cluster_tts.model import Document

WILDCARD = re.compile(r"[*?\[]")
READABLE = f"{', '.join(READERS)} and files without a suffix"

# A name is one file name on every common file system: no control or direction marks, no stray surrogates, none of
# the reserved characters, no dot or blank at either end.
UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\\\\/:*?"<>|]|^[.\\s]+|[.\\s]+$')
LONGEST_NAME_BYTES = 150  # leaves room for suffixes and a temporary name within the usual 255
DIGEST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class _Found:
    """A file by path or URL, the source that led to it, the folder its name is counted from, its path below that, and
    its path without links or its URL."""

    path: Path | str
    source: str
    folder: str
    below: PurePath
    real: str


def find(sources: Sequence[str]) -> list[Document]:
    """The documents that ``sources`` lead to, in the order of the sources and within each in reading order.

    A source is a file, a folder or a glob, by path or by URL. Folders are searched to the bottom, without hidden
    entries and without following links to other folders, so that a loop of links ends. Names depend on the set of files
    alone.

    Raises:
        JobError: a source is missing, unreadable, of an unknown kind or without documents, or leads to a file that
            another has led to.
    """
    if not sources:
        raise JobError("no sources: name at least one file, folder or glob")
    found: dict[str, _Found] = {}
    for source in sources:
        for each in sorted(_search(source), key=lambda each: _reading_order(each.below)):
            other = found.setdefault(each.real, each)
            if other is not each:
                linked = "" if each.path == other.path else f" (it is '{other.path}' by another name)"
                raise JobError(
                    f"'{each.path}'{linked} is given twice, by '{other.source}' and by '{each.source}': name it once"
                )
    names = _names(found.values())
    return [Document(names[real], each.path) for real, each in found.items()]


def _search(source: str) -> list[_Found]:
    if not source:
        raise JobError("a source is empty: name a file, folder or glob")
    if storage.is_url(source):
        folder = None if source.startswith("s3://") else storage.at(source)
        if not isinstance(folder, storage.LocalFolder):
            return _search_bucket(source)
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
    except OSError as error:
        raise JobError(f"'{error.filename or source}' cannot be read: {error.strerror}; check the path") from None
    if not files:
        what = "has nothing to speak in it" if path.is_dir() else "matches nothing that can be spoken"
        raise JobError(f"'{source}' {what}: what is looked for is {', '.join(READERS)}")
    folder_name = root.resolve().name
    return [_Found(file, source, folder_name, file.relative_to(root), os.path.realpath(file)) for file in files]


def _search_bucket(source: str) -> list[_Found]:
    is_file, found = urls.search(source)
    readable = [each for each in found if each.below.suffix.lower() in READERS or (is_file and not each.below.suffix)]
    if is_file and not readable:
        raise JobError(f"'{source}' cannot be read: what can be read is {READABLE}")
    if not readable:
        raise JobError(f"'{source}' leads to nothing that can be spoken: what is looked for is {', '.join(READERS)}")
    return [_Found(each.url, source, each.folder, each.below, each.url) for each in readable]


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
    return [re.sub(r"\d+", lambda digits: digits[0].zfill(20), _alike(part)) for part in stem], str(below)


def _names(found: Iterable[_Found]) -> dict[str, str]:
    """A name for each file by its real path: of those it offers, the first that no other file wants or has."""
    offers = {each.real: _offers(each) for each in found}
    names: dict[str, str] = {}
    taken: set[str] = set()
    while offers:
        wishes = {real: _safe(next(offer)) for real, offer in offers.items()}
        wanted = Counter(map(_alike, wishes.values()))
        for real, name in wishes.items():
            if wanted[_alike(name)] == 1 and _alike(name) not in taken:
                names[real] = name
                taken.add(_alike(name))
                del offers[real]
    return names


def _offers(found: _Found) -> Iterator[str]:
    whole = "__".join(found.below.parts)
    stem = whole.removesuffix(found.below.suffix)
    yield stem
    yield whole
    in_folder = f"{found.folder}__{stem}"
    yield in_folder
    digest = _digest(found.real)
    yield f"{in_folder}-{digest[:DIGEST_DIGITS]}"
    yield f"{in_folder}-{digest}"


def _safe(name: str) -> str:
    name = UNSAFE.sub("_", unicodedata.normalize("NFC", name)) or "_"
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME_BYTES:
        return name
    kept = encoded[: LONGEST_NAME_BYTES - DIGEST_DIGITS - 1].decode(errors="ignore")
    return f"{kept}-{_digest(name)[:DIGEST_DIGITS]}"


def _alike(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name.casefold())


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
