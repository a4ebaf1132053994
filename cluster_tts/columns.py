"""Rows of the manifest into totals, a batch at a time: what ``Totals.count`` does one by one, for a million of them."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cluster_tts.errors import REFUSALS
from cluster_tts.model import Status
from cluster_tts.report import NOBODY_ASKED, SHORTEST, Asked, Totals

BUCKETS = SHORTEST << np.arange(32)
COLUMNS = (
    "status", "document", "error_kind", "characters", "billed_characters", "cost_usd", "latency_s", "gate_wait_s",
    "frames", "rate", "speaker",
)  # fmt: skip
"""All that ``count_rows`` looks at."""


def count_rows(totals: Totals, batch: pa.RecordBatch) -> None:
    """Add rows of ``manifest/outcomes`` to ``totals``. Sums of money and time may differ in their last digits."""
    rows = {name: batch.column(name) for name in COLUMNS}
    status, kind = rows["status"], rows["error_kind"]
    totals.attempts.update({Status(name): count for name, count in _counted(status).items()})
    totals.errors.update({name: count for name, count in _counted(kind).items() if name})
    totals.billed_characters += _sum(rows["billed_characters"])
    totals.cost_usd += _sum(rows["cost_usd"])
    spoken = pc.and_(pc.equal(status, Status.SPOKEN), pc.is_valid(rows["frames"]))
    totals.characters += _sum(rows["characters"].filter(spoken))
    totals.audio_s += _sum(pc.divide(rows["frames"].filter(spoken).cast(pa.float64()), rows["rate"].filter(spoken)))
    _count_asked(totals, rows, pc.and_(pc.not_equal(status, Status.FOUND), pc.invert(_is_in(kind, NOBODY_ASKED))))


def _count_asked(totals: Totals, rows: dict[str, pa.Array], asked: pa.Array) -> None:
    """Add those rows of which somebody was asked: how long it took, and how many in all, by document and by size."""
    for name, times in ("latency_s", totals.latency_s), ("gate_wait_s", totals.gate_wait_s):
        times.frombytes(rows[name].filter(asked).to_numpy(zero_copy_only=False).astype(np.float32).tobytes())
    kind, characters = rows["error_kind"].filter(asked), rows["characters"].filter(asked)
    refused = _is_in(kind, REFUSALS)
    table = pa.table(
        {
            "document": rows["document"].filter(asked),
            "speaker": rows["speaker"].filter(asked),
            "size": BUCKETS[np.searchsorted(BUCKETS, characters.to_numpy())],
            "refused": refused.cast(pa.int64()),
            "errors": pc.and_(pc.is_valid(kind), pc.invert(refused)).cast(pa.int64()),
        }
    )
    _add(totals.asked, len(table), _sum(table["refused"]), _sum(table["errors"]))
    for by, counts in ("document", totals.by_document), ("size", totals.by_size), ("speaker", totals.by_speaker):
        grouped = table.group_by(by).aggregate([("refused", "count"), ("refused", "sum"), ("errors", "sum")])
        columns = (grouped[name].to_pylist() for name in (by, "refused_count", "refused_sum", "errors_sum"))
        for key, *counted in zip(*columns, strict=True):
            if key is not None:  # of most documents nobody says who speaks
                _add(counts.setdefault(key, Asked()), *counted)


def _add(asked: Asked, requests: int, refused: int, errors: int) -> None:
    asked.requests += requests
    asked.refused += refused
    asked.errors += errors


def _counted(names: pa.Array) -> Counter[str]:
    """How often each value comes, without nulls."""
    counted = pc.value_counts(names.drop_null())
    return Counter(dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)))


def _is_in(names: pa.Array, known: frozenset[str]) -> pa.Array:
    return pc.is_in(names, value_set=pa.array(sorted(known)))


def _sum(values: pa.Array) -> Any:
    """Of whole numbers a whole number."""
    return pc.sum(values).as_py() or 0
