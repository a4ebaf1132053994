"""Who speaks with which voice: the source's own word for it, else the speaker's voice, else the document's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cluster_tts.errors import JobError, nearest
from cluster_tts.model import Document, Paragraph


@dataclass(frozen=True, slots=True)
class Cast:
    """The voices of speakers, by their names in any case."""

    voices: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, voices: Mapping[str, str]) -> "Cast":
        """The cast that ``voices`` of a job are; raises ``JobError`` where one speaker has two."""
        by_name: dict[str, str] = {}
        for speaker, voice in voices.items():
            if by_name.setdefault(speaker.casefold(), voice) != voice:
                raise JobError(f"'voices' names two voices for '{speaker}', whose case does not count: leave one")
        return cls(by_name)

    def voiced(self, document: Document, paragraphs: Iterable[Paragraph]) -> Iterator[Paragraph]:
        """``paragraphs`` with the voice of each, None for the job's own.

        Raises:
            JobError: voices are given, and one of the document's speakers has none. (Of a dialogue its reader has told
                all of them before.)
        """
        for paragraph in paragraphs:
            role = paragraph.role
            if role.voice is None and role.speaker is not None and self.voices:
                voice = self.voices.get(role.speaker.casefold())
                if voice is None:
                    raise JobError(
                        f"speaker '{role.speaker}' of '{document.source}' has no voice: set voices.{role.speaker}=..., "
                        f"or leave out all voices to have everybody spoken by provider.voice; "
                        f"{nearest(role.speaker.casefold(), list(self.voices))}"
                    )
            else:
                voice = role.voice or document.voice
            yield paragraph if voice == role.voice else replace(paragraph, role=replace(role, voice=voice))
