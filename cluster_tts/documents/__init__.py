"""Documents: find them, and read them paragraph by paragraph.

``sources`` turns what the user named into documents, ``urls`` knows those in buckets. ``readers`` knows which reader
belongs to which suffix; a new format is one module here and one entry there.
"""

from cluster_tts.documents.readers import local, read
from cluster_tts.documents.sources import find

__all__ = ["find", "local", "read"]
