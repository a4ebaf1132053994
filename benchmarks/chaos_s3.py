"""OUT and clips on an S3 server of this machine that fails 5 % of the requests: the tests' own, as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).parents[1]
BUCKET = "chaos"
FAILING = 0.05
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


@contextmanager
def server(folder: Path, seed: int) -> Iterator[str]:
    """The URL of its bucket; this process and all it starts are told where it is. Its log goes into ``folder``."""
    os.environ.update(VARIABLES)
    command = [sys.executable, "-m", "tests.storage.server", "--bucket", BUCKET, "--fail", str(FAILING),
               "--seed", str(seed)]  # fmt: skip
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        if not endpoint:
            raise RuntimeError(f"the S3 server did not start: {(folder / 's3.log').read_text()[-500:]}")
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        yield f"s3://{BUCKET}"
        with build_opener(ProxyHandler({})).open(f"{endpoint}/_stats", timeout=30) as answer:
            counts = json.loads(answer.read())
        print(f"S3: {counts['requests']} requests, {counts['failed']} of them failed", file=sys.stderr, flush=True)
    finally:
        process.terminate()
        process.wait()


def half_written(out: str) -> list[str]:
    """Objects with temporary names below ``out``, and uploads that were neither ended nor given up."""
    place = urlsplit(out)
    prefix = place.path.strip("/") + "/"
    client = _client()
    found = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
        names = [entry["Key"].removeprefix(prefix) for entry in page.get("Contents", ())]
        found += [name for name in names if name.endswith((".tmp", ".part")) or "/." in f"/{name}"]
    uploads = client.list_multipart_uploads(Bucket=place.netloc, Prefix=prefix).get("Uploads", ())
    return found + [f"upload of {upload['Key']}" for upload in uploads]


def _client() -> Any:
    """Tries often: the server fails for this one too."""
    import boto3
    from botocore.config import Config

    retries = Config(retries={"max_attempts": 12, "mode": "standard"})
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=retries)
