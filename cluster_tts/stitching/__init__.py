"""The clips of one document in order, joined into one audio file, with measured times beside it.

Reading order: ``order`` (what stands between two pieces), ``reading`` (clips as samples), ``measuring`` (the silence at
their edges, their loudness), ``layout`` (where each lies, as arithmetic), ``fit`` (the same where there are times),
``seams`` and ``mixing`` (no click, no loss where they meet), ``encode``, ``times`` and ``mux`` (what is written),
``writing``, ``clearing`` and ``join`` (all of it).
"""

from cluster_tts.stitching.clearing import clear
from cluster_tts.stitching.encode import output_rate, require_format
from cluster_tts.stitching.join import Files, Joined, stitch, stitch_items
from cluster_tts.stitching.order import Item, Piece, item_of
from cluster_tts.stitching.times import BESIDE

__all__ = [
    "BESIDE",
    "Files",
    "Item",
    "Joined",
    "Piece",
    "clear",
    "item_of",
    "output_rate",
    "require_format",
    "stitch",
    "stitch_items",
]
