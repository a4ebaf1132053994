"""From what a person names to a folder."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cluster_tts.errors import JobError, nearest
from cluster_tts.storage.folder import Folder
from cluster_tts.storage.local import LocalFolder

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
BUCKETS = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
SECRETS = ("key", "secret", "token", "password", "signature", "credential")  # parts of an option's name
SLASH_FORGOTTEN = re.compile(rf"({'|'.join(BUCKETS)}):/")
SPOKEN = ", ".join(f"{scheme}://" for scheme in BUCKETS)
OPTIONS = ("endpoint_override", "region", "scheme")  # of an s3:// URL


def is_url(text: str) -> bool:
    """Whether ``text`` names a place by a URL; a path never looks so."""
    return bool(URL.match(text))


def at(where: str) -> Folder:
    """The folder that ``where``, a path or a URL, names. Nobody is asked whether it is there.

    Raises:
        JobError: a URL of a kind that cannot be used, or with a key in it.
    """
    if not is_url(where):
        if typed := SLASH_FORGOTTEN.match(where):
            url = f"{typed[1]}://{where[typed.end() :]}"
            raise JobError(f"'{where}' would be a folder of that name: did you mean {url}?")
        return LocalFolder(Path(where))
    try:
        parts = urlsplit(where)
    except ValueError:  # whose words, like the URL, may hold a password
        raise JobError("a storage URL cannot be read: give one like s3://bucket/folder") from None
    scheme, options = parts.scheme.lower(), dict(parse_qsl(parts.query, keep_blank_values=True))
    container = scheme.startswith("abfs") and parts.password is None  # abfss://container@account has no key in it
    has_key = "@" in parts.netloc and not container
    if has_key or any(word in name.lower() for name in options for word in SECRETS):
        raise JobError(
            f"the {scheme} URL of '{parts.hostname}' has a key in it, which would stand in logs and reports: give it "
            "by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or as your cloud does"
        )
    if scheme == "file":
        return LocalFolder(Path(unquote(parts.path)))
    if scheme not in BUCKETS:
        raise JobError(f"'{where}' cannot be used as storage: give a path, or a URL of {SPOKEN}")
    if not parts.netloc:
        raise JobError(f"'{where}' names no bucket: give a URL like {scheme}://bucket/folder")
    if any(part in (".", "..") for part in unquote(parts.path).split("/")):
        raise JobError(f"'{where}' has '.' or '..' in its path, which a bucket does not know: write it out")
    for name in options if scheme == "s3" else ():
        if name not in OPTIONS:
            raise JobError(f"'{where}' has an unknown option '{name}': {nearest(name, OPTIONS)}")
    if options.get("scheme", "https") not in ("http", "https"):
        raise JobError(f"'{where}' has scheme={options['scheme']}: it is http or https")
    from cluster_tts.storage.bucket import BucketFolder  # Arrow takes 50 MB that a worker with a disk can do without

    root, query = where.split("?", 1) if "?" in where else (where, "")
    return BucketFolder(root.rstrip("/"), query)


def file_at(url: str) -> tuple[Folder, str]:
    """The folder and the name in it of the file at ``url``; the name is empty for a whole bucket."""
    address, mark, options = url.partition("?")
    scheme, _, path = address.partition("://")
    parent, _, name = path.rpartition("/")
    return at(f"{scheme}://{parent or name}{mark}{options}"), name if parent else ""
