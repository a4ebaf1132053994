"""The errors of cluster_tts, each named by what the program does next.

    CTTSError
    ├── JobError          stop the run: nothing that follows can succeed (exit 2)
    │   ├── Interrupted     stop the run, but the same command continues it (exit 75)
    │   │   └── DamagedFile   a file of the manifest is not whole; whoever reads it goes on without, a run mends it
    │   └── AccountRefused  stop the run: the key, the credit or the plan does not allow it (exit 78)
    ├── DocumentError     this document cannot be read; the others go on (exit 3)
    ├── ChunkError        this clip can never be spoken; its document stays incomplete, the run goes on (exit 3)
    ├── RetryLater        this attempt failed; the same request may succeed later
    └── DamagedClips      clips on disk are not what the manifest says; they are spoken again

Each takes its message first and everything else optionally, because an exception whose constructor does not accept
its own ``args`` loses its type on the way between Ray actors.
"""

import difflib
from collections.abc import Sequence

from cluster_tts.model import Receipt

EXIT_OK = 0
EXIT_UNEXPECTED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_CONTINUE = 75
EXIT_REFUSED = 78

REFUSALS = frozenset({"rate_limited", "too_many_at_once", "slow_down"})
"""Kinds of ``RetryLater`` by which an account's limits speak: they cost nothing, and no attempt is counted."""


class CTTSError(Exception):
    """Base of everything this package raises on purpose; its text is one message fit for a person."""


class JobError(CTTSError):
    """The run cannot go on: configuration, sources, credentials, an unknown voice."""

    exit_code = EXIT_USAGE


class Interrupted(JobError):
    """The run was asked to stop; running the same command again continues it."""

    exit_code = EXIT_CONTINUE


class DamagedFile(Interrupted):
    """A file of the manifest is not what was written there; the next run finds out again what it told.

    ``reason`` is how that showed.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class AccountRefused(JobError):
    """The account cannot be used: a refused key, no credit left, a plan that does not allow it. No retry will help.

    ``kind`` is the stable word that the manifest and the report count by; ``receipt`` is what the answer said besides.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, kind: str = "account_refused", receipt: Receipt | None = None) -> None:
        super().__init__(message, kind, receipt)
        self.kind = kind
        self.receipt = receipt

    def __str__(self) -> str:
        return str(self.args[0])


class DocumentError(CTTSError):
    """One document cannot be read or has nothing to say."""


class ChunkError(CTTSError):
    """One clip can never be spoken as it is asked for.

    ``kind`` is the stable word that the manifest and the report count by; ``receipt`` is what the answer said besides.
    """

    def __init__(self, message: str, kind: str = "unspeakable", receipt: Receipt | None = None) -> None:
        super().__init__(message, kind, receipt)
        self.kind = kind
        self.receipt = receipt

    def __str__(self) -> str:
        return str(self.args[0])


class RetryLater(CTTSError):
    """One attempt failed in a way that another may not; ``after_s`` is the pause the server named, if it did.

    ``receipt`` is what the answer said besides, for some attempts that fail are charged.
    """

    def __init__(
        self, message: str, kind: str = "fault", after_s: float | None = None, receipt: Receipt | None = None
    ) -> None:
        super().__init__(message, kind, after_s, receipt)
        self.kind = kind
        self.after_s = after_s
        self.receipt = receipt

    def __str__(self) -> str:
        return str(self.args[0])


class DamagedClips(CTTSError):
    """Joining found clips that are missing, cut or swapped; ``clip_ids`` names them all."""

    def __init__(self, message: str, clip_ids: Sequence[str] = ()) -> None:
        super().__init__(message, clip_ids)
        self.clip_ids = tuple(clip_ids)

    def __str__(self) -> str:
        return str(self.args[0])


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint to append to an error: the known words most like ``word``, or the first dozen of them if none is."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
