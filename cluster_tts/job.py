"""The job: every setting as a frozen dataclass, and what types cannot say. Where settings come from is config's."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from cluster_tts.errors import JobError

ENGINES = ("ray", "local")
DOCUMENT_FORMATS = ("wav", "flac", "mp3")
LONGEST_GAP_MS = 60_000


@dataclass(frozen=True)
class ProviderSettings:
    name: str = "hibari"
    model: str | None = None
    voice: str | None = None
    format: str = "wav"
    timeout_s: float = 120.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QuotaSettings:
    requests_per_minute: float | None = None
    characters_per_minute: float | None = None
    max_concurrent_requests: int | None = None
    window_s: float = 60.0
    guard_ms: float = 100.0
    burst: int | None = None
    account: str | None = None
    share: float = 1.0


@dataclass(frozen=True)
class RetrySettings:
    max_attempts: int = 4


@dataclass(frozen=True)
class ChunkingSettings:
    max_characters: int = 400
    join_paragraphs: bool = False
    language: str = "en"


@dataclass(frozen=True)
class CheckSettings:
    characters_per_second: list[float] | None = field(default_factory=lambda: [4.0, 40.0])


@dataclass(frozen=True)
class StitchingSettings:
    format: str = "wav"
    sample_rate: int | None = None
    gap_ms: int = 250
    paragraph_gap_ms: int = 600


@dataclass(frozen=True)
class ClipsSettings:
    dir: str | None = None


@dataclass(frozen=True)
class ClusterSettings:
    address: str | None = None


@dataclass(frozen=True)
class WorkersSettings:
    count: int | str = "auto"
    slots: int | str = "auto"


@dataclass(frozen=True)
class Job:
    """Everything that decides what a run does; ``conf/default.yaml`` says what each setting means."""

    out: str = "out"
    engine: str = "ray"
    provider: ProviderSettings = field(default_factory=ProviderSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    chunking: ChunkingSettings = field(default_factory=ChunkingSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    stitching: StitchingSettings = field(default_factory=StitchingSettings)
    clips: ClipsSettings = field(default_factory=ClipsSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    workers: WorkersSettings = field(default_factory=WorkersSettings)

    def absolute(self) -> "Job":
        """The same with paths that mean the same to every process, wherever it was started."""
        folder = str(Path(self.clips.dir).absolute()) if self.clips.dir else None
        return replace(self, out=str(self.out_dir.absolute()), clips=ClipsSettings(folder))

    @property
    def out_dir(self) -> Path:
        return Path(self.out)

    @property
    def clips_dir(self) -> Path:
        return Path(self.clips.dir) if self.clips.dir else self.out_dir / "clips"


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _positive(value: float | None) -> bool:
    return value is None or 0 < value < math.inf


def _counted(value: int | str) -> bool:
    return value == "auto" or (isinstance(value, int) and value >= 1)


def _ascending(value: list[float] | None) -> bool:
    return value is None or (len(value) == 2 and 0 < value[0] < value[1])


RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("out", lambda value: bool(value.strip()), "must name a folder"),
    ("out", _is_utf8, "must be a name in UTF-8"),
    ("out", lambda value: "://" not in value, "must be a local folder: storage URLs are not supported yet"),
    ("clips.dir", lambda value: "://" not in (value or ""), "must be a local folder: URLs are not supported yet"),
    ("engine", lambda value: value in ENGINES, f"must be one of {', '.join(ENGINES)}"),
    ("provider.timeout_s", _positive, "must be above 0"),
    ("retry.max_attempts", lambda value: value >= 1, "must be at least 1"),
    ("chunking.max_characters", lambda value: value >= 1, "must be at least 1"),
    ("check.characters_per_second", _ascending, "must be [least, most] with 0 < least < most, or null"),
    ("stitching.format", lambda value: value in DOCUMENT_FORMATS, f"must be one of {', '.join(DOCUMENT_FORMATS)}"),
    ("stitching.sample_rate", lambda value: value is None or 8_000 <= value <= 192_000, "must be from 8000 to 192000"),
    ("stitching.gap_ms", lambda value: 0 <= value <= LONGEST_GAP_MS, f"must be from 0 to {LONGEST_GAP_MS}"),
    ("stitching.paragraph_gap_ms", lambda value: 0 <= value <= LONGEST_GAP_MS, f"must be from 0 to {LONGEST_GAP_MS}"),
    ("workers.count", _counted, "must be 'auto' or at least 1"),
    ("workers.slots", _counted, "must be 'auto' or at least 1"),
    ("quota.requests_per_minute", _positive, "must be above 0, or null"),
    ("quota.characters_per_minute", _positive, "must be above 0, or null"),
    ("quota.max_concurrent_requests", _positive, "must be above 0, or null"),
    ("quota.burst", _positive, "must be above 0, or null"),
    ("quota.window_s", _positive, "must be above 0"),
    ("quota.guard_ms", lambda value: 0 <= value < math.inf, "must be at least 0"),
    ("quota.share", lambda value: 0 < value <= 1, "must be above 0 and at most 1"),
)
"""What types cannot say: key, whether a value holds, and what would."""


def check_ranges(job: Job) -> None:
    """Raise ``JobError`` for the first value that cannot be, naming its key and what could."""
    for key, holds, wanted in RULES:
        value = attrgetter(key)(job)
        if not holds(value):
            raise JobError(f"'{key}' is {value!r}: {wanted}")
    if job.stitching.format == "mp3" and (job.stitching.sample_rate or 0) > 48_000:
        raise JobError(f"'stitching.sample_rate' is {job.stitching.sample_rate}: MP3 knows rates up to 48000")
