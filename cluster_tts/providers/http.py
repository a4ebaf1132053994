"""One request to a provider's server: pooled connections, three time-outs, bodies to disk, one reading of answers.

    async with server.call(Call("POST", "/v1/audio/speech", json={...})) as answer:
        await answer.save(target, most_bytes)

Whatever goes wrong leaves here as one of ``cluster_tts.errors``; nothing above has heard of aiohttp.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from cluster_tts import __version__, keys
from cluster_tts.errors import JobError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt
from cluster_tts.providers.answers import Row, as_error, meaning, read_body
from cluster_tts.providers.delays import named_delay_s
from cluster_tts.providers.departures import Departure, noting_departures
from cluster_tts.providers.proxies import Proxies
from cluster_tts.providers.told import told_of

MOST_ERROR_BYTES, ERROR_BODY_S = 65_536, 5.0
MOST_JSON_BYTES = 16 * 2**20
MOST_BYTES, MOST_BYTES_PER_CHARACTER = 10 * 2**20, 200_000  # 48 kHz floats at a character a second
WRITE_BYTES = 2**20
KEEP_ALIVE_S = 15.0  # servers close idle connections after 30 s and more: ours is gone before
CODE_HEADER = "rate_limit_type"  # LiteLLM's proxy tells which of its limits it was here alone
REQUEST_IDS, LONGEST_ID = ("x-request-id", "request-id"), 200
HEADERS = {"User-Agent": f"cluster-tts/{__version__}", "Accept": "*/*"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the base URL, or to a whole ``https`` address that a server gave us."""

    method: str
    path: str
    json: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Answer:
    """A successful answer, its body still to be read."""

    def __init__(self, response: aiohttp.ClientResponse, idle_timeout_s: float) -> None:
        self._response = response
        self._idle_timeout_s = idle_timeout_s
        self.headers: Mapping[str, str] = response.headers
        self.receipt = receipt_of(response.status, response.headers)

    async def save(self, target: Path, most_bytes: int) -> None:
        """Write the body to ``target`` as it arrives.

        Raises:
            RetryLater: it was cut off, stood still, or is larger than speech of that text can be.
            OSError: it cannot be written.
        """
        # On a thread and in one go, as far as that is small: opening a file can take longer than answering does.
        pieces, size, mode = [], 0, "wb"
        async for piece in self._pieces(most_bytes):
            pieces.append(piece)
            size += len(piece)
            if size >= WRITE_BYTES:
                await asyncio.to_thread(_write, target, mode, b"".join(pieces))
                pieces, size, mode = [], 0, "ab"
        await asyncio.to_thread(_write, target, mode, b"".join(pieces))

    async def json(self, most_bytes: int = MOST_JSON_BYTES) -> Any:
        """The body as JSON; ``RetryLater`` if it is none."""
        body = b"".join([piece async for piece in self._pieces(most_bytes)])
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            said = read_body(body).message
            raise RetryLater(f"the answer is no JSON: {said}", "not_json", receipt=self.receipt) from None

    async def _pieces(self, most_bytes: int) -> AsyncIterator[bytes]:
        size = 0
        try:
            while piece := await _next(self._response, self._idle_timeout_s):
                size += len(piece)
                if size > most_bytes:
                    raise RetryLater(
                        f"the answer is larger than {most_bytes:,} bytes", "too_large", receipt=self.receipt
                    )
                yield piece
        except TimeoutError:
            raise _stood_still(self._idle_timeout_s, self.receipt) from None
        except aiohttp.ClientError as error:
            raise RetryLater(
                f"the answer was cut off after {size:,} bytes: {_words(error)}", "cut_audio", receipt=self.receipt
            ) from None


class Server:
    """A provider's server. One pool of connections, made on the event loop that first asks."""

    def __init__(
        self,
        settings: ProviderSettings,
        base_url: str,
        table: Sequence[Row] = (),
        auth: tuple[str, str] = ("Authorization", "Bearer {}"),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """``base_url`` is the provider's own, which ``provider.base_url`` replaces; ``auth`` is header and value."""
        self._settings = settings
        self.base_url = (settings.base_url or base_url).rstrip("/")
        self._table = table
        self._auth = auth
        self._headers = dict(headers or {})
        self._session: aiohttp.ClientSession | None = None
        self._proxies = Proxies()

    def prepare(self) -> None:
        """Open what the first request would otherwise wait for; ``JobError`` if there is nothing to ask with."""
        self.require_key()
        self._opened()

    def require_key(self) -> None:
        """Raise ``JobError`` if there is nothing to ask with."""
        keys.require(self._settings)

    @asynccontextmanager
    async def call(self, call: Call) -> AsyncIterator[Answer]:
        """Ask; the answer inside the block is a success (2xx).

        Raises:
            RetryLater, ChunkError, AccountRefused, JobError: what the answer means by the provider's table, or what
                kept it from arriving.
        """
        url, ours = self._address(call)
        headers = {**HEADERS, **(self._headers | self._key_header() if ours else {}), **call.headers}
        departure = Departure()
        body = None if call.json is None else json.dumps(call.json, ensure_ascii=False, separators=(",", ":")).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        # What is only looked up comes at once. Speech is made first, and may wait in a queue before: how long that may
        # take is the total, kept by whoever tries again.
        idle_s = self._settings.idle_timeout_s if call.method == "GET" else None
        timeout = aiohttp.ClientTimeout(total=None, connect=self._settings.connect_timeout_s, sock_read=idle_s)
        try:
            response = await self._opened().request(
                call.method, url, data=body, headers=headers, timeout=timeout, allow_redirects=not ours,
                proxy=self._proxies.of(url), trace_request_ctx=departure,
            )  # fmt: skip
        except aiohttp.ClientError as error:
            raise self._fault(error, url) from None
        except ValueError as error:  # what no address and no header can be: UnicodeError is one
            raise JobError(f"cannot ask {self._settings.name} at {url.origin()}: {error}") from None
        try:
            async with response:
                if not 200 <= response.status < 300:
                    raise await self._refusal(response, departure)
                answer = Answer(response, self._settings.idle_timeout_s)
                answer.receipt = replace(answer.receipt, sent_after_s=departure.sent_after_s)
                yield answer
        except aiohttp.ClientError as error:
            raise self._fault(error, url) from None

    async def json(self, call: Call, most_bytes: int = MOST_JSON_BYTES) -> Any:
        """The JSON that answers ``call``; raises like ``call``."""
        async with self.call(call) as answer:
            return await answer.json(most_bytes)

    async def aclose(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _address(self, call: Call) -> tuple[URL, bool]:
        """Where ``call`` goes, and whether that is the host which may see our key."""
        try:
            url = URL(call.path if "://" in call.path else self.base_url + call.path, encoded=True)
            return url.update_query(call.query) if call.query else url, url.origin() == URL(self.base_url).origin()
        except ValueError as error:
            raise JobError(f"'{call.path}' at {self.base_url} is no address: {error}") from None

    def _key_header(self) -> dict[str, str]:
        self.require_key()
        key = keys.find(self._settings.api_key_env)
        return {self._auth[0]: self._auth[1].format(key)} if key else {}

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Content-Type",),
                trace_configs=[noting_departures()],
                # `.netrc` must not add a password to what we send, hence no trust in all of the environment.
                trust_env=False,
            )
        return self._session

    async def _refusal(self, response: aiohttp.ClientResponse, departure: Departure) -> Exception:
        said = read_body(await _head(response))
        codes = f" {'/'.join(dict.fromkeys(said.codes))}" if said.codes else ""
        words = f"{self._settings.name} answered {response.status}{codes}: {said.message or response.reason or ''}"
        if 300 <= response.status < 400:
            words = f"{words} (it redirects to {response.headers.get('Location', 'nowhere')})"
        return as_error(
            meaning(self._table, response.status, (*said.codes, response.headers.get(CODE_HEADER, ""))),
            keys.redact(words),
            named_delay_s(response.headers, said),
            replace(receipt_of(response.status, response.headers), sent_after_s=departure.sent_after_s),
        )

    def _fault(self, error: aiohttp.ClientError, url: URL) -> Exception:
        """What kept an answer from arriving, in the words of this program."""
        ours = url.origin() == URL(self.base_url).origin()
        where = f"{self._settings.name} at {self.base_url if ours else url.origin()}"
        if proxy := self._proxies.of(url):
            where += f" through the proxy {URL(proxy).with_user(None)}"
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            return JobError(
                f"cannot trust {where}: {_words(error)}; if your network has its own certificate authority, "
                "name its file in SSL_CERT_FILE"
            )
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | aiohttp.TooManyRedirects):
            return JobError(f"cannot ask {where}: {_words(error)}; check provider.base_url")
        if isinstance(error, aiohttp.SocketTimeoutError):
            return _stood_still(self._settings.idle_timeout_s)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return RetryLater(f"cannot reach {where}: the proxy answered {error.status}", "unreachable")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return RetryLater(f"cannot reach {where}: {_words(error)}", "unreachable")
        return RetryLater(f"the connection to {where} broke: {_words(error)}", "reset")


def other_server(settings: ProviderSettings, domain: str) -> str:
    """The host that speaks in place of the provider's own, such as an emulator: its voices are others. Else nothing.

    Without the port, so that a rehearsal can be continued on another.
    """
    host = URL(settings.base_url or "").host or ""
    return "" if host == domain or host.endswith(f".{domain}") else host


def most_bytes(text: str) -> int:
    """More bytes than any audio of ``text`` has: whoever sends more is filling the disk."""
    return MOST_BYTES + MOST_BYTES_PER_CHARACTER * len(text)


def receipt_of(status: int, headers: Mapping[str, str]) -> Receipt:
    """What every answer tells besides its body."""
    request_id = next((headers[name][:LONGEST_ID] for name in REQUEST_IDS if name in headers), None)
    return Receipt(http_status=status, request_id=request_id, told=told_of(headers))


async def _next(response: aiohttp.ClientResponse, idle_timeout_s: float) -> bytes:
    """What has come of the body; ``TimeoutError`` where nothing comes."""
    async with asyncio.timeout(idle_timeout_s):
        return await response.content.readany()


async def _head(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of an error body; what of it arrives soon, for the status alone says most."""
    body = b""
    try:
        async with asyncio.timeout(ERROR_BODY_S):
            while len(body) < MOST_ERROR_BYTES and (piece := await response.content.readany()):
                body += piece
    except (aiohttp.ClientError, TimeoutError):
        pass  # the status has been read, and is what counts
    return body[:MOST_ERROR_BYTES]


def _stood_still(idle_timeout_s: float, receipt: Receipt | None = None) -> RetryLater:
    return RetryLater(f"no byte came for {idle_timeout_s:g} s (provider.idle_timeout_s)", "timeout", receipt=receipt)


def _write(target: Path, mode: str, content: bytes) -> None:
    with target.open(mode) as file:
        file.write(content)


def _words(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    words = cause.reason if isinstance(cause, ssl.SSLError) else getattr(cause, "strerror", None) or str(cause)
    return keys.redact(" ".join(str(words).split())) or type(error).__name__
