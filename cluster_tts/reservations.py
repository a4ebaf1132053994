"""What a run may spend before a row can tell of it, written down ahead in ``OUT/manifest/spending/<run id>.json``.

The file holds the bounds of all clips that are in anybody's hands, from before they are handed out until the rows of
their outcomes are on disk, and what answers did not say. Of a run that was killed it tells what may have been paid.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster_tts.clips import Clips
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.model import Clip, Outcome, Status, Want
from cluster_tts.prices import Bounds, Spent
from cluster_tts.staffing import expected

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
A_PLACE = 2  # requests: one that failed and was paid since the driver last looked, and the one that took its place
NOT_ASKED = ("unreachable", "gate", "budget")
LOST = "worker_died"  # with what it had asked


class Reservations:
    """The file of one run.

    Promise: at any moment, what the rows on disk tell and what this file says are together no less than what has been
    charged, as long as the driver looks at its crew once a second, and no answer costs more than its bound.
    """

    def __init__(self, manifest: Path, run_id: str, job: Job) -> None:
        self._path = manifest / "spending" / f"{run_id}.json"
        self._bounds = Bounds.of(job)
        self._job = job
        self._open: dict[str, Want] = {}
        self._untold = Spent()  # by any answer, so that it never gets into a row
        self._unwritten = Spent()  # by rows that are not on disk yet
        self._grown = False

    def ahead(self, clips: Sequence[Clip]) -> None:
        """Note that ``clips`` are about to be handed out; on disk when it returns."""
        for clip in clips:
            self._open[clip.id] = self._bounds.want(clip.text)
        if clips or self._grown:
            self._write()

    def note(self, outcome: Outcome) -> None:
        """Note how an attempt ended, as the manifest does that is about to hold its row."""
        want = self._open.get(outcome.clip_id) or Want(
            0, outcome.characters, self._bounds.of_characters(outcome.characters)
        )
        beyond = untold(outcome, want)
        self._untold += beyond
        self._unwritten += Spent(outcome.cost_usd or 0.0, outcome.billed_characters or 0)
        if outcome.is_final:
            self._open.pop(outcome.clip_id, None)
        if outcome.status is not Status.SPOKEN and (beyond != Spent() or outcome.cost_usd):
            self._grown = True  # the clip is as dear as ever to those who try again

    def flushed(self) -> None:
        """Note that the rows of all outcomes noted are on disk."""
        self._unwritten = Spent()
        if self._path.exists():
            self._write()

    def ended(self) -> None:
        """Note that nobody has anything in hand any more: nothing is under way."""
        self._open.clear()
        self._write()

    def _write(self) -> None:
        total, folder = self._untold + self._unwritten, self._job.clips.dir
        self._grown = False
        if not self._open and total == Spent():  # the rows tell it all
            self._path.unlink(missing_ok=True)
            return
        content = {
            "usd": total.usd,
            "characters": total.characters,
            "priced": self._bounds.price.known,
            "places": places(self._job),
            "clips_dir": str(Path(folder).absolute()) if folder else None,
            "suffix": self._job.provider.suffix,
            "open": {clip_id: (want.usd, want.characters) for clip_id, want in self._open.items()},
        }
        _write(self._path, content)


def untold(outcome: Outcome, want: Want) -> Spent:
    """What an attempt whose bound is ``want`` may have cost beyond what its row says."""
    if outcome.status is Status.FOUND or _cost_nothing(outcome):
        return Spent()
    usd = want.usd if outcome.cost_usd is None else 0.0
    if outcome.cost_usd is not None and outcome.sound is None:  # estimated by speech of the usual length
        usd = max(0.0, want.usd - outcome.cost_usd)
    return Spent(usd, want.characters if outcome.billed_characters is None else 0)


def _cost_nothing(outcome: Outcome) -> bool:
    """Whether nothing was asked, or the server refused it and names no charge."""
    if outcome.error_kind == LOST:
        return False
    if outcome.error_kind in NOT_ASKED or (outcome.error_kind and not outcome.latency_s):
        return True
    status = outcome.http_status
    refused = status is not None and not 200 <= status < 300
    return refused and outcome.cost_usd is None and outcome.billed_characters is None


def places(job: Job) -> int:
    """How many requests of a run can be in flight at the most."""
    most = expected(job).places
    return min(most, job.quota.max_concurrent_requests or most)


def kept(manifest: Path, bounds: Bounds) -> Iterator[Spent]:
    """What each run may have spent besides what its rows say; nothing for most.

    Raises:
        JobError: a file cannot be read, and with it what that run has spent.
    """
    for path in _files(manifest):
        content = _closed(path, _read(path))
        characters = content["characters"]
        yield Spent(content["usd"] if content["priced"] else bounds.of_characters(characters), characters)


def close_dead(manifest: Path) -> None:
    """Settle what runs that were killed have left, before clips of theirs are made by others."""
    for path in _files(manifest):
        try:
            content = _read(path)
        except JobError as error:  # whoever has a budget will be stopped by it
            log.warning("%s", error)
            continue
        if content["open"]:
            _write(path, _closed(path, content))


def _closed(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """``content`` with nothing open: with the bounds of those clips that may have been paid without a row to tell.

    Those that are there now were paid. Of the others no more were under way than there were places.
    """
    folder = Path(content["clips_dir"]) if content["clips_dir"] else path.parents[2] / "clips"
    clips = Clips(folder, content["suffix"])
    there: list[tuple[float, int]] = []
    others: list[tuple[float, int]] = []
    for clip_id, (usd, characters) in content["open"].items():
        (there if clips.path(clip_id).exists() else others).append((usd, characters))
    paid = there + sorted(others, reverse=True)[: A_PLACE * content["places"]]
    return {
        **content,
        "usd": content["usd"] + sum(usd for usd, _ in paid),
        "characters": content["characters"] + sum(characters for _, characters in paid),
        "open": {},
    }


def _files(manifest: Path) -> list[Path]:
    return sorted((manifest / "spending").glob("*.json"))


NEEDED = {"usd", "characters", "open", "places", "clips_dir", "suffix", "priced"}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"its schema is {content['schema_version']}, this program reads {SCHEMA_VERSION}")
        if lacking := NEEDED - content.keys():
            raise ValueError(f"it has no {', '.join(sorted(lacking))}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"'{path}' cannot be read ({error}), so what an earlier run has spent is not known: remove it, and lower "
            "quota.budget_* by what that run may have cost"
        ) from None
    return dict(content)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION}), encoding="utf-8")
    temporary.replace(path)
