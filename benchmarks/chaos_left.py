"""What a run left that should have gone with it; nothing is what is wanted."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import chaos_victims as victims

from cluster_tts.storage import at

WRITTEN_S = 5.0  # a limiter writes once a second what it holds
VANISH_S = 75.0  # two idle agents of a Ray whose driver was killed try for a minute to tell it so (Ray 2.60)


def processes(drivers: Iterable[int]) -> list[str]:
    """Whatever the drivers started that is still there a while after the last of them."""
    drivers = list(drivers)
    until = time.monotonic() + VANISH_S
    while victims.of_sessions(drivers) and time.monotonic() < until:
        time.sleep(0.1)
    return [f"process {pid} {victims.title(pid)[:30]}" for pid in victims.of_sessions(drivers)]


def actors(nodes: Iterable[int]) -> list[str]:
    """Workers, queues and joins on a cluster that no run uses; its limiter stays, for other runs."""
    nodes = list(nodes)
    titles = {pid: victims.title(pid) for pid in victims.of_sessions(nodes)}
    known = [victims.TITLES[kind] for kind in ("worker", "queue", "join")]
    return [f"actor {pid} {found[:30]}" for pid, found in titles.items() if any(one.match(found) for one in known)]


def scratch(pids: Iterable[int]) -> list[str]:
    """Folders that a run's processes had below /tmp: private Rays, and what was on its way to a bucket."""
    return [f"folder {path}" for pid in pids for path in Path("/tmp").glob(f"ctts-{pid}-*")]


def half_written(folder: Path) -> list[str]:
    """Files and folders that were to be renamed or removed."""
    return [str(path.relative_to(folder)) for path in filter(is_temporary, folder.glob("**/*"))]


def claims(out: str) -> list[str]:
    """Claims on OUT that somebody would have to wait for. The last owner's stays, as ended."""
    folder = at(out) / "manifest/claims"
    there = {entry.name: json.loads(folder.read(entry.name)) for entry in folder.files()}
    found = [f"claim {name}" for name, claim in there.items() if not claim["ended"]]
    return found + ([f"{len(there)} claims"] if len(there) > 1 else [])


def is_temporary(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix in (".tmp", ".part")


def permits(state: Path) -> list[str]:
    """Places that a live limiter counts as taken, also after it had the time to write that they are not."""
    until = time.monotonic() + WRITTEN_S
    while (found := _held(state)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _held(state: Path) -> list[str]:
    found = []
    for path in state.glob("accounts/*.json"):
        for name, party in json.loads(path.read_text())["parties"].items():
            if any(party["held"].values()) and not party["closed"] and not victims.is_dead(party["process"]["pid"]):
                found.append(f"permits of limiter {name}: {party['held']}")
    return found


def reservations(out: str) -> list[str]:
    """Money that is still set aside for clips."""
    folder = at(out) / "manifest/spending"
    opened = {entry.name: json.loads(folder.read(entry.name))["open"] for entry in folder.files()}
    return [f"{len(clips)} reservations in {name}" for name, clips in opened.items() if clips]
