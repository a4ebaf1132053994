"""What providers publish: found by name, corrected like any setting, filled in below what the user says."""

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cluster_tts import config
from cluster_tts.catalogue import counted_as, family, quota_of_class, warnings_of
from cluster_tts.config import load, to_yaml
from cluster_tts.errors import JobError
from cluster_tts.job import LIMITS, CatalogueSettings, Job, ModelFacts, ProviderSettings, QuotaSettings

CATALOGUE = """
provider: {model: sonic-3.5}
quota: {window_s: 30, requests_per_minute: 7}
catalogue:
  models:
    sonic-3.5: {unit: byte, group: fast, max_characters: 100}
    maker/model-2.6: {shutdown: 2027-01-06, inputs: {text: prompt, defaults: {rate: 1, loud: true}}}
  plans:
    pro: {requests_per_minute: 600, max_concurrent_requests: 5, groups: {fast: {max_concurrent_requests: 10}}}
    old: {models: [maker/model-2.6], burst: 2}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(*overrides: str, files: tuple[Path, ...] = ()) -> str:
    with pytest.raises(JobError) as caught:
        load(files, overrides, {})
    return str(caught.value)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own, with one provider that publishes nothing."""
    folder = tmp_path / "conf"
    (folder / "provider").mkdir(parents=True)
    write(folder / "default.yaml", "provider: {name: tone}\n")
    monkeypatch.setattr(config, "conf_dir", lambda: folder)
    return folder


@pytest.fixture
def catalogue(conf: Path) -> Path:
    return write(conf / "provider/tone.yaml", CATALOGUE)


def test_models_have_dots_and_slashes_in_their_names(catalogue: Path) -> None:
    models = load(environ={}).catalogue.models
    assert models["sonic-3.5"] == ModelFacts(unit="byte", group="fast", max_characters=100)
    assert models["maker/model-2.6"].shutdown == "2027-01-06"
    assert type(models["sonic-3.5"].inputs) is dict


def test_a_plan_fills_the_quota_over_the_provider_file_and_below_what_the_user_sets(
    catalogue: Path, tmp_path: Path
) -> None:
    quota = load(overrides=["quota.plan=pro"], environ={}).quota
    assert quota == QuotaSettings(plan="pro", requests_per_minute=600, max_concurrent_requests=10, window_s=30)
    file = write(tmp_path / "job.yaml", "quota: {plan: pro, requests_per_minute: 60}")
    assert load([file], (), {}).quota.requests_per_minute == 60
    environ = {"CLUSTER_TTS_QUOTA__MAX_CONCURRENT_REQUESTS": "3"}
    assert load([file], (), environ).quota.max_concurrent_requests == 3
    unset = load([file], ["quota.max_concurrent_requests=null"], environ).quota
    assert unset.max_concurrent_requests == 10, "what is null nobody has set"


def test_a_saved_job_gets_the_limits_of_another_plan(catalogue: Path, tmp_path: Path) -> None:
    """What a plan filled in is not what the user set, and must not outlive it."""
    job = load(overrides=["quota.plan=pro", "quota.requests_per_minute=60"], environ={})
    saved = write(tmp_path / "job.yaml", to_yaml(job))
    assert load([saved], (), {}) == job
    loose = load([saved], ["catalogue.plans.pro.groups.fast.max_concurrent_requests=20"], {}).quota
    assert (loose.requests_per_minute, loose.max_concurrent_requests) == (60, 20)


def test_a_published_figure_is_corrected_like_any_other_setting(catalogue: Path, tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.yaml",
        "catalogue:\n  models: {sonic-3.5: {max_characters: 90}, mine: {unit: utf16}}\n"
        "  plans: {pro: {groups: {fast: {max_concurrent_requests: 4}}}}\n",
    )
    job = load([file], ["quota.plan=pro", "catalogue.plans.pro.requests_per_minute=500"], {})
    assert job.model == ModelFacts(unit="byte", group="fast", max_characters=90)
    assert job.catalogue.models["mine"].unit == "utf16"
    assert (job.quota.requests_per_minute, job.quota.max_concurrent_requests) == (500, 4)
    bracketed = load(overrides=["catalogue.models[sonic-3.5].max_characters=80"], environ={})
    assert bracketed.model.max_characters == 80


def test_a_plan_nobody_knows_is_refused_with_the_nearest_and_all_names(catalogue: Path) -> None:
    message = refusal("quota.plan=pru")
    assert "'quota.plan' is 'pru'" in message
    assert "did you mean pro?" in message
    assert "pro, old" in message


def test_a_plan_for_other_models_is_refused_with_those_it_is_for_and_those_there_are(catalogue: Path) -> None:
    message = refusal("quota.plan=old")
    assert "sonic-3.5" in message
    assert "only for maker/model-2.6" in message
    assert "plans for this model: pro" in message
    assert load(overrides=["quota.plan=old", "provider.model=maker/model-2.6"], environ={}).quota.burst == 2


def test_a_plan_of_a_provider_without_plans_is_refused(conf: Path) -> None:
    assert "no plans of provider 'tone' are known" in refusal("quota.plan=pro")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{models: {sonic-3.5: {max_character: 5}}}", "'catalogue.models.sonic-3.5.max_character'"),
        ("{models: {sonic-3.5: {max_characters: many}}}", "'catalogue.models.sonic-3.5.max_characters'"),
        ("{models: {sonic-3.5: {unit: no}}}", "'catalogue.models.sonic-3.5.unit'"),
        ("{models: {sonic-3.5: {unit: rune}}}", "'catalogue.models.sonic-3.5.unit'"),
        ("{models: {sonic-3.5: {inputs: 5}}}", "'catalogue.models.sonic-3.5.inputs'"),
        ("{models: {sonic-3.5: 5}}", "'catalogue.models.sonic-3.5'"),
        ("{models: {sonic-3.5: }}", "'catalogue.models.sonic-3.5'"),
        ("{models: {3.5: {unit: byte}}}", "'catalogue.models.3.5"),
        ("{models: 5}", "'catalogue.models'"),
        ("5", "'catalogue'"),
        ("{plans: {pro: {models: sonic-3.5}}}", "'catalogue.plans.pro.models'"),
        ("{plans: {pro: {groups: {fast: {plan: a}}}}}", "'catalogue.plans.pro.groups.fast.plan'"),
        ("{plans: {pro: {groups: {fast: 10}}}}", "'catalogue.plans.pro.groups.fast'"),
    ],
)
def test_what_is_wrong_in_a_catalogue_is_refused_by_its_key_and_file(
    catalogue: Path, tmp_path: Path, content: str, named: str
) -> None:
    message = refusal(files=(write(tmp_path / "mine.yaml", f"catalogue: {content}"),))
    assert named in message
    assert "mine.yaml" in message or "must be one of" in message


def test_a_list_of_names_is_asked_for_as_such(catalogue: Path) -> None:
    assert "must be a list of names, or null" in refusal("catalogue.plans.pro.models=sonic-3.5")


def test_an_unknown_key_of_a_model_is_named_with_the_nearest_of_a_model(catalogue: Path) -> None:
    assert "did you mean max_characters?" in refusal("catalogue.models.m.max_character=5")
    assert "brackets" in refusal("catalogue.models.sonic-3.5.unit=byte"), "a dot separates, here it does not"


def test_what_a_model_calls_its_inputs_is_told_to_the_provider_below_what_the_user_says(catalogue: Path) -> None:
    def inputs(*overrides: str) -> dict[str, Any]:
        return load(overrides=overrides, environ={}).provider.inputs

    other = "provider.model=maker/model-2.6"
    assert inputs() == {}
    assert inputs(other) == {"text": "prompt", "defaults": {"rate": 1, "loud": True}}
    assert inputs(other, "provider.inputs.text=words", "provider.inputs.defaults.rate=2") == {
        "text": "words",
        "defaults": {"rate": 2, "loud": True},
    }


def test_a_saved_job_with_a_catalogue_reads_back_equal(catalogue: Path, tmp_path: Path) -> None:
    job = load(overrides=["quota.plan=pro", "provider.model=maker/model-2.6"], environ={})
    assert load([write(tmp_path / "job.yaml", to_yaml(job))], environ={}) == job


def test_a_provider_file_that_was_changed_is_read_again(catalogue: Path) -> None:
    assert load(environ={}).model.unit == "byte"
    write(catalogue, CATALOGUE.replace("unit: byte", "unit: utf16"))
    os.utime(catalogue, ns=(1, 1))
    assert load(environ={}).model.unit == "utf16"


def test_one_load_leaves_no_trace_in_the_next(catalogue: Path) -> None:
    load(overrides=["catalogue.plans.pro.burst=3", "provider.options.a=1", "quota.plan=pro"], environ={})
    job = load(environ={})
    assert job.catalogue.plans["pro"].burst is None
    assert (job.provider.options, job.quota.plan) == ({}, None)


REAL = sorted(path.stem for path in (config.conf_dir() / "provider").glob("*.yaml"))


@pytest.mark.parametrize("name", REAL)
def test_every_published_plan_fits_a_model_and_names_only_what_there_is(name: str) -> None:
    job = load(overrides=[f"provider.name={name}"], environ={})
    models, groups = job.catalogue.models, {facts.group for facts in job.catalogue.models.values()}
    assert not models or job.provider.model in models
    for plan, facts in job.catalogue.plans.items():
        assert set(facts.models or ()) <= set(models)
        assert set(facts.groups) <= groups
        model = (facts.models or [job.provider.model])[0]
        overrides = [f"provider.name={name}", f"provider.model={model}", f"quota.plan={plan}"]
        quota = load(overrides=overrides, environ={}).quota
        assert any(getattr(quota, limit) is not None for limit in LIMITS)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("provider.name=openai quota.plan=tier1", (500, 50_000, None, None)),
        ("provider.name=openai quota.plan=tier1 provider.model=tts-1-hd", (500, None, None, None)),
        ("provider.name=openai quota.plan=tier2", (2_000, 150_000, None, None)),
        ("provider.name=elevenlabs quota.plan=creator", (None, None, 5, None)),
        ("provider.name=elevenlabs quota.plan=creator provider.model=eleven_flash_v2_5", (None, None, 10, None)),
        ("provider.name=cartesia quota.plan=startup", (None, None, 5, None)),
        ("provider.name=replicate quota.plan=low_credit", (6, None, None, 1)),
    ],
)
def test_published_plans_are_those_of_the_providers(settings: str, expected: tuple[float | None, ...]) -> None:
    quota = load(overrides=settings.split(), environ={}).quota
    assert tuple(getattr(quota, limit) for limit in LIMITS) == expected


# -- what limits hold for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("provider.name=openai", "gpt-4o-mini-tts"),
        ("provider.name=openai provider.model=gpt-4o-mini-tts-2025-12-15", "gpt-4o-mini-tts"),
        ("provider.name=openai provider.model=tts-1", "tts-1"),
        ("provider.name=openai provider.model=tts-1-hd", "tts-1-hd"),
        ("provider.name=openai provider.model=kokoro", "kokoro"),
        ("provider.name=elevenlabs", ""),
        ("provider.name=elevenlabs provider.model=eleven_v3", ""),
        ("provider.name=elevenlabs provider.model=eleven_turbo_v2_5", "flash"),
        ("provider.name=elevenlabs provider.model=eleven_turbo_v2_5 catalogue.counted_by=account", ""),
        ("provider.name=cartesia", ""),
        ("provider.name=replicate", ""),
        ("provider.name=replicate catalogue.counted_by=model", "minimax/speech-2.6-turbo"),
        ("provider.name=tone catalogue.counted_by=model", ""),
    ],
)
def test_limits_hold_for_what_the_provider_counts_by(settings: str, expected: str) -> None:
    job = load(overrides=settings.split(), environ={})
    assert family(job) == expected
    assert counted_as(job, "ours") == f"ours {expected}".rstrip()


def test_a_class_of_call_is_counted_for_the_account_whatever_the_model() -> None:
    job = load(overrides=["provider.name=openai"], environ={})
    assert counted_as(job, "ours", "polls") == "ours polls"


def test_a_class_of_call_has_its_own_limits_and_the_rest_of_the_jobs_quota() -> None:
    given = ["provider.name=replicate", "quota.plan=low_credit", "quota.share=0.5", "quota.max_concurrent_requests=7"]
    job = load(overrides=given, environ={})
    polls = quota_of_class(job, "polls")
    assert (polls.requests_per_minute, polls.max_concurrent_requests, polls.burst) == (3_000, None, None)
    assert (polls.share, polls.window_s) == (0.5, job.quota.window_s)
    fewer = load(overrides=[*given, "catalogue.classes.polls.requests_per_minute=300"], environ={})
    assert quota_of_class(fewer, "polls").requests_per_minute == 300
    assert quota_of_class(job, "uploads").requests_per_minute is None


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("catalogue.counted_by=key", "'catalogue.counted_by' is 'key': must be one of account, group, model"),
        ("catalogue.classes.polls.requests_per_minute=0", "'catalogue.classes.polls.requests_per_minute' is 0"),
        ("catalogue.classes.polls.request_per_minute=5", "did you mean requests_per_minute or"),
        ("catalogue.classes.polls=5", "'catalogue.classes.polls' on the command line is 5: it is a section"),
    ],
)
def test_what_limits_hold_for_is_checked_like_the_rest_of_the_catalogue(setting: str, named: str) -> None:
    assert named in refusal(setting)


# -- the end of a model -----------------------------------------------------------------------------------------------


def ends_on(day: str | None) -> Job:
    models = {"old": ModelFacts(shutdown=day), "new": ModelFacts()}
    return Job(provider=ProviderSettings("openai", model="old"), catalogue=CatalogueSettings(models=models))


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("2027-01-06", "model old will be switched off by openai on 2027-01-06, in 46 days"),
        ("2026-11-22", "model old will be switched off by openai on 2026-11-22, tomorrow"),
        ("2026-11-21", "model old will be switched off by openai on 2026-11-21, today"),
        ("2026-11-20", "model old was to be switched off by openai on 2026-11-20: it may not answer any more"),
    ],
)
def test_a_model_that_is_switched_off_is_warned_about_by_name_and_date(day: str, told: str) -> None:
    assert warnings_of(ends_on(day), date(2026, 11, 21)) == (told,)


def test_a_model_that_stays_and_one_nobody_knows_are_not_warned_about() -> None:
    assert warnings_of(ends_on(None), date(2026, 11, 21)) == ()
    assert warnings_of(Job(), date(2026, 11, 21)) == ()


@pytest.mark.parametrize(
    ("provider", "ending"),
    [
        (
            "openai",
            {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "gpt-4o-mini-tts-2025-03-20"},
        ),
        ("cartesia", {"sonic-2", "sonic-turbo", "sonic-3-2025-10-27"}),
        ("elevenlabs", set()),
        ("replicate", set()),
    ],
)
def test_every_model_whose_end_is_announced_is_marked(provider: str, ending: set[str]) -> None:
    models = load(overrides=[f"provider.name={provider}"], environ={}).catalogue.models
    assert {name for name, facts in models.items() if facts.shutdown} == ending
