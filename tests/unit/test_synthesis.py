"""One clip's way: what is tried again, what is given up, what stops the run, and what is never believed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile as sf

from cluster_tts import keys
from cluster_tts.clips import Clips
from cluster_tts.errors import AccountRefused, ChunkError, Interrupted, JobError, RetryLater
from cluster_tts.job import (
    CatalogueSettings,
    CheckSettings,
    Job,
    ModelFacts,
    ProviderSettings,
    QuotaSettings,
    RetrySettings,
)
from cluster_tts.limiter.gates import OpenGate
from cluster_tts.model import Clip, News, Outcome, Receipt, Status, Told, Utterance, Want, WireFormat
from cluster_tts.storage import LocalFolder
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

    def __init__(self, *steps: Exception | Callable[[Path], Any], receipt: Receipt | None = None) -> None:
        self.steps = list(steps)
        self.asked_at: list[float] = []
        self.utterances: list[Utterance] = []
        self.receipt = receipt

    async def prepare(self) -> None:
        pass

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        self.asked_at.append(now() - 1000.0)
        self.utterances.append(utterance)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        result = step(target)
        if result is not None:
            await result
        return self.receipt or Receipt(billed_characters=len(utterance.text), request_id="r-1")

    async def aclose(self) -> None:
        self.asked_at.append(-1.0)


class Gate(OpenGate):
    """Cools as a gate does, numbers the requests it lets through, and keeps what it was told of them."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.entered: list[Want] = []
        self.news: list[News] = []

    @asynccontextmanager
    async def place(self, want: Want) -> AsyncIterator[int]:
        async with super().place(want):
            self.entered.append(want)
            self.inside += 1
            try:
                yield len(self.entered) - 1
            finally:
                self.inside -= 1

    def report(self, news: News) -> None:
        assert not self.inside, "what came of it is told when its place was given back"
        self.news.append(news)
        super().report(news)


def good(target: Path) -> None:
    write_seconds(target, 2.0)


def page(target: Path) -> None:
    target.write_bytes(b"<html>busy</html>")


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(LocalFolder(tmp_path / "clips"), "wav")


def make(
    clips: Clips, provider: Scripted, gate: Gate | None = None, clip: Clip = CLIP, **changes: Any
) -> list[Outcome]:
    job = Job(provider=ProviderSettings(timeout_s=30.0, model="m"), **changes)

    async def main() -> list[Outcome]:
        return [outcome async for outcome in Synthesis(provider, gate or Gate(), clips, job, clock=now).make(clip)]

    return simulate(main())


def refused(kind: str = "rate_limited", after_s: float | None = None) -> RetryLater:
    return RetryLater("too much", kind, after_s, Receipt(http_status=429))


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
    Path(clips.address(CLIP.id)).write_bytes(Path(clips.address(CLIP.id)).read_bytes()[:500])
    assert [outcome.status for outcome in make(clips, Scripted(good))] == [Status.SPOKEN]


def test_pauses_double_and_no_place_is_held_meanwhile(clips: Clips) -> None:
    gate = Gate()
    provider = Scripted(*[RetryLater("broken")] * 3, good)
    outcomes = make(clips, provider, gate)
    assert [outcome.status for outcome in outcomes] == [Status.RETRIED] * 3 + [Status.SPOKEN]
    assert [outcome.attempt for outcome in outcomes] == [1, 2, 3, 4]
    assert provider.asked_at == pytest.approx([0, 1, 3, 7])
    assert [want.units for want in gate.entered] == [len(TEXT)] * 4, "every attempt passes the gate"
    assert [(news.request, news.kind) for news in gate.news] == [(0, "fault"), (1, "fault"), (2, "fault"), (3, "")]


def test_a_delay_the_server_names_is_kept_by_the_gate_for_everybody(clips: Clips) -> None:
    gate = Gate()
    provider = Scripted(RetryLater("slow down", "rate_limited", after_s=9.0), good)
    make(clips, provider, gate)
    assert provider.asked_at == pytest.approx([0, 9])
    assert [(news.kind, news.after_s) for news in gate.news] == [("rate_limited", 9.0), ("", None)]


@pytest.mark.parametrize(
    ("kind", "asked_at"), [("rate_limited", [0, 0]), ("too_many_at_once", [0, 0]), ("busy", [0, 4])]
)
def test_after_a_refusal_only_the_gate_knows_when_it_is_time_again(
    clips: Clips, kind: str, asked_at: list[float]
) -> None:
    """A pause of each clip's own would make the account idle when the gate has long opened again."""

    class Opened(Gate):
        def report(self, news: News) -> None:
            """Others may ask at once."""

    provider = Scripted(refused(kind), good)
    make(clips, provider, Opened())
    assert provider.asked_at == pytest.approx(asked_at)


@pytest.mark.parametrize("kind", ["rate_limited", "too_many_at_once", "slow_down"])
def test_what_the_limits_of_the_account_refuse_is_not_counted(clips: Clips, kind: str) -> None:
    provider = Scripted(*[refused(kind)] * 5, RetryLater("broken"), refused(kind), good)
    outcomes = make(clips, provider, retry=RetrySettings(max_attempts=2))
    assert [outcome.status for outcome in outcomes] == [Status.RETRIED] * 7 + [Status.SPOKEN]
    assert [outcome.http_status for outcome in outcomes] == [429] * 5 + [None, 429, None]


def test_every_attempt_that_left_is_told_to_the_gate_with_what_it_cost_and_what_headers_said(clips: Clips) -> None:
    gate, told = Gate(), Told(limit_requests=60, remaining_requests=7)
    prices = CatalogueSettings(models={"m": ModelFacts(usd_per_million_characters=100.0)})
    receipt = Receipt(http_status=200, billed_characters=40, told=told)
    steps = (
        RetryLater("too much", "rate_limited", None, Receipt(http_status=429, told=told)),
        RetryLater("cannot reach it", "unreachable"), RetryLater("reset", "reset"), page, good,
    )  # fmt: skip
    make(clips, Scripted(*steps, receipt=receipt), gate, catalogue=prices, retry=RetrySettings(max_attempts=9))
    assert [(n.request, n.kind, n.billed_characters, n.cost_usd) for n in gate.news] == [
        (0, "rate_limited", 0, 0.0),
        (1, "unreachable", 0, 0.0),
        (2, "reset", None, None),  # nobody knows what became of it: what was reserved stays spent
        (3, "not_audio", 40, pytest.approx(0.004)),
        (4, "", 40, pytest.approx(0.004)),
    ]
    assert [news.told for news in gate.news] == [told, None, None, told, told]
    assert {news.units for news in gate.news} == {len(TEXT)}


def test_a_request_that_stops_the_run_is_told_to_the_gate_too(clips: Clips) -> None:
    gate = Gate()
    with pytest.raises(JobError):
        make(clips, Scripted(JobError("no such voice")), gate)
    assert [(news.request, news.kind) for news in gate.news] == [(0, "wrong_request")]
    with pytest.raises(AccountRefused):
        make(clips, Scripted(AccountRefused("no credit", "no_credit", Receipt(http_status=402))), gate)
    assert [(news.request, news.kind, news.cost_usd) for news in gate.news[1:]] == [(1, "no_credit", 0.0)]


def test_a_purse_that_does_not_cover_a_clip_ends_the_run_and_nobody_was_asked(clips: Clips) -> None:
    class Empty(Gate):
        def place(self, want: Want) -> Any:
            raise AccountRefused("the budget is used up", "budget")

    provider, gate = Scripted(good), Empty()
    with pytest.raises(AccountRefused, match="used up"):
        make(clips, provider, gate)
    assert (provider.asked_at, gate.news) == ([], [])


def test_nothing_but_refusals_ends_the_run_when_patience_does(clips: Clips) -> None:
    provider = Scripted(*[refused(after_s=10.0)] * 10)
    with pytest.raises(Interrupted, match=r"out of patience after 50 s .*quota.patience_s is 55"):
        make(clips, provider, quota=QuotaSettings(patience_s=55))
    assert provider.asked_at == pytest.approx([0, 10, 20, 30, 40, 50])


def test_a_server_that_was_never_reached_ends_the_run_and_not_every_clip_of_it(clips: Clips) -> None:
    provider = Scripted(*[RetryLater("cannot reach it", "unreachable")] * 3)
    with pytest.raises(Interrupted, match=r"check provider\.base_url and the network"):
        make(clips, provider, retry=RetrySettings(max_attempts=3))
    assert provider.asked_at == pytest.approx([0, 1, 3])


def test_a_network_that_goes_down_in_mid_run_is_waited_for(clips: Clips) -> None:
    gone = RetryLater("cannot reach it", "unreachable")
    outcomes = make(clips, Scripted(RetryLater("broken"), *[gone] * 8, good), retry=RetrySettings(max_attempts=2))
    assert outcomes[-1].status is Status.SPOKEN


def test_an_answer_that_is_not_believed_is_charged_and_priced_all_the_same(clips: Clips) -> None:
    prices = CatalogueSettings(models={"m": ModelFacts(usd_per_million_characters=100.0)})
    receipt = Receipt(http_status=200, request_id="r-2", billed_characters=len(TEXT), wire=WireFormat("wav"))
    provider = Scripted(page, good, receipt=receipt)
    outcomes = make(clips, provider, catalogue=prices)
    assert [outcome.error_kind for outcome in outcomes] == ["not_audio", None]
    assert [outcome.billed_characters for outcome in outcomes] == [len(TEXT)] * 2
    assert [outcome.cost_usd for outcome in outcomes] == pytest.approx([len(TEXT) * 1e-4] * 2)
    assert [outcome.request_id for outcome in outcomes] == ["r-2"] * 2


def test_what_was_refused_costs_nothing(clips: Clips) -> None:
    prices = CatalogueSettings(models={"m": ModelFacts(usd_per_million_characters=100.0)})
    outcomes = make(clips, Scripted(refused(), good), catalogue=prices)
    assert (outcomes[0].cost_usd, outcomes[0].billed_characters) == (None, None)


def test_the_gate_is_asked_for_what_the_account_counts(clips: Clips) -> None:
    gate = Gate()
    clip = Clip(CLIP.id, "Größe überall hören.", "document", 0)
    bytes_counted = CatalogueSettings(models={"m": ModelFacts(unit="byte")})
    make(clips, Scripted(good), gate, clip, catalogue=bytes_counted)
    assert [(want.units, want.characters) for want in gate.entered] == [(len(clip.text.encode()), len(clip.text))]


def test_the_most_that_a_request_can_cost_is_reserved_before_it_leaves(clips: Clips) -> None:
    gate = Gate()
    make(clips, Scripted(good), gate, catalogue=CatalogueSettings(models={"m": ModelFacts(credits_per_character=2.0)}))
    assert gate.entered == [Want(len(TEXT), 2 * len(TEXT), 0.0)]


def test_a_provider_is_told_what_stands_around_the_text(clips: Clips) -> None:
    provider = Scripted(good)
    make(clips, provider, clip=Clip(CLIP.id, TEXT, "document", 0, "Before.", "After."))
    assert provider.utterances == [Utterance(TEXT, "Before.", "After.")]


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
    assert not list(Path(str(clips.folder)).rglob("*.part")), "nothing is left lying about"


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
        def place(self, want: Want) -> Any:
            if self.entered:
                return super().place(want)
            self.entered.append(want)
            raise error

    outcomes = make(clips, Scripted(good), Broken())
    assert [(outcome.status, outcome.error_kind) for outcome in outcomes] == [
        (Status.RETRIED, "gate"),
        (Status.SPOKEN, None),
    ]


def test_no_key_gets_into_an_outcome_whoever_wrote_the_message(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that echoes what it was sent, in a 200, in a refusal, or as the id of the request."""
    monkeypatch.setenv("SOME_KEY", "sk-canary-0123456789")
    assert keys.find("SOME_KEY")

    def echo(target: Path) -> None:
        target.write_bytes(b'{"headers": {"Authorization": "Bearer sk-canary-0123456789"}}')

    receipt = Receipt(http_status=200, request_id="for sk-canary-0123456789")
    refused = RetryLater("Incorrect key sk-canary-0123456789", "fault", receipt=receipt)
    outcomes = make(clips, Scripted(echo, refused, good, receipt=receipt))
    assert [outcome.error_kind for outcome in outcomes] == ["not_audio", "fault", None]
    assert "canary" not in repr(outcomes)
    assert "***" in outcomes[0].error_message


def test_a_mistake_stops_the_run_only_as_long_as_nothing_has_been_right(clips: Clips) -> None:
    provider = Scripted(good, JobError("it redirects to /login"), good)
    synthesis = Synthesis(provider, Gate(), clips, Job(provider=ProviderSettings(timeout_s=30.0)), clock=now)

    async def main() -> list[Outcome]:
        return [o for number in range(2) for o in [o async for o in synthesis.make(replace(CLIP, id=f"{number:032x}"))]]

    outcomes = simulate(main())
    assert [(outcome.status, outcome.error_kind) for outcome in outcomes] == [
        (Status.SPOKEN, None),
        (Status.RETRIED, "wrong_request"),
        (Status.SPOKEN, None),
    ]


def test_a_job_error_stops_everything(clips: Clips) -> None:
    with pytest.raises(JobError, match="no key"):
        make(clips, Scripted(JobError("no key")))


def test_a_disk_that_cannot_be_written_stops_the_run_and_can_be_continued(clips: Clips, tmp_path: Path) -> None:
    Path(str(clips.folder)).write_text("a file where the folder should be")
    with pytest.raises(Interrupted, match="cannot write clips to"):
        make(clips, Scripted(good))


def test_nothing_is_asked_for_a_run_whose_driver_has_died(clips: Clips) -> None:
    """Ray takes a second to end the workers of a driver that was killed: what left meanwhile would be paid again."""
    provider, gate = Scripted(good), Gate()
    wanted = iter([True, False])
    synthesis = Synthesis(provider, gate, clips, Job(), clock=now, is_wanted=lambda: next(wanted))

    async def both() -> None:
        assert [outcome.status async for outcome in synthesis.make(CLIP)] == [Status.SPOKEN]
        with pytest.raises(Interrupted, match="run the same command again"):
            [outcome async for outcome in synthesis.make(replace(CLIP, id="cd" + "0" * 30))]

    simulate(both())
    assert len(provider.utterances) == 1
    assert len(gate.news) == 1
    assert not gate.inside
