"""The report: totals, quantiles, who was refused, who failed last."""

import json
from dataclasses import replace

import pytest

from cluster_tts.model import Outcome, Sound, Status
from cluster_tts.report import (
    MOST_FAILURES,
    Asked,
    DocumentLine,
    Failure,
    Report,
    Totals,
    bucket,
    clock,
    count_documents,
    note_failure,
    percent,
    quantile,
)

SPOKEN = Outcome(
    clip_id="a", document="d", chunk_index=0, attempt=1, status=Status.SPOKEN, characters=30,
    sound=Sound(16_000, 8_000, 9, ""), billed_characters=31, cost_usd=0.5, latency_s=2.0, gate_wait_s=1.0,
)  # fmt: skip
FOUND = replace(SPOKEN, status=Status.FOUND, attempt=0, billed_characters=None, cost_usd=None)
RETRIED = replace(SPOKEN, status=Status.RETRIED, sound=None, error_kind="timeout", billed_characters=None)
FAILED = replace(RETRIED, status=Status.FAILED, attempt=4, cost_usd=None)
LINE = DocumentLine("d", "whole", 3, 0, 90, 6.0, "documents/d.wav", "ab", None)
FAILURE = Failure("d", 2, "Some text.", "timeout", "no answer", 4)
REPORT = Report(
    run_id="r1", status="whole", exit_code=0, started_at="2026-07-31T00:00:00.000+00:00",
    heartbeat="2026-07-31T00:01:00.000+00:00", message=None, totals=Totals().as_dict(1.0), documents=(LINE,),
)  # fmt: skip


def totals(*outcomes: Outcome) -> Totals:
    counted = Totals()
    for outcome in outcomes:
        counted.count(outcome)
    return counted


# -- totals -----------------------------------------------------------------------------------------------------------


def test_attempts_are_counted_by_how_they_ended() -> None:
    content = totals(SPOKEN, SPOKEN, FOUND, RETRIED, FAILED).as_dict(10.0)
    assert [content[status] for status in ("spoken", "found", "failed", "retried")] == [2, 1, 1, 1]
    assert content["errors"] == {"timeout": 2}


def test_speech_is_what_was_spoken_now_and_cost_is_what_any_attempt_cost() -> None:
    content = totals(SPOKEN, FOUND, RETRIED, FAILED).as_dict(10.0)
    assert (content["characters"], content["audio_s"], content["characters_per_s"]) == (30, 2.0, 3.0)
    assert (content["billed_characters"], content["cost_usd"]) == (31, 1.0)


def test_clips_that_were_found_asked_nobody_and_have_no_latency() -> None:
    assert totals(FOUND).as_dict(1.0)["latency_p50_s"] is None
    content = totals(FOUND, SPOKEN, replace(RETRIED, latency_s=9.0, gate_wait_s=0.0)).as_dict(1.0)
    assert (content["latency_p50_s"], content["latency_p95_s"]) == (9.0, 9.0)
    assert content["gate_wait_p95_s"] == 1.0


def test_a_run_of_no_time_has_no_speed() -> None:
    assert totals(SPOKEN).as_dict(0.0)["characters_per_s"] == 0.0


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.5, 3.0),
        ([3.0], 1.0, 3.0),
        ([5.0, 1.0, 3.0], 0.5, 3.0),
        (list(range(100)), 0.95, 95),
        (list(range(100)), 1.0, 99),
        (list(range(100)), 0.0, 0),
        ([0.123456], 0.5, 0.1235),
    ],
)
def test_a_quantile_is_the_value_below_which_that_share_lies(
    values: list[float], share: float, expected: float | None
) -> None:
    assert quantile(values, share) == expected


# -- who was asked, refused, and failed -------------------------------------------------------------------------------

REFUSED = replace(RETRIED, error_kind="rate_limited")


def test_refusals_and_errors_are_counted_apart_and_the_error_rate_is_of_what_was_not_refused() -> None:
    content = totals(SPOKEN, SPOKEN, SPOKEN, RETRIED, REFUSED).as_dict(1.0)
    assert (content["requests"], content["refused"], content["share_refused"]) == (5, 1, 0.2)
    assert content["error_rate"] == 0.25


def test_clips_that_nobody_was_asked_for_are_no_requests() -> None:
    content = totals(FOUND, replace(RETRIED, error_kind="gate"), replace(FAILED, error_kind="worker_died")).as_dict(1.0)
    assert (content["requests"], content["share_refused"], content["error_rate"]) == (0, None, None)


@pytest.mark.parametrize(("characters", "most"), [(0, 100), (100, 100), (101, 200), (800, 800), (4_096, 6_400)])
def test_sizes_of_chunks_are_counted_in_buckets_each_twice_as_wide_as_the_one_before(
    characters: int, most: int
) -> None:
    assert bucket(characters) == most


def test_errors_are_counted_by_size_of_chunk_and_by_document() -> None:
    long = replace(RETRIED, characters=700, document="e")
    counted = totals(SPOKEN, SPOKEN, REFUSED, long, replace(long, status=Status.SPOKEN, error_kind=None))
    assert counted.as_dict(1.0)["by_size"] == [
        {"characters_up_to": 100, "requests": 3, "refused": 1, "errors": 0, "error_rate": 0.0},
        {"characters_up_to": 800, "requests": 2, "refused": 0, "errors": 1, "error_rate": 0.5},
    ]
    assert counted.by_document == {"d": Asked(3, 1, 0), "e": Asked(2, 0, 1)}


def test_what_a_display_shows_is_of_the_last_requests() -> None:
    counted = totals(*[replace(SPOKEN, latency_s=99.0)] * 100, *[SPOKEN] * 200)
    assert counted.lately() == ((1.0, 1.0), (2.0, 2.0))
    assert Totals().lately() == (None, None)


@pytest.mark.parametrize(
    ("share", "told"),
    [(None, ""), (0.0, "0%"), (0.0004, "<0.1%"), (0.001, "0.1%"), (0.5, "50.0%"), (0.99961, "99.9%"), (1.0, "100%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing_that_it_is_not(share: float | None, told: str) -> None:
    assert percent(share) == told


def test_the_last_word_on_a_clip_counts() -> None:
    failed: dict[str, Outcome] = {}
    for outcome in (FAILED, RETRIED, replace(FAILED, clip_id="b"), replace(FAILED, clip_id="c"), FAILED):
        note_failure(failed, outcome)
    note_failure(failed, replace(SPOKEN, clip_id="b"))
    note_failure(failed, replace(FOUND, clip_id="c"))
    assert failed == {"a": FAILED}


# -- report.json ------------------------------------------------------------------------------------------------------


def test_documents_are_counted_by_how_they_stand() -> None:
    lines = [
        LINE,
        replace(LINE, status="incomplete", missing=2, duration_s=None),
        replace(LINE, status="unreadable", chunks=0, characters=0, duration_s=None),
        replace(LINE, status="planned", missing=1, duration_s=None),
    ]
    assert count_documents(iter(lines)) == {
        "documents": 4,
        "documents_whole": 1,
        "documents_incomplete": 2,
        "chunks": 9,
        "chunks_missing": 3,
        "document_characters": 270,
        "document_audio_s": 6.0,
    }


def test_the_content_of_report_json_is_plain_json() -> None:
    report = replace(REPORT, failures=(FAILURE,), totals=totals(SPOKEN, FAILED).as_dict(3.0))
    content = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert content == report.as_dict()
    assert content["schema_version"] == 1
    assert content["totals"]["spoken"] == content["totals"]["documents"] == 1
    assert content["documents"][0]["name"] == "d"
    assert content["failures"][0] == {
        "document": "d", "chunk_index": 2, "text": "Some text.", "kind": "timeout", "message": "no answer",
        "attempts": 4,
    }  # fmt: skip


def test_totals_of_attempts_and_of_documents_do_not_hide_each_other() -> None:
    assert not Totals().as_dict(1.0).keys() & count_documents([]).keys()


def test_a_report_names_a_thousand_failures_and_no_more() -> None:
    report = replace(REPORT, failures=(FAILURE,) * (MOST_FAILURES + 5))
    assert len(report.as_dict()["failures"]) == MOST_FAILURES


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""),
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (3599.6, "1:00:00"),
        (3661, "1:01:01"),
        (90_000, "25:00:00"),
    ],
)
def test_a_clock_shows_hours_only_where_there_are_any(seconds: float | None, expected: str) -> None:
    assert clock(seconds) == expected
