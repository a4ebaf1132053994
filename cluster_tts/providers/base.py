"""What a voice must be able to do, and the little it is told.

A provider says *how* to ask and *how* to read the answer. When to ask, and whether again, is decided in
``synthesis``; whether the audio is believed, in ``checking``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Protocol

from cluster_tts.cutting import Dialogue
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice

Passage = Callable[[str], AbstractAsyncContextManager[Any]]
"""By the name of a class of call: what a call of that class is made in."""


def open_passage(name: str) -> AbstractAsyncContextManager[Any]:
    """A way through that is never closed: nobody counts these calls."""
    return nullcontext()


class Provider(Protocol):
    """One voice of one provider, ready to speak. Built once per worker process; ``speak`` runs many at a time.

    Class attributes describe the provider without building it, so planning stays cheap. A provider of one's own that
    inherits from this class gets what has a default here, and need not write it.
    """

    embedded: ClassVar[bool]
    """True: speech is computed here and costs a core. False: it is waited for, and an account has limits."""

    characters_per_second: ClassVar[float]
    """How fast its speech typically is, for estimates of audio length."""

    takes_context: ClassVar[bool] = False
    """Whether it is told what is read out before and after (``chunking.context_characters``)."""

    passage: Passage = staticmethod(open_passage)
    """Where calls pass that count against limits of their own (``catalogue.classes``): whoever has the provider speak
    may set it. It is entered before the call leaves and left once it is answered, by the error if it was refused; any
    number may be inside. Requests to speak do not pass here: they have passed the gate before."""

    def __init__(self, settings: ProviderSettings) -> None:
        """Raise ``JobError`` for an unknown voice, format or option; load nothing large before the first ``speak``."""

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        """What else decides the sound besides voice, model, format, options and text: the version of an embedded
        voice, the server where servers differ."""

    @classmethod
    def canonical(cls, settings: ProviderSettings) -> ProviderSettings:
        """``settings`` in the one spelling that stands for all which sound the same."""
        return settings

    @classmethod
    def fastest(cls, settings: ProviderSettings) -> float:
        """How much faster than with ``settings`` it can be asked to speak; 1: it cannot."""
        return 1.0

    @classmethod
    def at_speed(cls, settings: ProviderSettings, speed: float) -> ProviderSettings:
        """``settings`` by which it speaks so much faster than by these, as far as it goes."""
        return settings

    @classmethod
    def dialogue(cls, settings: ProviderSettings) -> Dialogue | None:
        """What a request can carry in which several speakers talk (``Utterance.turns``); None: one voice a request."""
        return None

    @classmethod
    def sent(cls, settings: ProviderSettings, dialogue: bool) -> ProviderSettings:
        """What of ``settings`` a request for a dialogue, or for plain speech, is asked with: the rest does not decide
        how that sounds."""
        return settings

    def like(self, settings: ProviderSettings) -> "Provider":
        """The same provider by other settings, of voice and options only; it may share sockets with this one."""
        return type(self)(settings)

    async def prepare(self) -> None:
        """Load what the first ``speak`` would otherwise load; ``JobError`` if there is no key to ask with."""
        return

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        """Write the speech of ``utterance`` to ``target``, as an audio file of the settings' format.

        Raises:
            ChunkError: this text can never be spoken.
            RetryLater: this attempt failed, another may not.
            JobError: no text can be spoken any more.
        """

    async def voices(self) -> Sequence[Voice]:
        """What ``provider.voice`` may be; raises like ``speak``."""
        return ()

    async def aclose(self) -> None:
        """Let go of sockets and threads."""
        return
