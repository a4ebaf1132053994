"""The voices: a file each, and a line each in ``PROVIDERS``."""

from importlib import import_module
from typing import cast

from cluster_tts.errors import JobError, nearest
from cluster_tts.job import ProviderSettings
from cluster_tts.providers.base import Provider

PROVIDERS = {
    "espeak": "cluster_tts.providers.espeak:Espeak",
    "hibari": "cluster_tts.providers.hibari:Hibari",
    "tone": "cluster_tts.providers.tone:Tone",
}


def provider_class(name: str) -> type[Provider]:
    """The class behind ``provider.name``; only its own module is imported."""
    if name not in PROVIDERS:
        raise JobError(f"unknown provider '{name}': {nearest(name, list(PROVIDERS))}")
    module, _, class_name = PROVIDERS[name].partition(":")
    return cast(type[Provider], getattr(import_module(module), class_name))


def make(settings: ProviderSettings) -> Provider:
    """The provider of ``settings``, ready to speak.

    Raises:
        JobError: it is unknown, not installed, or refuses its settings.
    """
    return provider_class(settings.name)(settings)
