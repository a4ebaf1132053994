"""The gauge: what share of a quota was used while somebody waited for it, and lines for people, each once."""

import json
from dataclasses import replace

import pytest

from cluster_tts.gauge import MOST_NOTES, Gauge, in_words, known, low_line, share_of, used_line
from cluster_tts.prices import dollars
from cluster_tts.quota.limits import Limits, Standing

STANDING = Standing(
    account="openai", limits=Limits(requests=100), requests=50, characters=0, in_flight=0, waiting=5, granted=70,
    refused=1, cool_s=0.0, remaining=0.5, degraded_to=None, learned={}, parties=1, notes=(),
)  # fmt: skip


def after(*samples: tuple[float, int, int]) -> Gauge:
    """A gauge that has read: when, requests in the window, requests waiting."""
    gauge = Gauge()
    for now, requests, waiting in samples:
        gauge.read(replace(STANDING, requests=requests, waiting=waiting), now)
    return gauge


# -- the share used ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "requests", "characters", "in_flight", "share"),
    [
        (Limits(), 50, 50, 50, None),
        (Limits(requests=100), 50, 999, 99, 0.5),
        (Limits(requests=100, characters=1_000), 50, 900, 99, 0.9),
        (Limits(requests=100, characters=1_000, in_flight=4), 50, 900, 4, 1.0),
        (Limits(requests=100), 120, 0, 0, 1.0),
    ],
)
def test_the_scarcest_limit_is_the_one_whose_share_counts(
    limits: Limits, requests: int, characters: int, in_flight: int, share: float | None
) -> None:
    standing = replace(STANDING, requests=requests, characters=characters, in_flight=in_flight)
    assert share_of(standing, limits) == share


def test_a_window_that_may_not_be_used_at_once_allows_its_burst_and_what_is_added_to_it() -> None:
    standing, limits = replace(STANDING, requests=60), Limits(requests=600, burst=10)
    assert share_of(standing, limits, elapsed_s=5.0) == 1.0
    assert share_of(standing, limits, elapsed_s=11.0) == 0.5
    assert share_of(standing, limits, elapsed_s=1_000.0) == share_of(standing, limits) == 0.1


def test_the_share_used_is_its_mean_over_time() -> None:
    assert after((10, 100, 5), (11, 100, 5), (14, 60, 5)).share_used == pytest.approx((1 * 1.0 + 3 * 0.6) / 4)


def test_a_quota_that_nobody_waits_for_is_not_wasted() -> None:
    assert after((10, 100, 5), (12, 100, 5), (20, 0, 0)).share_used == 1.0
    assert after((10, 10, 0), (12, 10, 0)).share_used is None


def test_what_was_used_of_the_limits_that_the_job_names_is_counted_beside_it() -> None:
    """Limits that were learned from refusals are lower, or the refusals meant something else."""
    gauge = Gauge(Limits(requests=400))
    for now in (1.0, 2.0, 3.0):
        gauge.read(replace(STANDING, requests=100), now)
    assert (gauge.share_used, gauge.share_of_named) == (1.0, 0.25)
    assert after((1, 100, 5), (2, 100, 5)).share_of_named is None


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        ({}, ""),
        ({"share_used": 0.98765}, "98.8% of the limits in force used while requests were waiting"),
        ({"share_used": 0.98, "share_of_named": 0.97}, "98.0% of the limits in force used while requests were waiting"),
        (
            {"share_used": 0.98, "share_of_named": 0.27},
            "98.0% of the limits in force, 27.0% of those set used while requests were waiting",
        ),
    ],
)
def test_the_share_of_the_limits_set_is_told_where_it_is_another(quota: dict[str, float], said: str) -> None:
    assert used_line(quota) == said


def test_what_is_left_is_told_by_the_plan_which_knows_of_the_pauses_that_a_window_makes() -> None:
    """Half is made at once, the rest a minute later."""
    gauge = Gauge()
    assert gauge.left_s(0.5, 0.0) is None
    gauge.course = (0.0, 1.0, 2.0, 61.0, 62.0)
    assert [gauge.left_s(made, 0.0) for made in (0.0, 0.3, 0.5, 0.75, 1.0)] == [62.0, 61.0, 60.0, 1.0, 0.0]
    assert [gauge.left_s(0.5, idle_s) for idle_s in (10.0, 59.0, 99.0)] == [50.0, 1.0, 0.0]


# -- lines for people -------------------------------------------------------------------------------------------------


def test_each_line_of_the_limiter_is_taken_over_once_and_numbered_anew() -> None:
    gauge = Gauge()
    assert gauge.read(replace(STANDING, notes=((4, "a"), (5, "b"))), 1.0) == ["a", "b"]
    gauge.say("of our own")
    assert gauge.read(replace(STANDING, notes=((5, "b"), (6, "c"))), 2.0) == ["c"]
    assert gauge.read(replace(STANDING, notes=((5, "b"), (6, "c"))), 3.0) == []
    assert list(gauge.notes) == [(1, "a"), (2, "b"), (3, "of our own"), (4, "c")]


def test_a_limiter_that_was_restarted_counts_from_the_beginning_and_is_heard_all_the_same() -> None:
    gauge = Gauge()
    gauge.read(replace(STANDING, notes=((7, "a"),)), 1.0)
    assert gauge.read(replace(STANDING, notes=()), 2.0) == []
    assert gauge.read(replace(STANDING, notes=((1, "b"),)), 3.0) == ["b"]


def test_no_more_lines_are_kept_than_anybody_reads() -> None:
    gauge = Gauge()
    for number in range(2 * MOST_NOTES):
        gauge.say(str(number))
    assert len(gauge.notes) == MOST_NOTES
    assert gauge.notes[-1] == (2 * MOST_NOTES, str(2 * MOST_NOTES - 1))


def test_limits_are_told_in_words() -> None:
    assert in_words(known(Limits(requests=1_200, characters=50_000, in_flight=3, burst=10, window_s=20))) == (
        "1,200 requests in 20 s, 50,000 characters in 20 s, 3 in flight, 10 at once"
    )
    assert in_words(known(Limits(requests=10, burst=10))) == "10 requests in 60 s", "a burst of a whole window is none"
    assert in_words(known(Limits())) == in_words({}) == ""


@pytest.mark.parametrize(
    ("left", "needed", "said"),
    [
        (0.51, 9.0, None),
        (0.5, 0.0, None),
        (0.5, 9.0, "the budget runs low: $0.50 of $5.00 left, the rest takes about $9.00"),
        (0.5, 0.4, "the budget runs low: $0.50 of $5.00 left, enough for the rest"),
        (-0.1, 1.0, "the budget runs low: $0.00 of $5.00 left, the rest takes about $1.00"),
    ],
)
def test_a_budget_that_runs_low_is_told_with_what_the_rest_takes(left: float, needed: float, said: str | None) -> None:
    assert low_line(left, 5.0, needed, dollars) == said


# -- report.json ------------------------------------------------------------------------------------------------------


def test_the_report_has_limits_what_was_learned_counts_and_both_times() -> None:
    gauge = after((1, 100, 5), (3, 100, 5))
    gauge.read(replace(STANDING, learned={"burst": 10}, notes=((1, "a note"),), requests=100), 4.0)
    gauge.course, gauge.run_s = (0.0, 100.0, 152.04), 160.06
    content = gauge.as_dict()
    assert content == json.loads(json.dumps(content, allow_nan=False))
    assert content == {
        "account": "openai",
        "named": {},
        "limits": {"requests": 100, "window_s": 60.0, "guard_s": 0.1},
        "learned": {"burst": 10},
        "degraded_to": None,
        "parties": 1,
        "in_use": 1.0,
        "in_flight": 0,
        "waiting": 5,
        "granted": 70,
        "refused": 1,
        "share_used": 1.0,
        "share_of_named": None,
        "predicted_s": 152.0,
        "run_s": 160.1,
        "notes": ["a note"],
    }


def test_where_nobody_s_quota_was_needed_there_is_nothing_to_report() -> None:
    assert Gauge().as_dict() is None


def test_a_forecast_is_reported_even_where_the_limiter_never_answered() -> None:
    gauge = Gauge()
    gauge.course = (0.0, 3.0)
    content = gauge.as_dict() or {}
    assert (content["predicted_s"], content["share_used"], content["limits"]) == (3.0, None, {})
