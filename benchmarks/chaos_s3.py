"""OUT and clips on an S3 server of this machine, moto's, that fails 5 % of the requests.

As a program it is that server: the first line of stdout is its URL.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

BUCKET = "chaos"
SHARE = 0.05
COUNTS = "/_chaos"
SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
)
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of a bucket as OUT's are named below it; this process and all it starts are told where it is."""
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        if not endpoint:
            raise RuntimeError(f"the S3 server did not start: see {folder / 's3.log'}")
        os.environ.update(VARIABLES, AWS_ENDPOINT_URL=endpoint)
        yield f"s3://{BUCKET}"
        with build_opener(ProxyHandler({})).open(endpoint + COUNTS, timeout=30) as answer:
            counts = json.loads(answer.read())
        print(f"S3: {counts['requests']} requests, {counts['failed']} of them failed", file=sys.stderr, flush=True)
    finally:
        process.terminate()
        process.wait()


def half_written(out: str) -> list[str]:
    """Objects with temporary names below ``out``, and uploads that were neither ended nor given up."""
    place = urlsplit(out)
    prefix = place.path.strip("/") + "/"
    client = _client(os.environ["AWS_ENDPOINT_URL"])
    found = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
        names = [entry["Key"].removeprefix(prefix) for entry in page.get("Contents", ())]
        found += [name for name in names if name.endswith((".tmp", ".part")) or "/." in f"/{name}"]
    uploads = client.list_multipart_uploads(Bucket=place.netloc, Prefix=prefix).get("Uploads", ())
    return found + [f"upload of {upload['Key']}" for upload in uploads]


def _client(endpoint: str) -> Any:
    """Tries often: the server fails for this one too."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", endpoint_url=endpoint, config=Config(retries={"max_attempts": 10, "mode": "standard"}))


class Faulty:
    """A WSGI application that answers 503 SlowDown in place of another one's answer, in a share of the cases."""

    def __init__(self, application: Callable[..., Iterable[bytes]], share: float, seed: int) -> None:
        self._application, self._share = application, share
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self._requests, self._failed = 0, 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == COUNTS:
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"requests": self._requests, "failed": self._failed}).encode()]
        with self._lock:
            self._requests += 1
            fails = self._chance.random() < self._share
            self._failed += fails
        if not fails:
            return self._application(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))  # or the connection breaks on the way
        start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
        return [SLOW_DOWN]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=SHARE)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.update(VARIABLES)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Faulty(DomainDispatcherApplication(create_backend_app), given.share, given.seed)
    made = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{made.server_port}"
    _client(endpoint).create_bucket(Bucket=BUCKET)
    sys.stdout.write(f"{endpoint}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:  # it goes with whoever started it
        time.sleep(1.0)


if __name__ == "__main__":
    main()
