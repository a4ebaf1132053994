"""Parquet parts: added whole, never changed, merged as they grow in number.

Arrow is given absolute paths only: it takes a relative one with a colon in it for a URI.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cluster_tts.errors import JobError
from cluster_tts.manifest.schemas import VERSION

MERGE_AT = 32  # so many parts of one level become one of the next
PART = re.compile(r"part-(\d)-.+\.parquet")
REPLACES = b"cluster_tts.replaces"


def standing(folder: Path) -> list[Path]:
    """The parts in ``folder`` that count: not those whose sum is already there, nor what a kill left half written."""
    paths = sorted(folder.glob("part-*.parquet"), key=lambda path: (-level(path), path.name))
    replaced: set[str] = set()
    for path in paths:
        if level(path):
            with suppress(pa.ArrowInvalid, OSError):
                metadata = pq.read_schema(path.absolute()).metadata or {}
                replaced.update(metadata.get(REPLACES, b"").decode().splitlines())
    return [path for path in paths if path.name not in replaced]


@contextmanager
def opened(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
    """The part at ``path``; ``JobError`` where it is damaged, also if that shows only while it is read."""
    try:
        with pq.ParquetFile(path.absolute()) as file:
            version = (file.schema_arrow.metadata or {}).get(b"cluster_tts.schema_version", b"?").decode()
            if version != VERSION or not file.schema_arrow.equals(schema):
                raise JobError(
                    f"the manifest part '{path}' follows schema {version}, this program reads {VERSION}; "
                    "use another OUT, or the program that wrote it"
                )
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # the disk has failed, not the part: Arrow's own errors have no number
            raise
        reason = " ".join(str(error).split())
        raise JobError(f"the manifest part '{path}' cannot be read ({reason}): move it away and run again") from None


def write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary.absolute())
    temporary.replace(path)


def merge(folder: Path, schema: pa.Schema, suffix: str) -> None:
    """Merge the parts of every level that has many; ``suffix`` makes the name of the sum unique.

    The sum is written first and names what it replaces, so a kill in between counts nothing twice.
    """
    # First what a kill left standing beside its sum: once that sum is merged again, nobody would know of it.
    for path in set(folder.glob("part-*.parquet")) - set(standing(folder)):
        path.unlink(missing_ok=True)
    levels: dict[int, list[Path]] = {}
    for path in standing(folder):
        levels.setdefault(level(path), []).append(path)
    for number, paths in levels.items():
        if len(paths) < MERGE_AT:
            continue
        name = f"part-{number + 1}-{suffix}.parquet"
        temporary = folder / f".{name}.tmp"
        replaced = "\n".join(path.name for path in paths).encode()
        summed = schema.with_metadata({**schema.metadata, REPLACES: replaced})
        with pq.ParquetWriter(temporary.absolute(), summed) as total:
            for path in paths:
                with opened(path, schema) as file:
                    for batch in file.iter_batches():
                        total.write_batch(batch.replace_schema_metadata(total.schema.metadata))
        temporary.replace(folder / name)
        for path in paths:
            path.unlink(missing_ok=True)


def level(path: Path) -> int:
    """How often the rows of a part have been merged."""
    match = PART.fullmatch(path.name)
    return int(match[1]) if match else 0
