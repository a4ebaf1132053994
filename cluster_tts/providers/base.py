"""What a voice must be able to do, and the little it is told.

A provider says *how* to ask and *how* to read the answer. When to ask, and whether again, is decided in
``synthesis``; whether the audio is believed, in ``clips``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from cluster_tts.errors import JobError, nearest
from cluster_tts.job import ProviderSettings


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a provider tells of one answered request; the audio itself is in the file it was given."""

    billed_characters: int | None = None
    cost_usd: float | None = None
    request_id: str | None = None
    http_status: int | None = None


class Provider(Protocol):
    """One voice of one provider, ready to speak. Built once per worker process; ``speak`` runs many at a time.

    Class attributes describe the provider without building it, so planning stays cheap.
    """

    embedded: ClassVar[bool]
    """True: speech is computed here and costs a core. False: it is waited for, and an account has limits."""

    characters_per_second: ClassVar[float]
    """How fast its speech typically is, for estimates of audio length."""

    def __init__(self, settings: ProviderSettings) -> None:
        """Raise ``JobError`` for an unknown voice, format or option; load nothing large before the first ``speak``."""

    @classmethod
    def revision(cls) -> str:
        """What else decides the sound besides the settings, such as the version of an embedded voice."""

    async def prepare(self) -> None:
        """Load what the first ``speak`` would otherwise load."""

    async def speak(self, text: str, target: Path) -> Spoken:
        """Write the speech of ``text`` to ``target`` as an audio file of the settings' format.

        Raises:
            ChunkError: this text can never be spoken.
            RetryLater: this attempt failed, another may not.
            JobError: no text can be spoken any more.
        """

    async def aclose(self) -> None:
        """Let go of sockets and threads."""


def refuse_unknown_options(provider: str, options: Sequence[str], known: Sequence[str]) -> None:
    """Raise ``JobError`` naming the first of ``options`` that is not among ``known``, and the nearest that is."""
    for option in options:
        if option not in known:
            raise JobError(f"provider '{provider}' knows no option '{option}': {nearest(option, known)}")
