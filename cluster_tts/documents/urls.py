"""Documents in buckets: what a URL leads to, and its file as a local one for as long as it is read."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from cluster_tts import storage
from cluster_tts.errors import JobError

WILDCARD = re.compile(r"[*?\[]")
QUERY = re.compile(r"\?(\w+=[^/]*)$")  # any other question mark is a wildcard, or part of a name


@dataclass(frozen=True, slots=True)
class Remote:
    """A file: its URL, the folder that its name is counted from, and its path below that."""

    url: str
    folder: str
    below: PurePosixPath


@dataclass(frozen=True, slots=True)
class Search:
    """What a URL leads to: whether it is that of a file, the files, and those that were listed besides."""

    is_file: bool
    files: list[Remote]
    others: list[Remote] = field(default_factory=list)


def search(source: str) -> Search:
    """The file at the URL ``source``, or all below a folder, or what a glob stands for.

    Hidden entries are left out, and nothing is when none is of a kind that can be read: that is the caller's to judge.

    Raises:
        JobError: the URL cannot be used, its bucket is missing or cannot be reached.
    """
    root, query = without_query(source)
    parent, _, name = root.rpartition("/")
    try:
        if is_file(source):
            return Search(True, [Remote(source, PurePosixPath(parent).name, PurePosixPath(name))])
        bucket, *parts = root.partition("://")[2].rstrip("/").split("/")
        first = next((index for index, part in enumerate(parts) if WILDCARD.search(part)), len(parts))
        top = "/".join([f"{root.partition('://')[0]}://{bucket}", *parts[:first]])
        pattern = parts[first:] or ["**"]
        names = [entry.name for entry in storage.at(top + query).files()]
    except OSError as error:
        raise JobError(
            f"'{source}' cannot be read: {error.strerror}; check the URL, the credentials (AWS_ACCESS_KEY_ID) and the "
            "server (AWS_ENDPOINT_URL), then run again"
        ) from None
    found = Search(False, [])
    for name in names:
        kind = found.files if _matches(name.split("/"), pattern) else found.others
        kind.append(Remote(f"{top}/{name}{query}", PurePosixPath(top).name, PurePosixPath(name)))
    return found


def is_file(url: str) -> bool:
    """Whether there is a file at ``url``; raises ``OSError`` where nobody can say."""
    root, query = without_query(url)
    parent, _, name = root.rpartition("/")
    return bool(name) and not parent.endswith("/") and storage.at(parent + query).size(name) is not None


def beside(url: str, name: str) -> str:
    """The URL of the file that is called ``name`` in the folder of the file at ``url``."""
    root, query = without_query(url)
    return f"{root.rpartition('/')[0]}/{name}{query}"


def suffix(url: str) -> str:
    """How the name of the file at ``url`` ends, with its dot."""
    return PurePosixPath(without_query(url)[0]).suffix


def size(url: str) -> int | None:
    """The size in bytes of the file at ``url``; None where it is not there."""
    root, query = without_query(url)
    parent, _, name = root.rpartition("/")
    return storage.at(parent + query).size(name)


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """The file at ``url`` on this machine, with the same suffix, until the block ends."""
    root, query = without_query(url)
    parent, _, name = root.rpartition("/")
    with storage.at(parent + query).local(name) as path:
        yield path


def without_query(url: str) -> tuple[str, str]:
    """``url`` up to its options, and those."""
    found = QUERY.search(url)
    return (url[: found.start()], found[0]) if found else (url, "")


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path in parts is what a glob in parts stands for; ``**`` is any number of folders."""
    head, *rest = pattern
    if head == "**":
        return any(_matches(names[start:], rest or ["*"]) for start in range(len(names)))
    if not names or not fnmatchcase(names[0], head):
        return False
    return _matches(names[1:], rest) if rest else len(names) == 1
