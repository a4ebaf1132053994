"""How a run shows itself while it goes on; the clock is the test's own."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from cluster_tts.live import PLAIN_EVERY_S, SETTLE_S, Pace, plain_line, shown
from cluster_tts.progress import Progress
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.report import Asked

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
    assert plain_line(PROGRESS, (None, None)) == "documents 1/4, clips 15/100, in flight 3, audio 1:05"


def test_a_plain_line_tells_failures_joining_rate_and_time_left_where_there_are_any() -> None:
    progress = replace(PROGRESS, failed=2, joining=1)
    assert plain_line(progress, (1234.5, 61.0)) == (
        "documents 1/4, clips 17/100, ETA 1:01, in flight 3, audio 1:05, failed 2, joining 1, 1,234 characters/s"
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


def test_what_is_left_is_told_by_the_plan_where_that_is_longer_than_by_the_rate(clock: Clock) -> None:
    """A window that is used up makes a pause, which no rate foresees; a run that is slower is seen by its rate."""
    pace = Pace(clock)
    assert pace(replace(START, left_s=60.0)) == (None, 60.0)
    pace(replace(START, spoken=10))
    clock.now = 10
    assert pace(replace(START, spoken=60, left_s=50.0)) == (0.0, 50.0)
    assert pace(replace(START, spoken=60, left_s=1.0)) == (0.0, 8.0)
    assert pace(replace(START, spoken=100, left_s=1.0)) == (0.0, 0.0)


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
        "documents 1/4, clips 0/100, in flight 3,",
        "documents 1/4, clips 15/100, in flight 3",
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


# -- the quota --------------------------------------------------------------------------------------------------------

STANDING = Standing(
    account="openai", limits=Limits(requests=10_000, characters=8_000_000, in_flight=15, burst=1_000),
    requests=118, characters=40_000, in_flight=12, waiting=498, granted=1_000, refused=7, cool_s=0.0, remaining=0.2,
    degraded_to=None, learned={}, parties=1, notes=(),
)  # fmt: skip
ASKING = replace(
    PROGRESS, documents=1_200, clips=100_000, spoken=45_678, quota=STANDING, asked=Asked(1_000, 7, 2),
    gate_wait_s=(12.34, 56.78), latency_s=(4.56, 17.8),
)  # fmt: skip
QUOTA = "quota 80.0% used, refused 7 (0.7%), waiting 498, at the gate 12.3 s (95%: 56.8 s), latency 4.6 s (95%: 17.8 s)"


def test_a_plain_line_tells_how_the_quota_stands_and_waiting_apart_from_latency() -> None:
    assert plain_line(ASKING, (None, None)) == (
        f"documents 1/1200, clips 45683/100000, in flight 12 of 15, audio 1:05, {QUOTA}"
    )


def test_where_nothing_is_known_of_a_quota_its_share_is_not_told() -> None:
    progress = replace(ASKING, quota=replace(STANDING, limits=Limits()), gate_wait_s=None, latency_s=None)
    assert plain_line(progress, (None, None)).endswith("in flight 12, audio 1:05, refused 7 (0.7%), waiting 498")


def test_a_pause_that_the_provider_asked_for_is_told() -> None:
    assert "paused for 7 s" in plain_line(replace(ASKING, quota=replace(STANDING, cool_s=7.2)), (None, None))


def drawn(*seen: Progress, columns: int = 80) -> list[str]:
    """The lines of a live display as they are after the last of ``seen``."""
    output = StringIO()
    clock = Clock()
    with shown(Console(file=output, force_terminal=True, width=columns, color_system=None), clock) as show:
        for progress in seen:
            clock.now += 10
            show(progress)
            output.write("\n=====\n")
    return output.getvalue().splitlines()


def test_a_live_display_fits_80_columns() -> None:
    """What is too long for a terminal is cut, never wrapped: the lines of the display would jump."""
    crowded = replace(
        ASKING, failed=123, joining=12, spoken=65_678, characters=99_999_999, audio_s=360_000.0,
        quota=replace(STANDING, degraded_to=7, parties=3, cool_s=59.0),
    )  # fmt: skip
    lines = drawn(ASKING, crowded)
    assert any("ETA" in line for line in lines)
    assert any("limits: 10,000 requests in 60 s, 8,000,000 characters in 60 s, 15 in flight" in line for line in lines)
    assert max(len(line.lstrip("\r")) for line in lines if "\x1b" not in line) <= 80


@pytest.mark.parametrize("terminal", [True, False])
def test_each_line_for_people_is_shown_once(terminal: bool) -> None:
    output = StringIO()
    first = replace(ASKING, notes=((1, "at most 10 requests in flight: one more was refused"),))
    second = replace(first, notes=(*first.notes, (2, "the budget runs low\x1b[31m")))
    with shown(Console(file=output, force_terminal=terminal, width=80, color_system=None)) as show:
        for progress in (first, first, second, second):
            show(progress)
    assert output.getvalue().count("one more was refused") == 1
    assert output.getvalue().count("the budget runs low\\x1b") == 1
