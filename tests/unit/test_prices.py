"""Prices: dollars from characters, minutes or credits, and the reason where there are none."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.config import load
from cluster_tts.errors import RetryLater
from cluster_tts.job import CatalogueSettings, Job, ModelFacts, PlanFacts, ProviderSettings, QuotaSettings
from cluster_tts.model import Receipt, Sound
from cluster_tts.plausibility import refuse_implausible
from cluster_tts.prices import Bounds, Price, dollars, months_of

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


# -- the most that a request can cost ---------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("ab 7é漢カ한😀"), min_size=1, max_size=60)


@cache
def loaded(*overrides: str) -> Job:
    return load(overrides=list(overrides), environ={})


def bounds(*overrides: str) -> Bounds:
    return Bounds.of(loaded(*overrides))


@given(TEXTS, st.floats(0.01, 600), st.sampled_from(["0.25", "1.0", "4.0"]))
def test_audio_that_is_believed_never_costs_more_than_its_bound(text: str, seconds: float, speed: str) -> None:
    job = loaded("provider.name=openai", f"provider.options.speed={speed}")
    sound = Sound(round(seconds * 1000), 1000, 1, "")
    try:
        refuse_implausible(sound, text, job.check.characters_per_second, float(speed))
    except RetryLater:
        return
    limits = Bounds.of(job)
    paid = Price.of(job).charged(Receipt(), limits.measure(text), sound.seconds)
    assert paid is not None
    assert paid <= limits.want(text).usd + 1e-12


@given(TEXTS, st.sampled_from(["openai", "elevenlabs", "replicate"]))
def test_no_text_of_so_many_characters_costs_more_than_the_bound_of_their_number(text: str, provider: str) -> None:
    limits = bounds(f"provider.name={provider}", *(["quota.plan=pro"] if provider == "elevenlabs" else []))
    assert limits.want(text).usd <= limits.of_characters(len(text)) + 1e-12


def test_where_only_text_is_paid_the_bound_is_the_price() -> None:
    want = bounds("provider.name=openai", "provider.model=tts-1").want("x" * 200)
    assert (want.units, want.characters) == (200, 200)
    assert want.usd == pytest.approx(0.003)


def test_characters_are_bounded_by_what_providers_report_credits_or_characters() -> None:
    fast = bounds("provider.name=elevenlabs", "quota.plan=pro", "provider.model=eleven_flash_v2_5")
    assert fast.want("x" * 200).characters == 200, "half as many credits, but where it reports none all count"
    dear = Bounds.of(priced(credits_per_character=1.5))
    assert dear.want("x" * 201).characters == 302


def test_speech_that_is_not_judged_is_bounded_all_the_same() -> None:
    assert bounds("provider.name=openai", "check.characters_per_second=null").want("x" * 100).usd == pytest.approx(
        100 * 0.6e-6 + (100 / 4 + 3) * 0.015 / 60
    )


def test_where_no_price_is_known_there_is_no_bound() -> None:
    price = Price.of(priced(usd_per_machine_second=0.1))
    assert price.most(100, 100, 4.0) is None
    assert Bounds.of(priced()).want("abc").usd == 0.0


def test_amounts_below_a_cent_are_not_nothing() -> None:
    assert [dollars(usd) for usd in (0.0, 0.004, 1234.5)] == ["$0.00", "<$0.01", "$1,234.50"]
