"""Servers that answer as the providers do, on this machine and for nothing: a file each, and a line each here.

In reading order: ``settings``, ``limits``, ``turns``, ``faults``, ``stats`` and ``log`` (arithmetic), ``wire`` and
``fields`` (words that all share), ``admission`` (the one way in), ``speech``, ``encoding`` and ``sounding`` (the
audio), ``delivery`` (whole or broken, onto the wire), ``server`` (start, stop), and each provider's own paths, bodies
and errors. ``command`` is the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, cast

from cluster_tts.errors import JobError, nearest

if TYPE_CHECKING:
    from cluster_tts.emulator.wire import Wire

EMULATORS = {
    "cartesia": "cluster_tts.emulator.cartesia:Cartesia",
    "elevenlabs": "cluster_tts.emulator.elevenlabs:ElevenLabs",
    "openai": "cluster_tts.emulator.openai:OpenAI",
    "replicate": "cluster_tts.emulator.replicate:Replicate",
}


def wire_class(name: str) -> "type[Wire]":
    """The class that speaks as provider ``name`` does; only its own module is imported."""
    if name not in EMULATORS:
        raise JobError(f"no emulator of '{name}': {nearest(name, list(EMULATORS))}")
    module, _, class_name = EMULATORS[name].partition(":")
    return cast("type[Wire]", getattr(import_module(module), class_name))
