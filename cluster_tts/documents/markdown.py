"""Markdown: what a person would read aloud of it. Marks, addresses, code and HTML stay silent."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from cluster_tts.documents.text import SPEAKABLE, Block, lines, unwrap
from cluster_tts.errors import DocumentError
from cluster_tts.model import Paragraph, Role

# Between "---" lines, if it begins like YAML: a scene break at the top of a story must not swallow it up to the next.
FRONT_MATTER = re.compile(r"---[ \t]*\n(?:(?:#|[\w\"'][^\n:]*:).*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
ADDRESS = re.compile(r"\b(?:https?|ftp)://(?:[^\s/@]*@)?([\w.-]*\w)(?::\d+)?(?:[/?#](?:\S*[^\s.,;:!?()\[\]'\"])?)?")
MOST_BYTES = 20_000_000  # a hundred novels
LINE_BREAK_TAG = re.compile(r"<br\b", re.IGNORECASE)
# "[^1]: " before a footnote, "[^1]" where it is called, "[x] " before a task.
SILENT_MARK = re.compile(r"^\[\^[^\]\s]+\]:|\[\^[^\]\s]+\]|^\[[ xX]\]\s", re.MULTILINE)
SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


HARD_BREAK = "\v"  # which ends a line of a dialogue and is a blank elsewhere; no line that was read has one in it
HEADING = Role(heading=True)


def paragraphs(path: Path) -> Iterator[Paragraph]:
    """The paragraphs of the Markdown at ``path``: headings, list items, table rows and quotes are each their own.

    A paragraph of signs is left out unless there are no others.
    """
    return spoken(blocks(path))


def spoken(of_blocks: Sequence[Block]) -> Iterator[Paragraph]:
    """The paragraphs that ``of_blocks`` are."""
    for block in [block for block in of_blocks if SPEAKABLE.search(block.text)] or of_blocks:
        text = unwrap(block.text.replace(HARD_BREAK, " ").split("\n"))
        yield Paragraph(text, HEADING) if block.heading else Paragraph(text)


def blocks(path: Path) -> list[Block]:
    """The Markdown at ``path``, without its marks. It is parsed whole, so unlike plain text it is held in memory.

    Raises:
        DocumentError: like ``lines``, or it is too large to be held.
    """
    if path.stat().st_size > MOST_BYTES:
        raise DocumentError(
            f"'{path}' is larger than {MOST_BYTES:,} bytes, which are the most for Markdown: split it, or name it .txt"
        )
    source = "\n".join(lines(path))
    front = FRONT_MATTER.match(source)
    skipped = front[0].count("\n") if front else 0
    return list(_blocks(_parser().parse(source[front.end() :] if front else source), skipped))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.inline.ruler.before("link", "silent_mark", _skip_silent_mark)
    return parser


def _skip_silent_mark(state: StateInline, silent: bool) -> bool:
    mark = SILENT_MARK.match(state.src, state.pos)
    if mark:
        state.pos = mark.end()
    return mark is not None


def _blocks(tokens: Sequence[Token], skipped: int) -> Iterator[Block]:
    row: list[str] | None = None
    heading = False
    number = skipped + 1
    for token in tokens:
        number = skipped + token.map[0] + 1 if token.map else number
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            if row:
                yield Block(", ".join(row) + ("" if row[-1].endswith(SENTENCE_ENDS) else "."), number)
            row = None
        elif token.type in ("heading_open", "heading_close"):
            heading = token.type == "heading_open"
        elif token.type == "inline" and (text := unwrap((raw := _spoken(token.children or [])).splitlines())):
            if row is None:
                yield Block(raw, number, heading)
            else:
                row.append(text)


def _spoken(tokens: Sequence[Token]) -> str:
    return "".join(map(_spoken_part, tokens))


def _spoken_part(token: Token) -> str:
    match token.type:
        case "text":
            return ADDRESS.sub(r"\1", token.content)
        case "code_inline":
            return token.content
        case "image":
            return _spoken(token.children or [])
        case "softbreak":
            return "\n"
        case "hardbreak":
            return HARD_BREAK
        case "html_inline":
            return HARD_BREAK if LINE_BREAK_TAG.match(token.content) else ""
        case _:
            return ""
