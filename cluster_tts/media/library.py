"""PyAV: whether it is there, and what its errors mean.

Nothing imports it but functions that need it: it is an extra, and takes a fifth of a second.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster_tts.errors import DocumentError, JobError

# Of the system's errors those that FFmpeg also gives for what it finds in a file, or cannot put into one.
OF_CONTENT = {errno.EINVAL, errno.ERANGE, errno.ENOSYS, errno.EDOM}


def require() -> None:
    """Nothing, where PyAV is installed.

    Raises:
        JobError: it is not, or cannot be loaded.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise JobError(f"video, Opus and m4b need PyAV ({error}): pip install 'cluster-tts[media]'") from None


@contextmanager
def understood(path: Path, complaint: str) -> Iterator[None]:
    """What FFmpeg says of ``path`` becomes an ``OSError`` where the system refused, else a ``DocumentError``.

    ``complaint`` follows the path in the latter, as in "is no video that can be read".
    """
    import av

    try:
        yield
    except av.FFmpegError as error:
        if error.errno in errno.errorcode and error.errno not in OF_CONTENT:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise DocumentError(f"'{path}' {complaint}: {str(error.strerror).lower()}") from None
