"""Which reader belongs to which suffix, and what can go wrong with any of them."""

import hashlib
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePath

from cluster_tts import storage
from cluster_tts.documents import markdown, text
from cluster_tts.errors import DocumentError
from cluster_tts.model import Document, Paragraph
from cluster_tts.storage import is_url

READERS: dict[str, Callable[[Path], Iterator[Paragraph]]] = {
    ".txt": text.paragraphs,
    ".md": markdown.paragraphs,
    ".markdown": markdown.paragraphs,
}
PLAIN = ".txt"  # what a file without a suffix is taken for


def read(document: Document) -> Iterator[Paragraph]:
    """The paragraphs of ``document`` in reading order, none of them empty, and at least one.

    Raises:
        DocumentError: the file cannot be opened or decoded, is of a kind nobody here reads, or has nothing to speak.
            It may come after some paragraphs, if the fault lies further down the file.
    """
    suffix = suffix_of(document)
    reader = READERS.get(suffix.lower() or PLAIN)
    if reader is None:
        raise DocumentError(f"'{document.source}' cannot be read: give {', '.join(READERS)} or a file without a suffix")
    silent = True
    with _local(document) as path:
        for paragraph in reader(path):
            silent = False
            yield paragraph
    if silent:
        raise DocumentError(f"'{document.source}' has nothing to speak in it: add text to it or leave it out")


def digest_of(document: Document) -> str:
    """SHA-256 of the file that the document is read from, as hex; raises ``DocumentError`` where it cannot be read."""
    with _local(document) as path, path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def suffix_of(document: Document) -> str:
    """By which the document's reader is chosen: ``.md``, or empty."""
    return PurePath(str(document.source).partition("?")[0] if is_url(str(document.source)) else document.source).suffix


@contextmanager
def _local(document: Document) -> Iterator[Path]:
    """The document as a regular file here, fetched if it is elsewhere; what is wrong with it is told of its source."""
    source = document.source
    try:
        with _fetched(source) as path:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
                raise DocumentError(f"'{path}' is no file that can be read: give a text file")
            try:
                yield path
            except DocumentError as error:
                raise DocumentError(str(error).replace(str(path), str(source))) from None
    except OSError as error:
        what = error.strerror or error
        raise DocumentError(f"'{source}' cannot be read: {what}; check that it is there and readable") from None


def _fetched(source: Path | str) -> AbstractContextManager[Path]:
    if isinstance(source, Path):
        return nullcontext(source)
    folder, name = storage.file_at(source)
    return folder.local(name)
