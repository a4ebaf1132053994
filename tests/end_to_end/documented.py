"""What the pages for people say, block by block, and a folder with all that their commands speak of.

A fenced block without a language, or with one of ``SHELL``, holds commands; output and trees are ``text``.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "examples/README.md", "jobs/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SHELL = ("", "sh", "console", "bash")
CHAPTERS, WORDS, LONGEST = (
    4,
    3,
    600,
)  # rows and characters that are kept of the examples: commands are tried, not speech

TEXT = "The tide is out. Nobody minds.\n\nThe boats lie in the mud and wait.\n"
TALK = "ADA: Did you hear the bell?\nTOM: [after a while] I did.\nADA: So did I.\n"
CUES = "1\n00:00:00,500 --> 00:00:01,600\nThe ferry is late.\n\n2\n00:00:01,700 --> 00:00:02,900\nIt often is.\n"


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the number of its first line, its language, and what is in it."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that it is, where its first line says so: ``# ours.yaml``."""
        named = re.match(r"# ([\w-]+\.(?:py|yaml))\n", self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[str]:
        """Its commands, each on one line, without comments."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [command for line in lines for command in _without_comment(line).split(" && ") if command]


def blocks(pages: list[Path] = PAGES) -> Iterator[Block]:
    """Every fenced block of the pages, in order."""
    for page in pages:
        language, begun, inside = None, 0, list[str]()
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("```"):
                inside.append(line)
            elif language is None:
                language, begun, inside = line.removeprefix("```").strip(), number, []
            else:
                yield Block(page.relative_to(ROOT).as_posix(), begun, language, "\n".join(inside) + "\n")
                language = None
        assert language is None, f"{page}: the block of line {begun} has no end"


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _without_comment(line: str) -> str:
    reader = shlex.shlex(line, posix=False, punctuation_chars=False)
    reader.whitespace_split, reader.commenters = True, "#"
    return " ".join(reader)


def prepare(folder: Path) -> None:
    """Put into ``folder`` what the commands name, no longer than it has to be."""
    texts = {
        "texts/a.txt": TEXT, "texts/b.md": f"# Tides\n\n{TEXT}", "shared/texts/c.txt": TEXT, "samples/d.txt": TEXT,
        "book/1.txt": TEXT, "notes.md": TEXT, "brief.txt": TEXT, "book.txt": f"# One\n\n{TEXT}", "talk.txt": TALK,
        "videos/film.srt": CUES, "verses.csv": _head("scripture/chapters.csv", CHAPTERS),
        "words.csv": _head("vocabulary/words.csv", WORDS),
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    examples = folder / "examples"
    shutil.copytree(ROOT / "examples", examples)
    (examples / "scripture" / "chapters.csv").write_text(texts["verses.csv"], encoding="utf-8")
    (examples / "vocabulary" / "words.csv").write_text(texts["words.csv"], encoding="utf-8")
    for name in ("reading/on-paths.txt", "digest/night-shift.md", "digest/two-keepers.txt"):
        (examples / name).write_text((examples / name).read_text(encoding="utf-8")[:LONGEST], encoding="utf-8")
    for name in ("greek.txt", "hindi.txt"):
        shutil.copy(examples / "languages" / name, folder)
    for name in ("jobs", "k8s", "conf"):
        (folder / name).symlink_to(ROOT / name)


def _head(name: str, rows: int) -> str:
    return "".join((ROOT / "examples" / name).read_text(encoding="utf-8").splitlines(keepends=True)[: rows + 1])


BLOCKS = list(blocks())
