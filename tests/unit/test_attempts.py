"""What is told of an attempt: a row of the manifest, and news for whoever guards the account."""

import pytest

from cluster_tts.attempts import Attempt, Failure, Telling
from cluster_tts.errors import AccountRefused, ChunkError, RetryLater
from cluster_tts.job import CatalogueSettings, Job, ModelFacts, ProviderSettings
from cluster_tts.model import Clip, News, Receipt, Sound, Status, Told, Want

CLIP = Clip("ab" + "0" * 30, "Thirty characters are enough. ", "document", 3)
SOUND = Sound(frames=16_000, rate=8_000, size_bytes=32_044, sha256="0" * 64)


def telling(**facts: object) -> Telling:
    return Telling(
        Job(
            provider=ProviderSettings(model="m"),
            catalogue=CatalogueSettings(models={"m": ModelFacts(**facts)}),  # type: ignore[arg-type]
        ),
        15.0,
    )


def news(ended: tuple[Sound, Receipt] | Failure, request: int = 7, **facts: object) -> News:
    teller = telling(**({"usd_per_million_characters": 100.0} | facts))
    attempt = Attempt(CLIP, 1, 100.0, 103.0, 105.5, request)
    status = Status.SPOKEN if isinstance(ended, tuple) else Status.RETRIED
    return teller.news(attempt, request, teller.outcome(attempt, status, 106.0, ended), ended)


def test_waiting_at_the_gate_and_latency_are_told_apart() -> None:
    outcome = telling().outcome(Attempt(CLIP, 2, 100.0, 103.0, 105.5, 0), Status.SPOKEN, 106.0, (SOUND, Receipt()))
    assert (outcome.gate_wait_s, outcome.latency_s) == (3.0, 2.5)
    assert (outcome.started_at, outcome.finished_at, outcome.attempt, outcome.sound) == (100.0, 106.0, 2, SOUND)


def test_an_attempt_that_never_left_has_waited_all_the_time() -> None:
    outcome = telling().outcome(Attempt(CLIP, 1, 100.0), Status.RETRIED, 106.0, RetryLater("the gate failed", "gate"))
    assert (outcome.gate_wait_s, outcome.latency_s, outcome.cost_usd) == (6.0, 0.0, None)


def test_speech_is_told_with_what_it_cost_and_how_long_it_took() -> None:
    told = Told(limit_requests=60)
    heard = news((SOUND, Receipt(http_status=200, billed_characters=28, told=told)))
    assert (heard.request, heard.kind, heard.told, heard.units, heard.latency_s) == (7, "", told, 30, 2.5)
    assert (heard.billed_characters, heard.cost_usd) == (28, pytest.approx(0.0028))


def test_where_a_provider_reports_nothing_all_that_was_asked_is_taken_for_charged() -> None:
    heard = news((SOUND, Receipt(http_status=200)))
    assert (heard.billed_characters, heard.cost_usd) == (30, pytest.approx(0.003))


def test_where_no_price_is_known_what_was_reserved_stays_spent() -> None:
    heard = news((SOUND, Receipt(http_status=200)), usd_per_million_characters=None)
    assert (heard.billed_characters, heard.cost_usd) == (30, None)


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (RetryLater("too many", "rate_limited", 7.0, Receipt(http_status=429)), True),
        (RetryLater("broken", "server_error", None, Receipt(http_status=500)), True),
        (ChunkError("no such script", "refused_text", Receipt(http_status=400)), True),
        (AccountRefused("no credit", "no_credit", Receipt(http_status=402)), True),
        (RetryLater("no way there", "unreachable"), True),
        (RetryLater("reset", "reset"), False),
        (RetryLater("too slow", "timeout"), False),
        (RetryLater("cut", "cut_audio", None, Receipt(http_status=200)), False),
    ],
)
def test_what_was_refused_cost_nothing_and_of_what_was_never_answered_nobody_knows(error: Failure, free: bool) -> None:
    heard = news(error)
    assert (heard.kind, heard.after_s) == (error.kind, getattr(error, "after_s", None))
    if free:
        assert (heard.billed_characters, heard.cost_usd) == (0, 0.0)
    else:
        assert heard.cost_usd != 0.0
        assert heard.billed_characters != 0


def test_a_refusal_that_was_charged_all_the_same_is_charged() -> None:
    heard = news(RetryLater("flagged", "refused", None, Receipt(http_status=422, billed_characters=30, cost_usd=0.5)))
    assert (heard.billed_characters, heard.cost_usd) == (30, 0.5)


def test_what_a_request_may_take_is_counted_as_the_account_counts() -> None:
    wide = Clip(CLIP.id, "Größe überall hören.", "document", 0)
    assert telling(unit="byte").want(wide) == Want(24, 20, 0.0)
    assert telling(usd_per_million_characters=100.0).want(CLIP) == Want(30, 30, pytest.approx(0.003))
