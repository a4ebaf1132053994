"""The run over a crew of the test's own: what is joined when, what is mended, what is given up, how it stops."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.documents import find
from cluster_tts.errors import DamagedClips, JobError
from cluster_tts.job import ChunkingSettings, Job, ProviderSettings
from cluster_tts.joining import JoinOrder
from cluster_tts.manifest import Manifest
from cluster_tts.model import Clip, Outcome, Sound, Status
from cluster_tts.pipeline import Progress, Run
from cluster_tts.planning import make_plan
from cluster_tts.record import Record
from cluster_tts.stitching import Joined
from cluster_tts.task_queue import Ledger
from cluster_tts.workload import Plan
from tests.simulated import simulate

SOUND = Sound(100, 8000, 244, "ab" * 32)


class ScriptedCrew:
    """Ends ``speed`` clips an exchange; fails those whose text is in ``poison``; joins by noting it down."""

    joiners = 1

    def __init__(self, speed: int = 3, backlog: int = 5, poison: Sequence[str] = (), damage: int = 0) -> None:
        self.speed, self.backlog, self.poison, self.damage = speed, backlog, poison, damage
        self.waiting: list[Clip] = []
        self.handed_in: list[Clip] = []
        self.joined: list[str] = []
        self.most_waiting = 0
        self.dismissed = False

    async def exchange(self, clips: Sequence[Clip]) -> Ledger:
        self.handed_in += clips
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

    async def join(self, order: JoinOrder) -> Joined:
        await asyncio.sleep(0.25)
        if self.damage and order.document == "a":
            self.damage -= 1
            raise DamagedClips("a clip is cut short", [next(order.pieces()).clip_id])
        self.joined.append(order.document)
        return Joined(order.out / f"documents/{order.document}.wav", 100, 8000, 244, "cd" * 32, len(order.sounds))

    async def dismiss(self, grace_s: float) -> Ledger:
        self.dismissed = True
        return Ledger((), 0, 0)

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


def go(job: Job, texts: Path, crew: Any, stop_after: int | None = None) -> tuple[Plan, list[Progress]]:
    manifest = Manifest(job.out_dir / "manifest", "run")
    plan = make_plan(job, find([str(texts)]), manifest, manifest.plan_writer())
    seen: list[Progress] = []

    async def main() -> None:
        stop = asyncio.Event()

        def watch(progress: Progress) -> None:
            seen.append(progress)
            if stop_after is not None and len(seen) == stop_after:
                stop.set()

        record = Record(job.out_dir, manifest)
        record.rows = plan.rows
        await Run(job, plan, record, crew, watch).until_done(stop, 1.0)

    simulate(main())
    return plan, seen


def test_every_document_is_joined_and_equal_chunks_are_spoken_once(job: Job, texts: Path) -> None:
    crew = ScriptedCrew()
    plan, seen = go(job, texts, crew)
    assert [row.status for row in plan.rows.values()] == ["whole"] * 3
    assert len(crew.handed_in) == 3 * 6 + 1
    assert seen[-1].documents_whole == 3
    assert crew.dismissed


def test_documents_are_joined_while_later_ones_are_still_spoken(job: Job, texts: Path) -> None:
    _, seen = go(job, texts, ScriptedCrew(speed=1))
    first_whole = next(progress for progress in seen if progress.documents_whole)
    assert first_whole.spoken < first_whole.clips


def test_a_documents_chunks_are_handed_in_before_the_next_documents_and_never_too_many(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(backlog=5)
    go(job, texts, crew)
    assert [clip.document for clip in crew.handed_in] == ["a"] * 7 + ["b"] * 6 + ["c"] * 6
    assert crew.most_waiting <= 5


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
            return Joined(order.out / f"documents/{order.document}.wav", 100, 8000, 244, "cd" * 32, len(order.sounds))

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


def test_a_stopped_run_hands_in_nothing_more_and_keeps_what_is_done(job: Job, texts: Path) -> None:
    crew = ScriptedCrew(speed=2, backlog=3)
    plan, _ = go(job, texts, crew, stop_after=3)
    assert crew.dismissed
    assert len(crew.handed_in) < 10
    planned = [row for row in plan.rows.values() if row.status == "planned"]
    assert planned
    assert [row.missing for row in planned] == [plan.completion.missing(row.document) for row in planned]
    assert min(row.missing for row in planned) < 7, "what was made until then is missing no more"


def test_a_crew_that_cannot_go_on_ends_the_run(job: Job, texts: Path) -> None:
    class Broken(ScriptedCrew):
        async def exchange(self, clips: Sequence[Clip]) -> Ledger:
            raise JobError("the key was refused")

    with pytest.raises(JobError, match="refused"):
        go(job, texts, Broken())
