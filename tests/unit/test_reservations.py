"""What may have been paid, whatever happens to a run: never less than what was, by any order of events."""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.clips import Clips
from cluster_tts.damage import Damage
from cluster_tts.errors import JobError
from cluster_tts.job import CatalogueSettings, ClipsSettings, Job, ModelFacts, ProviderSettings, WorkersSettings
from cluster_tts.manifest import Manifest
from cluster_tts.model import Clip, Outcome, Sound, Status
from cluster_tts.prices import Bounds, Spent
from cluster_tts.reservations import Reservations, close_dead, kept, places, untold
from cluster_tts.spending import spent
from cluster_tts.storage import LocalFolder

SLOTS = 2
SOUND = Sound(16_000, 8_000, 9, "ab" * 32)
A_CHARACTER = 15e-6  # dollars


def job_in(folder: Path, **more: Any) -> Job:
    catalogue = CatalogueSettings(models={"m": ModelFacts(usd_per_million_characters=15)})
    settings = ProviderSettings(name="tone", model="m")
    return Job(
        out=str(folder), engine="local", provider=settings, catalogue=catalogue, workers=WorkersSettings(slots=SLOTS),
        **more,
    )  # fmt: skip


def clip(number: int, characters: int = 10) -> Clip:
    return Clip(f"{number:032x}", "x" * characters, "d", number)


def outcome(made: Clip, status: Status = Status.SPOKEN, **told: Any) -> Outcome:
    return Outcome(
        clip_id=made.id, document="d", chunk_index=made.chunk_index, attempt=1, status=status,
        characters=len(made.text), latency_s=1.0, sound=SOUND if status is Status.SPOKEN else None,
        **{"error_kind": None if status is Status.SPOKEN else "timeout", **told},
    )  # fmt: skip


def paid(made: Clip, status: Status = Status.SPOKEN) -> Outcome:
    """Charged, and told so."""
    characters = len(made.text)
    return outcome(made, status, http_status=200, billed_characters=characters, cost_usd=characters * A_CHARACTER)


def near(usd: float, characters: int) -> Any:
    """Equal to an amount of so much, however it was added up."""

    class Near:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Spent) and other.characters == characters and abs(other.usd - usd) < 1e-9

        def __repr__(self) -> str:
            return f"about {Spent(usd, characters)}"

    return Near()


class Driver:
    """A run as far as its spending goes: what is handed out, how it ends, what is on disk, and what was charged."""

    def __init__(self, folder: Path, run_id: str = "r1", **more: Any) -> None:
        self.job = job_in(folder, **more)
        self.manifest = Manifest(LocalFolder(folder / "manifest"), run_id)
        self.reservations = Reservations(self.manifest.folder, run_id, self.job)
        self.clips = Clips.of(self.job)

    def note(self, *outcomes: Outcome) -> None:
        self.manifest.add(outcomes)
        for each in outcomes:
            self.reservations.note(each)

    def flush(self) -> None:
        self.manifest.flush()
        self.reservations.flushed()

    def make(self, made: Clip) -> None:
        path = Path(self.clips.address(made.id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"speech")

    @property
    def counted(self) -> Spent:
        """What a later run takes for spent."""
        return spent(Manifest(self.manifest.folder), LocalFolder(Path(self.job.out) / "clips"), Bounds.of(self.job))


def own_clips(driver: Driver) -> LocalFolder:
    return LocalFolder(Path(driver.job.out) / "clips")


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


def file_of(driver: Driver) -> Path:
    return Path(driver.manifest.folder.address("spending/r1.json"))


def test_what_rows_tell_is_spent_and_nothing_else_once_a_run_has_ended_in_good_order(driver: Driver) -> None:
    driver.reservations.ahead([clip(1), clip(2, 30), clip(3)])
    driver.note(paid(clip(1)), paid(clip(2, 30)))
    driver.reservations.ended()
    driver.flush()
    assert driver.counted == near(40 * A_CHARACTER, 40)
    assert not file_of(driver).exists()


def test_after_a_kill_no_more_counts_than_could_be_under_way_and_what_was_made(driver: Driver) -> None:
    driver.reservations.ahead([clip(number) for number in range(20)])
    driver.make(clip(0))
    assert driver.counted.characters == 10 * (1 + 2 * SLOTS), "the clip that is there, and two requests a place"


def test_what_was_handed_out_is_on_disk_before_anybody_can_ask_for_it(driver: Driver) -> None:
    driver.reservations.ahead([clip(1)])
    assert json.loads(file_of(driver).read_text())["open"] == {clip(1).id: [pytest.approx(10 * A_CHARACTER), 10]}


def test_rows_that_are_not_on_disk_yet_are_counted_by_the_next_writing(driver: Driver) -> None:
    driver.reservations.ahead([clip(1)])
    driver.note(paid(clip(1)))
    driver.reservations.ahead([clip(2)])
    assert driver.counted == near(20 * A_CHARACTER, 20)
    driver.flush()
    assert driver.counted == near(20 * A_CHARACTER, 20), "and not twice"


def test_an_attempt_of_which_nobody_knows_what_it_cost_counts_by_its_bound_for_ever(driver: Driver) -> None:
    driver.reservations.ahead([clip(1)])
    driver.note(outcome(clip(1), Status.RETRIED), paid(clip(1)))
    driver.reservations.ended()
    driver.flush()
    assert driver.counted == near(20 * A_CHARACTER, 20)


@pytest.mark.parametrize(
    "told",
    [
        {"error_kind": "server_error", "http_status": 503},
        {"error_kind": "account_refused", "http_status": 401},
        {"error_kind": "unreachable"},
        {"error_kind": "gate", "latency_s": 0.0},
    ],
)
def test_what_was_refused_or_never_asked_cost_nothing(told: dict[str, Any]) -> None:
    want = Bounds.of(job_in(Path("out"))).want(clip(1).text)
    assert untold(replace(outcome(clip(1), Status.RETRIED), **told), want) == Spent()


def test_a_clip_that_was_found_cost_nothing() -> None:
    want = Bounds.of(job_in(Path("out"))).want(clip(1).text)
    found = replace(outcome(clip(1)), status=Status.FOUND, latency_s=0.0)
    assert untold(found, want) == Spent()


def test_what_a_dead_worker_had_asked_counts() -> None:
    want = Bounds.of(job_in(Path("out"))).want(clip(1).text)
    lost = replace(outcome(clip(1), Status.RETRIED), error_kind="worker_died", latency_s=0.0)
    assert untold(lost, want) == Spent(want.usd, want.characters)


def test_speech_that_was_not_believed_counts_by_its_bound_where_its_length_was_estimated() -> None:
    facts = ModelFacts(usd_per_minute=0.015)
    job = replace(job_in(Path("out")), catalogue=CatalogueSettings(models={"m": facts}))
    want = Bounds.of(job).want(clip(1).text)
    unbelieved = replace(paid(clip(1), Status.RETRIED), cost_usd=0.0001)
    assert untold(unbelieved, want) == near(want.usd - 0.0001, 0)


def test_the_dead_are_settled_before_others_make_their_clips(driver: Driver) -> None:
    driver.reservations.ahead([clip(number) for number in range(20)])
    before = driver.counted
    close_dead(driver.manifest.folder, own_clips(driver), Damage())
    for number in range(20):
        driver.make(clip(number))
    assert driver.counted == before


def test_clips_are_looked_for_where_the_run_put_them(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "out", clips=ClipsSettings(str(tmp_path / "shared")))
    driver.reservations.ahead([clip(number) for number in range(20)])
    for number in range(9):
        driver.make(clip(number))
    assert driver.counted.characters == 10 * (9 + 2 * SLOTS)


def test_what_was_spent_when_no_price_was_known_counts_by_todays_bound(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    unpriced = replace(driver.job, catalogue=CatalogueSettings(models={"m": ModelFacts()}))
    before = Reservations(driver.manifest.folder, "r0", unpriced)
    before.ahead([clip(1)])
    driver.manifest.add([replace(paid(clip(2)), cost_usd=None)])
    driver.manifest.flush()
    assert driver.counted == near(20 * A_CHARACTER, 20)


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}', "[]", "null"])
def test_a_file_that_cannot_be_read_stops_who_has_a_budget_and_nobody_else(
    driver: Driver, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file_of(driver).parent.mkdir(parents=True)
    file_of(driver).write_text(content)
    with pytest.raises(JobError, match=r"r1\.json' cannot be read .*: remove it, and lower quota\.budget_\*"):
        list(kept(driver.manifest.folder, own_clips(driver), Bounds.of(driver.job)))
    with caplog.at_level(logging.WARNING):
        close_dead(driver.manifest.folder, own_clips(driver), Damage(mends=True))
    assert "r1.json' is damaged" in caplog.text
    assert "set aside as 'damaged-r1.json'" in caplog.text
    assert not file_of(driver).exists()
    with pytest.raises(JobError, match=r"damaged-r1\.json' cannot be read .*: remove it, and lower quota\.budget_\*"):
        list(kept(driver.manifest.folder, own_clips(driver), Bounds.of(driver.job)))


def test_places_are_what_workers_and_the_account_allow() -> None:
    job = job_in(Path("out"))
    assert places(job) == SLOTS
    assert places(replace(job, engine="ray", workers=WorkersSettings(count=3, slots=16))) == 48
    limited = replace(job.quota, max_concurrent_requests=5)
    assert places(replace(job, engine="ray", workers=WorkersSettings(count=3, slots=16), quota=limited)) == 5


KINDS = ["hand", "spoken", "untold", "unbelieved", "refused", "flush", "look"]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["hand", "spoken", "untold", "unbelieved", "refused", "flush", "look"]), st.integers(0, 9)
    ),
    max_size=40,
)


@given(EVENTS, st.integers(0, SLOTS), st.integers(0, SLOTS))
def test_whenever_a_run_is_killed_no_less_is_counted_than_was_charged(
    events: Sequence[tuple[str, int]], under_way: int, unheard: int
) -> None:
    """At the kill some requests are under way, and some clips were made of which the driver has not heard."""
    with tempfile.TemporaryDirectory() as folder:
        driver, charged = Driver(Path(folder)), 0
        waiting = [clip(number, 5 + number) for number in range(40)]
        out: list[Clip] = []
        for event, number in events:
            if event == "hand":
                given_out, waiting = waiting[:number], waiting[number:]
                driver.reservations.ahead(given_out)
                out += given_out
            elif event == "flush":
                driver.flush()
            elif event == "look":
                driver.reservations.ahead([])
            elif out:
                made = out[number % len(out)]
                charged += 0 if event == "refused" else len(made.text)
                if event == "spoken":
                    out.remove(made)
                    driver.make(made)
                    driver.note(paid(made))
                elif event == "untold":
                    driver.note(outcome(made, Status.RETRIED))
                elif event == "unbelieved":
                    driver.note(paid(made, Status.RETRIED))
                else:
                    driver.note(outcome(made, Status.RETRIED, http_status=429, error_kind="rate_limited"))
                if event in ("untold", "unbelieved"):
                    driver.reservations.ahead([])  # the driver looks more often than a clip is tried again
        for made in out[:under_way]:
            charged += len(made.text)
        for made in out[under_way : under_way + unheard]:
            charged += len(made.text)
            driver.make(made)
        counted = driver.counted
        assert counted.characters >= charged
        assert counted.usd >= charged * A_CHARACTER - 1e-12
