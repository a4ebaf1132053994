"""Documents: find them, and read them paragraph by paragraph.

Reading order: ``sources`` turns what the user named into documents, with ``names``, ``urls`` for those in buckets,
``runs`` for what is not to be read again, ``batch`` for tables of jobs and ``videos`` for what stands beside subtitles.
``readers`` knows which reader belongs to
which suffix, and ``reading`` what they are told of the job: ``text``, ``markdown``, ``dialogue``; ``subtitles`` over
``cues``, ``captions`` and ``grouping``; ``table`` over ``tables`` and ``columns``. A new format is one module here and
one entry there.
"""

from cluster_tts.documents.readers import Files, local, read
from cluster_tts.documents.reading import Reading
from cluster_tts.documents.sources import find

__all__ = ["Files", "Reading", "find", "local", "read"]
