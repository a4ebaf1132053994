"""What providers refuse, in the same words: settings by name, texts and audio with nothing in them."""

import io
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import soundfile as sf

from cluster_tts.audio import Samples, trim_edges
from cluster_tts.errors import ChunkError, JobError, nearest
from cluster_tts.job import ProviderSettings


def installed_version(package: str, remedy: str) -> str:
    """The version of ``package``, which need not be imported for it; ``remedy`` is what to do if it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise JobError(f"the package {package} is not installed: {remedy}") from None


def refuse_settings(settings: ProviderSettings, formats: Sequence[str], options: Sequence[str]) -> None:
    """Raise ``JobError`` for a model, for a format that is not among ``formats``, and for an unknown option."""
    if settings.model is not None:
        raise JobError(f"provider.model is '{settings.model}': provider '{settings.name}' has no models, leave it null")
    if settings.format not in formats:
        raise JobError(
            f"provider.format is '{settings.format}': provider '{settings.name}' writes {' or '.join(formats)}"
        )
    refuse_unknown_options(settings.name, list(settings.options), options)


def refuse_unknown_options(provider: str, options: Sequence[str], known: Sequence[str]) -> None:
    """Raise ``JobError`` naming the first of ``options`` that is not among ``known``, and the nearest that is."""
    for option in options:
        if option not in known:
            raise JobError(f"provider '{provider}' knows no option '{option}': {nearest(option, known)}")


def refuse_unknown_voice(settings: ProviderSettings, voice: str, known: Sequence[str], hint: str = "") -> None:
    """Raise ``JobError`` with the nearest voices and ``hint`` if ``voice`` is not among ``known``."""
    if voice not in known:
        raise JobError(f"provider '{settings.name}' knows no voice '{voice}': {nearest(voice, known)}{hint}")


def number(options: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    """The option ``name``, which may stand in another (``voice_settings.speed``), as a number in these bounds."""
    *path, last = name.split(".")
    for part in path:
        options = options.get(part) or {}
        if not isinstance(options, Mapping):
            raise JobError(f"provider.options.{part} is {options!r}: must be like {{{last}: {default:g}}}")
    value = options.get(last, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise JobError(f"provider.options.{name} is {value!r}: must be a number from {least} to {most}")
    return float(value)


def with_speed(settings: ProviderSettings, name: str, speed: float, most: float) -> ProviderSettings:
    """``settings`` with the option ``name``, which may stand in another, so much higher, but no more than ``most``."""
    options = deepcopy(settings.options)
    *path, last = name.split(".")
    section = options
    for part in path:
        section[part] = section = dict(section.get(part) or {})
    section[last] = round(min(section.get(last, 1.0) * speed, most), 3)
    return replace(settings, options=options)


def whole_number(options: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    """The option ``name`` as a whole number from ``least`` to ``most``."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise JobError(f"provider.options.{name} is {value!r}: must be a whole number from {least} to {most}")
    return value


def write_audio(samples: Samples, rate: int, target: Path, form: str = "WAV") -> None:
    """Write 16-bit mono ``samples`` to ``target``, encoded in memory first.

    soundfile would end a file by an fsync, which cost up to 20 ms a clip, and hides the reason when a disk is full.
    """
    encoded = io.BytesIO()
    sf.write(encoded, samples, rate, format=form, subtype="PCM_16")
    target.write_bytes(encoded.getbuffer())


def refuse_signs(text: str, hint: str = "") -> None:
    """Raise ``ChunkError`` with ``hint`` if ``text`` is nothing but signs: engines disagree on what those say."""
    if not any(character.isalnum() for character in text):
        raise ChunkError(f"there is no letter or digit in '{text[:40]}', nothing to speak{hint}")


def trim_speech(samples: Samples, rate: int) -> Samples:
    """``samples`` without the silence at their edges; ``ChunkError`` if nothing is left, for no clip is empty."""
    speech = trim_edges(samples, rate)
    if not len(speech):
        raise ChunkError("nothing but silence was spoken")
    return speech
