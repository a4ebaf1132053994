"""What FFmpeg does for us, by way of PyAV (extra ``media``): compressed speech, and sound tracks for videos.

``encoding`` writes Opus and audiobooks, ``muxing`` gives a video its new track: ``tracks`` copies what it has,
``mixing`` makes the sound, ``ducking`` is the arithmetic of it. ``library`` is where PyAV is missing or complains.
"""

from cluster_tts.media.encoding import RATES, Chapter, encoder
from cluster_tts.media.library import require
from cluster_tts.media.muxing import Dub, add_track, check, duration_s, refuse_container

__all__ = ["RATES", "Chapter", "Dub", "add_track", "check", "duration_s", "encoder", "refuse_container", "require"]
