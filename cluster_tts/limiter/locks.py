"""A lock between processes that nobody can hold for long: not even one that was stopped with it in hand."""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_S = 0.5  # who holds it longer was stopped, or hangs: it is taken away
GIVE_UP_S = 2.0
TRY_S = 0.005
NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class NoLocks(OSError):
    """This system, or this file system, knows no locks."""


class Lock:
    """Ours inside ``with``; ``check`` right before the one change that counts.

    A process that ends lets go of it, however it ends. From one that does not, it is taken after ``LOCK_S`` by putting
    another file in its place, which ``check`` notices. Weakness: a process that is stopped between ``check`` and its
    change, some microseconds, makes that change when it is continued.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> "Lock":
        if fcntl is None:
            raise NoLocks(errno.ENOSYS, "this system knows no file locks")
        started = asked = time.monotonic()
        waited_for = None
        while not self._take():
            now, held = time.monotonic(), self._inode()
            if now - started > GIVE_UP_S:
                raise BlockingIOError(errno.EAGAIN, "its lock is held by another process", str(self._path))
            if held != waited_for:
                waited_for, asked = held, now
            elif now - asked > LOCK_S:
                self._path.unlink(missing_ok=True)
            time.sleep(TRY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def check(self) -> None:
        """Raises if the lock was taken away meanwhile."""
        if os.fstat(self._handle).st_ino != self._inode():
            raise BlockingIOError(errno.EAGAIN, "its lock was taken by another process", str(self._path))

    def _take(self) -> bool:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.check()  # it may have been replaced after it was opened
        except BlockingIOError:
            os.close(self._handle)
            return False
        except OSError as error:
            os.close(self._handle)
            if error.errno in NOT_SUPPORTED:
                raise NoLocks(error.errno, error.strerror) from error
            raise
        return True

    def _inode(self) -> int | None:
        with suppress(FileNotFoundError):
            return self._path.stat().st_ino
        return None
