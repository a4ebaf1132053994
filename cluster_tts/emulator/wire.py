"""The words that all emulators share: what was asked, what is answered, the rows of an error table, the paths.

A provider's module says how its requests read and how its answers look (``Wire``). Whether, when and how broken
something is answered is the same for all and lives in ``admission`` and ``delivery``.
"""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, unquote

from aiohttp.web import BaseRequest, StreamResponse

from cluster_tts.emulator.limits import Standing, Verdict
from cluster_tts.emulator.settings import Settings

if TYPE_CHECKING:
    from cluster_tts.emulator.server import Emulator

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Sound:
    """The audio that was asked for, in the words of ``encoding.encode``; ``media_type`` is what it is sent as."""

    container: str
    rate: int
    media_type: str
    encoding: str = "pcm_s16le"
    kbps: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One well-formed request to speak. ``turns`` are the texts of several speakers, ``text`` all of them in lines;
    ``voices`` has one for each of them, else the one.

    ``shape`` and ``details`` are for the provider itself: how the audio is wrapped, and what it needs for that.
    """

    text: str
    model: str
    sound: Sound
    speed: float = 1.0
    turns: tuple[str, ...] = ()
    shape: str = "audio"
    details: Mapping[str, Any] = field(default_factory=dict)
    voices: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        return sum(map(len, self.turns)) if self.turns else len(self.text)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An ``Ask`` that came in, and its fault."""

    number: int
    ask: Ask
    fault: str | None
    charged: bool
    place: int  # how many were in flight with it when it came
    era: int = 0  # counted by resets: a place from before one is forgotten


@dataclass(frozen=True, slots=True)
class Audio:
    """What was spoken: encoded, and for how many seconds (of the whole, also where the rest is missing)."""

    data: bytes
    seconds: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; ``spoilt`` if the provider has already put the fault into it."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    spoilt: bool = False


class Refusal(Exception):
    """A request is not answered with audio: ``cause`` is counted, ``answer`` is sent."""

    def __init__(self, cause: str, answer: Answer) -> None:
        super().__init__(cause)
        self.cause, self.answer = cause, answer


class ErrorRow(NamedTuple):
    """A row of a provider's error table. ``names``: all its codes, legacy ones too, by which a fault can be asked."""

    status: int
    names: tuple[str, ...]
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request on a known path: ``params`` are the variable parts of it."""

    request: BaseRequest
    params: tuple[str, ...]
    number: int = 0

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    @property
    def path(self) -> str:
        return self.request.raw_path.partition("?")[0]

    def query(self) -> dict[str, str]:
        """The query, the last of each name."""
        return dict(parse_qsl(self.request.raw_path.partition("?")[2], keep_blank_values=True))

    def is_json(self) -> bool:
        """Whether the body is said to be JSON."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower() == JSON


Standings = Mapping[str, Standing]  # by 'requests' and 'characters', as far as there are such limits
Handler = Callable[[Call], Awaitable[StreamResponse]]


class Routes:
    """Paths to handlers; ``*`` stands for any one part."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, Handler]] = {}
        self._patterns: list[tuple[list[str], dict[str, Handler]]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        if "*" not in pattern:
            self._exact.setdefault(pattern, {})[method] = handler
            return
        parts = pattern.split("/")
        handlers = next((handlers for known, handlers in self._patterns if known == parts), None)
        if handlers is None:
            handlers = {}
            self._patterns.append((parts, handlers))
        handlers[method] = handler

    def find(self, path: str) -> tuple[dict[str, Handler], tuple[str, ...]] | None:
        """The handlers of a raw path by method, and its variable parts; None: there is no such path."""
        if exact := self._exact.get(path):
            return exact, ()
        parts = path.split("/")
        for pattern, handlers in self._patterns:
            if len(pattern) == len(parts) and all(p in ("*", part) for p, part in zip(pattern, parts, strict=True)):
                return handlers, tuple(unquote(part) for p, part in zip(pattern, parts, strict=True) if p == "*")
        return None


class Wire(ABC):
    """How one provider speaks HTTP. The subclasses are the providers; nothing is derived from those."""

    name: ClassVar[str]
    base_path: ClassVar[str] = ""
    refusals_count: ClassVar[bool] = False
    streamed_sizes: ClassVar[int | None] = None
    errors: ClassVar[tuple[ErrorRow, ...]]
    busy: ClassVar[str]  # the status or code that says so
    own_faults: ClassVar[tuple[str, ...]] = ()
    free_faults: ClassVar[frozenset[str]] = frozenset()  # of ``own_faults``, those that cost nothing

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def mount(self, emulator: "Emulator") -> None:
        """Tell the emulator the provider's paths."""

    def row(self, name: str) -> ErrorRow | None:
        """The first row of the table with this status or code, if ``name`` is one."""
        name = self.busy if name == "busy" else name
        return next((row for row in self.errors if name in (str(row.status), *row.names)), None)

    def fault_names(self) -> list[str]:
        """All faults of the table, and the provider's own."""
        statuses = [str(row.status) for row in self.errors]
        return ["busy", *statuses, *(name for row in self.errors for name in row.names), *self.own_faults]

    @abstractmethod
    def authorize(self, call: Call) -> None:
        """Raise the refusal of a key that is not the account's."""

    @abstractmethod
    async def read(self, call: Call) -> Ask:
        """What the request asks for, or raise the refusal of what is wrong with it."""

    @abstractmethod
    def error(self, row: ErrorRow, call: Call, message: str | None = None, param: str | None = None) -> Answer:
        """The answer that a row of the table is."""

    @abstractmethod
    def limited(self, verdict: Verdict, ask: Ask, call: Call, standings: Standings) -> Answer:
        """The answer to a request over a limit."""

    @abstractmethod
    def broke(self, ask: Ask, remaining: int, call: Call) -> Answer:
        """The answer where the credit does not suffice."""

    @abstractmethod
    def lost(self, path: str, known: bool, call: Call) -> Answer:
        """The answer to an unknown path, or to an unknown method of a known one."""

    def good(self, ticket: Ticket, audio: Audio, standings: Standings) -> Answer:
        """The answer with the audio, of those providers that send it in the answer itself."""
        raise NotImplementedError(f"{self.name} has its audio fetched from elsewhere")


def as_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON, compact and in UTF-8 as the providers write it."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Answer(status, body, JSON, headers or {})


def new_id(prefix: str = "", octets: int = 16) -> str:
    return f"{prefix}{secrets.token_hex(octets)}"


def html_page(status: int, reason: str) -> Answer:
    """What a proxy in front of a provider says (providers.md 1.5: "or HTML from a proxy")."""
    page = (
        f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, page.encode(), "text/html")
