"""Plain text: its encoding, its lines, its paragraphs. A file is streamed, never held whole."""

import codecs
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import charset_normalizer

from cluster_tts.errors import DocumentError
from cluster_tts.model import Paragraph

LONGEST_WRAPPED_LINE = 120
LONGEST_PARAGRAPH = 5_000_000  # characters, four days of speech: it is held whole, in 17 bytes of memory a character
SAMPLE_BYTES = 256 * 1024
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b")
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))

# Controls, and what is there only to be invisible. U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\ufeff]")
PAGE_OR_PARAGRAPH_END = re.compile("[\f\u2029]")
SPEAKABLE = re.compile(r"[^\W_]")
# Han, kana, bopomofo and fullwidth forms are written without blanks; Hangul, left out here, is not.
CJK = re.compile("[\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]")
BRACKET = re.compile(r"[\[\]()]")
LONGEST_DIRECTION = 10_000  # characters in brackets; what is longer has lost its end
HYPHENS = ("-", "\u2010", "\u2011")
SOFT_HYPHEN = "\u00ad"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines without a blank one between them, as one text; ``number`` is that of the first, counted from 1. Nor is
    there a blank one before it where it ``goes_on``."""

    text: str
    number: int
    heading: bool = False
    goes_on: bool = False


def paragraphs(path: Path, encoding: str | None = None) -> Iterator[Paragraph]:
    """The paragraphs of the text at ``path``, holding no more of it than the longest one.

    A blank line and a line of signs (``* * *``, ``-----``) end a paragraph; a line too long to have been wrapped is
    one by itself. A text of nothing but signs keeps them, for the voice to refuse.
    """
    encoding = encoding or encoding_of(path)
    silent = True
    for block in _wrapped(lines(path, encoding), path):
        silent = False
        yield Paragraph(unwrap(block))
    if silent:
        yield from (Paragraph(signs) for line in lines(path, encoding) if (signs := unwrap([line])))


def blocks(path: Path, encoding: str) -> Iterator[Block]:
    """The text at ``path`` line by line, but for lines that a bracket holds together; lines of signs are blank ones.

    What is in a bracket counts as far as it can be a direction: the text may be of any length without a blank line.
    """
    block: list[str] = []
    characters = number = depth = 0
    goes_on = False
    for number, line in enumerate(lines(path, encoding), 1):
        is_blank = not SPEAKABLE.search(line)
        if not is_blank:
            block.append(line)
            characters += len(line)
            for bracket in BRACKET.findall(line):
                depth = depth + 1 if bracket in "[(" else max(depth - 1, 0)
        if block and (is_blank or not depth or characters > LONGEST_DIRECTION):
            yield Block("\n".join(block), number - len(block) + (not is_blank), goes_on=goes_on)
            block, characters, depth, goes_on = [], 0, 0, True
        goes_on = goes_on and not is_blank
    if block:
        yield Block("\n".join(block), number - len(block) + 1, goes_on=goes_on)


def lines(path: Path, encoding: str | None = None) -> Iterator[str]:
    """The lines of the file at ``path``, decoded, without invisible characters; a page break is a blank line.

    Raises:
        DocumentError: the file is not text, in no encoding that can be told, or has a line without an end.
    """
    encoding = encoding or encoding_of(path)
    try:
        with path.open(encoding=encoding) as file:
            while line := file.readline(LONGEST_PARAGRAPH + 1):
                if len(line) > LONGEST_PARAGRAPH:
                    raise endless(path, "line")
                yield from PAGE_OR_PARAGRAPH_END.sub("\n\n", DROPPED.sub("", line)).splitlines()
    except UnicodeDecodeError as error:
        raise DocumentError(f"'{path}' is not {encoding} to its end ({error.reason}): save it as UTF-8") from None


def endless(path: Path, what: str) -> DocumentError:
    """The refusal of what would fill the memory."""
    return DocumentError(
        f"'{path}' has a {what} of more than {LONGEST_PARAGRAPH:,} characters: it is no text, or needs blank lines"
    )


def unwrap(wrapped: Iterable[str]) -> str:
    """The lines as one text, each run of white space in it a single blank."""
    # Dropped once more, since entities of Markdown bring them back.
    parts = [line for each in wrapped if (line := DROPPED.sub("", each).strip())]
    joined = parts[:1]
    for left, right in pairwise(parts):
        joined += _between(left, right), right
    return " ".join("".join(joined).replace(SOFT_HYPHEN, "").split())


def _between(left: str, right: str) -> str:
    """What stood where a line was broken: nothing inside a hyphenated word or CJK text, else a blank."""
    hyphenated = left.endswith(HYPHENS) and left[-2:-1].isalpha() and right[0].islower()
    unspaced = CJK.match(left[-1]) and CJK.match(right[0])
    return "" if hyphenated or unspaced or left.endswith(SOFT_HYPHEN) else " "


def _wrapped(of_lines: Iterable[str], path: Path) -> Iterator[list[str]]:
    block: list[str] = []
    characters = 0
    for line in of_lines:
        wrapped = len(line.strip()) <= LONGEST_WRAPPED_LINE
        speakable = SPEAKABLE.search(line)
        if wrapped and speakable:
            block.append(line)
            characters += len(line)
            if characters > LONGEST_PARAGRAPH:
                raise endless(path, "paragraph")
            continue
        if block:
            yield block
            block, characters = [], 0
        if speakable:
            yield [line]
    if block:
        yield block


def encoding_of(path: Path) -> str:
    """The encoding of the file at ``path``, guessed and said so where it is none of Unicode's.

    Raises:
        DocumentError: the file is not text, or in no encoding that can be told.
    """
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
        for mark, encoding in BYTE_ORDER_MARKS:
            if head.startswith(mark):
                return encoding
        if wide := _utf16_without_mark(head):
            return wide
        controls = len(head) - len(head.translate(None, CONTROL_BYTES))
        if head.startswith(BINARY_MAGIC) or b"\0" in head or controls * 20 > len(head):
            raise DocumentError(f"'{path}' looks binary: give its text instead")
        fault = _first_fault(file)
        if fault is None:
            return "utf-8"
        file.seek(max(fault - SAMPLE_BYTES // 2, 0))
        sample = file.read(SAMPLE_BYTES)
    if _is_damaged_utf8(sample):
        raise DocumentError(f"'{path}' is UTF-8, but damaged at byte {fault}: save it again as UTF-8")
    guess = _guess(sample)
    if guess is None:
        raise DocumentError(f"'{path}' is in no encoding that can be told: save it as UTF-8")
    log.warning("'%s' is not UTF-8 (byte %d), read as %s: if it sounds wrong, save it as UTF-8", path, fault, guess)
    return guess


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 of letters, digits and blanks has its NULs in every second byte, and in no other."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 16 < len(head) or min(even, odd) * 20 > max(even, odd) or not head:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    strange = sum(not (character.isprintable() or character.isspace()) for character in text)
    return None if strange * 20 > len(text) else encoding


def _first_fault(file: BinaryIO) -> int | None:
    """About where ``file`` stops being UTF-8; ``None`` if it never does."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = file.seek(0)
    while True:
        block = file.read(SAMPLE_BYTES)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return start + error.start
        if not block:
            return None
        start += len(block)


def _is_damaged_utf8(sample: bytes) -> bool:
    """Other encodings look like UTF-8 by chance only: mostly well-formed means that it is, with a fault."""
    text = sample.decode("utf-8", errors="replace")
    faults = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) > 2 * faults


def _guess(sample: bytes) -> str | None:
    # Whole lines only, since a cut character would rule out the encodings that have it.
    sample = sample[sample.find(b"\n") + 1 : sample.rfind(b"\n") + 1] or sample
    # Windows' western encoding first: among all, French is called cp1250 ("à" read as "ŕ") and "It’s late." Chinese.
    western = charset_normalizer.from_bytes(sample, cp_isolation=["cp1252"]).best()
    best = western or charset_normalizer.from_bytes(sample).best()
    return best.encoding if best else None
