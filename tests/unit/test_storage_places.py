"""What a URL names, and which ones are refused; nobody is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from cluster_tts import storage
from cluster_tts.errors import JobError
from cluster_tts.storage import LocalFolder


def test_names_stand_before_the_query() -> None:
    folder = storage.at("s3://b/run/?region=eu-west-1") / "clips"
    assert folder.address("aa/x.wav") == "s3://b/run/clips/aa/x.wav"
    assert str(folder) == "s3://b/run/clips?region=eu-west-1"


def test_the_container_in_an_azure_url_is_no_key() -> None:
    assert str(storage.at("abfss://texts@account/run")) == "abfss://texts@account/run"


def test_a_file_url_is_a_path() -> None:
    assert storage.at("file:///tmp/a%20b") == LocalFolder(Path("/tmp/a b"))


@pytest.mark.parametrize(
    "url", ["s3://me:hush@b/run", "s3://hush@b/run", "s3://b/run?access_key=hush", "s3://b/?X-Amz-Signature=hush"]
)
def test_a_url_with_a_secret_is_refused_and_the_secret_not_repeated(url: str) -> None:
    with pytest.raises(JobError, match="AWS_ACCESS_KEY_ID") as caught:
        storage.at(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("ftp://b/run", "ftp"),
        ("s3://b/run?reigon=x", "reigon"),
        ("s3:///run", "s3:///run"),
        ("s3://b/../c", r"\.\."),
        ("s3:/b/run", "s3://b/run"),
        ("s3://b/run?scheme=ftp", "http or https"),
    ],
)
def test_a_url_that_cannot_be_used_is_named(url: str, named: str) -> None:
    with pytest.raises(JobError, match=named):
        storage.at(url)


def test_storage_is_known_without_loading_arrow() -> None:
    code = "import sys, cluster_tts.storage as s; s.at('b/c'); sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
