"""An S3 server on this machine that fails as storage fails, at a seeded share of its requests.

    python -m tests.storage.faulty --port 0 --bucket runs --fail 0.05 --seed 1

The first line on its stdout is its URL; it serves until SIGTERM. ``GET /_stats`` answers what was counted. What it
keeps is moto's, in memory, and gone with the process.
"""

import argparse
import json
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

STATS = "/_stats"
REGION = "us-east-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-at-all",
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a client needs besides ``AWS_ENDPOINT_URL``."""
SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>1</RequestId></Error>"""
# What a failing request meets, with its weight: it is refused; its connection is reset before or after it was carried
# out; its answer ends in the middle.
FAULTS = {"slow_down": 6, "reset": 2, "reset_after": 1, "cut": 1}


class Cut(ConnectionError):
    """The connection is closed here and now; werkzeug takes it for a client that went away."""


class FaultyServer:
    """The server as a WSGI application around moto's; ``fail`` may be changed while it runs."""

    def __init__(self, port: int = 0, fail: float = 0.0, seed: int = 0, host: str = "127.0.0.1") -> None:
        self.fail = fail
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, port, self._answer, threaded=True, request_handler=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://{host}:{self._server.port}"

    def start(self) -> "FaultyServer":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def make_bucket(self, name: str) -> None:
        """Past the counting and the faults."""
        answer = Client(self._moto).put(f"/{name}", base_url=self.url)
        assert answer.status_code == 200, answer.text

    def keys(self, bucket: str) -> dict[str, int]:
        """The objects of a bucket with their sizes, hidden ones too; past the counting and the faults."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        kept = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
        return {name: key.size for name, key in kept.items()}

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == STATS:
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self.counts, sort_keys=True).encode()]
        fault = self._count(_kind(environ), environ["REQUEST_METHOD"])
        if fault == "reset":
            raise _reset(environ)
        if fault == "slow_down":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))  # or the connection cannot be kept
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        answer = b"".join(self._moto(environ, start))
        if fault == "reset_after":
            raise _reset(environ)
        return _half(answer, environ) if fault == "cut" else [answer]

    def _count(self, kind: str, method: str) -> str | None:
        with self._lock:
            self.counts.update(["requests", method, kind])
            if self._random.random() >= self.fail:
                return None
            fault = self._random.choices(list(FAULTS), list(FAULTS.values()))[0]
            self.counts.update(["failed", f"failed {fault}"])
            return fault


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (named so there)
        pass

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        self.close_connection = True  # or it would wait for the next request of a client that waits for this answer


def _kind(environ: WSGIEnvironment) -> str:
    """What S3 calls the request: ``PutObject``, ``UploadPart``, ..."""
    method, query = environ["REQUEST_METHOD"], parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    in_bucket = "/" in environ["PATH_INFO"].strip("/")
    match method:
        case "PUT" if in_bucket:
            return "UploadPart" if "partNumber" in query else "PutObject"
        case "POST" if "uploads" in query:
            return "CreateMultipartUpload"
        case "POST" if "uploadId" in query:
            return "CompleteMultipartUpload"
        case "POST" if "delete" in query:
            return "DeleteObjects"
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload"
        case "GET" if not in_bucket:
            return "ListObjects"
    return f"{method.capitalize()}{'Object' if in_bucket else 'Bucket'}"


def _reset(environ: WSGIEnvironment) -> Cut:
    """What to raise, once the socket is set to leave with RST: the client sees that it was cut off."""
    sock: socket.socket = environ["werkzeug.socket"]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return Cut("reset on purpose")


def _half(body: bytes, environ: WSGIEnvironment) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise _reset(environ)


@contextmanager
def serving(bucket: str, fail: float = 0.0, seed: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """The URL of such a server in a process of its own, with one bucket, until the block ends."""
    command = [
        sys.executable, "-W", "ignore", "-m", __name__, "--bucket", bucket, "--fail", str(fail), "--seed", str(seed),
        "--host", host,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the S3 server did not start: is moto[server] installed?")
        yield url
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="An S3 server that fails on purpose")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--bucket", action="append", default=[], help="made at the start; may be given several times")
    parser.add_argument("--fail", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ended = threading.Event()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: ended.set())
    server = FaultyServer(options.port, options.fail, options.seed, options.host).start()
    for bucket in options.bucket:
        server.make_bucket(bucket)
    print(server.url, flush=True)  # noqa: T201 (whoever started this reads it)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
