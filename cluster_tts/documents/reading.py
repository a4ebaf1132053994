"""What readers are told besides the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster_tts.job import Job


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings of a job that decide what is read in a document; by default those of a job that sets none.

    ``speakers`` are the names that have a voice, casefolded. ``columns`` maps our names of columns to a table's.
    Without ``times`` nothing is told of when something is to be heard. ``group`` and ``max_characters`` say which cues
    are put together, in ``language``. ``video`` asks for the video beside a subtitle file. ``out`` is where the run
    writes, which is not read again.
    """

    dialogue: str = "auto"
    speakers: frozenset[str] = frozenset()
    columns: Mapping[str, Any] = field(default_factory=dict)
    times: bool = True
    group: str = "sentence"
    language: str = "en"
    max_characters: int = 400
    video: bool = True
    out: str | None = None

    @classmethod
    def of(cls, job: Job) -> "Reading":
        """What ``job`` says of reading."""
        return cls(
            dialogue=job.reading.dialogue,
            speakers=frozenset(name.casefold() for name in job.voices),
            columns=job.reading.columns,
            times=job.timeline.fit != "none",
            group=job.timeline.group,
            language=job.chunking.language,
            max_characters=job.chunking.max_characters,
            video=job.media.video == "auto",
            out=job.out,
        )


USUAL = Reading()
