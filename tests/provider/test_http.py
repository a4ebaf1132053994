"""One request over real sockets: where the key goes, what each fault becomes, and what is said about it."""

import asyncio
import os
import subprocess
import sys
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cluster_tts.errors import AccountRefused, ChunkError, CTTSError, JobError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Told
from cluster_tts.providers import openai
from cluster_tts.providers.http import KEEP_ALIVE_S, Call, Server, most_bytes
from tests.provider.recorder import Recorder, recording, saying

ROOT = Path(__file__).parents[2]
KEY = "sk-0123456789abcdefghijklmnop"
GET = Call("GET", "/file")
POST = Call("POST", "/speech", json={"text": "ü"})

Opened = Callable[..., Server]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder


@pytest.fixture
async def elsewhere() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opened]:
    """Makes clients with a key and a header of their own, and closes them."""
    monkeypatch.setenv("TEST_API_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    clients: list[Server] = []

    def opened(url: str, **changes: Any) -> Server:
        settings = ProviderSettings("openai", **{"base_url": url, "api_key_env": "TEST_API_KEY", **changes})
        clients.append(Server(settings, "https://unused.invalid", headers={"X-Secret": "of the account"}))
        return clients[-1]

    yield opened
    for client in clients:
        await client.aclose()


@asynccontextmanager
async def talking(conversation: Conversation, **given: Any) -> AsyncIterator[str]:
    """The address of a server that, of HTTP, does only what ``conversation`` does."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await conversation(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, **given)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def after_the_request(*pieces: bytes, hold: bool = False) -> Conversation:
    """Reads the head of a request, writes ``pieces``, and closes, unless it is to ``hold`` the connection."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hold:
            await reader.read()

    return converse


async def fetched(server: Server, target: Path, call: Call = GET, most_bytes: int = 1_000_000) -> bytes:
    async with server.call(call) as answer:
        await answer.save(target, most_bytes)
    return target.read_bytes()


async def failure(server: Server, tmp_path: Path, call: Call = GET, most_bytes: int = 1_000_000) -> Any:
    with pytest.raises(CTTSError) as failed:
        await fetched(server, tmp_path / "body", call, most_bytes)
    return failed.value


# What is sent, and to whom


async def test_connections_are_kept_and_used_again(recorder: Recorder, opened: Opened, tmp_path: Path) -> None:
    server = opened(recorder.url)
    for call in (POST, GET, POST, GET):
        await fetched(server, tmp_path / "body", call)
    assert len({request.connection for request in recorder.requests}) == 1
    assert KEEP_ALIVE_S < 30


async def test_hundreds_of_calls_are_in_flight_at_once(recorder: Recorder, opened: Opened) -> None:
    count, all_here = 300, asyncio.Event()

    async def together(request: web.Request) -> web.StreamResponse:
        if len(recorder.requests) == count:
            all_here.set()
        await all_here.wait()
        return web.json_response(request.path)

    recorder.answer = together
    server = opened(recorder.url)
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(server.json(Call("POST", f"/{n}", json={})) for n in range(count)))
    assert answers == [f"/{n}" for n in range(count)]


async def test_a_connection_that_the_server_closed_meanwhile_does_no_harm(opened: Opened, tmp_path: Path) -> None:
    answer = after_the_request(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    async with talking(answer) as host:
        server = opened(f"http://{host}")
        for _ in range(3):
            assert await fetched(server, tmp_path / "body") == b"ok"
            await asyncio.sleep(0.02)  # until the end of the connection has been noticed
        assert await fetched(server, tmp_path / "body", POST) == b"ok"


async def test_key_and_headers_of_the_account_go_to_the_base_url(recorder: Recorder, opened: Opened) -> None:
    server = opened(recorder.url)
    for call in (POST, Call("GET", f"{recorder.url}/files/1?a=%2F")):
        async with server.call(call) as answer:
            assert answer.receipt.http_status == 200
    for request in recorder.requests:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["X-Secret"] == "of the account"
        assert request.headers["User-Agent"].startswith("cluster-tts/")
    assert [request.path for request in recorder.requests] == ["/speech", "/files/1"]
    assert recorder.requests[0].body == '{"text":"ü"}'.encode()


@pytest.mark.parametrize("where", ["other port", "other name", "redirect", "redirect to the base url"])
async def test_no_other_origin_sees_key_or_headers_of_the_account(
    recorder: Recorder, elsewhere: Recorder, opened: Opened, tmp_path: Path, where: str
) -> None:
    port = recorder.url.rpartition(":")[2]
    address = f"http://localhost:{port}/file" if where == "other name" else f"{elsewhere.url}/file"
    if where.startswith("redirect"):
        onwards = recorder.url if where.endswith("url") else elsewhere.url

        async def redirect(request: web.Request) -> web.StreamResponse:
            if request.path == "/file":
                raise web.HTTPFound(f"{onwards}/there")
            return web.Response(body=b"RIFF audio")

        elsewhere.answer = redirect
    assert await fetched(opened(recorder.url), tmp_path / "body", Call("GET", address)) == b"RIFF audio"
    for request in (seen := recorder.requests + elsewhere.requests):
        assert not {"Authorization", "X-Secret"} & set(request.headers)
        assert KEY not in str(request)
    assert len(seen) == (2 if where.startswith("redirect") else 1)


async def test_without_a_key_none_is_sent_and_netrc_is_not_asked(
    recorder: Recorder, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    await fetched(opened(recorder.url, api_key_env=None), tmp_path / "body", POST)
    assert "Authorization" not in recorder.requests[0].headers


async def test_nothing_is_asked_of_the_provider_itself_without_a_key(recorder: Recorder, tmp_path: Path) -> None:
    server = Server(ProviderSettings("openai", api_key_env="NO_SUCH_API_KEY"), recorder.url)
    with pytest.raises(JobError, match="there is no API key for openai: set NO_SUCH_API_KEY"):
        server.require_key()
    error = await failure(server, tmp_path, POST)
    assert (type(error), recorder.requests) == (JobError, [])


async def test_the_provider_itself_is_asked_where_no_other_server_is_named(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    server = Server(ProviderSettings("openai", api_key_env="TEST_API_KEY"), recorder.url)
    await fetched(server, tmp_path / "body")
    await server.aclose()
    assert recorder.requests[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_of_the_api_are_not_followed_and_end_the_job(
    recorder: Recorder, opened: Opened, tmp_path: Path, status: int
) -> None:
    recorder.answer = saying(b"", status, headers={"Location": f"{recorder.url}/elsewhere"})
    error = await failure(opened(recorder.url), tmp_path, POST)
    assert type(error) is JobError
    assert f"answered {status}" in str(error)
    assert f"redirects to {recorder.url}/elsewhere" in str(error)
    assert "provider.base_url" in str(error)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_proxy_of_the_environment_is_used_except_for_its_exceptions(
    recorder: Recorder, elsewhere: Recorder, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("http_proxy", scheme + elsewhere.url.removeprefix("http://"))
    server = opened("http://api.invalid/v1")
    await fetched(server, tmp_path / "body")
    assert elsewhere.requests[0].headers["Host"] == "api.invalid"
    monkeypatch.setenv("no_proxy", "127.0.0.1,other.invalid")
    await fetched(opened(recorder.url), tmp_path / "body")
    assert (len(elsewhere.requests), len(recorder.requests)) == (1, 1)


async def test_proxy_for_https_learns_the_host_and_no_more(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with talking(refuse) as host:
        monkeypatch.setenv("https_proxy", f"http://{host}")
        error = await failure(opened("https://api.invalid"), tmp_path)
    assert heads[0].startswith(b"CONNECT api.invalid:443 ")
    assert KEY.encode() not in heads[0]
    assert (type(error), error.kind) == (RetryLater, "unreachable")
    assert "the proxy answered 407" in str(error)


# What becomes of faults


async def closed_port() -> str:
    async with talking(after_the_request()) as host:
        return f"http://{host}"


async def test_a_server_that_is_not_there_is_unreachable(opened: Opened, tmp_path: Path) -> None:
    url = await closed_port()
    error = await failure(opened(url), tmp_path)
    assert (type(error), error.kind) == (RetryLater, "unreachable")
    assert str(error).startswith(f"cannot reach openai at {url}: Connect call failed")


async def test_a_connection_that_takes_too_long_is_unreachable(opened: Opened, tmp_path: Path) -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.sleep(0.2)  # TLS would be agreed on here

    async with talking(keep_silent) as host:
        error = await failure(opened(f"https://{host}", connect_timeout_s=0.05), tmp_path)
    assert (type(error), error.kind) == (RetryLater, "unreachable")


HEAD = b"HTTP/1.1 200 OK\r\nX-Request-Id: r-1\r\n"


@pytest.mark.parametrize(
    ("pieces", "hold", "kind"),
    [
        ([], False, "reset"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], False, "reset"),
        ([HEAD, b"Content-Length: 10\r\n\r\n", b"12345"], True, "timeout"),
        ([HEAD, b"Content-Length: 10\r\n\r\n"], True, "timeout"),
        ([HEAD, b"Content-Length: 10\r\n\r\n", b"12345"], False, "cut_audio"),
        ([HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n12345\r\n"], False, "cut_audio"),
        ([HEAD, b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", b"12345"], False, "cut_audio"),
    ],
)
async def test_faults_are_tried_again_by_kind(
    opened: Opened, tmp_path: Path, pieces: list[bytes], hold: bool, kind: str
) -> None:
    async with talking(after_the_request(*pieces, hold=hold)) as host:
        error = await failure(opened(f"http://{host}", idle_timeout_s=0.1 if hold else 30.0), tmp_path, POST)
    assert (type(error), error.kind) == (RetryLater, kind)
    assert (error.receipt is not None) == (len(pieces) > 1), "what has been answered is told"
    assert "\n" not in str(error)


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200"]])
async def test_what_is_only_looked_up_has_to_come_at_once_and_speech_is_waited_for(
    opened: Opened, tmp_path: Path, pieces: list[bytes]
) -> None:
    """A server that makes speech, or has a queue before it, is silent for long; the total ends that."""
    async with talking(after_the_request(*pieces, hold=True)) as host:
        server = opened(f"http://{host}", idle_timeout_s=0.1)
        error = await failure(server, tmp_path, Call("GET", "/voices"))
        assert (type(error), error.kind) == (RetryLater, "timeout")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await failure(server, tmp_path, POST)


async def test_a_slow_answer_that_keeps_coming_is_awaited(opened: Opened, tmp_path: Path) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.05)
            writer.write(b"x")

    async with talking(drip) as host:
        assert await fetched(opened(f"http://{host}", idle_timeout_s=0.5), tmp_path / "body") == b"x" * 12


async def test_a_body_beyond_the_cap_is_not_read_any_further(opened: Opened, tmp_path: Path) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"\r\n")
        try:
            while True:
                writer.write(bytes(10_000))
                await writer.drain()
        finally:
            ended.set_result(True)

    async with talking(flood) as host:
        error = await failure(opened(f"http://{host}"), tmp_path, most_bytes=100_000)
        async with asyncio.timeout(10):
            await ended
    assert (type(error), error.kind, error.receipt.request_id) == (RetryLater, "too_large", "r-1")
    assert not (tmp_path / "body").exists(), "nor is anything written"


async def test_a_body_of_exactly_the_cap_is_taken(recorder: Recorder, opened: Opened, tmp_path: Path) -> None:
    recorder.answer = saying(bytes(1000))
    assert len(await fetched(opened(recorder.url), tmp_path / "body", most_bytes=1000)) == 1000


def test_the_cap_leaves_room_for_the_largest_audio_of_a_text() -> None:
    slowest, floats_at_48_khz = 1.0, 4 * 48_000
    for characters in (0, 1, 4096, 40_000):
        assert most_bytes("x" * characters) > characters * slowest * floats_at_48_khz


@pytest.mark.parametrize("name", ["x-request-id", "request-id"])
async def test_the_id_of_a_request_is_told(recorder: Recorder, opened: Opened, name: str) -> None:
    recorder.answer = saying(b"{}", headers={name: "r-1"})
    async with opened(recorder.url).call(GET) as answer:
        assert answer.receipt.request_id == "r-1"


async def test_json_that_is_none_is_tried_again(recorder: Recorder, opened: Opened) -> None:
    recorder.answer = saying(b"<html><title>Welcome</title></html>")
    with pytest.raises(RetryLater, match="the answer is no JSON: an HTML page: Welcome") as failed:
        await opened(recorder.url).json(GET)
    assert failed.value.kind == "not_json"


# What is said


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"No such\\n voice","code":"voice"}}', "openai answered 422 voice: No such voice"),
        (b'{"detail":[{"loc":["body","input"],"msg":"too long","type":"x"}]}', "openai answered 422: input: too long"),
        (b'{"detail":{"error":"bad","message":"Unknown voice"}}', "openai answered 422 bad: Unknown voice"),
        (b'{"detail":"Not today"}', "openai answered 422: Not today"),
        (b"<html><head><title>502 Bad\nGateway</title></head>", "openai answered 422: an HTML page: 502 Bad Gateway"),
        (b"Title: Message\r\n", "openai answered 422: Title: Message"),
        (b"", "openai answered 422: Unprocessable Entity"),
    ],
)
async def test_error_bodies_are_told_in_one_line(
    recorder: Recorder, opened: Opened, tmp_path: Path, body: bytes, message: str
) -> None:
    recorder.answer = saying(body, 422, headers={"x-request-id": "r-9"})
    error = await failure(opened(recorder.url), tmp_path, POST)
    assert (type(error), str(error)) == (ChunkError, message)
    assert (error.receipt.http_status, error.receipt.request_id) == (422, "r-9")


async def test_an_error_body_counts_by_its_status_even_if_it_never_ends(opened: Opened, tmp_path: Path) -> None:
    head = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\n"
    for hold in (True, False):
        async with talking(after_the_request(head, b"slow down", hold=hold)) as host:
            error = await failure(opened(f"http://{host}", idle_timeout_s=0.3), tmp_path)
        assert (error.kind, error.after_s, str(error)) == ("rate_limited", 7.0, "openai answered 429: slow down")


@pytest.mark.parametrize(
    "answer",
    [
        saying(f'{{"error":{{"message":"Incorrect API key: {KEY}.","code":"{KEY}"}}}}'.encode(), 401),
        saying(f"<title>{KEY}</title>".encode(), 500),
        saying(f"no {KEY}".encode(), 418, reason=f"of {KEY}"),
        saying(b"", 400, reason=f"of {KEY}"),
        saying(("." * 290 + KEY).encode(), 500),
        saying(b"", 302, headers={"Location": f"https://a.example/?key={KEY}"}),
        saying(f"hello {KEY}".encode()),
    ],
)
async def test_no_message_holds_the_key_that_a_server_echoes(recorder: Recorder, opened: Opened, answer: Any) -> None:
    recorder.answer = answer
    with pytest.raises(CTTSError) as failed:
        await opened(recorder.url).json(POST)
    told = f"{failed.value} {failed.value!r} {''.join(traceback.format_exception(failed.value, chain=True))}"
    assert KEY[:12] not in told


async def test_refused_key_stops_the_run(recorder: Recorder, opened: Opened, tmp_path: Path) -> None:
    recorder.answer = saying(b'{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}', 401)
    error = await failure(opened(recorder.url), tmp_path)
    assert (type(error), error.kind) == (AccountRefused, "account_refused")


@pytest.mark.parametrize("url", ["http://", "http://[::1", "127.0.0.1/v1", "ftp://127.0.0.1/x", "http://a:99999"])
async def test_an_address_that_is_none_ends_the_job(opened: Opened, tmp_path: Path, url: str) -> None:
    assert type(await failure(opened(url), tmp_path)) is JobError


# Certificates

FETCH = """
import asyncio, sys
from cluster_tts.job import ProviderSettings
from cluster_tts.providers.http import Call, Server
server = Server(ProviderSettings("openai", base_url=sys.argv[1]), "")
print(asyncio.run(server.json(Call("GET", "/"))))
"""


async def test_a_certificate_of_ones_own_is_trusted_once_it_is_named(opened: Opened, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    answer = after_the_request(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n42")
    async with talking(answer, ssl=certificate) as host:
        error = await failure(opened(f"https://{host}"), tmp_path)
        assert type(error) is JobError
        assert "certificate" in str(error)
        assert "SSL_CERT_FILE" in str(error)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(tmp_path / "certificate.pem")}
        command = [sys.executable, "-W", "ignore", "-c", FETCH, f"https://{host}"]
        told = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert told.stdout == "42\n", told.stderr


def self_signed(folder: Path) -> Any:
    """A server's TLS for 127.0.0.1; its certificate is left in ``folder``."""
    import datetime
    import ipaddress
    import ssl

    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, ours = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, ours, serialization.NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


# -- what answers tell of limits ---------------------------------------------------------------------------------------

LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "6s",
}


async def test_every_answer_tells_of_limits_what_its_headers_say_whether_it_is_a_success_or_not(
    recorder: Recorder, opened: Opened, tmp_path: Path
) -> None:
    server, told = opened(recorder.url), Told(limit_requests=500, remaining_requests=0, reset_requests_s=6.0)
    recorder.answer = saying(b"RIFF audio", headers=LIMITS)
    async with server.call(GET) as answer:
        assert answer.receipt.told == told
    for status in (400, 401, 429, 500, 503):
        recorder.answer = saying(b"no", status, headers=LIMITS)
        failed = await failure(server, tmp_path)
        assert failed.receipt.told == told
    assert failed.after_s == 6.0
    recorder.answer = saying(b"RIFF audio")
    async with server.call(GET) as answer:
        assert answer.receipt.told is None


@pytest.mark.parametrize(
    ("limit", "kind"),
    [("max_parallel_requests", "too_many_at_once"), ("requests", "rate_limited"), ("", "rate_limited")],
)
async def test_a_proxy_may_tell_in_a_header_which_of_its_limits_it_was(
    recorder: Recorder, limit: str, kind: str, tmp_path: Path
) -> None:
    recorder.answer = saying(b'{"error":{"message":"m","code":"429"}}', 429, headers={"rate_limit_type": limit})
    server = Server(ProviderSettings("openai", base_url=recorder.url), recorder.url, openai.TABLE)
    failed = await failure(server, tmp_path)
    await server.aclose()
    assert failed.kind == kind


# What a malicious server may try


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_file_that_is_redirected_to_the_base_url_or_anywhere_is_fetched_without_the_key(
    recorder: Recorder, elsewhere: Recorder, opened: Opened, tmp_path: Path, status: int
) -> None:
    elsewhere.answer = saying(b"", status, headers={"Location": f"{recorder.url}/there"})
    assert await fetched(opened(recorder.url), tmp_path / "body", Call("GET", f"{elsewhere.url}/f")) == b"RIFF audio"
    for request in recorder.requests + elsewhere.requests:
        assert not {"Authorization", "X-Secret"} & set(request.headers)


async def test_a_compressed_bomb_is_counted_as_it_unfolds(opened: Opened, tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    tracemalloc.start()
    try:
        async with talking(after_the_request(head, bomb)) as host:
            error = await failure(opened(f"http://{host}"), tmp_path, most_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (type(error), error.kind) == (RetryLater, "too_large")


async def test_headers_without_an_end_break_the_connection_in_time(opened: Opened, tmp_path: Path) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 1_000))
            await writer.drain()

    async with talking(flood) as host, asyncio.timeout(20):
        error = await failure(opened(f"http://{host}"), tmp_path)
    assert (type(error), error.kind) == (RetryLater, "reset")
