"""JSON that notices when it is not read as it was written: a flipped byte in it may well be JSON too."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

SEAL = "crc32"


def dumps(content: Mapping[str, Any], indent: int | None = None) -> str:
    """``content`` with a digest of itself at its end."""
    return json.dumps({**content, SEAL: _crc(content)}, ensure_ascii=False, indent=indent)


def loads(text: bytes) -> dict[str, Any]:
    """The content as it was given to ``dumps``; one without a digest is let through.

    Raises:
        ValueError: it is not what was written.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it is no table of names and values")
    seal = content.pop(SEAL, None)
    if seal is not None and seal != _crc(content):
        raise ValueError("its content is not what was written")
    return content


def _crc(content: Mapping[str, Any]) -> str:
    # Through text and back: what a reader gets (lists for tuples, texts for keys that are numbers) counts alike.
    plain = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return f"{zlib.crc32(plain.encode()):08x}"
