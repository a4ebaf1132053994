"""The files that a document may have in ``OUT/documents``, whatever it was joined as, and their removal."""

from collections.abc import Collection

from cluster_tts.job import DOCUMENT_FORMATS
from cluster_tts.media.muxing import CONTAINERS
from cluster_tts.stitching.times import BESIDE
from cluster_tts.storage import Folder


def clear(folder: Folder, name: str) -> None:
    """Remove all there is of the document ``name``: its audio first, since where that is, all is whole."""
    clear_files(folder, name)
    clear_items(folder, name)


def clear_files(folder: Folder, name: str) -> None:
    """Its audio in every format, what tells of it, and its video."""
    for suffix in (*DOCUMENT_FORMATS, *BESIDE):
        folder.remove(f"{name}.{suffix}")
    for suffix in CONTAINERS:
        folder.remove(f"{name}{suffix}")


def clear_items(folder: Folder, name: str, kept: Collection[str] = ()) -> None:
    """The files of its items, but for those that are ``kept``."""
    for entry in list(folder.files(name)):
        if entry.name not in kept:
            folder.remove(entry.name)
