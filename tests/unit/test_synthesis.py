"""One clip's way: what is tried again, what is given up, what stops the run, and what is never believed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile as sf

from cluster_tts.clips import Clips
from cluster_tts.errors import ChunkError, Interrupted, JobError, RetryLater
from cluster_tts.job import CheckSettings, Job, ProviderSettings, RetrySettings
from cluster_tts.model import Clip, Outcome, Status
from cluster_tts.providers.base import Spoken
from cluster_tts.synthesis import Synthesis
from tests.simulated import now, simulate

TEXT = "Thirty characters are enough. "
CLIP = Clip("ab" + "0" * 30, TEXT, "document", 3)


def write_seconds(target: Path, seconds: float) -> None:
    sf.write(target, np.full(int(seconds * 8000), 1000, np.int16), 8000, format="WAV")


class Scripted:
    """A provider that does what it is told, one step an attempt."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, *steps: Exception | Callable[[Path], Any]) -> None:
        self.steps = list(steps)
        self.asked_at: list[float] = []

    @classmethod
    def revision(cls) -> str:
        return "1"

    async def prepare(self) -> None:
        pass

    async def speak(self, text: str, target: Path) -> Spoken:
        self.asked_at.append(now() - 1000.0)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        result = step(target)
        if result is not None:
            await result
        return Spoken(billed_characters=len(text), request_id="r-1")

    async def aclose(self) -> None:
        self.asked_at.append(-1.0)


class Gate:
    """Counts who is inside, and what it was told to cool."""

    def __init__(self) -> None:
        self.inside = 0
        self.entered: list[int] = []
        self.cooled: list[float] = []

    @asynccontextmanager
    async def place(self, characters: int) -> AsyncIterator[None]:
        self.entered.append(characters)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def cool(self, seconds: float) -> None:
        self.cooled.append(seconds)


def good(target: Path) -> None:
    write_seconds(target, 2.0)


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(tmp_path / "clips", "wav")


def make(clips: Clips, provider: Scripted, gate: Gate | None = None, **changes: Any) -> list[Outcome]:
    job = Job(provider=ProviderSettings(timeout_s=30.0), **changes)

    async def main() -> list[Outcome]:
        return [outcome async for outcome in Synthesis(provider, gate or Gate(), clips, job).make(CLIP)]

    return simulate(main())


def test_a_clip_is_published_once_it_was_checked(clips: Clips) -> None:
    [outcome] = make(clips, Scripted(good))
    assert outcome.status is Status.SPOKEN
    assert outcome.sound is not None
    assert (outcome.sound.frames, outcome.sound.rate) == (16_000, 8_000)
    assert (outcome.billed_characters, outcome.request_id, outcome.chunk_index) == (len(TEXT), "r-1", 3)
    assert list(clips.listing()) == [CLIP.id]


def test_a_clip_that_is_there_is_found_and_nobody_is_asked(clips: Clips) -> None:
    make(clips, Scripted(good))
    provider, gate = Scripted(), Gate()
    [outcome] = make(clips, provider, gate)
    assert outcome.status is Status.FOUND
    assert outcome.sound is not None
    assert (provider.asked_at, gate.entered) == ([], [])


def test_a_damaged_clip_on_disk_is_spoken_again(clips: Clips) -> None:
    make(clips, Scripted(good))
    clips.path(CLIP.id).write_bytes(clips.path(CLIP.id).read_bytes()[:500])
    assert [outcome.status for outcome in make(clips, Scripted(good))] == [Status.SPOKEN]


def test_pauses_double_and_no_place_is_held_meanwhile(clips: Clips) -> None:
    gate = Gate()
    provider = Scripted(RetryLater("busy"), RetryLater("busy"), RetryLater("busy"), good)
    outcomes = make(clips, provider, gate)
    assert [outcome.status for outcome in outcomes] == [Status.RETRIED] * 3 + [Status.SPOKEN]
    assert [outcome.attempt for outcome in outcomes] == [1, 2, 3, 4]
    assert provider.asked_at == pytest.approx([0, 1, 3, 7])
    assert gate.entered == [len(TEXT)] * 4, "every attempt passes the gate"


def test_a_delay_the_server_names_is_kept_and_cools_the_gate(clips: Clips) -> None:
    gate = Gate()
    provider = Scripted(RetryLater("slow down", "rate", after_s=9.0), good)
    make(clips, provider, gate)
    assert provider.asked_at == pytest.approx([0, 9])
    assert gate.cooled == [9.0]


def test_the_last_failure_is_final(clips: Clips) -> None:
    provider = Scripted(*[RetryLater("busy", "busy")] * 2)
    outcomes = make(clips, provider, retry=RetrySettings(max_attempts=2))
    assert [outcome.status for outcome in outcomes] == [Status.RETRIED, Status.FAILED]
    assert (outcomes[-1].error_kind, outcomes[-1].error_message) == ("busy", "busy")


def test_a_text_that_cannot_be_spoken_is_not_tried_again(clips: Clips) -> None:
    [outcome] = make(clips, Scripted(ChunkError("no such script")))
    assert (outcome.status, outcome.error_kind) == (Status.FAILED, "unspeakable")


def test_no_answer_in_time_is_tried_again(clips: Clips) -> None:
    import asyncio

    provider = Scripted(lambda target: asyncio.sleep(1e6), good)
    outcomes = make(clips, provider)
    assert [outcome.error_kind for outcome in outcomes] == ["timeout", None]
    assert provider.asked_at == pytest.approx([0, 31])


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda target: target.write_bytes(b""), "empty_audio"),
        (lambda target: target.write_bytes(b"<html>busy</html>"), "not_audio"),
        (lambda target: target.write_bytes(b'{"error": "busy"}'), "not_audio"),
        (lambda target: write_seconds(target, 0), "empty_audio"),
        (lambda target: write_seconds(target, 0.1), "implausible_length"),
        (lambda target: write_seconds(target, 60), "implausible_length"),
    ],
)
def test_audio_that_cannot_be_speech_of_the_text_is_never_a_clip(
    clips: Clips, write: Callable[[Path], object], kind: str
) -> None:
    def bad(target: Path) -> None:
        write(target)

    outcomes = make(clips, Scripted(bad, bad), retry=RetrySettings(max_attempts=2))
    assert [outcome.error_kind for outcome in outcomes] == [kind, kind]
    assert not clips.listing()
    assert not list(clips.folder.rglob("*.part")), "nothing is left lying about"


def test_length_is_not_judged_where_told_not_to(clips: Clips) -> None:
    [outcome] = make(
        clips, Scripted(lambda target: write_seconds(target, 60)), check=CheckSettings(characters_per_second=None)
    )
    assert outcome.status is Status.SPOKEN


def test_a_defect_of_the_provider_costs_the_clip_and_is_told(clips: Clips) -> None:
    [outcome] = make(clips, Scripted(IndexError("list index out of range")))
    assert (outcome.status, outcome.error_kind) == (Status.FAILED, "provider_defect")
    assert outcome.error_message == "the provider failed: IndexError: list index out of range"


@pytest.mark.parametrize("error", [KeyError("no limiter"), ConnectionError("gone"), TimeoutError()])
def test_a_gate_that_fails_is_no_defect_of_the_provider_and_is_tried_again(clips: Clips, error: Exception) -> None:
    class Broken(Gate):
        def place(self, characters: int) -> Any:
            return self.failing() if not self.cooled else super().place(characters)

        @asynccontextmanager
        async def failing(self) -> AsyncIterator[None]:
            self.cool(0.0)
            raise error
            yield

    outcomes = make(clips, Scripted(good), Broken())
    assert [(outcome.status, outcome.error_kind) for outcome in outcomes] == [
        (Status.RETRIED, "gate"),
        (Status.SPOKEN, None),
    ]


def test_a_job_error_stops_everything(clips: Clips) -> None:
    with pytest.raises(JobError, match="no key"):
        make(clips, Scripted(JobError("no key")))


def test_a_disk_that_cannot_be_written_stops_the_run_and_can_be_continued(clips: Clips, tmp_path: Path) -> None:
    clips.folder.write_text("a file where the folder should be")
    with pytest.raises(Interrupted, match="cannot write clips to"):
        make(clips, Scripted(good))
