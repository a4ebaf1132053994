"""Files that are on the disk, not only on their way there: what a power cut must not take back."""

import os
from pathlib import Path

from cluster_tts.storage import Folder


def settle_content(path: Path) -> None:
    """Return when what was written to the local file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle_name(folder: Folder, name: str) -> None:
    """Return when a file that has just got its name will have it after a power cut too. A bucket sees to it itself."""
    if folder.is_local:
        settle_content(Path(folder.address(name)).parent)
