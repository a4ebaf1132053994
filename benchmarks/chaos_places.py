"""Where cases run and against what: texts, an account at an emulator, a folder or a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from quota_runs import Emulator, texts

DOCUMENTS, CHUNKS = 10, 20
AT_ONCE, PER_WINDOW, WINDOW_S = 10, 40, 2.0
ACCOUNT = (
    "--max-concurrent", str(AT_ONCE), "--requests-per-minute", f"{PER_WINDOW * 60 / WINDOW_S:g}",
    "--window", f"{WINDOW_S:g}", "--latency", "0.6", "--sigma", "0.3", "--characters-per-second", "15",
)  # fmt: skip
TOLD = (
    "provider.name=openai", "provider.api_key_env=null", "check.characters_per_second=null", "workers.count=4",
    f"quota.max_concurrent_requests={AT_ONCE}", f"quota.requests_per_minute={PER_WINDOW * 60 / WINDOW_S:g}",
    f"quota.window_s={WINDOW_S:g}",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where the cases of a lane run: a folder, one port for their emulators (the address of a provider is part of a
    clip's name), and what else the command is told."""

    folder: Path
    port: int
    settings: tuple[str, ...] = ("engine=ray",)
    variables: dict[str, str] = field(default_factory=dict)
    account: tuple[str, ...] = ACCOUNT
    sessions: tuple[int, ...] = ()  # of a cluster's nodes that outlive its runs, the head's first
    url: str | None = None  # of the folder in a bucket that takes every OUT

    def out(self, name: str) -> str:
        """OUT of a case."""
        return f"{self.url}/{name}" if self.url else str(self.folder / name / "out")


def write_texts(folder: Path) -> dict[str, list[str]]:
    """Ten documents of twenty chunks, a paragraph each; no two chunks alike."""
    folder.mkdir(parents=True)
    written = {}
    for number in range(DOCUMENTS):
        name = f"document-{number}"
        written[name] = texts(chr(ord("A") + number), CHUNKS)
        (folder / f"{name}.txt").write_text("\n\n".join(written[name]) + "\n")
    return written


@contextmanager
def emulator_at(place: Place, folder: Path) -> Iterator[Emulator]:
    """A provider for one case; its log goes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with Emulator(folder, "openai", *place.account, "--port", str(place.port)) as emulator:
        yield emulator
