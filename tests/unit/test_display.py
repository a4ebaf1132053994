"""What people see of plans, reports and voices."""

from dataclasses import replace
from typing import Any

import pytest

from cluster_tts.display import quota_lines, show_plan, show_voices
from cluster_tts.model import Voice
from cluster_tts.report import Report, Totals
from cluster_tts.workload import BudgetSummary, DocumentSummary, PlanSummary, Summary

# -- plans ------------------------------------------------------------------------------------------------------------

SUMMARY = Summary(
    documents=(DocumentSummary("alice", "planned", 14, 6_000, 12, None),), chunks=14, clips=14, clips_there=2,
    characters=6_000, characters_to_speak=5_000, audio_s=400.0, requests_to_speak=12, unit="byte",
    units_to_speak=5_100, cost_usd=1.234, cost_note="", price_read_on="2026-11-20", time_s=61.0,
    plans=(
        PlanSummary("free", None, 50_000, None, 0.0, 125.0, 0.0, 6.11),
        PlanSummary("creator", 500, 2_000_000, None, 22.0, 61.0, 1.234, 0.005),
        PlanSummary("metered", None, None, None, None, 3_700.0, None, None),
    ),
    budgets=(), warnings=("model m will be switched off by openai on 2027-01-06, in 46 days",), notes=("a note",),
)  # fmt: skip


def printed(summary: Summary, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_plan(summary)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_plan_tells_cost_time_and_what_each_plan_of_the_provider_would_make_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(SUMMARY, capsys)
    assert lines[-9:-6] == [
        "2 of 14 clips are there already; 5,000 characters are to be spoken",
        "cost: about $1.23 (prices of 2026-11-20)",
        "time: about 1:01 at this quota, for 12 requests with 5,100 bytes",
    ]
    assert [line.split() for line in lines[-6:-2]] == [
        ["plan", "requests/min", "bytes/min", "time", "cost", "$/month", "its", "credits", "used"],
        ["free", "50,000", "2:05", "$0.00", "0", "611%"],
        ["creator", "500", "2,000,000", "1:01", "$1.23", "22", "0%"],
        ["metered", "1:01:40"],
    ]
    assert lines[-2:] == ["a note", f"warning: {SUMMARY.warnings[0]}"]


def test_a_plan_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    in_credits = PlanSummary("pay_as_you_go", None, None, 15, 1_320.0, 36_000.0, 1234.5, 99.0)
    in_rates = PlanSummary("low_credit", 10_000, 8e6, 15, None, 36_000.0, 1234.5, None)
    for plan in (in_credits, in_rates):
        assert max(map(len, printed(replace(SUMMARY, plans=(plan,)), capsys))) <= 80


def test_what_is_not_known_is_not_shown_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    unpriced = replace(SUMMARY, cost_usd=None, cost_note="set quota.plan to price credits", unit="codepoint", plans=())
    text = "\n".join(printed(unpriced, capsys))
    assert "cost: set quota.plan to price credits" in text
    assert "for 12 requests\n" in text
    assert "$" not in text
    embedded = "\n".join(printed(replace(unpriced, cost_note="", time_s=None), capsys))
    assert "cost" not in embedded
    assert "time" not in embedded


def test_where_nothing_is_to_be_spoken_neither_cost_nor_time_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(replace(SUMMARY, requests_to_speak=0, cost_usd=0.0, time_s=0.0), capsys))
    assert "cost" not in text
    assert "creator" not in text
    assert "switched off" in text


def test_a_cost_below_a_cent_is_not_told_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cost: <$0.01 (" in "\n".join(printed(replace(SUMMARY, cost_usd=0.0004), capsys))


def test_voices_are_listed_by_what_the_setting_takes(capsys: pytest.CaptureFixture[str]) -> None:
    show_voices([Voice("v1", "Rachel", "en", "calm\x1b[31m"), Voice("v2")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["voice", "name", "language", "description"], ["v1", "Rachel", "en", "calm\\x1b[31m"], ["v2"]]


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (BudgetSummary("usd", 5.0, 5.0, 8.25), "$5.00 left, covers about 61% of it"),
        (BudgetSummary("usd", 5.0, 3.05, 1.2), "$3.05 of $5.00 left, enough"),
        (BudgetSummary("usd", 5.0, 0.0, 1.2), "nothing is left of $5.00: a run would be refused"),
        (BudgetSummary("usd", 5.0, 3.0, None), "$3.00 of $5.00 left"),
        (
            BudgetSummary("characters", 90_000, 60_000.0, 120_000.0),
            "60,000 characters of 90,000 characters left, covers about 50% of it",
        ),
        (BudgetSummary("characters", 90_000, 90_000, 0.0), "90,000 characters left, enough"),
    ],
)  # fmt: skip
def test_a_plan_tells_what_is_left_of_the_budget_and_how_far_it_goes(
    budget: BudgetSummary, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"budget: {said}" in printed(replace(SUMMARY, budgets=(budget,)), capsys)


# -- reports ----------------------------------------------------------------------------------------------------------

REPORT = Report(
    run_id="r1", status="whole", exit_code=0, started_at="", heartbeat="", message=None,
    totals={**Totals().as_dict(160.0), "requests": 1_000, "refused": 7, "share_refused": 0.007}, documents=(),
    quota={"share_used": 0.98765, "predicted_s": 152.0, "run_s": 160.1, "learned": {}},
)  # fmt: skip


def told(report: Report, **quota: Any) -> list[str]:
    return list(quota_lines(replace(report, quota={**(report.quota or {}), **quota})))


def test_the_end_tells_what_was_used_of_the_quota_what_was_refused_and_whether_the_forecast_was_right() -> None:
    assert told(REPORT) == [
        "quota: 98.8% of the limits in force used while requests were waiting; 7 of 1,000 requests refused (0.7%); "
        "predicted 2:32, took 2:40"
    ]


def test_limits_that_were_learned_are_told_as_settings() -> None:
    assert told(REPORT, learned={"max_concurrent_requests": 10, "requests_per_minute": 600.5})[1:] == [
        "learned: quota.max_concurrent_requests=10 quota.requests_per_minute=600.5 (as a file for -c: learned.yaml)"
    ]


def test_a_run_that_did_not_come_to_its_end_is_not_compared_with_its_forecast() -> None:
    assert "predicted" not in told(replace(REPORT, exit_code=75))[0]
    assert "predicted" in told(replace(REPORT, exit_code=3))[0]


def test_where_nobody_s_quota_was_needed_nothing_is_told_of_it() -> None:
    assert list(quota_lines(replace(REPORT, quota=None))) == []
    assert told(replace(REPORT, totals={}), share_used=None, predicted_s=None) == []
