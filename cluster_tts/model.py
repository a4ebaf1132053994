"""The words everything else is said in: frozen, small, picklable.

A *document* is cut into *chunks*. Each chunk is spoken by one *clip*: a sound on disk, named by everything that
decides how it sounds, so that equal chunks are one clip. The queue lends clips to workers; every attempt to speak one
ends as an *outcome*, which is a row of the manifest.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be spoken: the name its audio gets, and where its text is read from, a path or a URL.

    ``part`` names the rows of a table that are this document, where the table holds several. ``voice`` speaks it
    instead of the job's. ``video`` is the absolute path or URL of the video that it is the sound of.
    """

    name: str
    source: Path | str
    part: str | None = None
    voice: str | None = None
    video: Path | str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """When something is to be heard, in seconds from the beginning of the document's audio."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says in a dialogue, and with which voice."""

    text: str
    voice: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """What a source says of a piece of text besides its words; chunks cut from one paragraph share it.

    ``speaker`` is who says it, or all who do; then ``begins`` and ``ends`` say who has the first and the last word.
    ``voice`` is the voice that speaks it (None: the job's), ``item`` the id under which it may have an audio file of
    its own. ``cues`` are the times at which it is to be heard: one, or several that were put together because they are
    one sentence; none where the document has no times.
    """

    heading: bool = False
    speaker: str | None = None
    voice: str | None = None
    item: str | None = None
    cues: tuple[Slot, ...] = ()
    begins: str | None = None
    ends: str | None = None

    @property
    def slot(self) -> Slot | None:
        """From the beginning of its first cue to the end of its last."""
        return Slot(self.cues[0].start_s, max(cue.end_s for cue in self.cues)) if self.cues else None


PLAIN = Role()


def with_turns(role: Role, turns: tuple[Turn, ...]) -> Role:
    """``role`` of what is said in ``turns``, of which there may be none."""
    if not turns:
        return role
    names = sorted({turn.speaker for turn in turns if turn.speaker})
    begins, ends = turns[0].speaker, turns[-1].speaker
    return replace(role, speaker=", ".join(names) or None, voice=None, begins=begins, ends=ends)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A run of text without a break in it, white space already collapsed to single blanks."""

    text: str
    role: Role = PLAIN


@dataclass(frozen=True, slots=True)
class Speech:
    """What decides how a text sounds besides the job: the voice (None: the job's), how much faster than usual it is
    asked for, and the turns where several speakers share one request."""

    voice: str | None = None
    speed: float = 1.0
    turns: tuple[Turn, ...] = ()


USUAL = Speech()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one paragraph, short enough for one request."""

    document: str
    index: int
    paragraph: int
    text: str
    role: Role = PLAIN
    speech: Speech = USUAL


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound to be made. ``document`` and ``chunk_index`` tell where it is needed first, for logs and the manifest.

    ``before`` and ``after`` are what is read out around it, as far as the provider is told (see ``Utterance``).
    """

    id: str
    text: str
    document: str
    chunk_index: int
    before: str = ""
    after: str = ""
    speaker: str | None = None
    speech: Speech = USUAL


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a provider is asked to speak in one request.

    ``before`` and ``after`` are not spoken: they are read out around ``text``, so that its intonation fits in.
    ``turns`` is set where several speakers share the request; their texts in order are then what is spoken.
    """

    text: str
    before: str = ""
    after: str = ""
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class WireFormat:
    """The audio a provider was asked for, by which what it sent is judged.

    ``container`` is ``wav``, ``raw`` (samples without a header), ``mp3``, ``flac`` or ``ogg`` (Vorbis, Opus);
    ``encoding`` (``pcm_s16le``, ``pcm_f32le``, ``ulaw``, ``alaw``) and ``rate`` are what a header would say of ``raw``.
    """

    container: str
    encoding: str = "pcm_s16le"
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers of an answer say of its account's limits, per minute; None: not said.

    ``remaining`` may be asked at once; ``reset`` is how long until it is as if nothing had been asked; ``characters``
    are in the unit of the model.
    """

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_characters: int | None = None
    remaining_characters: int | None = None
    reset_characters_s: float | None = None
    in_flight: int | None = None
    most_in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """What one request may take of its account.

    ``units`` of text count against the limits; ``characters`` and ``usd`` are the most that it may cost, and are
    reserved of the run's purse until the answer settles them.
    """

    units: int
    characters: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Purse:
    """What a run may still spend when it starts (``quota.budget_usd``, ``quota.budget_characters``); None: no bound."""

    usd: float | None = None
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What came of one request, for whoever guards its account.

    ``kind`` is empty for speech that was believed, else the kind of the error. What was charged is None where the
    provider does not say: then what was reserved stays spent.
    """

    request: int
    kind: str = ""
    after_s: float | None = None
    told: Told | None = None
    units: int = 0
    latency_s: float = 0.0
    sent_after_s: float = 0.0
    billed_characters: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider tells of one answered request; the audio itself is in the file it was given.

    ``speed`` is how much faster than usual it was asked to speak, ``wire`` what it was asked to send (None: the
    provider wrote the file itself), ``machine_s`` how long a machine worked where that is what is paid, ``told`` what
    it says of the account's limits, ``sent_after_s`` how long it took until the request was on its way.
    """

    billed_characters: int | None = None
    machine_s: float | None = None
    cost_usd: float | None = None
    request_id: str | None = None
    http_status: int | None = None
    wire: WireFormat | None = None
    speed: float = 1.0
    told: Told | None = None
    sent_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that an account can use: ``id`` is what ``provider.voice`` takes."""

    id: str
    name: str = ""
    language: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """What was measured of a clip on disk after it was decoded to its end."""

    frames: int
    rate: int
    size_bytes: int
    sha256: str

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


class Status(StrEnum):
    """How an attempt ended. Only ``SPOKEN``, ``FOUND`` and ``FAILED`` are final."""

    SPOKEN = "spoken"  # a new clip was made and checked
    FOUND = "found"  # the clip was there already; nobody was asked
    FAILED = "failed"  # given up; the documents that need it stay incomplete
    RETRIED = "retried"  # failed, and was tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt to speak one clip: one row of ``manifest/outcomes``. Times are seconds, epochs are UTC."""

    clip_id: str
    document: str
    chunk_index: int
    attempt: int
    status: Status
    characters: int
    speaker: str | None = None
    sound: Sound | None = None
    error_kind: str | None = None
    error_message: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    billed_characters: int | None = None
    cost_usd: float | None = None
    gate_wait_s: float = 0.0
    latency_s: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    worker: str = ""
    node: str = ""

    @property
    def is_final(self) -> bool:
        return self.status is not Status.RETRIED
