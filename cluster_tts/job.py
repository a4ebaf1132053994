"""The job: every setting as a frozen dataclass. ``ranges`` says what types cannot; where values come from is
``config``'s."""

from dataclasses import dataclass, field, fields
from typing import Any

ENGINES = ("ray", "local")
DOCUMENT_FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "m4b")
DIALOGUE = ("auto", "always", "never")
FITS = ("slots", "starts", "none")
GROUPS = ("sentence", "cue")
VIDEOS = ("auto", "none")
TRACKS = ("beside", "instead")
HEADERLESS = ("raw", "pcm", "ulaw", "alaw")
UNITS = ("codepoint", "utf16", "byte")
LOG_FORMATS = ("text", "json")
COUNTED_BY = ("account", "group", "model")


@dataclass(frozen=True)
class ProviderSettings:
    name: str = "hibari"
    base_url: str | None = None
    api_key_env: str | None = None
    model: str | None = None
    voice: str | None = None
    format: str = "wav"
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    options: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """How the names of clips end: ``mp3_44100_128`` is an MP3, and samples without a header are given one."""
        container = self.format.partition("_")[0]
        return "wav" if container in HEADERLESS else container


@dataclass(frozen=True)
class QuotaSettings:
    plan: str | None = None
    requests_per_minute: float | None = None
    characters_per_minute: float | None = None
    max_concurrent_requests: int | None = None
    window_s: float = 60.0
    guard_ms: float = 100.0
    burst: int | None = None
    burst_characters: int | None = None
    adaptive: bool = True
    max_unknown: int = 32
    account: str | None = None
    share: float = 1.0
    weight: float = 1.0
    patience_s: float = 900.0
    budget_usd: float | None = None
    budget_characters: int | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What is known of one model: its limits and prices, as published. None: not known.

    ``unit`` is how the provider counts characters, for limits and prices alike; ``byte`` stands in for tokens, of which
    a text never has more than bytes. ``group`` names a limit of plans that several models share.
    """

    unit: str = "codepoint"
    max_characters: int | None = None
    group: str | None = None
    usd_per_million_characters: float | None = None
    usd_per_minute: float | None = None  # of audio
    usd_per_machine_second: float | None = None
    credits_per_character: float | None = None
    shutdown: str | None = None  # the day it is switched off, as announced: YYYY-MM-DD
    inputs: dict[str, Any] = field(default_factory=dict)  # what a provider of many models has to know of this one


@dataclass(frozen=True)
class LimitFacts:
    """What an account may ask, as published; characters in the unit of the model. None: no such limit is known."""

    requests_per_minute: float | None = None
    characters_per_minute: float | None = None
    max_concurrent_requests: int | None = None
    burst: int | None = None


LIMITS = tuple(limit.name for limit in fields(LimitFacts))


@dataclass(frozen=True)
class PlanFacts(LimitFacts):
    """A plan (a tier) of a provider: what it allows, and what it costs."""

    groups: dict[str, LimitFacts] = field(default_factory=dict)  # by ``ModelFacts.group``; what is set here goes first
    models: list[str] | None = None  # those it is for; None: all
    usd_per_month: float | None = None
    credits_per_month: float | None = None


@dataclass(frozen=True)
class CatalogueSettings:
    """What a provider publishes, from ``conf/provider``. Every figure can be corrected like any other setting.

    ``counted_by`` is what the limits of a plan hold for, each by itself: the ``account`` as a whole, each ``group`` of
    models (those without one are a group too), or each ``model`` (those of one group together). ``classes`` are calls
    that count against limits of the account apart from requests to speak, by the name that the provider's client has
    for them.
    """

    read_on: str | None = None  # the day on which prices and limits were read: YYYY-MM-DD
    latency_s: float = 1.0  # of a request, on top of
    latency_s_per_character: float = 0.01  # both for forecasts only
    models: dict[str, ModelFacts] = field(default_factory=dict)
    plans: dict[str, PlanFacts] = field(default_factory=dict)
    classes: dict[str, LimitFacts] = field(default_factory=dict)
    counted_by: str = "account"


@dataclass(frozen=True)
class RetrySettings:
    max_attempts: int = 4


@dataclass(frozen=True)
class ChunkingSettings:
    max_characters: int = 400
    join_paragraphs: bool = False
    context_characters: int = 0
    balance: int | None = None
    language: str = "en"


@dataclass(frozen=True)
class ReadingSettings:
    dialogue: str = "auto"
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckSettings:
    characters_per_second: list[float] | None = field(default_factory=lambda: [4.0, 40.0])


@dataclass(frozen=True)
class StitchingSettings:
    format: str = "wav"
    sample_rate: int | None = None
    gap_ms: int = 250
    paragraph_gap_ms: int = 600
    speaker_gap_ms: int = 400
    heading_gap_ms: int = 900
    crossfade_ms: int = 0
    loudness_lufs: float | None = None
    trim_silence: bool = False
    each_item: bool = False
    joined: bool = True


@dataclass(frozen=True)
class TimelineSettings:
    fit: str = "slots"
    group: str = "sentence"
    pause_ms: int = 80
    max_speed: float = 1.2
    max_stretch: float = 1.35
    max_shift_ms: int = 400


@dataclass(frozen=True)
class MediaSettings:
    video: str = "auto"
    track: str = "beside"
    duck_db: float | None = None
    language: str | None = None


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
class LoggingSettings:
    format: str = "text"


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
    voices: dict[str, str] = field(default_factory=dict)
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    stitching: StitchingSettings = field(default_factory=StitchingSettings)
    timeline: TimelineSettings = field(default_factory=TimelineSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    clips: ClipsSettings = field(default_factory=ClipsSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    workers: WorkersSettings = field(default_factory=WorkersSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    catalogue: CatalogueSettings = field(default_factory=CatalogueSettings)

    @property
    def model(self) -> ModelFacts:
        """What is known of the chosen model: nothing, if it is not in the catalogue."""
        return self.catalogue.models.get(self.provider.model or "", ModelFacts())
