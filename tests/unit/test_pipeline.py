"""The run over a crew of the test's own: what is joined when, what is mended, what is given up, how it stops."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.documents import find
from cluster_tts.errors import AccountRefused, DamagedClips, Interrupted, JobError
from cluster_tts.job import ChunkingSettings, Job, ProviderSettings, QuotaSettings, StitchingSettings
from cluster_tts.joining import JoinOrder
from cluster_tts.lending import Ledger
from cluster_tts.manifest import Manifest
from cluster_tts.model import Clip, Outcome, Purse, Sound, Status
from cluster_tts.pipeline import Run
from cluster_tts.planning import make_plan
from cluster_tts.progress import Progress
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.record import Record
from cluster_tts.reservations import Reservations
from cluster_tts.stitching import Joined
from cluster_tts.storage import at
from cluster_tts.workload import Plan
from tests.simulated import now, simulate

SOUND = Sound(100, 8000, 244, "ab" * 32)
UNBOUND = Purse()


class ScriptedCrew:
    """Ends ``speed`` clips an exchange; fails those whose text is in ``poison``; joins by noting it down."""

    joiners = 1

    def __init__(self, speed: int = 3, backlog: int = 5, poison: Sequence[str] = (), damage: int = 0) -> None:
        self.speed, self.backlog, self.poison, self.damage = speed, backlog, poison, damage
        self.waiting: list[Clip] = []
        self.handed_in: list[Clip] = []
        self.told: list[tuple[int, bool]] = []  # how many clips came, and whether they were said to be the last
        self.joined: list[str] = []
        self.items_of: list[str] = []  # documents of which only items were joined
        self.most_waiting = 0
        self.wound_up = False

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        self.handed_in += clips
        self.told.append((len(clips), last))
        self.waiting += clips
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        ended, self.waiting = self.waiting[: self.speed], self.waiting[self.speed :]
        return Ledger(tuple(map(self.outcome, ended)), len(self.waiting), 0)

    def outcome(self, clip: Clip) -> Outcome:
        failed = any(word in clip.text for word in self.poison)
        return Outcome(
            clip_id=clip.id, document=clip.document, chunk_index=clip.chunk_index, attempt=1, characters=1,
            status=Status.FAILED if failed else Status.SPOKEN, sound=None if failed else SOUND,
        )  # fmt: skip

    async def join(self, order: JoinOrder) -> Joined | None:
        await asyncio.sleep(0.25)
        if order.only_items:
            self.items_of.append(order.document)
            return None
        if self.damage and order.document == "a":
            self.damage -= 1
            raise DamagedClips("a clip is cut short", [next(order.pieces()).clip_id])
        self.joined.append(order.document)
        return Joined(f"documents/{order.document}.wav", 100, 8000, 244, "cd" * 32, len(order.sounds))

    async def wind_up(self) -> Ledger:
        self.wound_up = True
        return Ledger((), 0, 0)

    async def standing(self) -> Standing | None:
        return None

    async def aclose(self) -> None:
        pass


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in "abc":
        sentences = [f"{name} says sentence {n}." for n in range(6)]
        (folder / f"{name}.txt").write_text("\n\n".join([*sentences, "Common to all."]))
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        out=str(tmp_path / "out"), provider=ProviderSettings(name="tone"), chunking=ChunkingSettings(max_characters=40)
    )


def go(
    job: Job, texts: Path, crew: Any, stop_after: int | None = None, purse: Purse = UNBOUND
) -> tuple[Plan, list[Progress]]:
    manifest = Manifest(at(job.out) / "manifest", "run")
    plan = make_plan(job, find([str(texts)]), manifest, manifest.plan_writer())
    seen: list[Progress] = []

    async def main() -> None:
        stop = asyncio.Event()

        def watch(progress: Progress) -> None:
            seen.append(progress)
            if stop_after is not None and len(seen) == stop_after:
                stop.set()

        record = Record(at(job.out), manifest)
        record.rows, record.purse = plan.rows, purse
        await Run(job, plan, record, crew, watch).until_done(stop, 1.0)

    simulate(main())
    return plan, seen


def test_every_document_is_joined_and_equal_chunks_are_spoken_once(job: Job, texts: Path) -> None:
    crew = ScriptedCrew()
    plan, seen = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert len(crew.handed_in) == 3 * 6 + 1
    assert seen[-1].documents_whole == 3
    assert crew.wound_up


def test_documents_are_joined_while_later_ones_are_still_spoken(job: Job, texts: Path) -> None:
    _, seen = go(job, texts, ScriptedCrew(speed=1))
    first_whole = next(progress for progress in seen if progress.documents_whole)
    assert first_whole.spoken < first_whole.clips


def test_a_documents_chunks_are_handed_in_before_the_next_documents_and_never_too_many(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(backlog=5)
    go(job, texts, crew)
    assert [clip.document for clip in crew.handed_in] == ["a"] * 7 + ["b"] * 6 + ["c"] * 6
    assert crew.most_waiting <= 5


def test_the_crew_is_told_that_nothing_more_will_come_once_all_was_handed_in_and_not_before(
    job: Job, texts: Path
) -> None:
    crew = ScriptedCrew(speed=2, backlog=6)
    go(job, texts, crew)
    clips = 0
    for number, last in crew.told:
        clips += number
        assert not last or clips == 3 * 6 + 1
    assert crew.told[-1] == (0, True)


def test_a_run_that_fits_into_the_backlog_is_known_to_be_all_from_the_first(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(backlog=64)
    go(job, texts, crew)
    assert crew.told[0] == (len(crew.handed_in), True)


def test_a_failed_clip_leaves_its_documents_incomplete_and_the_others_go_on(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(poison=["b says sentence 2"])
    plan, _ = go(job, texts, crew)
    assert {name: row.status for name, row in plan.rows.items()} == {"a": "whole", "b": "incomplete", "c": "whole"}
    assert plan.rows["b"].missing == 1
    assert crew.joined == ["a", "c"]


def test_a_clip_common_to_all_that_fails_is_tried_once_and_leaves_all_incomplete(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(poison=["Common"])
    plan, _ = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["incomplete"] * 3
    assert sum("Common" in clip.text for clip in crew.handed_in) == 1


def test_items_of_a_document_that_stays_incomplete_are_joined(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(poison=["b says sentence 3"])
    go(replace(job, stitching=StitchingSettings(each_item=True)), texts, crew)
    assert (sorted(crew.joined), crew.items_of) == (["a", "c"], ["b"])
    crew = ScriptedCrew(poison=["b says sentence 3"])
    go(replace(job, out=f"{job.out}-2"), texts, crew)
    assert crew.items_of == [], "where none have files of their own"


def test_a_damaged_clip_is_spoken_again_and_no_other(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(damage=1)
    plan, _ = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert len(crew.handed_in) == 3 * 6 + 1 + 1
    assert crew.handed_in[0].id == crew.handed_in[-1].id or crew.handed_in.count(crew.handed_in[0]) == 2


def test_a_damaged_clip_common_to_all_is_made_again_and_every_document_joined_once(job: Job, texts: Path) -> None:
    class Common(ScriptedCrew):
        joiners = 3

        async def join(self, order: JoinOrder) -> Joined:
            await asyncio.sleep(0.25)
            shared = next(piece.clip_id for piece in order.pieces() if "Common" in piece.text)
            if sum(clip.id == shared for clip in self.handed_in) < 2:
                raise DamagedClips("the common clip is cut short", [shared])
            self.joined.append(order.document)
            return Joined(f"documents/{order.document}.wav", 100, 8000, 244, "cd" * 32, len(order.sounds))

    crew = Common(speed=30, backlog=30)
    plan, _ = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert sorted(crew.joined) == ["a", "b", "c"]
    # Clips are not on disk in this test, so each of those who join at the time may find it missing once more.
    assert 2 <= sum("Common" in clip.text for clip in crew.handed_in) <= 3


def test_a_disk_that_damages_again_and_again_ends_the_document_not_never(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(damage=4)
    plan, _ = go(job, texts, crew)
    assert sorted(row.status for row in plan.rows.values()) == ["incomplete", "whole", "whole"]
    assert "mended 3 times" in str([row.error for row in plan.rows.values()])


@pytest.mark.parametrize("joiners", [1, 3])
def test_a_common_clip_that_is_damaged_again_and_again_ends_all_that_need_it(
    job: Job, texts: Path, joiners: int
) -> None:
    class Common(ScriptedCrew):
        async def join(self, order: JoinOrder) -> Joined:
            await asyncio.sleep(0.25)
            raise DamagedClips("cut short", [piece.clip_id for piece in order.pieces() if "Common" in piece.text])

    crew = Common(speed=30, backlog=30)
    crew.joiners = joiners
    plan, _ = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["incomplete"] * 3


def test_a_stopped_run_hands_in_nothing_more_and_keeps_what_is_done(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(speed=2, backlog=3)
    plan, _ = go(job, texts, crew, stop_after=3)
    assert crew.wound_up
    assert len(crew.handed_in) < 10
    planned = [row for row in plan.rows.values() if row.status == "planned"]
    assert planned
    assert [row.missing for row in planned] == [plan.completion.missing(row.document) for row in planned]
    assert min(row.missing for row in planned) < 7, "what was made until then is missing no more"


def test_a_crew_that_cannot_go_on_ends_the_run(job: Job, texts: Path) -> None:
    class Broken(ScriptedCrew):
        async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
            raise JobError("the key was refused")

    with pytest.raises(JobError, match="refused"):
        go(job, texts, Broken())


class RefusedCrew(ScriptedCrew):
    """Speaks ``allowed`` clips, then nobody can go on; ``lent`` requests outlast the grace they are given."""

    def __init__(self, allowed: int, error: JobError, lent: int = 0) -> None:
        super().__init__(speed=allowed, backlog=30)
        self.error, self.lent = error, lent

    async def exchange(self, clips: Sequence[Clip], last: bool) -> Ledger:
        if self.handed_in:
            raise self.error
        return await super().exchange(clips, last)

    async def wind_up(self) -> Ledger:
        return Ledger((), len(self.waiting), self.lent)


def test_what_is_whole_when_the_account_refuses_is_joined_before_the_run_ends(job: Job, texts: Path) -> None:
    crew = RefusedCrew(16, AccountRefused("no credit"))
    with pytest.raises(AccountRefused):
        go(job, texts, crew)
    assert crew.joined == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "lent", "kept"),
    [(AccountRefused("no credit"), 0, 0), (Interrupted("no patience"), 0, 0), (AccountRefused("no credit"), 2, 4)],
)
def test_what_was_handed_out_counts_as_spent_until_nothing_is_under_way(
    job: Job, texts: Path, tmp_path: Path, error: JobError, lent: int, kept: int
) -> None:
    manifest = Manifest(at(job.out) / "manifest", "run")
    plan = make_plan(job, find([str(texts)]), manifest, manifest.plan_writer())
    record = Record(at(job.out), manifest)
    record.rows, record.reservations = plan.rows, Reservations(manifest.folder, "run", job)
    file = Path(manifest.folder.address("spending/run.json"))

    async def main() -> None:
        await Run(job, plan, record, RefusedCrew(16, error, lent), lambda progress: None).until_done(
            asyncio.Event(), 1.0
        )

    with pytest.raises(type(error)):
        simulate(main())
    record.flush("refused", 78)
    content = json.loads(file.read_text())
    assert len(content["open"]) == kept, "of 19 clips 15 were spoken"


# -- how the quota stands ---------------------------------------------------------------------------------------------

STANDING = Standing(
    account="tone", limits=Limits(requests=100), requests=100, characters=0, in_flight=2, waiting=5, granted=7,
    refused=1, cool_s=0.0, remaining=0.0, degraded_to=None, learned={}, parties=1, notes=((1, "a limit was learned"),),
)  # fmt: skip


class ToldCrew(ScriptedCrew):
    """Speaks a clip every tick, and tells how the account stands."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(speed=1, **kwargs)
        self.asked: list[float] = []

    async def standing(self) -> Standing | None:
        self.asked.append(now())
        return STANDING


def test_a_run_asks_about_once_a_second_how_its_account_stands_and_tells_who_watches(job: Job, texts: Path) -> None:
    crew = ToldCrew()
    _, seen = go(job, texts, crew)
    between = [later - earlier for earlier, later in zip(crew.asked, crew.asked[1:], strict=False)]
    assert min(between[:-1], default=9.9) >= 1.0, "the last word is asked for when all is done"
    assert max(between) <= 1.5
    assert seen[-1].quota == STANDING
    assert seen[-1].notes == ((1, "a limit was learned"),)


def test_a_limiter_that_never_answers_holds_up_no_run(job: Job, texts: Path) -> None:
    class Silent(ToldCrew):
        async def standing(self) -> Standing | None:
            self.asked.append(now())
            await asyncio.sleep(1e6)
            return STANDING

    crew = Silent()
    plan, seen = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert seen[-1].quota is None
    assert len(crew.asked) == 1, "nor is it asked again"


def test_a_limiter_that_fails_ends_no_run_and_is_told_of_once(
    job: Job, texts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ToldCrew):
        async def standing(self) -> Standing | None:
            raise ValueError("no such actor")

    plan, seen = go(job, texts, Failing())
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    (told,) = (line for _, line in seen[-1].notes)
    assert told == "cannot tell how the quota stands (ValueError: no such actor); the run goes on"
    assert caplog.text.count("no such actor") == 1


def test_a_limiter_that_goes_while_it_is_asked_ends_no_run(job: Job, texts: Path) -> None:
    class Going(ToldCrew):
        async def standing(self) -> Standing | None:
            raise asyncio.CancelledError

    plan, seen = go(job, texts, Going())
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert seen[-1].notes == ()


def test_a_budget_of_which_a_tenth_is_left_is_told_of_once(job: Job, texts: Path) -> None:
    """Each clip is billed 1 character, of which 20 may be: the seventeenth leaves 3, the eighteenth 2."""

    class Billed(ToldCrew):
        def outcome(self, clip: Clip) -> Outcome:
            return replace(super().outcome(clip), billed_characters=1)

    job = replace(job, quota=QuotaSettings(budget_characters=20))
    _, seen = go(job, texts, Billed(), purse=Purse(characters=20))
    low = [line for _, line in seen[-1].notes if "budget" in line]
    assert len(low) == 1
    assert low[0].startswith("the budget runs low: 2 characters of 20 characters left")
    assert low[0].endswith("(quota.budget_characters)")
    first = next(progress for progress in seen if any("budget" in line for _, line in progress.notes))
    assert first.spoken == 18


def watched(job: Job, texts: Path, course: Sequence[float]) -> tuple[Record, list[Progress]]:
    manifest = Manifest(at(job.out) / "manifest", "run")
    plan = make_plan(job, find([str(texts)]), manifest, manifest.plan_writer())
    record, seen = Record(at(job.out), manifest), list[Progress]()
    record.rows, record.gauge.course = plan.rows, course
    simulate(Run(job, plan, record, ToldCrew(), seen.append).until_done(asyncio.Event(), 1.0))
    return record, seen


def test_speaking_is_timed_from_the_first_clip_that_is_handed_out_to_the_last_that_ended(job: Job, texts: Path) -> None:
    record, _ = watched(job, texts, ())
    assert record.gauge.run_s is not None
    assert 18 * 0.05 <= record.gauge.run_s <= 18 * 0.2 + 1e-6


def test_who_watches_is_told_how_long_the_rest_takes_by_the_plan(job: Job, texts: Path) -> None:
    _, seen = watched(job, texts, [float(part) for part in range(101)])
    left = [progress.left_s for progress in seen]
    assert left[0] == 100.0 - int(100 / 19)
    assert left == sorted(left, key=lambda each: -(each or 0.0))
    assert left[-1] == 0.0
    assert watched(replace(job, out=f"{job.out}2"), texts, ())[1][0].left_s is None


def test_what_an_earlier_run_left_of_a_document_that_stays_incomplete_goes(job: Job, texts: Path) -> None:
    plan, _ = go(job, texts, ScriptedCrew())
    Manifest(at(job.out) / "manifest", "run").write_documents(plan.rows.values())
    names = ["a.wav", "b.wav", "b.json", "b.mp4", "b/0001.wav"]
    for name in names:
        path = Path(job.out, "documents", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of other settings")
    plan, _ = go(replace(job, stitching=StitchingSettings(gap_ms=1)), texts, ScriptedCrew(poison=["b says sentence 3"]))
    assert plan.rows["b"].status == "incomplete"
    left = [path for path in Path(job.out, "documents").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["a.wav"]
