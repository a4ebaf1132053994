"""Prices: dollars from characters, minutes or credits, and the reason where there are none."""

from dataclasses import replace

import pytest

from cluster_tts.config import load
from cluster_tts.job import CatalogueSettings, Job, ModelFacts, PlanFacts, ProviderSettings, QuotaSettings
from cluster_tts.model import Receipt
from cluster_tts.prices import Price, months_of

PLANS = {
    "creator": PlanFacts(usd_per_month=22, credits_per_month=121_000),
    "free": PlanFacts(usd_per_month=0, credits_per_month=10_000),
    "metered": PlanFacts(max_concurrent_requests=4),
}


def priced(plan: str | None = None, **facts: float) -> Job:
    catalogue = CatalogueSettings(models={"m": ModelFacts(**facts)}, plans=PLANS)  # type: ignore[arg-type]
    return Job(provider=ProviderSettings(model="m"), quota=QuotaSettings(plan=plan), catalogue=catalogue)


def test_text_is_priced_by_the_million_units() -> None:
    price = Price.of(priced(usd_per_million_characters=15))
    assert price.estimate(200_000, 3_600) == pytest.approx(3.0)
    assert price.note == ""


def test_audio_is_priced_by_the_minute_on_top_of_text() -> None:
    assert Price.of(priced(usd_per_minute=0.015)).estimate(10_000, 120) == pytest.approx(0.03)
    both = Price.of(priced(usd_per_million_characters=0.6, usd_per_minute=0.015))
    assert both.estimate(1_000_000, 60) == pytest.approx(0.615)


def test_credits_cost_what_the_plan_costs_divided_by_those_in_it() -> None:
    assert Price.of(priced("creator", credits_per_character=0.5)).estimate(121_000, 60) == pytest.approx(11.0)
    assert Price.of(priced("free", credits_per_character=1)).estimate(121_000, 60) == 0.0


def test_a_charge_goes_by_what_the_provider_reports_in_its_own_currency() -> None:
    """ElevenLabs reports credits: half as many as characters with a fast model."""
    in_credits = Price.of(priced("creator", credits_per_character=0.5))
    assert in_credits.charged(Receipt(billed_characters=121_000), 242_000, 9.0) == pytest.approx(22.0)
    assert in_credits.charged(Receipt(billed_characters=None), 242_000, 9.0) == pytest.approx(22.0)
    assert in_credits.charged(Receipt(billed_characters=60_500), 242_000, 9.0) == pytest.approx(11.0)
    characters = Price.of(priced(usd_per_million_characters=10))
    assert characters.charged(Receipt(billed_characters=1_000), 5_000, 9.0) == pytest.approx(0.01)
    assert characters.charged(Receipt(billed_characters=0), 5_000, 9.0) == 0.0, "nothing is a number too"


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (priced(credits_per_character=1), "set quota.plan to price credits"),
        (priced("metered", credits_per_character=1), "no price of credits known for plan metered"),
        (priced(usd_per_machine_second=0.000225), "priced by machine time ($0.000225 a second)"),
        (priced("creator"), "no price known for model m"),
        (Job(provider=ProviderSettings("tone")), "no price known for provider tone"),
    ],
)
def test_where_there_is_no_price_it_says_why(job: Job, why: str) -> None:
    price = Price.of(job)
    assert price.note == why
    assert price.estimate(1_000, 60) is None
    assert price.charged(Receipt(billed_characters=1_000), 1_000, 60) is None


def test_a_plan_is_used_up_by_credits_not_by_characters() -> None:
    assert months_of(priced("free", credits_per_character=0.5), 30_000) == pytest.approx(1.5)
    assert months_of(priced("metered", credits_per_character=1), 30_000) is None
    assert months_of(priced(credits_per_character=1), 30_000) is None
    assert months_of(priced("free", usd_per_minute=1), 30_000) is None


@pytest.mark.parametrize(
    ("settings", "usd"),
    [
        ("provider.name=openai provider.model=tts-1", 15.0),
        ("provider.name=openai provider.model=tts-1-hd", 30.0),
        ("provider.name=elevenlabs quota.plan=pro", 165.0),
        ("provider.name=elevenlabs quota.plan=pro provider.model=eleven_flash_v2_5", 82.5),
        ("provider.name=cartesia quota.plan=startup", 39.2),
        ("provider.name=replicate", 60.0),
    ],
)
def test_a_million_characters_cost_what_the_providers_publish(settings: str, usd: float) -> None:
    assert Price.of(load(overrides=settings.split(), environ={})).estimate(1_000_000, 0) == pytest.approx(usd)


def test_another_plan_has_another_price() -> None:
    job = load(overrides=["provider.name=cartesia", "quota.plan=pro"], environ={})
    dearer = replace(job, quota=replace(job.quota, plan="free"))
    assert Price.of(dearer) != Price.of(job)
