"""Which reader belongs to which suffix, and what can go wrong with any of them."""

import logging
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from cluster_tts.documents import dialogue, markdown, subtitles, table, tables, text, urls
from cluster_tts.documents.reading import USUAL, Reading
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.model import Document, Paragraph

Reader = Callable[[Path, Document, Reading], Iterator[Paragraph]]

log = logging.getLogger(__name__)


def _text(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    encoding = text.encoding_of(path)
    return _in_turns(partial(text.blocks, path, encoding), path, reading) or text.paragraphs(path, encoding)


def _markdown(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    blocks = markdown.blocks(path)
    return _in_turns(lambda: blocks, path, reading) or markdown.spoken(blocks)


def _script(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    return dialogue.turns(partial(text.blocks, path, text.encoding_of(path)), path, reading)


def _in_turns(blocks: dialogue.Blocks, path: Path, reading: Reading) -> Iterator[Paragraph] | None:
    """The turns of what is a dialogue, None of what is none."""
    if reading.dialogue == "never" or (
        reading.dialogue == "auto" and not dialogue.is_dialogue(blocks, path, reading.speakers)
    ):
        return None
    return dialogue.turns(blocks, path, reading)


def _subtitles(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    return subtitles.paragraphs(path, reading)


READERS: dict[str, Reader] = {
    ".txt": _text,
    ".md": _markdown,
    ".markdown": _markdown,
    **dict.fromkeys(dialogue.SUFFIXES, _script),
    **dict.fromkeys(subtitles.SUFFIXES, _subtitles),
    **dict.fromkeys(tables.SUFFIXES, table.paragraphs),
}
READABLE = f"{', '.join(READERS)} and files without a suffix"
LATEST_S = 120 * 3600  # of a cue: 21 GB of silence before it
LONGEST_SILENCE_S = 10 * 3600  # that nobody is told of: 2 GB
PLAIN = ".txt"  # what a file without a suffix is taken for


def local(document: Document) -> AbstractContextManager[Path]:
    """The file of ``document`` on this machine, fetched where it is not, to be read as long as the block lasts."""
    return nullcontext(document.source) if isinstance(document.source, Path) else urls.fetched(document.source)


class Files:
    """Files of documents as ``local`` gives them. The one that was fetched last stays for the next document in it,
    until ``close``: a table of a thousand documents is fetched once."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._fetched: tuple[str, Path] | None = None

    @contextmanager
    def local(self, document: Document) -> Iterator[Path]:
        """The file of ``document`` on this machine, as long as no other is asked for."""
        source = document.source
        if isinstance(source, Path):
            yield source
            return
        if self._fetched is None or self._fetched[0] != source:
            self._drop()
            self._fetched = source, self._held.enter_context(urls.fetched(source))
        yield self._fetched[1]

    def close(self) -> None:
        """Let go of what was fetched, and of the table that was read."""
        self._drop()
        tables.forget()

    def _drop(self) -> None:
        self._fetched = None
        self._held.close()


def read(document: Document, reading: Reading = USUAL, files: Files | None = None) -> Iterator[Paragraph]:
    """The paragraphs of ``document`` in reading order, none of them empty, and at least one.

    Raises:
        DocumentError: the file cannot be opened or decoded, is of a kind nobody here reads, or has nothing to speak.
            It may come after some paragraphs, if the fault lies further down the file.
        JobError: ``reading`` does not go with the file: a speaker has no voice, a column is not there.
    """
    source = document.source
    silent, ended_s = True, 0.0
    try:
        with files.local(document) if files else local(document) as path:
            for paragraph in _paragraphs(path, document, reading):
                silent = False
                ended_s = _watched(paragraph, ended_s, source)
                yield paragraph
    except OSError as error:
        raise DocumentError(
            f"'{source}' cannot be read: {error.strerror}; check that it is there and readable"
        ) from None
    if silent:
        raise DocumentError(f"'{source}' has nothing to speak in it: add text to it or leave it out")


def _watched(paragraph: Paragraph, ended_s: float, source: Path | str) -> float:
    """When the last of what was to be heard has ended, after ``paragraph`` too. Long silence before it is told.

    Raises:
        DocumentError: the silence would fill the disk.
    """
    slot = paragraph.role.slot
    if slot is None:
        return ended_s
    if slot.start_s > LATEST_S:
        raise DocumentError(
            f"'{source}': '{paragraph.text[:40]}' would be heard after {slot.start_s / 3600:,.0f} hours, which is more "
            f"than {LATEST_S // 3600}: correct its time, or set timeline.fit=none"
        )
    if slot.start_s - ended_s > LONGEST_SILENCE_S:
        log.warning(
            "'%s': %.1f hours of silence stand before what begins after %.2f hours, and are written to the disk: "
            "correct its time if it is wrong",
            source,
            (slot.start_s - ended_s) / 3600,
            slot.start_s / 3600,
        )
    return max(ended_s, slot.end_s)


def _paragraphs(path: Path, document: Document, reading: Reading) -> Iterator[Paragraph]:
    """What the file's own reader gives; its refusals name the source, which the file may be a copy of."""
    source = str(document.source)
    reader = READERS.get(path.suffix.lower() or PLAIN)
    if reader is None:
        raise DocumentError(f"'{source}' cannot be read: give {', '.join(READERS)} or a file without a suffix")
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise DocumentError(f"'{source}' is no file that can be read: give a text file")
    try:
        yield from reader(path, document, reading)
    except (DocumentError, JobError) as error:
        raise type(error)(str(error).replace(str(path), source)) from None
