"""From a document to its chunks, each with the name of its clip: read, voiced, cut and paced as a job has it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from cluster_tts.casting import Cast
from cluster_tts.chunking import chunk
from cluster_tts.clips import clip_id, digest
from cluster_tts.context import in_context
from cluster_tts.cutting import Dialogue
from cluster_tts.documents import Files, read
from cluster_tts.documents.reading import Reading
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import Job, ProviderSettings
from cluster_tts.model import Chunk, Document, Speech
from cluster_tts.pacing import paced
from cluster_tts.providers import make, provider_class, sound_identity, speaking

READERS = 2  # raise when a reader changes what it reads: documents are then cut anew


class Drafting:
    """Drafts the documents of one job; equal input gives equal chunks."""

    def __init__(self, job: Job) -> None:
        """Raises ``JobError`` where context would be paid for and not heard."""
        self._job = job
        self._provider = provider_class(job.provider.name)
        self._reading = Reading.of(job)
        self._files = Files()
        self._digested: tuple[object, str] = (None, "")  # the last file, and what its digest is
        self._cast = Cast.of(job.voices)
        self._sounds: dict[tuple[str | None, float, bool], tuple[ProviderSettings, str]] = {}
        takes_context = getattr(self._provider, "takes_context", False)
        if job.chunking.context_characters and not takes_context:
            raise JobError(f"provider '{job.provider.name}' takes no context: set chunking.context_characters=0")

    def in_turn(self, documents: Iterable[Document]) -> Iterator[Document]:
        """``documents``, each to be drafted before the next: what several of them stand in is fetched and read once,
        and let go of after the last."""
        try:
            yield from documents
        finally:
            self._files.close()

    def chunks(self, document: Document, earlier: Iterable[str]) -> Iterator[tuple[Chunk, str]]:
        """The chunks of ``document`` in reading order, each with its clip's id; the cuts of ``earlier`` are kept where
        they still fit.

        Raises:
            DocumentError: it cannot be read.
            JobError: a speaker has no voice, or the provider does not know it.
        """
        job = self._job
        paragraphs = self._cast.voiced(document, read(document, self._reading, self._files))
        dialogue = self._dialogue()
        pieces = chunk(document.name, paragraphs, job.chunking, job.model, earlier, dialogue)
        timed = paced(pieces, job.timeline, self._provider.characters_per_second, self._fastest())
        for piece, before, after in in_context(timed, job.chunking.context_characters):
            settings, revision = self._sound(piece.speech)
            if piece.speech.turns and dialogue:
                before, after = before[max(0, len(before) - dialogue.context) :], after[: dialogue.context]
            yield piece, clip_id(settings, revision, piece.text, before, after, piece.speech.turns)

    def key(self, document: Document) -> str:
        """A digest of all that the document's chunks and their clips follow from.

        Raises:
            DocumentError: its file cannot be read.
        """
        job = self._job
        try:
            with self._files.local(document) as path:
                content = self._digest(path) if path.is_file() else None  # a pipe would be waited for for ever
                suffix = path.suffix
        except OSError as error:
            raise DocumentError(f"cannot read '{document.source}': {error.strerror or error}") from None
        sound = clip_id(*sound_identity(job.provider), "")
        room = [job.model.max_characters, job.model.unit]
        said = [document.part, document.voice, job.voices, asdict(job.reading), asdict(job.timeline)]
        return digest_of([READERS, content, suffix, asdict(job.chunking), room, sound, said])

    def _digest(self, path: Path) -> str:
        """The digest of the file at ``path``, which a thousand documents may stand in."""
        status = path.stat()
        file = path, status.st_size, status.st_mtime_ns, status.st_ino
        if self._digested[0] != file:
            self._digested = file, digest(path)
        return self._digested[1]

    def _dialogue(self) -> Dialogue | None:
        of = getattr(self._provider, "dialogue", None)  # a class of one's own need not inherit from ours
        return of(self._job.provider) if of else None

    def _fastest(self) -> float:
        of = getattr(self._provider, "fastest", None)
        return of(self._job.provider) if of else 1.0

    def _sound(self, speech: Speech) -> tuple[ProviderSettings, str]:
        """What decides the sound of such speech besides its words."""
        key = speech.voice, speech.speed, bool(speech.turns)
        if key not in self._sounds:
            settings = speaking(self._job.provider, speech)
            if speech.voice is not None:
                make(settings)  # an unknown voice is told now, not by a worker later
            sent = getattr(self._provider, "sent", None)
            self._sounds[key] = sound_identity(sent(settings, bool(speech.turns)) if sent else settings)
        return self._sounds[key]


def digest_of(value: object) -> str:
    """SHA-256 of ``value`` as JSON, as hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
