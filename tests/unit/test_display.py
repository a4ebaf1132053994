"""How a run shows itself; the clock is the test's own."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from cluster_tts.display import PLAIN_EVERY_S, SETTLE_S, Pace, plain_line, shown
from cluster_tts.pipeline import Progress

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
