"""OUT and clips on an S3 server of this machine that fails 5 % of the requests: the tests' own, as a process."""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.storage.faulty import ENVIRONMENT, STATS, serving

BUCKET = "chaos"
FAILING = 0.05


@contextmanager
def server(seed: int) -> Iterator[str]:
    """The URL of its bucket; this process and all it starts are told where it is."""
    with serving(BUCKET, FAILING, seed) as url:
        os.environ.update({**ENVIRONMENT, "AWS_ENDPOINT_URL": url})
        yield f"s3://{BUCKET}"
        with urllib.request.urlopen(url + STATS, timeout=20) as answer:
            counts = json.load(answer)
    print(f"S3: {counts['requests']} requests, {counts['failed']} of them failed", file=sys.stderr, flush=True)


def half_written(out: str) -> list[str]:
    """Objects with temporary names below ``out``.

    Not uploads that were begun and never ended: one whose beginning was carried out and whose answer was lost is begun
    again, and nobody knows of the first. A rule of the bucket removes those (README).
    """
    place = urlsplit(out)
    prefix = place.path.strip("/") + "/"
    client = _client()
    found = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
        names = [entry["Key"].removeprefix(prefix) for entry in page.get("Contents", ())]
        found += [name for name in names if name.endswith((".tmp", ".part")) or "/." in f"/{name}"]
    return found


def _client() -> Any:
    """Tries often: the server fails for this one too."""
    import boto3
    from botocore.config import Config

    retries = Config(retries={"max_attempts": 12, "mode": "standard"})
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=retries)
