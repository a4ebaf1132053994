"""What a run may spend before a row can tell of it, written down ahead in ``OUT/manifest/spending/<run id>.json``.

The file holds the bounds of all clips that are in anybody's hands, from before they are handed out until the rows of
their outcomes are on disk, and what answers did not say. Of a run that was killed it tells what may have been paid.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster_tts import sealed_json, storage
from cluster_tts.clips import file_name
from cluster_tts.damage import ASIDE, Damage
from cluster_tts.durability import settle_content, settle_name
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from cluster_tts.model import Clip, Outcome, Status, Want
from cluster_tts.prices import Bounds, Spent
from cluster_tts.staffing import expected
from cluster_tts.storage import Folder

FOLDER = "spending"
SCHEMA_VERSION = 1
A_PLACE = 2  # requests: one that failed and was paid since the driver last looked, and the one that took its place
NOT_ASKED = ("unreachable", "gate", "budget")
LOST = "worker_died"  # with what it had asked


class Reservations:
    """The file of one run.

    Promise: at any moment, what the rows on disk tell and what this file says are together no less than what has been
    charged, as long as the driver looks at its crew once a second, and no answer costs more than its bound.
    """

    def __init__(self, manifest: Folder, run_id: str, job: Job) -> None:
        self._folder = manifest / FOLDER
        self._name = f"{run_id}.json"
        self._written = False
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
            self._write(durable=True)

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
        if self._written:
            self._write()

    def ended(self) -> None:
        """Note that nobody has anything in hand any more: nothing is under way."""
        self._open.clear()
        self._write()

    def _write(self, durable: bool = False) -> None:
        total, folder = self._untold + self._unwritten, self._job.clips.dir
        self._grown = False
        if not self._open and total == Spent():  # the rows tell it all
            self._folder.remove(self._name)
            self._written = False
            return
        content = {
            "usd": total.usd,
            "characters": total.characters,
            "priced": self._bounds.price.known,
            "places": places(self._job),
            "clips_dir": str(storage.at(folder).absolute()) if folder else None,
            "suffix": self._job.provider.suffix,
            "open": {clip_id: (want.usd, want.characters) for clip_id, want in self._open.items()},
        }
        _write(self._folder, self._name, content, durable)
        self._written = True


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


def kept(manifest: Folder, own_clips: Folder, bounds: Bounds) -> Iterator[Spent]:
    """What each run may have spent besides what its rows say; nothing for most. ``own_clips`` is where clips of OUT
    are that are not shared.

    Raises:
        JobError: a file cannot be read, and with it what that run has spent.
    """
    folder = manifest / FOLDER
    for name in _names(folder):
        try:
            content = _closed(own_clips, _read(folder, name))
        except ValueError as error:
            raise JobError(
                f"'{folder.address(name)}' cannot be read ({error}), so what an earlier run has spent is not known: "
                "remove it, and lower quota.budget_* by what that run may have cost"
            ) from None
        characters = content["characters"]
        yield Spent(content["usd"] if content["priced"] else bounds.of_characters(characters), characters)


def close_dead(manifest: Folder, own_clips: Folder, damage: Damage) -> None:
    """Settle what runs that were killed have left, before clips of theirs are made by others."""
    folder = manifest / FOLDER
    for name in _names(folder):
        if name.startswith(ASIDE):
            continue
        try:
            content = _read(folder, name)
        except ValueError as error:
            damage.found(folder, name, error, "what an earlier run has spent is not known, so no budget can be kept")
            continue
        if content["open"]:
            _write(folder, name, _closed(own_clips, content))


def _closed(own_clips: Folder, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """``content`` with nothing open: with the bounds of those clips that may have been paid without a row to tell.

    Those that are there now were paid. Of the others no more were under way than there were places.
    """
    clips = storage.at(content["clips_dir"]) if content["clips_dir"] else own_clips
    there: list[tuple[float, int]] = []
    others: list[tuple[float, int]] = []
    for clip_id, (usd, characters) in content["open"].items():
        found = clips.size(file_name(clip_id, content["suffix"])) is not None
        (there if found else others).append((usd, characters))
    paid = there + sorted(others, reverse=True)[: A_PLACE * content["places"]]
    return {
        **content,
        "usd": content["usd"] + sum(usd for usd, _ in paid),
        "characters": content["characters"] + sum(characters for _, characters in paid),
        "open": {},
    }


def _names(folder: Folder) -> list[str]:
    return sorted(entry.name for entry in folder.files() if entry.name.endswith(".json"))


NEEDED = {"usd", "characters", "open", "places", "clips_dir", "suffix", "priced"}


def _read(folder: Folder, name: str) -> Mapping[str, Any]:
    """The content of a file; raises ``ValueError`` where it is not what such a run has written."""
    content = sealed_json.loads(folder.read(name))
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"its schema is {content.get('schema_version')}, this program reads {SCHEMA_VERSION}")
    if lacking := NEEDED - content.keys():
        raise ValueError(f"it has no {', '.join(sorted(lacking))}")
    if name.startswith(ASIDE):
        raise ValueError("a run has set it aside")
    return content


def _write(folder: Folder, name: str, content: Mapping[str, Any], durable: bool = False) -> None:
    """Replace a file. ``durable``: it is on the disk when this returns, since requests are about to be paid for that
    nothing else tells of. Where less is reserved than before, the file that a power cut may bring back does no harm.
    """
    with folder.new(name) as path:
        path.write_text(sealed_json.dumps({**content, "schema_version": SCHEMA_VERSION}), encoding="utf-8")
        if durable:
            settle_content(path)
        folder.publish(path, name)
    if durable:
        settle_name(folder, name)
