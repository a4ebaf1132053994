"""One S3 server for all tests of storage, a bucket for each."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster_tts import storage
from tests.storage.faulty import ENVIRONMENT, FaultyServer


@dataclass(frozen=True)
class Bucket:
    """A new, empty bucket, and the server that it is on."""

    name: str
    server: FaultyServer

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def folder(self, name: str = "folder") -> storage.Folder:
        return storage.at(f"{self.url}/{name}")

    def keys(self) -> dict[str, int]:
        return self.server.keys(self.name)

    def requests(self, kind: str = "requests") -> int:
        return self.server.counts[kind]


@pytest.fixture(scope="session")
def server() -> Iterator[FaultyServer]:
    server = FaultyServer(seed=5).start()
    yield server
    server.stop()


@pytest.fixture
def bucket(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": server.url}).items():
        monkeypatch.setenv(name, value)
    name = f"b-{uuid.uuid4().hex[:12]}"
    server.make_bucket(name)
    yield Bucket(name, server)
    server.fail = 0.0
