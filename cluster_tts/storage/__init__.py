"""Where files are kept, local disk or bucket, behind the same few verbs.

Reading order: ``folder`` (the verbs), ``local``, ``bucket`` (pyarrow's file systems, by URL).
"""

from cluster_tts.storage.folder import Entry, Folder
from cluster_tts.storage.local import LocalFolder
from cluster_tts.storage.places import at, file_at, is_url

__all__ = ["Entry", "Folder", "LocalFolder", "at", "file_at", "is_url"]
