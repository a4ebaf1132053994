"""The voices: a file each, and a line each in ``PROVIDERS``; and one's own, by ``module:Class`` or entry point."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, cast

from cluster_tts.errors import ChunkError, CTTSError, JobError, RetryLater, nearest
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Speech, Voice
from cluster_tts.providers.base import Provider

PROVIDERS = {
    "cartesia": "cluster_tts.providers.cartesia:Cartesia",
    "elevenlabs": "cluster_tts.providers.elevenlabs:ElevenLabs",
    "espeak": "cluster_tts.providers.espeak:Espeak",
    "hibari": "cluster_tts.providers.hibari:Hibari",
    "openai": "cluster_tts.providers.openai:OpenAI",
    "replicate": "cluster_tts.providers.replicate:Replicate",
    "tone": "cluster_tts.providers.tone:Tone",
}
ENTRY_POINTS = "cluster_tts.providers"  # the group in which installed packages may offer more
NEEDED = ("embedded", "characters_per_second", "revision", "canonical", "prepare", "speak", "voices", "aclose")


@cache
def provider_class(name: str) -> type[Provider]:
    """The class behind ``provider.name``; only its own module is imported.

    Raises:
        JobError: there is none, it cannot be imported, or it is no provider.
    """
    if name in PROVIDERS:
        module, _, class_name = PROVIDERS[name].partition(":")
        return cast(type[Provider], getattr(import_module(module), class_name))
    target = name if ":" in name else _offered().get(name)
    if target is None:
        raise JobError(f"unknown provider '{name}': {nearest(name, [*PROVIDERS, *_offered()])}")
    return _imported(*target.split(":", 1))


def make(settings: ProviderSettings) -> Provider:
    """The provider of ``settings``, ready to speak.

    Raises:
        JobError: it is unknown, not installed, or refuses its settings.
    """
    found = provider_class(settings.name)
    if settings.inputs and settings.name in PROVIDERS and settings.name != "replicate":
        raise JobError(f"provider '{settings.name}' takes no provider.inputs: set provider.options instead")
    try:
        return found(settings)
    except CTTSError:
        raise
    except Exception as error:
        if settings.name in PROVIDERS:
            raise
        raise JobError(f"provider '{settings.name}' cannot be made: {type(error).__name__}: {error}") from error


def speaking(settings: ProviderSettings, speech: Speech) -> ProviderSettings:
    """``settings`` in the voice and at the speed that a text asks for."""
    if speech.voice is not None:
        settings = replace(settings, voice=speech.voice)
    return settings if speech.speed == 1.0 else provider_class(settings.name).at_speed(settings, speech.speed)


def sound_identity(settings: ProviderSettings) -> tuple[ProviderSettings, str]:
    """What of ``settings`` decides the sound, in the one spelling for it, and what else does.

    Raises:
        JobError: the provider is unknown or not installed, or fails to say so.
    """
    found = provider_class(settings.name)
    try:
        canonical, revision = found.canonical(settings), found.revision(settings)
    except CTTSError:
        raise
    except Exception as error:
        raise JobError(f"provider '{settings.name}' has no revision: {type(error).__name__}: {error}") from error
    if not isinstance(revision, str):
        raise JobError(f"provider '{settings.name}': its revision is {revision!r}, not a text")
    return canonical, revision


async def voices_of(settings: ProviderSettings) -> Sequence[Voice]:
    """What ``provider.voice`` may be.

    Raises:
        JobError: the provider cannot be asked, or does not tell.
    """
    provider = make(settings)
    try:
        return await provider.voices()
    except (RetryLater, ChunkError) as error:
        raise JobError(f"the voices of '{settings.name}' cannot be listed: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise JobError(f"'{settings.name}' lists its voices in a form that is not known ({error!r})") from None
    finally:
        await provider.aclose()


def _imported(module: str, class_name: str) -> type[Provider]:
    """A class of somebody's own. Their folder is where the command was given, as with ``python -m``."""
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    where = f"provider '{module}:{class_name}'"
    try:
        found: Any = getattr(import_module(module), class_name, None)
    except Exception as error:  # whatever their module does when it is imported
        raise JobError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    if found is None:
        raise JobError(f"{where}: there is no {class_name} in {module}")
    if lacking := [attribute for attribute in NEEDED if not hasattr(found, attribute)]:
        raise JobError(
            f"{where} is no provider: it has no {', '.join(lacking)}; "
            "let it inherit from cluster_tts.providers.base.Provider"
        )
    return cast(type[Provider], found)


def _offered() -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
