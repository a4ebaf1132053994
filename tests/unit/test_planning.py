"""Planning: what a run has to do, set against the plan, the clips and the audio that are there already."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cluster_tts import drafting
from cluster_tts.checking import probe
from cluster_tts.clips import Clips, clip_id
from cluster_tts.documents import Files, find
from cluster_tts.documents.reading import Reading
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import (
    CatalogueSettings,
    ChunkingSettings,
    Job,
    ModelFacts,
    PlanFacts,
    ProviderSettings,
    QuotaSettings,
    StitchingSettings,
    WorkersSettings,
)
from cluster_tts.manifest import Manifest
from cluster_tts.model import Document, Outcome, Paragraph, Status
from cluster_tts.planning import make_plan, plan_of_manifest
from cluster_tts.stitching import BESIDE
from cluster_tts.storage import LocalFolder
from cluster_tts.workload import Plan, summarise, time_s

SENTENCES = [f"This is sentence number {n}." for n in range(6)]
TEXT = "\n\n".join(SENTENCES)


@dataclass
class World:
    """Texts, an OUT, and runs over them that speak instantly."""

    folder: Path
    job: Job
    runs: int = 0

    @property
    def out(self) -> Path:
        return Path(self.job.out)

    @property
    def clips(self) -> Clips:
        return Clips.of(self.job)

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.txt").write_text(text, encoding="utf-8")

    def manifest(self) -> Manifest:
        self.runs += 1
        return Manifest(LocalFolder(self.out / "manifest"), f"r{self.runs:03}")

    def look(self, fresh: bool = False) -> Plan:
        """The plan that ``cluster-tts plan`` makes."""
        return make_plan(self.job, find([str(self.folder)]), self.manifest(), fresh=fresh)

    def plan(self, manifest: Manifest | None = None, fresh: bool = False) -> Plan:
        """The plan of a run, recorded."""
        manifest = manifest or self.manifest()
        plan = make_plan(self.job, find([str(self.folder)]), manifest, manifest.plan_writer(), fresh)
        manifest.write_documents({**manifest.documents(), **plan.rows}.values())
        return plan

    def run(self) -> Plan:
        """A whole run: every missing clip is there afterwards, every document joined."""
        manifest = self.manifest()
        plan = self.plan(manifest)
        for clip in {clip.id: clip for clip in plan.clips()}.values():
            path = Path(self.clips.address(clip.id))
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, np.ones(80, np.int16), 8_000)
            manifest.add([outcome(clip.id, clip.document, Status.SPOKEN, path)])
        manifest.flush()
        (self.out / "documents").mkdir(exist_ok=True)
        for name in plan.pending:
            audio = self.out / "documents" / f"{name}.wav"
            audio.write_bytes(b"audio")
            for suffix in BESIDE:
                audio.with_name(f"{name}.{suffix}").write_text("beside it")
            plan.rows[name] = replace(
                plan.rows[name], status="whole", missing=0, path=f"documents/{name}.wav", size_bytes=5
            )
        manifest.write_documents({**manifest.documents(), **plan.rows}.values())
        return plan

    def fail(self, clip_id: str, status: Status = Status.FAILED) -> None:
        manifest = self.manifest()
        manifest.add([outcome(clip_id, "d", status)])
        manifest.flush()


def outcome(clip_id: str, document: str, status: Status, path: Path | None = None) -> Outcome:
    sound = probe(path) if path else None
    return Outcome(
        clip_id=clip_id, document=document, chunk_index=0, attempt=1, status=status, characters=1, sound=sound
    )


def to_speak(plan: Plan) -> list[str]:
    return [clip.text for clip in plan.clips()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "texts"
    folder.mkdir()
    job = Job(
        out=str(tmp_path / "out"), provider=ProviderSettings(name="tone"), chunking=ChunkingSettings(max_characters=40)
    )
    return World(folder, job)


@pytest.fixture
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def read(document: Document) -> Iterator[Paragraph]:
            raise AssertionError(f"{document.name} was read")

        monkeypatch.setattr(drafting, "read", read)

    return forbid


# -- a first run ------------------------------------------------------------------------------------------------------


def test_a_fresh_plan_has_everything_to_speak_in_reading_order(world: World) -> None:
    world.write("b", TEXT)
    world.write("a", "One. \n\nTwo.")
    plan = world.plan()
    assert list(plan.rows) == plan.pending == ["a", "b"]
    assert to_speak(plan) == ["One.", "Two.", *SENTENCES]
    assert [(clip.document, clip.chunk_index) for clip in plan.clips()][:3] == [("a", 0), ("a", 1), ("b", 0)]
    assert [(row.status, row.chunks, row.missing, row.generation) for row in plan.rows.values()] == [
        ("planned", 2, 2, 0),
        ("planned", 6, 6, 0),
    ]
    assert (
        plan.characters_to_speak == plan.rows["a"].characters + plan.rows["b"].characters == len("".join(SENTENCES)) + 8
    )
    assert plan.needs_speech
    assert plan.pending


def test_the_plan_of_a_look_and_that_of_a_run_have_the_same_numbers(world: World) -> None:
    world.write("a", TEXT)
    world.write("b", f"{TEXT}\n\nOne more.")
    looked, planned = world.look(), world.plan()
    assert summarise(looked, world.job) == summarise(planned, world.job)
    assert looked.pending == planned.pending
    assert [line.missing for line in summarise(looked, world.job).documents] == [6, 7]


def test_a_plan_without_a_writer_writes_nothing(world: World) -> None:
    world.write("a", TEXT)
    world.look()
    assert not world.out.exists()
    world.run()
    world.write("a", f"{TEXT}\n\nOne more.")
    before = {path: path.stat().st_mtime_ns for path in world.out.rglob("*")}
    world.look()
    assert {path: path.stat().st_mtime_ns for path in world.out.rglob("*")} == before


def test_equal_chunks_are_counted_and_spoken_once(world: World) -> None:
    world.write("a", "Same.\n\nSame.\n\nOther.")
    world.write("b", "Same.")
    plan = world.plan()
    summary = summarise(plan, world.job)
    assert (summary.chunks, summary.clips, summary.clips_there) == (4, 2, 0)
    assert summary.characters == 3 * len("Same.") + len("Other.")
    assert summary.characters_to_speak == len("Same.") + len("Other.")
    assert [line.missing for line in summary.documents] == [2, 1]
    assert len({clip.id for clip in plan.clips()}) == 2


def test_a_clip_is_handed_out_no_more_once_it_is_there(world: World) -> None:
    world.write("a", "Same.\n\nSame.\n\nOther.")
    plan = world.plan()
    feed = plan.clips()
    first = next(feed)
    plan.completion.fail(first.id)
    assert [clip.text for clip in feed] == ["Other."]


def test_audio_is_estimated_by_the_provider_s_speed_and_the_gaps(world: World) -> None:
    world.write("a", "x" * 30)
    job = replace(world.job, stitching=StitchingSettings(gap_ms=500))
    assert summarise(world.look(), job).audio_s == pytest.approx(30 / 15 + 0.5)


# -- a later run ------------------------------------------------------------------------------------------------------


def test_a_finished_run_leaves_nothing_to_do_and_reads_nothing(world: World, nobody_reads: Callable[[], None]) -> None:
    world.write("a", TEXT)
    world.run()
    nobody_reads()
    plan = world.plan()
    assert not plan.pending
    assert not plan.needs_speech
    assert plan.rows["a"].status == "whole"
    assert (plan.distinct_clips, plan.clips_to_speak, plan.characters_to_speak) == (6, 0, 0)
    assert summarise(plan, world.job).clips_there == 6


def test_an_unchanged_document_keeps_its_plan_unread_also_before_it_is_whole(
    world: World, nobody_reads: Callable[[], None]
) -> None:
    world.write("a", TEXT)
    first = world.plan()
    nobody_reads()
    second = world.plan()
    assert list(second.clips()) == list(first.clips())
    assert second.locations == first.locations
    assert len(list((world.out / "manifest/plan").iterdir())) == 1


def test_one_edited_sentence_is_one_missing_clip(world: World) -> None:
    world.write("a", TEXT)
    world.write("b", TEXT)
    world.run()
    world.write("a", TEXT.replace("number 3", "number three"))
    plan = world.plan()
    assert plan.pending == ["a"]
    assert to_speak(plan) == ["This is sentence number three."]
    assert (plan.rows["a"].missing, plan.clips_to_speak, plan.rows["a"].generation) == (1, 1, 1)
    assert plan.stale == ["a"]
    assert summarise(plan, world.job).clips_there == 6
    assert world.run().pending == ["a"]
    assert not world.plan().pending


def test_audio_joined_from_an_earlier_plan_is_stale_also_in_a_fresh_run(world: World) -> None:
    world.write("a", TEXT)
    world.write("b", TEXT)
    world.run()
    world.write("a", "Another text.")
    assert world.plan(fresh=True).stale == ["a"]


def test_a_text_that_was_only_laid_out_anew_needs_nothing(world: World) -> None:
    """The file differs, what is spoken does not."""
    world.write("a", TEXT)
    world.run()
    world.write("a", TEXT.replace("\n\n", "\n\n\n"))
    plan = world.plan()
    assert not plan.pending
    assert plan.stale == []


def test_a_clip_that_is_gone_is_missing_once_its_audio_is_asked_for(world: World) -> None:
    world.write("a", TEXT)
    first = world.plan()
    world.run()
    gone = next(first.clips())
    world.clips.remove(gone.id)
    plan = world.plan()
    assert not plan.pending, "the audio is whole: who needs the clip?"
    assert plan.clips_to_speak == plan.characters_to_speak == 0
    (world.out / "documents/a.wav").unlink()
    plan = world.plan()
    assert list(plan.clips()) == [gone]
    assert (plan.clips_to_speak, plan.rows["a"].missing) == (1, 1)


def test_a_clip_of_another_size_than_the_manifest_s_is_missing(world: World) -> None:
    world.write("a", TEXT)
    first = world.plan()
    world.run()
    (world.out / "documents/a.wav").unlink()
    assert not world.plan().needs_speech
    damaged = next(first.clips())
    place = Path(world.clips.address(damaged.id))
    place.write_bytes(place.read_bytes()[:-2])
    plan = world.plan()
    assert list(plan.clips()) == [damaged]
    assert (plan.clips_to_speak, plan.characters_to_speak) == (1, len(damaged.text))


def test_a_clip_without_a_row_is_looked_at_by_a_worker_but_not_counted_as_to_be_spoken(
    world: World, tmp_path: Path
) -> None:
    """Clips may be shared by many runs, and a killed run leaves clips that its manifest does not know."""
    world.write("a", TEXT)
    world.run()
    other = World(
        world.folder,
        replace(world.job, out=str(tmp_path / "other"), clips=replace(world.job.clips, dir=str(world.clips.folder))),
    )
    plan = other.plan()
    assert to_speak(plan) == SENTENCES
    assert plan.needs_speech
    summary = summarise(plan, other.job)
    assert (summary.clips_there, summary.characters_to_speak, summary.documents[0].missing) == (6, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"provider": ProviderSettings(name="tone", voice="square")},
        {"provider": ProviderSettings(name="tone", options={"rate": 16_000})},
    ],
)
def test_another_voice_meets_no_old_clip(world: World, change: dict[str, ProviderSettings]) -> None:
    world.write("a", TEXT)
    world.run()
    world.job = replace(world.job, **change)  # type: ignore[arg-type]
    plan = world.plan()
    assert to_speak(plan) == SENTENCES
    assert plan.clips_to_speak == 6
    assert plan.stale == ["a"]


def test_what_does_not_decide_the_sound_does_not_have_it_spoken_again(
    world: World, nobody_reads: Callable[[], None]
) -> None:
    world.write("a", TEXT)
    world.run()
    nobody_reads()
    world.job = replace(world.job, provider=replace(world.job.provider, timeout_s=5), engine="local")
    assert not world.plan().pending


def test_another_way_of_joining_joins_again_and_speaks_nothing(world: World) -> None:
    world.write("a", TEXT)
    world.run()
    world.job = replace(world.job, stitching=StitchingSettings(gap_ms=1))
    plan = world.plan()
    assert plan.pending == ["a"]
    assert not plan.needs_speech
    assert to_speak(plan) == []
    assert plan.stale == [], "until it is replaced, the audio says what the text says"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"aud")])
def test_audio_that_is_gone_or_cut_is_joined_again(world: World, damage: Callable[[Path], None]) -> None:
    world.write("a", TEXT)
    world.run()
    damage(world.out / "documents/a.wav")
    plan = world.plan()
    assert plan.pending == ["a"]
    assert not plan.needs_speech
    assert plan.rows["a"].path is None


def test_audio_of_a_document_that_is_not_whole_is_not_taken_for_done(world: World) -> None:
    """``stitch`` leaves such a row where a clip was gone: the audio of before stands, and the clip must come back."""
    world.write("a", TEXT)
    plan = world.run()
    manifest = world.manifest()
    manifest.write_documents([replace(plan.rows["a"], status="incomplete", missing=1)])
    assert world.plan().pending == ["a"]


def test_a_fresh_plan_believes_nothing_and_reads_everything(world: World) -> None:
    world.write("a", TEXT)
    world.run()
    plan = world.plan(fresh=True)
    assert plan.pending == ["a"]
    assert to_speak(plan) == SENTENCES, "each clip is looked at"
    assert plan.clips_to_speak == 0, "but they are there"
    assert plan.rows["a"].generation == 1


def test_documents_of_other_runs_in_the_same_out_are_let_alone(world: World) -> None:
    world.write("a", TEXT)
    world.write("b", "Other text.")
    world.run()
    manifest = world.manifest()
    plan = make_plan(world.job, find([str(world.folder / "a.txt")]), manifest, manifest.plan_writer())
    assert list(plan.rows) == ["a"]


# -- killed runs ------------------------------------------------------------------------------------------------------


def killed_before_its_rows_were_written(world: World) -> None:
    """A run that recorded its plan, and no more."""
    manifest = world.manifest()
    make_plan(world.job, find([str(world.folder)]), manifest, manifest.plan_writer())


def test_a_plan_that_a_killed_run_left_is_not_taken_for_a_later_one(world: World) -> None:
    world.write("a", "Old text.")
    killed_before_its_rows_were_written(world)
    world.write("a", "New text.")
    assert to_speak(world.plan()) == ["New text."]
    assert to_speak(world.plan()) == ["New text."], "also when the plan is kept unread"


def test_a_plan_that_a_killed_run_left_is_not_taken_for_an_earlier_one(world: World) -> None:
    world.write("a", "Old text.")
    world.plan()
    world.write("a", "New text.")
    killed_before_its_rows_were_written(world)
    world.write("a", "Old text.")
    assert to_speak(world.plan()) == ["Old text."]
    assert to_speak(world.plan()) == ["Old text."]


# -- documents that cannot be read ------------------------------------------------------------------------------------


def test_an_unreadable_document_does_not_hold_up_the_others(world: World) -> None:
    world.write("a", TEXT)
    (world.folder / "b.txt").write_bytes(b"\0\1\2\3" * 100)
    world.write("c", "Fine.")
    plan = world.plan()
    assert {name: row.status for name, row in plan.rows.items()} == {"a": "planned", "b": "unreadable", "c": "planned"}
    assert "b.txt" in (plan.rows["b"].error or "")
    assert plan.pending == ["a", "c"]
    assert to_speak(plan) == ["Fine.", *SENTENCES], "nobody waits for a book to end"
    assert plan.distinct_clips == 7


def test_documents_of_about_the_same_length_keep_their_order(world: World) -> None:
    world.write("a-book", "\n\n".join(f"{sentence} {'And more of it. ' * 9}" for sentence in SENTENCES))
    world.write("b", "Of some length, this.")
    world.write("c", "And so is this one.")
    assert list(dict.fromkeys(clip.document for clip in world.plan().clips())) == ["b", "c", "a-book"]


def test_a_document_that_fails_half_way_leaves_no_trace_in_the_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it take along what it shares with the next one."""
    world.write("a", TEXT)
    world.write("b", "This is shared.")
    read = drafting.read

    def breaks(document: Document, reading: Reading, files: Files) -> Iterator[Paragraph]:
        if document.name == "a":
            yield Paragraph("Only here.")
            yield Paragraph("This is shared.")
            raise DocumentError("'a.txt' is cut")
        yield from read(document, reading)

    monkeypatch.setattr(drafting, "read", breaks)
    plan = world.plan()
    assert to_speak(plan) == ["This is shared."]
    assert (plan.distinct_clips, plan.clips_to_speak, plan.characters_to_speak) == (1, 1, len("This is shared."))
    monkeypatch.undo()
    assert to_speak(world.plan()) == ["This is shared.", *SENTENCES]


def test_nothing_but_unreadable_documents_stops_the_run(world: World) -> None:
    (world.folder / "a.txt").write_bytes(b"\0\1\2\3" * 100)
    (world.folder / "b.txt").touch()
    with pytest.raises(JobError) as caught:
        world.plan()
    assert "a.txt" in str(caught.value)
    assert "b.txt" in str(caught.value)


def test_a_pipe_is_unreadable_and_is_not_waited_for(world: World) -> None:
    world.write("a", "Fine.")
    os.mkfifo(world.folder / "b.txt")
    assert world.plan().rows["b"].status == "unreadable"


def test_a_file_whose_name_is_not_utf_8_is_planned_like_any_other(world: World) -> None:
    """Arrow and JSON hold no stray bytes: the source is told with a mark in their place."""
    Path(os.fsdecode(os.fsencode(world.folder) + b"/caf\xe9.txt")).write_text("Fine.")
    Path(os.fsdecode(os.fsencode(world.folder) + b"/th\xe9.txt")).write_bytes(b"\0\1\2\3" * 100)
    plan = world.plan()
    assert sorted(row.status for row in plan.rows.values()) == ["planned", "unreadable"]
    assert to_speak(plan) == ["Fine."]
    assert [row.source.endswith("?.txt") for row in plan.rows.values()] == [True, True]


# -- only what failed -------------------------------------------------------------------------------------------------


def test_only_failed_speaks_what_was_given_up_and_not_made_since(world: World) -> None:
    world.write("a", TEXT)
    clips = list(world.plan().clips())
    for clip in clips[:3]:
        world.fail(clip.id)
    world.fail(clips[3].id, Status.RETRIED)
    manifest = world.manifest()
    plan = world.plan(manifest)
    plan.only_failed(manifest)
    assert to_speak(plan) == SENTENCES[:3]
    assert plan.completion.missing("a") == 6, "whatever else is missing stays missing"
    assert plan.postponed == {"a"}


def test_only_failed_postpones_nobody_who_waits_for_nothing_else(world: World) -> None:
    world.write("a", SENTENCES[0])
    world.write("b", f"{SENTENCES[0]}\n\n{SENTENCES[1]}")
    world.fail(next(world.plan().clips()).id)
    manifest = world.manifest()
    plan = world.plan(manifest)
    plan.only_failed(manifest)
    assert plan.postponed == {"b"}


def test_only_failed_without_failures_speaks_nothing(world: World) -> None:
    world.write("a", TEXT)
    plan = world.plan()
    plan.only_failed(world.manifest())
    assert to_speak(plan) == []
    assert plan.completion.is_settled("a")
    assert not plan.completion.is_whole("a")


# -- context ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_context(world: World) -> World:
    """A world whose provider is told what is read out around a chunk."""
    chunking = ChunkingSettings(max_characters=40, context_characters=12)
    world.job = replace(world.job, provider=ProviderSettings("elevenlabs", format="wav_24000"), chunking=chunking)
    return world


def test_clips_carry_the_neighbours_they_were_named_with(in_context: World) -> None:
    in_context.write("a", TEXT)
    clips = list(in_context.plan().clips())
    assert (clips[0].before, clips[0].after) == ("", "This is")
    assert (clips[1].before, clips[1].after) == ("number 0.", "This is")
    assert (clips[5].before, clips[5].after) == ("number 4.", "")
    for clip in clips:
        assert clip.id == clip_id(in_context.job.provider, "", clip.text, clip.before, clip.after)


def test_equal_chunks_are_one_clip_only_in_equal_context(in_context: World) -> None:
    in_context.write("a", "Same.\n\nOther.\n\nSame.\n\nOther.\n\nSame.")
    assert in_context.plan().distinct_clips == 4
    in_context.job = replace(in_context.job, chunking=ChunkingSettings())
    assert in_context.plan().distinct_clips == 2


def test_an_edit_buys_the_neighbours_too_and_the_plan_says_so(in_context: World) -> None:
    in_context.write("a", TEXT)
    in_context.run()
    in_context.write("a", TEXT.replace("number 3", "that is number three"))
    plan = in_context.plan()
    assert to_speak(plan) == ["This is sentence that is number three.", SENTENCES[4]], "the end of 3 has changed"
    assert any("context" in note for note in summarise(plan, in_context.job).notes)


def test_context_is_refused_where_the_provider_takes_none(world: World) -> None:
    world.write("a", TEXT)
    world.job = replace(world.job, chunking=ChunkingSettings(context_characters=1))
    with pytest.raises(JobError, match=r"provider 'tone' takes no context: set chunking\.context_characters=0"):
        world.plan()


# -- what it takes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def priced(world: World) -> World:
    """A world with a model that counts bytes, takes 40 of them, costs a dollar a byte, and has two plans."""
    model = ModelFacts(unit="byte", max_characters=40, usd_per_million_characters=1e6, shutdown="2027-01-06")
    plans = {
        "slow": PlanFacts(requests_per_minute=1),
        "wide": PlanFacts(max_concurrent_requests=2, usd_per_month=9),
        "other": PlanFacts(models=["other"]),
    }
    catalogue = CatalogueSettings("2026-11-20", 1.0, 0.1, {"m": model}, plans)
    world.job = replace(
        world.job, engine="local", catalogue=catalogue, provider=ProviderSettings("tone", model="m"),
        chunking=ChunkingSettings(max_characters=30),
    )  # fmt: skip
    return world


def test_chunks_are_cut_to_what_the_model_takes_and_the_plan_says_so(priced: World) -> None:
    priced.write("a", "e" * 60)
    plan = priced.look()
    assert plan.rows["a"].chunks == 2
    assert summarise(plan, priced.job).notes == ()
    priced.write("a", "é" * 60)
    plan = priced.look()
    assert plan.rows["a"].chunks == 3
    (note,) = summarise(plan, priced.job).notes
    assert "40 bytes" in note
    assert "30 characters" in note


def test_another_limit_of_the_model_cuts_anew(priced: World) -> None:
    priced.write("a", "é" * 60)
    priced.plan()
    facts = replace(priced.job.model, max_characters=20)
    priced.job = replace(priced.job, catalogue=replace(priced.job.catalogue, models={"m": facts}))
    assert priced.plan().rows["a"].chunks == 6


def test_cost_is_counted_in_the_model_s_unit_and_only_of_what_is_to_be_spoken(priced: World) -> None:
    priced.write("a", "e" * 20)
    priced.write("b", "é" * 20)
    plan = priced.look()
    summary = summarise(plan, priced.job)
    assert (summary.characters_to_speak, summary.units_to_speak, summary.unit) == (40, 60, "byte")
    assert (summary.cost_usd, summary.cost_note, summary.price_read_on) == (60.0, "", "2026-11-20")
    priced.run()
    priced.write("c", "é" * 10)
    summary = summarise(priced.look(), priced.job)
    assert (summary.requests_to_speak, summary.units_to_speak, summary.cost_usd) == (1, 20, 20.0)


def test_time_is_told_for_the_own_quota_and_for_each_plan_that_is_for_the_model(priced: World) -> None:
    priced.write("a", "\n\n".join("abcdefgh"))
    priced.job = replace(priced.job, quota=QuotaSettings(max_concurrent_requests=4, guard_ms=0))
    summary = summarise(priced.look(), priced.job)
    each_s = 1.0 + 0.1
    assert summary.time_s == pytest.approx(2 * each_s)
    assert [(plan.name, plan.time_s, plan.cost_usd) for plan in summary.plans] == [
        ("slow", pytest.approx(7 * 60 + each_s), 8.0),
        ("wide", pytest.approx(4 * each_s), 8.0),
    ]
    assert [plan.max_concurrent_requests for plan in summary.plans] == [None, 2], "not what the user set"
    assert summary.plans[1].usd_per_month == 9


@pytest.mark.parametrize(("engine", "workers", "at_once"), [("local", 4, 16), ("ray", 4, 64), ("ray", "auto", 128)])
def test_without_a_limit_no_more_is_asked_at_once_than_workers_can(
    priced: World, engine: str, workers: int | str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced.write("a", "\n\n".join(f"text {number}" for number in range(100, 229)))
    quota = QuotaSettings(adaptive=False)
    priced.job = replace(priced.job, engine=engine, workers=WorkersSettings(workers, 16), quota=quota)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    waves = -(-129 // at_once)
    assert summarise(priced.look(), priced.job).time_s == pytest.approx(waves * (1.0 + 0.8))


def test_time_is_told_for_the_real_sizes_the_longest_of_the_end_going_first(priced: World) -> None:
    """Two texts of 10 and one of 30 characters on two places: the long one begins at once, the others beside it."""
    priced.write("a", "\n\n".join(["a" * 10, "b" * 10, "c" * 30]))
    priced.job = replace(priced.job, quota=QuotaSettings(max_concurrent_requests=2, adaptive=False))
    plan = priced.look()
    assert list(plan.sizes_to_speak) == [10, 10, 30]
    assert time_s(plan, priced.job) == pytest.approx(1.0 + 30 * 0.1) == pytest.approx(2 * (1.0 + 10 * 0.1))


def test_nothing_to_speak_takes_no_time_and_no_money(priced: World) -> None:
    priced.write("a", "Text.")
    priced.run()
    summary = summarise(priced.look(), priced.job)
    assert (summary.time_s, summary.cost_usd) == (0.0, 0.0)
    assert [plan.time_s for plan in summary.plans] == [0.0, 0.0]


def test_an_embedded_voice_costs_nothing_to_say_a_word_about(world: World) -> None:
    world.write("a", TEXT)
    job = replace(world.job, provider=ProviderSettings("hibari"))
    summary = summarise(world.look(), job)
    assert (summary.cost_usd, summary.cost_note, summary.time_s, summary.plans) == (None, "", None, ())


def test_a_model_about_to_be_switched_off_is_in_the_summary(priced: World) -> None:
    priced.write("a", TEXT)
    (warning,) = summarise(priced.look(), priced.job, date(2026, 11, 21)).warnings
    assert "2027-01-06, in 46 days" in warning


# -- joining again ----------------------------------------------------------------------------------------------------


def test_the_plan_of_a_manifest_looks_at_no_source(world: World, nobody_reads: Callable[[], None]) -> None:
    world.write("a", TEXT)
    world.write("b", "Other.")
    (world.folder / "c.txt").touch()
    first = world.run()
    for path in world.folder.iterdir():
        path.unlink()
    nobody_reads()
    job = replace(world.job, stitching=StitchingSettings(gap_ms=1))
    plan = plan_of_manifest(job, world.manifest())
    assert plan.pending == ["a", "b"]
    assert plan.rows["c"].status == "unreadable"
    assert all(plan.completion.is_whole(name) for name in plan.pending)
    assert plan.rows["a"].join_key != first.rows["a"].join_key


def test_the_plan_of_a_manifest_tells_what_is_missing(world: World) -> None:
    world.write("a", TEXT)
    clip = next(world.plan().clips())
    world.run()
    world.clips.remove(clip.id)
    assert plan_of_manifest(world.job, world.manifest()).completion.missing("a") == 1


def test_there_is_no_plan_of_a_manifest_that_is_not_there(world: World) -> None:
    with pytest.raises(JobError, match="holds no run"):
        plan_of_manifest(world.job, world.manifest())
