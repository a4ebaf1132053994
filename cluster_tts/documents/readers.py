"""Which reader belongs to which suffix, and what can go wrong with any of them."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster_tts.documents import markdown, text
from cluster_tts.errors import DocumentError
from cluster_tts.model import Document, Paragraph

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
    path = document.source
    reader = READERS.get(path.suffix.lower() or PLAIN)
    if reader is None:
        raise DocumentError(f"'{path}' cannot be read: give {', '.join(READERS)} or a file without a suffix")
    silent = True
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise DocumentError(f"'{path}' is no file that can be read: give a text file")
        for paragraph in reader(path):
            silent = False
            yield paragraph
    except OSError as error:
        raise DocumentError(f"'{path}' cannot be read: {error.strerror}; check that it is there and readable") from None
    if silent:
        raise DocumentError(f"'{path}' has nothing to speak in it: add text to it or leave it out")
