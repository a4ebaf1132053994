"""Subtitles: what is spoken, by whom, and when. Marks, music and sounds that are described stay silent."""

import logging
from collections.abc import Iterator
from pathlib import Path

from cluster_tts.documents.captions import speech
from cluster_tts.documents.cues import Cues
from cluster_tts.documents.grouping import Cue, grouped, joined
from cluster_tts.documents.reading import Reading
from cluster_tts.documents.text import lines
from cluster_tts.errors import DocumentError
from cluster_tts.model import Paragraph, Role, Slot

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
MOST_BYTES = 50_000_000  # twenty days of speech, or fonts inside

log = logging.getLogger(__name__)


def paragraphs(path: Path, reading: Reading) -> Iterator[Paragraph]:
    """The cues of the file at ``path`` by the time they begin, or those of one sentence together.

    A cue that ends before it begins has no length. Lines that cannot be read are left out, and counted in the log.

    Raises:
        DocumentError: there is no cue with words, or the file is no text, or too large to be held.
    """
    if path.stat().st_size > MOST_BYTES:
        raise DocumentError(f"'{path}' is larger than {MOST_BYTES:,} bytes, which are the most for subtitles: split it")
    written = Cues(lines(path), path.suffix)
    cues: list[Cue] = []
    for each in written:
        text, speaker = speech(each)
        if text:
            start_ms = max(each.start_ms, 0)
            slot = Slot(start_ms / 1000, max(each.end_ms, start_ms) / 1000)
            cues.append(Cue(slot, text, speaker))
    if not cues:
        raise DocumentError(
            f"'{path}' has no cue with words in it: look whether it is a {path.suffix.lower()} file, or leave it out"
        )
    if written.left_out:
        log.warning("'%s': %d lines were left out, which belong to no cue that can be read", path, written.left_out)
    cues.sort(key=lambda cue: cue.slot.start_s)
    together = reading.group == "sentence"
    groups = grouped(cues, reading.language, reading.max_characters) if together else ([cue] for cue in cues)
    for group in groups:
        slots = tuple(cue.slot for cue in group) if reading.times else ()
        yield Paragraph(joined(group), Role(speaker=group[0].speaker, cues=slots))
