"""Names of documents and items: one file name on every common file system, and no two alike."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from cluster_tts.documents.videos import SUFFIXES as VIDEOS
from cluster_tts.job import DOCUMENT_FORMATS

# No control or direction marks, no stray surrogates, none of the reserved characters, no dot or blank at either end.
UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\\\\/:*?"<>|]|^[.\\s]+|[.\\s]+$')
# What is written beside a document's folder of items: "a.wav" would be that folder of one and the audio of another.
WRITTEN = (*(f".{suffix}" for suffix in (*DOCUMENT_FORMATS, "json", "srt", "vtt")), *VIDEOS)
TAKEN = re.compile(rf"\.(?=(?:{'|'.join(suffix[1:] for suffix in WRITTEN)})\Z)", re.IGNORECASE)
LONGEST_NAME_BYTES = 150  # leaves room for suffixes and a temporary name within the usual 255
DIGEST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A file by path or URL, the source that led to it, the folder its name is counted from, its path below that, and
    its path without links or its URL.

    ``part`` are the rows of a table that are a document of their own. ``name`` is set where the user chose it, in a row
    of a table of jobs as ``voice`` and ``video`` are; ``row`` tells which. ``searched`` is what was come upon in a
    folder or by a glob, and not named itself.
    """

    path: Path | str
    source: str
    folder: str
    below: PurePath
    real: str
    part: str | None = None
    name: str | None = None
    voice: str | None = None
    video: Path | str | None = None
    row: str = ""
    searched: bool = False

    @property
    def key(self) -> tuple[str, str | None, str]:
        """Different for every document."""
        return self.real, self.part, self.row


def choose(found: Iterable[Found]) -> dict[tuple[str, str | None, str], str]:
    """A name for each document by its key: its own, else of those it offers the first that no other wants or has."""
    found = list(found)
    names = {each.key: safe(each.name) for each in found if each.name is not None}  # no two alike: see batch
    offers = {each.key: _offers(each) for each in found if each.name is None}
    taken = set(map(alike, names.values()))
    while offers:
        wishes = {key: safe(next(offer)) for key, offer in offers.items()}
        wanted = Counter(map(alike, wishes.values()))
        for key, name in wishes.items():
            if wanted[alike(name)] == 1 and alike(name) not in taken:
                names[key] = name
                taken.add(alike(name))
                del offers[key]
    return names


def _offers(found: Found) -> Iterator[str]:
    whole = "__".join(found.below.parts)
    stem = whole.removesuffix(found.below.suffix)
    part = f"__{found.part}" if found.part else ""
    if part:
        yield part.removeprefix("__")
    yield stem + part
    yield whole + part
    in_folder = f"{found.folder}__{stem}{part}"
    yield in_folder
    if part:  # the same wherever the table lies
        yield f"{in_folder}-{_digest(f'{whole}{part}')[:DIGEST_DIGITS]}"
    digest = _digest("\0".join(filter(None, (found.real, found.part, found.row))))
    yield f"{in_folder}-{digest[:DIGEST_DIGITS]}"
    yield f"{in_folder}-{digest}"


def safe(name: str) -> str:
    """``name``, or what is most like it and can be the name of a file and of a folder anywhere."""
    name = TAKEN.sub("_", UNSAFE.sub("_", unicodedata.normalize("NFC", name))) or "_"
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME_BYTES:
        return name
    kept = encoded[: LONGEST_NAME_BYTES - DIGEST_DIGITS - 1].decode(errors="ignore")
    return f"{kept}-{_digest(name)[:DIGEST_DIGITS]}"


def alike(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name.casefold())


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
