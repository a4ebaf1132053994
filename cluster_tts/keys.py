"""API keys: found by the name of their variable, held in memory, written nowhere.

A key stands in the environment of the node that asks with it, or in a ``.env`` beside the command. What stands in
``.env`` reaches workers on other nodes by ``hand_over``, a method call: constructor arguments, runtime environments
and packed folders were all seen to leave it in Ray's memory or logs.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

from cluster_tts.errors import JobError
from cluster_tts.job import Job, ProviderSettings

LEAST_REDACTED = 8  # characters: a shorter key would take harmless words out of messages

_handed_over: dict[str, str] = {}
_seen: set[str] = set()  # every key that this process has held, for ``redact``


def find(variable: str | None) -> str | None:
    """The key that the environment, or else ``.env``, holds under this name; None where there is none."""
    if not variable:
        return None
    key = (_own(variable) or _handed_over.get(variable) or _dotenv(Path.cwd()).get(variable) or "").strip()
    if not key:
        return None
    if not key.isascii() or not key.isprintable():
        raise JobError(f"the key in {variable} holds characters that no key has: copy it again")
    _seen.add(key)
    return key


def require(settings: ProviderSettings) -> None:
    """Raise ``JobError`` if the provider asks its own servers and there is no key for them.

    A server of one's own (``provider.base_url``) may need none, and says so itself.
    """
    variable = settings.api_key_env
    if variable and settings.base_url is None and find(variable) is None:
        raise JobError(
            f"there is no API key for {settings.name}: set {variable} in the environment or in a file .env in this "
            "folder (provider.api_key_env names another variable)"
        )


def to_hand_over(settings: ProviderSettings) -> dict[str, str]:
    """What workers need that their own environment may not hold: the key of a ``.env`` beside this command."""
    variable = settings.api_key_env
    if not variable or _own(variable) or not (key := find(variable)):
        return {}
    return {variable: key}


def hand_over(keys: Mapping[str, str]) -> None:
    """Let this process ask with ``keys`` where its own environment holds none."""
    _handed_over.update(keys)


def redact(text: str) -> str:
    """``text`` without any key that this process holds, also as addresses and headers spell it: servers quote the key
    that they refuse."""
    keys = (key for key in _seen if len(key) >= LEAST_REDACTED)
    for spelling in sorted({each for key in keys for each in _spellings(key)}, key=len, reverse=True):
        text = text.replace(spelling, "***")  # the longer first: one may begin like another
    return text


@cache
def _spellings(key: str) -> frozenset[str]:
    encoded = base64.b64encode(key.encode()).decode()
    return frozenset({key, quote(key, safe=""), encoded, encoded.rstrip("="), repr(key)[1:-1]})


def account(job: Job) -> str:
    """Whose quota a request of this job counts against: the name the job gives, else provider, server and key."""
    if job.quota.account:
        return job.quota.account
    key = find(job.provider.api_key_env)
    digest = hashlib.sha256(key.encode()).hexdigest()[:12] if key else ""
    return ":".join(part for part in (job.provider.name, job.provider.base_url or "", digest) if part)


def _own(variable: str) -> str:
    """What the environment holds: blank is nothing."""
    return os.environ.get(variable, "").strip()


@cache
def _dotenv(folder: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(folder / ".env", encoding="utf-8-sig")  # Windows editors begin it with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"cannot read '{folder / '.env'}': {error}") from None
