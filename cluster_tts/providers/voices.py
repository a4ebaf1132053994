"""One provider in every voice and at every speed that clips ask for, over the sockets of one."""

from cluster_tts.job import ProviderSettings
from cluster_tts.model import Speech
from cluster_tts.providers import make, speaking
from cluster_tts.providers.base import Provider


class Voices:
    """Makes a provider the first time that a clip asks for its voice or speed, and lets all go together.

    The weakness: each has its own state. An embedded voice of one's own that loads a model loads it for each voice.
    """

    def __init__(self, provider: Provider, settings: ProviderSettings) -> None:
        """``provider`` speaks by ``settings``, and lends its sockets to the others."""
        self._first = provider
        self._settings = settings
        self._others: list[tuple[ProviderSettings, Provider]] = []

    def of(self, speech: Speech) -> Provider:
        """Who speaks so; raises ``JobError`` where nobody does."""
        wanted = speaking(self._settings, speech)
        if wanted == self._settings:
            return self._first
        for settings, provider in self._others:
            if settings == wanted:
                return provider
        like = getattr(self._first, "like", None)  # which a class that does not inherit from ours need not have
        provider = like(wanted) if like is not None else make(wanted)
        if hasattr(self._first, "passage"):
            provider.passage = self._first.passage
        self._others.append((wanted, provider))
        return provider

    async def aclose(self) -> None:
        """Let go of sockets and threads."""
        for _, provider in self._others:
            await provider.aclose()
        await self._first.aclose()
