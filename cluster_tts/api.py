"""What this package does, as functions: ``run``, ``plan`` and ``speak``, each with an ``_async`` twin.

from cluster_tts import run
result = run("texts/", out="audio", settings={"stitching.format": "mp3"})
assert result.exit_code == 0, result.report.message
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster_tts import config
from cluster_tts.clips import Clips
from cluster_tts.commands import plan_job, run_job
from cluster_tts.cutting import Room
from cluster_tts.endings import Result
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import Job
from cluster_tts.limiter.gates import OpenGate
from cluster_tts.model import Clip, Status
from cluster_tts.providers import make as make_provider
from cluster_tts.storage import LocalFolder
from cluster_tts.synthesis import Synthesis
from cluster_tts.workload import Summary

Sources = str | Path | Sequence[str | Path]
Settings = Mapping[str, Any] | Sequence[str]
"""Settings by dotted name (``{"stitching.format": "flac"}``), or as ``key=value`` texts."""
Files = Sequence[str | Path]


def load_job(out: str | Path | None = None, settings: Settings = (), files: Files = ()) -> Job:
    """The job that files, environment and ``settings`` add up to; raises ``JobError`` naming what is wrong."""
    layers = [settings] if isinstance(settings, Mapping) else list(settings)
    return config.load(files, layers if out is None else [*layers, {"out": str(out)}])


def run(sources: Sources, out: str | Path | None = None, settings: Settings = (), files: Files = ()) -> Result:
    """Speak everything in ``sources`` and join it below ``out``; run again to continue.

    Args:
        sources: files, folders or globs of texts.
        out: the folder that gets everything; without it the setting ``out`` says which.
        settings: over all other layers, such as ``{"engine": "local", "stitching.format": "mp3"}``.
        files: YAML files of settings.

    Returns:
        How it ended: ``exit_code`` as on the command line. Incomplete documents are told there, not raised.

    Raises:
        JobError: nothing could be spoken: settings, sources, an unknown voice.
        Interrupted: storage failed; the same call continues.
    """
    return asyncio.run(run_async(sources, out, settings, files))


async def run_async(
    sources: Sources,
    out: str | Path | None = None,
    settings: Settings = (),
    files: Files = (),
    stop: asyncio.Event | None = None,
) -> Result:
    """``run`` on a running event loop. Setting ``stop`` ends it as a signal would, with exit code 75."""
    return await run_job(load_job(out, settings, files), _listed(sources), stop or asyncio.Event())


def plan(sources: Sources, out: str | Path | None = None, settings: Settings = (), files: Files = ()) -> Summary:
    """What ``run`` with the same arguments would do. Reads everything, writes nothing, asks nobody."""
    return plan_job(load_job(out, settings, files), _listed(sources))


async def plan_async(
    sources: Sources, out: str | Path | None = None, settings: Settings = (), files: Files = ()
) -> Summary:
    """``plan`` without holding up the running event loop."""
    return await asyncio.to_thread(plan, sources, out, settings, files)


def speak(text: str, path: str | Path, settings: Settings = ()) -> Path:
    """Speak one short text into one audio file, in this process: no queue, no manifest, no Ray.

    Args:
        text: at most ``chunking.max_characters``; longer texts are what ``run`` is for.
        path: where the audio goes, over what stands there; its format is ``provider.format``.
        settings: as for ``run``.

    Returns:
        ``path``, once the audio there has been decoded to its end.

    Raises:
        JobError: settings, an unknown voice, a text that is too long, a path that cannot be written.
        ChunkError: this text cannot be spoken.
    """
    return asyncio.run(speak_async(text, path, settings))


async def speak_async(text: str, path: str | Path, settings: Settings = ()) -> Path:
    """``speak`` on a running event loop."""
    job, path = load_job(settings=settings), Path(path)
    if not Room.of(job.chunking, job.model).holds(text):
        raise JobError(
            f"the text has {len(text)} characters, more than one request carries (chunking.max_characters is "
            f"{job.chunking.max_characters}, the model's own limit {job.model.max_characters or 'not known'}): "
            "put it in a file and use run"
        )
    try:
        return await _speak(job, text, path)
    except OSError as error:
        raise JobError(f"cannot write '{path}': {error.strerror or error}; check the path") from None


async def _speak(job: Job, text: str, path: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".speak-") as folder:
        clips = Clips(LocalFolder(Path(folder)), job.provider.suffix)
        synthesis = Synthesis(make_provider(job.provider), OpenGate(), clips, job)
        clip = Clip("single", text, path.name, 0)
        try:
            async for outcome in synthesis.make(clip):
                if outcome.status is Status.FAILED:
                    raise ChunkError(outcome.error_message or "", outcome.error_kind or "")
        finally:
            await synthesis.aclose()
        Path(clips.address(clip.id)).replace(path)
    return path


def _listed(sources: Sources) -> list[str]:
    return [str(sources)] if isinstance(sources, str | Path) else [str(source) for source in sources]
