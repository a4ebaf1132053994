"""What an OUT has spent, over all its runs, and what is left of its budget.

What providers charged stands in the rows of the manifest; what a row cannot tell is kept by ``reservations``.
"""

import pyarrow.compute as pc

from cluster_tts import reservations, storage
from cluster_tts.damage import ASIDE
from cluster_tts.errors import AccountRefused, JobError
from cluster_tts.job import Job
from cluster_tts.manifest import Manifest
from cluster_tts.model import Purse
from cluster_tts.prices import Bounds, Price, Spent, dollars
from cluster_tts.providers import provider_class
from cluster_tts.storage import Folder


def refuse_budget(job: Job) -> None:
    """Raise ``JobError`` where the job has a budget that cannot be kept."""
    quota = job.quota
    given = [key for key in ("budget_usd", "budget_characters") if getattr(quota, key) is not None]
    if given and provider_class(job.provider.name).embedded:
        raise JobError(
            f"'quota.{given[0]}' is set, but provider '{job.provider.name}' speaks on this machine and charges "
            "nothing: leave it out"
        )
    price = Price.of(job)
    if quota.budget_usd is not None and not price.known:
        raise JobError(
            f"'quota.budget_usd' cannot be kept for model {job.provider.model or 'of ' + job.provider.name}: "
            f"{price.note}; set quota.budget_characters in its place"
        )


def purse_of(job: Job, manifest: Manifest) -> Purse:
    """What the job's budget leaves to spend, after all earlier runs of its OUT.

    Raises:
        JobError: the budget cannot be kept, or what was spent cannot be read.
    """
    refuse_budget(job)
    if job.quota.budget_usd is None and job.quota.budget_characters is None:
        return Purse()
    before = spent(manifest, storage.at(job.out) / "clips", Bounds.of(job))
    return Purse(
        usd=None if job.quota.budget_usd is None else max(0.0, job.quota.budget_usd - before.usd),
        characters=None
        if job.quota.budget_characters is None
        else max(0, job.quota.budget_characters - before.characters),
    )


def refuse_empty(job: Job, purse: Purse) -> None:
    """Raise ``AccountRefused`` if nothing is left."""
    for key, left, budget in (
        ("budget_usd", purse.usd, dollars(job.quota.budget_usd or 0.0)),
        ("budget_characters", purse.characters, f"{job.quota.budget_characters or 0:,} characters"),
    ):
        if left is not None and left <= 0:
            raise AccountRefused(
                f"the budget of {budget} (quota.{key}) is used up by what '{job.out}' has cost so far; "
                "raise it and run again to go on",
                "budget",
            )


def spent(manifest: Manifest, own_clips: Folder, bounds: Bounds) -> Spent:
    """What all runs of the manifest's OUT have spent, at the least as much as was charged.

    What was charged when no price was known counts by the most that ``bounds`` say it can be.

    Raises:
        JobError: some of it cannot be read.
    """
    return sum(reservations.kept(manifest.folder, own_clips, bounds), _of_rows(manifest, bounds))


def _of_rows(manifest: Manifest, bounds: Bounds) -> Spent:
    """What the rows of the outcomes say."""
    usd, characters, unpriced = 0.0, 0, 0
    for batch in manifest.outcomes(["cost_usd", "billed_characters"]):
        cost, billed = batch.columns
        usd += pc.sum(cost).as_py() or 0.0
        characters += pc.sum(billed).as_py() or 0
        unpriced += pc.sum(pc.if_else(pc.is_null(cost), billed, 0)).as_py() or 0
    for lost in manifest.lost_outcomes():
        remove = "remove it" if lost.rpartition("/")[2].startswith(ASIDE) else "move it out of OUT"
        raise JobError(
            f"'{lost}' is damaged, so what earlier runs have spent is not known: {remove}, and lower quota.budget_* "
            "by what those runs may have cost"
        )
    return Spent(usd + bounds.of_characters(unpriced), characters)
