"""From what a person names to a folder."""

import re
from pathlib import Path

from cluster_tts.storage.folder import Folder
from cluster_tts.storage.local import LocalFolder

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Whether ``text`` names a place that is reached over the network; a path never looks so."""
    return bool(URL.match(text))


def at(where: str) -> Folder:
    """The folder that ``where``, a path or a URL, names. Nobody is asked whether it is there.

    Raises:
        JobError: a URL of a kind that cannot be used.
    """
    return LocalFolder(Path(where))
