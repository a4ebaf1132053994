"""Which reader belongs to which suffix, and what can go wrong with any of them."""

import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cluster_tts.documents import markdown, text, urls
from cluster_tts.errors import DocumentError
from cluster_tts.model import Document, Paragraph

READERS: dict[str, Callable[[Path], Iterator[Paragraph]]] = {
    ".txt": text.paragraphs,
    ".md": markdown.paragraphs,
    ".markdown": markdown.paragraphs,
}
PLAIN = ".txt"  # what a file without a suffix is taken for


def local(document: Document) -> AbstractContextManager[Path]:
    """The file of ``document`` on this machine, fetched where it is not, to be read as long as the block lasts."""
    return nullcontext(document.source) if isinstance(document.source, Path) else urls.fetched(document.source)


def read(document: Document) -> Iterator[Paragraph]:
    """The paragraphs of ``document`` in reading order, none of them empty, and at least one.

    Raises:
        DocumentError: the file cannot be opened or decoded, is of a kind nobody here reads, or has nothing to speak.
            It may come after some paragraphs, if the fault lies further down the file.
    """
    source = document.source
    silent = True
    try:
        with local(document) as path:
            for paragraph in _paragraphs(path, str(source)):
                silent = False
                yield paragraph
    except OSError as error:
        raise DocumentError(
            f"'{source}' cannot be read: {error.strerror}; check that it is there and readable"
        ) from None
    if silent:
        raise DocumentError(f"'{source}' has nothing to speak in it: add text to it or leave it out")


def _paragraphs(path: Path, source: str) -> Iterator[Paragraph]:
    """What the file's own reader gives; its refusals name ``source``, which the file may be a copy of."""
    reader = READERS.get(path.suffix.lower() or PLAIN)
    if reader is None:
        raise DocumentError(f"'{source}' cannot be read: give {', '.join(READERS)} or a file without a suffix")
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise DocumentError(f"'{source}' is no file that can be read: give a text file")
    try:
        yield from reader(path)
    except DocumentError as error:
        raise DocumentError(str(error).replace(str(path), source)) from None
