"""What is left of a budget when a run starts, and which budgets cannot be kept."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_tts.config import load
from cluster_tts.errors import AccountRefused, JobError
from cluster_tts.job import Job
from cluster_tts.manifest import Manifest
from cluster_tts.model import Outcome, Purse, Status
from cluster_tts.spending import purse_of, refuse_budget, refuse_empty
from cluster_tts.storage import LocalFolder


def job(*overrides: str, out: Path = Path("out")) -> Job:
    return replace(load(overrides=list(overrides), environ={}), out=str(out))


TTS = ("provider.name=openai", "provider.model=tts-1")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of a run that has cost 1.50 dollars for 100,000 characters."""
    manifest = Manifest(LocalFolder(tmp_path / "manifest"), "r1")
    for index in range(4):
        manifest.add([Outcome(
            clip_id=f"{index:032x}", document="d", chunk_index=index, attempt=1, status=Status.SPOKEN,
            characters=25_000, http_status=200, billed_characters=25_000, cost_usd=0.375, latency_s=1.0,
        )])  # fmt: skip
        manifest.flush()
    return manifest


def test_the_purse_is_what_all_runs_so_far_have_left_of_the_budget(manifest: Manifest) -> None:
    assert purse_of(job(*TTS, "quota.budget_usd=5"), manifest) == Purse(usd=3.5)
    assert purse_of(job(*TTS, "quota.budget_characters=120000"), manifest) == Purse(characters=20_000)


def test_without_a_budget_the_purse_has_no_bound_and_nothing_is_read(tmp_path: Path) -> None:
    damaged = tmp_path / "manifest" / "outcomes"
    damaged.mkdir(parents=True)
    (damaged / "part-0-x-000001.parquet").write_bytes(b"?")
    assert purse_of(job(*TTS), Manifest(LocalFolder(tmp_path / "manifest"))) == Purse()


def test_a_budget_that_is_used_up_is_exit_78_and_says_which_and_what_to_do(manifest: Manifest) -> None:
    used_up = job(*TTS, "quota.budget_usd=1.5", out=Path("audio"))
    purse = purse_of(used_up, manifest)
    assert purse == Purse(usd=0.0)
    with pytest.raises(AccountRefused) as caught:
        refuse_empty(used_up, purse)
    assert (caught.value.kind, caught.value.exit_code) == ("budget", 78)
    assert str(caught.value) == (
        "the budget of $1.50 (quota.budget_usd) is used up by what 'audio' has cost so far; raise it and run again "
        "to go on"
    )
    characters = job(*TTS, "quota.budget_characters=90000")
    with pytest.raises(AccountRefused, match=r"90,000 characters \(quota.budget_characters\)"):
        refuse_empty(characters, purse_of(characters, manifest))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["provider.name=openai", "provider.model=kokoro"],
            "'quota.budget_usd' cannot be kept for model kokoro: no price known for model kokoro; "
            "set quota.budget_characters in its place",
        ),
        (
            ["provider.name=elevenlabs", "provider.model=eleven_v3"],
            "'quota.budget_usd' cannot be kept for model eleven_v3: set quota.plan to price credits; "
            "set quota.budget_characters in its place",
        ),
        (
            ["provider.name=hibari"],
            "'quota.budget_usd' is set, but provider 'hibari' speaks on this machine and charges nothing: leave it out",
        ),
    ],
)
def test_a_budget_in_dollars_that_cannot_be_kept_is_exit_2_and_names_what_can(settings: list[str], said: str) -> None:
    with pytest.raises(JobError) as caught:
        refuse_budget(job(*settings, "quota.budget_usd=5"))
    assert (str(caught.value), caught.value.exit_code) == (said, 2)


def test_a_model_priced_by_machine_time_has_a_budget_in_characters_only() -> None:
    by_machine = [
        "provider.name=replicate", "provider.model=me/mine",
        "catalogue.models[me/mine].usd_per_machine_second=0.0002",
    ]  # fmt: skip
    with pytest.raises(JobError, match="cannot be kept for model me/mine: priced by machine time"):
        refuse_budget(job(*by_machine, "quota.budget_usd=5"))
    refuse_budget(job(*by_machine, "quota.budget_characters=5"))


def test_a_budget_is_not_kept_over_outcomes_that_cannot_be_read(manifest: Manifest) -> None:
    part = min(Path(manifest.folder.address("outcomes")).iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    for mends, name, advice in (False, part.name, "move it out of OUT"), (True, f"damaged-{part.name}", "remove it"):
        for _ in range(2):
            again = Manifest(manifest.folder, "r2", mends=mends)
            with pytest.raises(JobError, match=rf"{re.escape(name)}' is damaged, so .*: {advice}, and lower"):
                purse_of(job(*TTS, "quota.budget_usd=1"), again)
    part.with_name(f"damaged-{part.name}").unlink()
    assert purse_of(job(*TTS, "quota.budget_usd=5"), Manifest(manifest.folder)).usd == 5 - 3 * 0.375
