"""Documents: find them, and read them paragraph by paragraph.

``sources`` turns what the user named into documents. ``readers`` knows which reader belongs to which suffix; a new
format is one module here and one entry there.
"""

from cluster_tts.documents.readers import digest_of, read, suffix_of
from cluster_tts.documents.sources import find

__all__ = ["digest_of", "find", "read", "suffix_of"]
