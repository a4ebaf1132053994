"""Which columns of a table are which of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_tts.documents.tables import Table
from cluster_tts.errors import DocumentError, JobError

OURS = {  # and what they are called besides
    "document": (),
    "item": ("id", "item_id", "item id"),
    "text": ("content",),
    "voice": ("voice_id",),
    "speaker": (),
    "start": ("start_s", "begin"),
    "end": ("end_s", "stop"),
    "source": (),
    "name": ("output", "output name", "output_name"),
    "video": (),
}
MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns as they are in a table, by ours; ``texts`` may be several."""

    texts: tuple[str, ...]
    by_ours: Mapping[str, str]

    def get(self, ours: str) -> str | None:
        """What the table calls it, None if it has no such column."""
        return self.by_ours.get(ours)

    @property
    def of_jobs(self) -> bool:
        """Whether each row is a whole job, of a file of its own. A table with texts may name their sources besides."""
        return "source" in self.by_ours and not self.texts


def match(table: Table, wanted: Mapping[str, Any], path: Path) -> Columns:
    """The columns of ``table`` by our names, as ``wanted`` (``reading.columns``) says, else as they are called.

    Raises:
        JobError: a column that is wanted is not there, or is none of ours.
        DocumentError: there is neither text nor the source of one, or something else than texts where they should be.
    """
    unknown = [ours for ours in wanted if ours not in OURS]
    if unknown:
        raise JobError(f"'reading.columns.{unknown[0]}' is no column of ours, which are {', '.join(OURS)}")
    by_ours: dict[str, str] = {}
    texts: tuple[str, ...] = ()
    for ours, others in OURS.items():
        if ours not in wanted:
            theirs = [name for each in (ours, *others) if (name := _named(each, table))][:1]
        else:
            theirs = [_wanted(ours, name, table, path) for name in _list(ours, wanted[ours])]
        if ours == "text":
            texts = tuple(theirs)
        elif theirs:
            by_ours[ours] = theirs[0]
    if "source" in wanted and "text" not in wanted:
        texts = ()
    columns = Columns(texts, by_ours)
    if not texts and "source" not in by_ours:
        raise DocumentError(
            f"'{path}' has no column 'text': name it in reading.columns.text; there are {_shown(table)}"
        )
    for name in (*texts, *by_ours.values()):
        if name in table.nested:
            raise DocumentError(
                f"'{path}', row {table.nested[name]}: column '{name}' holds something else than a text or a number"
            )
    return columns


def has_texts(table: Table, wanted: Mapping[str, Any]) -> bool:
    """Whether ``table`` has texts, or names their sources, as far as its columns tell: others hold data of any kind."""
    asked = [ours for ours in ("text", "source") if ours in wanted]
    if asked:
        return all(_named(str(name), table) for ours in asked for name in _list(ours, wanted[ours]))
    return any(_named(name, table) for ours in ("text", "source") for name in (ours, *OURS[ours]))


def _list(ours: str, theirs: object) -> Sequence[object]:
    if isinstance(theirs, list | tuple):
        if ours == "text" and theirs and len(set(map(str, theirs))) == len(theirs):
            return theirs
        raise JobError(f"'reading.columns.{ours}' must be the name of a column{', or several' * (ours == 'text')}")
    return [theirs]


def _wanted(ours: str, theirs: object, table: Table, path: Path) -> str:
    name = _named(str(theirs), table)
    if name is None:
        raise JobError(
            f"'{path}' has no column '{theirs}', which reading.columns.{ours} asks for: there are {_shown(table)}"
        )
    return name


def _named(name: str, table: Table) -> str | None:
    """The column of that name, whatever its case where there is just one."""
    if name in table.columns:
        return name
    alike = [each for each in table.columns if each.casefold() == name.strip().casefold()]
    return alike[0] if len(alike) == 1 else None


def _shown(table: Table) -> str:
    names = list(table.columns)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(f"'{name[:60]}'" for name in names[:MOST_NAMED]) + more if names else "none"
