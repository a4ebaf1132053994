"""How a run shows itself; the clock is the test's own."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from cluster_tts.display import PLAIN_EVERY_S, SETTLE_S, Pace, plain_line, show_plan, show_voices, shown
from cluster_tts.model import Voice
from cluster_tts.pipeline import Progress
from cluster_tts.workload import DocumentSummary, PlanSummary, Summary

PROGRESS = Progress(
    documents=4, documents_whole=1, documents_incomplete=0, clips=100, spoken=10, found=5, failed=0, in_flight=3,
    joining=0, characters=1_000, audio_s=65.0,
)  # fmt: skip
START = replace(PROGRESS, spoken=0, found=0, characters=0, audio_s=0.0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_plain_line_tells_documents_clips_audio_and_what_is_in_flight() -> None:
    assert plain_line(PROGRESS, (None, None)) == "documents 1/4, clips 15/100, audio 1:05, in flight 3"


def test_a_plain_line_tells_failures_joining_rate_and_time_left_where_there_are_any() -> None:
    progress = replace(PROGRESS, failed=2, joining=1)
    assert plain_line(progress, (1234.5, 61.0)) == (
        "documents 1/4, clips 17/100, audio 1:05, in flight 3, failed 2, joining 1, 1,234 characters/s, ETA 1:01"
    )
    assert "ETA" not in plain_line(progress, (1234.5, 0.0))


def test_pace_is_measured_from_the_first_clip_on(clock: Clock) -> None:
    """Starting up is not speaking."""
    pace = Pace(clock)
    clock.now = 60
    assert pace(START) == (None, None)
    clock.now = 100
    assert pace(replace(START, spoken=10, characters=500)) == (None, None)
    clock.now = 110
    assert pace(replace(START, spoken=30, characters=1_500)) == (100.0, 35.0)


def test_pace_says_nothing_before_it_has_settled_or_while_nothing_is_made(clock: Clock) -> None:
    pace = Pace(clock)
    pace(PROGRESS)
    clock.now = SETTLE_S - 0.1
    assert pace(replace(PROGRESS, spoken=20)) == (None, None)
    clock.now = SETTLE_S
    assert pace(PROGRESS) == (None, None)
    assert pace(replace(PROGRESS, spoken=20)) != (None, None)


def test_what_was_found_or_given_up_is_dealt_with_too(clock: Clock) -> None:
    pace = Pace(clock)
    pace(replace(START, found=1))
    clock.now = 10
    assert pace(replace(START, found=50, failed=50)) == (0.0, 0.0)


def test_elsewhere_than_on_a_terminal_a_plain_line_comes_every_few_seconds(clock: Clock) -> None:
    output = StringIO()
    with shown(Console(file=output), clock) as show:
        show(START)
        clock.now = PLAIN_EVERY_S - 0.1
        show(PROGRESS)
        clock.now = PLAIN_EVERY_S
        show(PROGRESS)
    lines = output.getvalue().splitlines()
    assert [text[:40] for text in lines] == [
        "documents 1/4, clips 0/100, audio 0:00, ",
        "documents 1/4, clips 15/100, audio 1:05,",
    ]
    assert "\x1b" not in output.getvalue()


def test_a_plain_line_is_one_line_however_narrow_the_console_is(clock: Clock) -> None:
    output = StringIO()
    with shown(Console(file=output, width=20), clock) as show:
        show(PROGRESS)
    assert output.getvalue().count("\n") == 1


def test_nothing_is_said_where_there_is_nothing_to_speak(clock: Clock) -> None:
    output = StringIO()
    with shown(Console(file=output), clock) as show:
        show(replace(START, clips=0))
    assert output.getvalue() == ""


def test_on_a_terminal_the_display_is_live_and_leaves_nothing(clock: Clock) -> None:
    output = StringIO()
    with shown(Console(file=output, force_terminal=True, width=100), clock) as show:
        show(replace(START, clips=0))
        show(PROGRESS)
    assert "15/100" in output.getvalue()
    assert output.getvalue().endswith("\x1b[2K"), "the last thing written clears its lines"


def test_a_display_that_saw_no_progress_can_end(clock: Clock) -> None:
    for terminal in (True, False):
        with shown(Console(file=StringIO(), force_terminal=terminal), clock):
            pass


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
    warnings=("model m will be switched off by openai on 2027-01-06, in 46 days",), notes=("a note",),
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
        "time: at least 1:01 at this quota, for 12 requests with 5,100 bytes",
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
