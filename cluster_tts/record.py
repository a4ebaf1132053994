"""What is written down while a run goes on: manifest, ``report.json``, ``report.html``, one log line an attempt."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Protocol

from cluster_tts import sealed_json
from cluster_tts.columns import count_rows
from cluster_tts.damage import Damage
from cluster_tts.errors import JobError
from cluster_tts.gauge import Gauge, as_settings, budget_left
from cluster_tts.job import QuotaSettings
from cluster_tts.logs import of_attempt
from cluster_tts.manifest import DocumentRow, Manifest, PlanLocation, PlanReader, last_words
from cluster_tts.model import Clip, Outcome, Purse
from cluster_tts.report import (
    MOST_FAILURES,
    SCHEMA_VERSION,
    Asked,
    DocumentLine,
    Failure,
    Report,
    Totals,
    note_failure,
)
from cluster_tts.report_page import page
from cluster_tts.reservations import Reservations
from cluster_tts.storage import Folder

log = logging.getLogger(__name__)

FLUSH_S = 2.0
Listing = Callable[[], Collection[str]]
GONE = "its clip is not there: the run's own command has it spoken again"
REPORT = "report.json"


class Leave(Protocol):
    """Leave to write to OUT, as long as no other run has taken it over."""

    def check(self) -> None:
        """Return if this run may write; raise ``Interrupted`` once another run has taken over."""


class Fence(Leave, Protocol):
    """What keeps a run from writing where another has taken over."""

    @property
    def badge(self) -> Leave:
        """The same for whoever joins elsewhere."""


class Spool(Protocol):
    """A log that gets to its place now and then."""

    def flushed(self) -> None:
        """Bring it there, if it is time to."""


class Record:
    """Keeps the manifest and the report of one run. What was added is on disk two seconds later, or later where
    writing takes long: at most a twentieth of the time is spent on it.

    Promise: after ``fence`` has said that another run has taken over, nothing is written any more.
    """

    def __init__(
        self, out: Folder, manifest: Manifest, clock: Callable[[], float] = time.time, fence: Fence | None = None
    ) -> None:
        self.totals = Totals()
        self.gauge = Gauge()
        self.quota = QuotaSettings()
        self.purse = Purse()  # what was left of the job's budgets when the run began
        self.submitted: Mapping[str, str] | None = None  # as what job of a cluster the run was submitted
        self.rows = {}
        self.flushed = False
        self.failed: dict[str, Outcome] = {}  # by clip id: those that were given up
        self.locations: Mapping[str, PlanLocation] = {}  # where the documents' plans stand
        self.missing: Mapping[str, Any] | None = None  # in all, once the run has ended
        self.listing: Listing | None = None  # the ids of the clips that are there
        self.reservations: Reservations | None = None  # where requests cost money
        self.spool: Spool | None = None  # of the log, where it cannot be appended to
        self._out = out
        self.manifest = manifest
        self._clock = clock
        self.fence = fence
        self._started = clock()
        self._next_flush = 0.0
        self._of_other_runs: dict[str, DocumentRow] | None = None

    @property
    def rows(self) -> dict[str, DocumentRow]:
        """How each document stands."""
        return self._rows

    @rows.setter
    def rows(self, rows: dict[str, DocumentRow]) -> None:
        self._rows = rows
        self.states = Counter(row.status for row in rows.values())

    @property
    def budget_left(self) -> float | None:
        """The share of the job's budget that is left; None where it has none."""
        return budget_left(self.purse, self.totals, self.quota)

    def add(self, outcome: Outcome) -> None:
        """Note one attempt."""
        self.manifest.add([outcome])
        if self.reservations is not None:
            self.reservations.note(outcome)
        self.totals.count(outcome)
        note_failure(self.failed, outcome)
        level = logging.DEBUG if outcome.error_kind is None else logging.WARNING
        log.log(
            level,
            "clip %s (%s #%d) attempt %d: %s%s",
            outcome.clip_id,
            outcome.document,
            outcome.chunk_index,
            outcome.attempt,
            outcome.status,
            f", {outcome.error_kind}: {outcome.error_message}" if outcome.error_kind else "",
            extra=of_attempt(outcome),
        )

    def hand_out(self, clips: Sequence[Clip]) -> None:
        """Note that ``clips`` are about to be in the hands of workers, who may pay for them."""
        if self.reservations is not None:
            self._still_ours()
            self.reservations.ahead(clips)

    def nothing_under_way(self) -> None:
        """Note that workers have nothing in hand any more, and have told of all that they had."""
        if self.reservations is not None:
            self._still_ours()
            self.reservations.ended()

    def document(self, row: DocumentRow) -> None:
        """Note how a document stands now."""
        if before := self._rows.get(row.document):
            self.states[before.status] -= 1
        self.states[row.status] += 1
        self._rows[row.document] = row

    def beat(self) -> None:
        """Flush if it is time to."""
        if self._clock() >= self._next_flush:
            self.flush("running", None)

    def keep(self) -> None:
        """Write down now the rows of all that was added, and no report."""
        self._still_ours()
        self.manifest.flush(self._still_ours)
        if self.reservations is not None:
            self.reservations.flushed()

    def flush(self, status: str, exit_code: int | None, message: str | None = None) -> Report:
        """Write everything down now; the report as written. Once the run has ended it tells of what failed.

        Raises:
            Interrupted: another run has taken over.
        """
        self._still_ours()
        now = self._clock()
        self.manifest.flush(self._still_ours)
        if self.reservations is not None:
            self.reservations.flushed()
        if self._of_other_runs is None:
            self._of_other_runs = self.manifest.documents()
        if self.rows:
            self.manifest.write_documents({**self._of_other_runs, **self.rows}.values())
        report = Report(
            run_id=self.manifest.run_id,
            status=status,
            exit_code=exit_code,
            started_at=_iso(self._started),
            heartbeat=_iso(now),
            message=message,
            totals={**self.totals.as_dict(now - self._started), "budget_left": self.budget_left},
            documents=tuple(line(row, self.totals.by_document.get(row.document)) for row in self.rows.values()),
            quota=self.gauge.as_dict(),
            failures=() if exit_code is None else self._failures(),
            missing=self.missing,
            job=self.submitted,
        )
        write_report(self._out, report)
        if exit_code is not None and (learned := (report.quota or {}).get("learned")):
            write_whole(self._out, "learned.yaml", as_settings(learned, report.heartbeat))
        if self.spool is not None:
            self.spool.flushed()
        self.flushed = True
        ended = self._clock()
        self._next_flush = ended + max(FLUSH_S, 20 * (ended - now))
        return report

    def _still_ours(self) -> None:
        if self.fence is not None:
            self.fence.check()

    def _failures(self) -> tuple[Failure, ...]:
        try:
            places = failures(self.failed, self.rows.values(), self.locations, self.listing)
            return tuple(islice(places, MOST_FAILURES))
        except (OSError, JobError) as error:  # what ended the run may be a disk that fails: a report is written yet
            log.error("the report cannot say what failed: %s", error)
            return ()


def read_back(manifest: Manifest) -> tuple[Totals, dict[str, Outcome]]:
    """What the rows of all runs add up to, and by clip id the last word on each clip that is given up."""
    totals, failed = Totals(), dict[str, Outcome]()
    for batch in manifest.outcomes():
        count_rows(totals, batch)
        for outcome in last_words(batch, failed):
            note_failure(failed, outcome)
    return totals, failed


def still_missing(rows: dict[str, DocumentRow], manifest: Manifest) -> dict[str, DocumentRow]:
    """``rows``, where those of documents that are still to be made lack no clip that was made since they were written:
    a run writes how a document stands only when it has done with it, which a killed one never has."""
    waiting = [row for row in rows.values() if row.status == "planned" and row.missing]
    if not waiting:
        return rows
    made, plans, reader = manifest.made(), manifest.plans(), PlanReader()
    rows = dict(rows)
    for row in waiting:
        if row.document in plans:
            lacking = {chunk.clip_id for chunk in reader.chunks(plans[row.document])} - made
            # A clip that is there and that nobody has looked at yet was not made, and was not counted either.
            rows[row.document] = replace(row, missing=min(row.missing, len(lacking)))
    return rows


def failures(
    failed: Mapping[str, Outcome],
    rows: Iterable[DocumentRow],
    locations: Mapping[str, PlanLocation],
    listing: Listing | None,
) -> Iterator[Failure]:
    """Every place of documents that are not whole that has no sound because its clip was given up; of those that wait
    for nothing any more also where it is gone. ``listing`` is asked once, if at all, for the clips that are there."""
    reader, there = PlanReader(), cache(listing) if listing else None
    for row in rows:
        if row.document not in locations or row.status not in ("incomplete", "planned"):
            continue
        is_settled = row.status == "incomplete" and row.missing
        for chunk in reader.chunks(locations[row.document]) if failed or is_settled else ():
            place = row.document, chunk.index, chunk.text
            if outcome := failed.get(chunk.clip_id):
                yield Failure(*place, outcome.error_kind or "", outcome.error_message or "", outcome.attempt)
            elif is_settled and there and chunk.clip_id not in there():
                yield Failure(*place, "missing", GONE, 0)


def line(row: DocumentRow, asked: Asked | None = None) -> DocumentLine:
    """A manifest row as a report shows it, with what was asked for it."""
    asked = asked or Asked()
    return DocumentLine(
        row.document, row.status, row.chunks, row.missing, row.characters,
        row.duration_s, row.path, row.sha256, row.error,
        asked.requests, asked.refused, asked.errors,
    )  # fmt: skip


def write_report(out: Folder, report: Report) -> None:
    """Replace ``report.json`` (by which a run's outcome is read) and, once it has ended, ``report.html``."""
    indent = None if report.exit_code is None else 1  # for people; to write it takes ten times as long
    write_whole(out, REPORT, sealed_json.dumps(report.as_dict(), indent=indent) + "\n")
    if report.exit_code is not None:
        write_whole(out, "report.html", page(report))


def write_whole(out: Folder, name: str, text: str) -> None:
    """Replace a file by ``text``: whoever reads sees the old or the new, never half."""
    out.write(name, text.encode())


def read_report(out: Folder, damage: Damage | None = None) -> dict[str, Any] | None:
    """The content of ``OUT/report.json``; None where there is none, or none of this schema. ``damage`` is told of one
    that is not as it was written."""
    try:
        content = sealed_json.loads(out.read(REPORT))
    except OSError:
        return None
    except ValueError as error:
        (damage or Damage()).found(out, REPORT, error, "how the last run ended is told from the manifest")
        return None
    return content if content.get("schema_version") == SCHEMA_VERSION else None


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
