"""The run's record: Parquet parts under ``OUT/manifest``, one explicit Arrow schema each.

Parts are added whole (written beside their place, then renamed) and never changed. Small ones are merged as they
grow in number: the sum is written first and names what it replaces, so a kill between the two steps counts nothing
twice. One process writes; anybody may read at any time.
"""

from cluster_tts.manifest.plans import PlanLocation, PlannedChunk, PlanReader, PlanWriter
from cluster_tts.manifest.schemas import DOCUMENTS, OUTCOMES, PLAN
from cluster_tts.manifest.store import DocumentRow, Manifest, last_words

__all__ = [
    "DOCUMENTS",
    "OUTCOMES",
    "PLAN",
    "DocumentRow",
    "Manifest",
    "PlanLocation",
    "PlanReader",
    "PlanWriter",
    "PlannedChunk",
    "last_words",
]
