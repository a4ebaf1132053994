"""What a provider publishes, applied to a job: the limits of its plan, the inputs of its model and its end."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from cluster_tts.errors import JobError, nearest
from cluster_tts.job import LIMITS, Job, LimitFacts, ModelFacts, PlanFacts, QuotaSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def with_plan(job: Job, given: Collection[str] = ()) -> Job:
    """``job`` with the limits of ``quota.plan`` in its quota, but for those in ``given`` that the user gave a value.

    Raises:
        JobError: the provider has no such plan, or it is not for the job's model; the message names those that are.
    """
    name, plans = job.quota.plan, job.catalogue.plans
    if name is None:
        return job
    if not plans:
        raise JobError(
            f"'quota.plan' is {name!r}: no plans of provider '{job.provider.name}' are known; set its limits instead "
            f"({', '.join(f'quota.{limit}' for limit in LIMITS)})"
        )
    if name not in plans:
        hint = nearest(name, list(plans))
        known = "" if hint.startswith("known") else f" Known are {', '.join(plans)}"
        raise JobError(f"'quota.plan' is {name!r}, which provider '{job.provider.name}' has not: {hint}{known}")
    if not _is_for(plans[name], job):
        fitting = ", ".join(plans_for(job)) or "none"
        raise JobError(
            f"'quota.plan' is {name!r}: what it allows for model '{job.provider.model}' is not known, only for "
            f"{', '.join(plans[name].models or ())}; plans for this model: {fitting}"
        )
    limits = limits_of(plans[name], job.model)
    filled = {
        limit: getattr(limits, limit)
        for limit in LIMITS
        if f"quota.{limit}" not in given or getattr(job.quota, limit) is None
    }
    return replace(job, quota=replace(job.quota, **filled))


def with_inputs(job: Job) -> Job:
    """``job`` with what the catalogue knows of its model's inputs in ``provider.inputs``, below what stands there."""
    known, given = job.model.inputs, job.provider.inputs
    if not known:
        return job
    inputs = {**known, **given}
    ours, theirs = known.get("defaults"), given.get("defaults")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        inputs["defaults"] = {**ours, **theirs}
    return replace(job, provider=replace(job.provider, inputs=inputs))


def without_published(job: Job) -> Job:
    """``job`` without what ``with_plan`` and ``with_inputs`` filled in, as it is saved: with another plan or model it
    gets what is theirs."""
    quota, inputs = job.quota, job.provider.inputs
    if plan := job.catalogue.plans.get(quota.plan or ""):
        limits = limits_of(plan, job.model)
        published: dict[str, Any] = {limit: None for limit in LIMITS if getattr(quota, limit) == getattr(limits, limit)}
        quota = replace(quota, **published)
    if inputs == job.model.inputs:
        inputs = {}
    return replace(job, quota=quota, provider=replace(job.provider, inputs=inputs))


def plans_for(job: Job) -> dict[str, PlanFacts]:
    """The plans that are for the job's model, by name."""
    return {name: plan for name, plan in job.catalogue.plans.items() if _is_for(plan, job)}


def limits_of(plan: PlanFacts, model: ModelFacts) -> LimitFacts:
    """What ``plan`` allows for ``model``: what is said of the model's group goes before what is said of all."""
    of_group = plan.groups.get(model.group or "", LimitFacts())
    return LimitFacts(
        **{
            limit: getattr(plan, limit) if getattr(of_group, limit) is None else getattr(of_group, limit)
            for limit in LIMITS
        }
    )


def family(job: Job) -> str:
    """What of an account the job's limits hold for: a group of models, a model, or nothing for all of it."""
    if job.catalogue.counted_by == "account":
        return ""
    alone = job.provider.model if job.catalogue.counted_by == "model" else None
    return job.model.group or alone or ""


def counted_as(job: Job, account: str, passage: str = "") -> str:
    """The name that requests of this job to ``account`` are counted under: those of one family together.

    A ``passage`` is a class of call with limits of its own, whatever the model (``CatalogueSettings.classes``).
    """
    return f"{account} {passage or family(job)}".rstrip()


def quota_of_class(job: Job, passage: str) -> QuotaSettings:
    """The job's quota with the limits that calls of this class have; none is known of a class nobody has named."""
    facts = job.catalogue.classes.get(passage, LimitFacts())
    return replace(job.quota, **{limit: getattr(facts, limit) for limit in LIMITS}, burst_characters=None, plan=None)


def warnings_of(job: Job, today: date) -> tuple[str, ...]:
    """What should be known before money is spent: a model that is switched off soon, or has been."""
    return (*_plain_text_key(job), *_shutdown(job, today))


def _plain_text_key(job: Job) -> Iterator[str]:
    url = urlsplit(job.provider.base_url or "")
    if job.provider.api_key_env and url.scheme == "http" and url.hostname not in LOOPBACK:
        yield (
            f"the key in {job.provider.api_key_env}, if there is one, goes to {url.hostname} unencrypted; "
            "set provider.api_key_env=null if that server needs none"
        )


def _shutdown(job: Job, today: date) -> Iterator[str]:
    if job.model.shutdown is None:
        return
    day = date.fromisoformat(job.model.shutdown)
    left = (day - today).days
    model, provider = job.provider.model, job.provider.name
    if left < 0:
        yield f"model {model} was to be switched off by {provider} on {day}: it may not answer any more"
        return
    when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
    yield f"model {model} will be switched off by {provider} on {day}, {when}"


def _is_for(plan: PlanFacts, job: Job) -> bool:
    return plan.models is None or job.provider.model in plan.models
