"""The report: totals, quantiles, who failed last, and a page that needs and trusts nothing from outside."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cluster_tts.model import Outcome, Sound, Status
from cluster_tts.report import (
    MOST_FAILURES,
    DocumentLine,
    Failure,
    Report,
    Totals,
    clock,
    count_documents,
    note_failure,
    page,
    quantile,
)

SPOKEN = Outcome(
    clip_id="a", document="d", chunk_index=0, attempt=1, status=Status.SPOKEN, characters=30,
    sound=Sound(16_000, 8_000, 9, ""), billed_characters=31, cost_usd=0.5, latency_s=2.0, gate_wait_s=1.0,
)  # fmt: skip
FOUND = replace(SPOKEN, status=Status.FOUND, attempt=0, billed_characters=None, cost_usd=None)
RETRIED = replace(SPOKEN, status=Status.RETRIED, sound=None, error_kind="timeout", billed_characters=None)
FAILED = replace(RETRIED, status=Status.FAILED, attempt=4, cost_usd=None)
NASTY = '<script src="https://evil.example/x.js">"\'&</script>'
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
    assert page(report).count("no answer") == MOST_FAILURES


# -- report.html ------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_whatever_documents_are_called_and_say() -> None:
    """Names, texts and messages are others' words: they are shown, never obeyed."""
    html = page(
        replace(
            REPORT,
            run_id=NASTY,
            message=NASTY,
            documents=(replace(LINE, name=NASTY, error=NASTY), replace(LINE, path=NASTY)),
            failures=(Failure(NASTY, 0, NASTY, NASTY, NASTY, 1),),
        )
    )
    tags = Tags(html)
    assert "script" not in tags.tags
    assert tags.open == []
    assert tags.text.count(NASTY) == 9


def test_a_page_has_nothing_from_outside() -> None:
    html = page(replace(REPORT, failures=(FAILURE,), message="all is well"))
    assert not re.search(r"https?:|//|@import|url\(", html)
    tags = Tags(html)
    assert not tags.tags & {"script", "link", "img", "iframe", "object", "embed"}
    assert not tags.attributes & {"src", "href", "srcset", "onload", "onclick"}


def test_a_page_says_what_is_missing_and_why_only_where_something_is() -> None:
    assert "What is missing" not in page(REPORT)
    html = page(replace(REPORT, failures=(FAILURE,)))
    assert "What is missing" in html
    assert "Some text." in html


def test_long_texts_are_cut_on_the_page_only() -> None:
    report = replace(REPORT, failures=(replace(FAILURE, text="y" * 500),))
    assert "y" * 200 in page(report)
    assert "y" * 201 not in page(report)
    assert report.as_dict()["failures"][0]["text"] == "y" * 500


def test_a_page_of_nothing_can_be_made() -> None:
    assert Tags(page(replace(REPORT, documents=(), totals={}))).open == []


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
