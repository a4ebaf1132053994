"""What a run made: its documents as they are in OUT, by digest and by listening."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cluster_tts.emulator.speech import digest_of, read_back_file
from cluster_tts.storage import at


def digests(out: str) -> dict[str, str]:
    """SHA-256 of every file of the documents."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in _documents(out)}


def different(found: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Names of files that are not as they should be, lack, or should not be there."""
    return tuple(name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name))


def lost_chunks(out: str, texts: Mapping[str, Sequence[str]], names: Sequence[str]) -> int:
    """Chunks that are not heard where they belong, in those documents whose audio is among ``names``."""
    there = dict(_documents(out))
    lost = 0
    for document, spoken in texts.items():
        if f"{document}.wav" in names:
            heard = _heard(there.get(f"{document}.wav"))
            lost += sum(digest_of(text) not in heard for text in spoken)
            lost += heard != [digest_of(text) for text in spoken] and set(heard) == {digest_of(t) for t in spoken}
    return lost


def _documents(out: str) -> Iterator[tuple[str, bytes]]:
    folder = at(out) / "documents"
    for entry in folder.files():
        if not any(part.startswith(".") for part in entry.name.split("/")):
            yield entry.name, folder.read(entry.name)


def _heard(sound: bytes | None) -> list[int]:
    if sound is None:
        return []
    with tempfile.TemporaryDirectory(prefix="heard-") as folder:
        path = Path(folder, "heard.wav")
        path.write_bytes(sound)
        return [found.digest for found in read_back_file(path)]
