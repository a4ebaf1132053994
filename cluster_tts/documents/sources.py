"""From what the user named to documents: files, folders, globs, on a disk or by URL, each with a name of its own."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath

from cluster_tts import storage
from cluster_tts.documents.readers import READERS
from cluster_tts.errors import JobError
from cluster_tts.model import Document
from cluster_tts.storage import is_url

WILDCARD = re.compile(r"[*?\[]")
READABLE = f"{', '.join(READERS)} and files without a suffix"

# A name is one file name on every common file system: no control or direction marks, no stray surrogates, none of
# the reserved characters, no dot or blank at either end.
UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\\\\/:*?"<>|]|^[.\\s]+|[.\\s]+$')
LONGEST_NAME_BYTES = 150  # leaves room for suffixes and a temporary name within the usual 255
DIGEST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, the source that led to it, where it stands below that and what that is called, and what it really is:
    its path without links."""

    file: Path | str
    source: str
    below: PurePath
    root: str
    real: str


def find(sources: Sequence[str]) -> list[Document]:
    """The documents that ``sources`` lead to, in the order of the sources and within each in reading order.

    A source is a file, a folder or a glob, or the URL of one. Folders are searched to the bottom, without hidden
    entries and without following links to other folders, so that a loop of links ends. Names depend on the set of
    files alone.

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
                linked = "" if each.file == other.file else f" (it is '{other.file}' by another name)"
                raise JobError(
                    f"'{each.file}'{linked} is given twice, by '{other.source}' and by '{each.source}': name it once"
                )
    names = _names(found.values())
    return [Document(names[real], each.file) for real, each in found.items()]


def _search(source: str) -> list[_Found]:
    if not source:
        raise JobError("a source is empty: name a file, folder or glob")
    if is_url(source):
        return _search_storage(source)
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
    name = root.resolve().name
    return [_Found(file, source, file.relative_to(root), name, os.path.realpath(file)) for file in files]


def _search_storage(url: str) -> list[_Found]:
    """The readable files that a URL leads to. A question mark begins its options, so it is no wildcard there."""
    storage.at(url)  # which refuses what is no storage
    address, mark, options = url.partition("?")
    head = WILDCARD.split(address)[0]
    root, pattern = (
        (head.rpartition("/")[0], address[len(head.rpartition("/")[0]) + 1 :]) if head != address else ("", "")
    )
    try:
        if pattern:
            folder = storage.at(f"{root}{mark}{options}")
            names = [entry.name for entry in folder.files() if _matches(entry.name.split("/"), pattern.split("/"))]
        else:
            folder, name = storage.file_at(url)
            if name and folder.size(name) is not None:
                if Path(name).suffix and Path(name).suffix.lower() not in READERS:
                    raise JobError(f"'{url}' cannot be read: what can be read is {READABLE}")
                names = [name]
            else:
                folder = storage.at(url)
                names = [entry.name for entry in folder.files() if _matches(entry.name.split("/"), ["**"])]
    except OSError as error:
        raise JobError(f"'{url}' cannot be read: {error.strerror or error}; check the address") from None
    if not names:
        raise JobError(f"'{url}' leads to nothing that can be spoken: what is looked for is {', '.join(READERS)}")
    called = str(folder).partition("?")[0].rpartition("/")[2]
    return [
        _Found(f"{folder.address(name)}{mark}{options}", url, PurePosixPath(name), called, folder.address(name))
        for name in names
    ]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the path in ``parts`` is a readable file that ``pattern``, a glob in parts, stands for."""
    head, *rest = pattern
    if head == "**":
        deeper = len(parts) > 1 and not parts[0].startswith(".") and _matches(parts[1:], pattern)
        return deeper or _matches(parts, rest or ["*"])
    if not fnmatchcase(parts[0], head) or (parts[0].startswith(".") and not head.startswith(".")):
        return False
    if rest:
        return len(parts) > 1 and _matches(parts[1:], rest)
    return len(parts) == 1 and Path(parts[0]).suffix.lower() in READERS


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
    in_folder = f"{found.root}__{stem}"
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
