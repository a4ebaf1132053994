"""A local S3 server over real HTTP, in a process of its own, which can be told to fail a share of the requests.

Its own process, because Arrow closes a forgotten stream while it holds the interpreter's lock: a server that is a
thread beside it could never answer.
"""

import os
import random
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(frozen=True)
class Server:
    """``url`` is the server's; ``environment`` is what a client needs to use it."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-secret",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT"), timeout=20).close()

    def requests(self) -> list[str]:
        """``METHOD path`` of all that was asked of it so far, refused ones marked ``503``."""
        with urllib.request.urlopen(f"{self.url}/-requests", timeout=20) as answer:
            return str(answer.read().decode()).splitlines()


@contextmanager
def serving(share_failing: float = 0.0, seed: int = 1) -> Iterator[Server]:
    """A server at a port of its own until the block ends."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.storage.server", str(share_failing), str(seed)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the S3 server did not start: is moto[server] installed?")
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Failing:
    """The application behind it, but for a share of requests, drawn by ``seed``, which get 503 SlowDown."""

    def __init__(self, application: Callable[..., Iterable[bytes]], share: float, seed: int) -> None:
        self.application, self.share, self.draw = application, share, random.Random(seed)
        self.seen: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/-requests":
            start("200 OK", [("Content-Type", "text/plain")])
            return ["\n".join(self.seen).encode()]
        if path.count("/") > 1 and self.draw.random() < self.share:  # not the making of buckets
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self.seen.append(f"{method} {path} 503")
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        self.seen.append(f"{method} {path}")
        return self.application(environ, start)


def main(share_failing: float, seed: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(64 << 20)
    application = Failing(DomainDispatcherApplication(create_backend_app), share_failing, seed)
    server = make_server("127.0.0.1", 0, application, threaded=True)  # type: ignore[arg-type]
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
