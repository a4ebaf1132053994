"""How long a server asks us to wait: every spelling, which of them goes first, and what is none."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from cluster_tts.providers.answers import Said
from cluster_tts.providers.delays import named_delay_s
from cluster_tts.providers.durations import go_duration_s, seconds_until

NOW = "Sat, 21 Nov 2026 12:00:00 GMT"
NOTHING = Said((), "")


def named(headers: Mapping[str, str], message: str = "", after_s: float | None = None) -> float | None:
    return named_delay_s(CIMultiDict(headers), Said((), message, after_s))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        (" 12 ", 12.0),
        ("3600", 3600.0),
        ("-5", 0.0),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("", None),
        ("soon", None),
        ("７", None),
        ("7s", 7.0),
        ("1m30s", 90.0),
        ("1795262430", 30.0),
        ("1795262430000", 30.0),
        ("1795262400", 0.0),
        ("2026-11-21T12:00:30Z", 30.0),
        ("2026-11-21T14:00:30.5+02:00", 30.5),
        ("2026-11-21T12:00:30", None),
        ("2026-11-21T99:00:30Z", None),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 14:00:30 +0200", 30.0),
        ("Saturday, 21-Nov-26 12:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 11:59:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 -0000", None),
        ("Sat, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_read_against_the_answers_own_date(value: str, seconds: float | None) -> None:
    assert named({"Retry-After": value, "Date": NOW}) == seconds
    assert named({"retry-after": value, "date": NOW}) == seconds


@pytest.mark.parametrize("date", [{}, {"Date": "yesterday"}, {"Date": ""}])
def test_a_date_without_a_date_to_read_it_against_is_no_delay(date: dict[str, str]) -> None:
    assert named({"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT", **date}) is None
    assert named({"Retry-After": "1795262430", **date}) is None
    assert named({"Retry-After": "2026-11-21T12:00:30Z", **date}) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [("1500", 1.5), ("0", 0.0), ("250.5", 0.2505), ("-1", 0.0), ("nan", None), ("1s", None)]
)
def test_retry_after_ms_is_milliseconds(value: str, seconds: float | None) -> None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        assert named({name: value}) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("0s", 0.0),
        ("1.5h", 5400.0),
        ("2m", 120.0),
        ("2m5ms", 120.005),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("5ns", 5e-9),
        (" 3s ", 3.0),
    ],
)
def test_duration_as_go_prints_it(text: str, seconds: float) -> None:
    assert go_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1", "1.s", ".5s", "-1s", "1 s", "1s ago", "1d", "1S", "1h2", "m1s", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    assert go_duration_s(text) is None


@settings(max_examples=50, deadline=None)
@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), thousandths=st.integers(0, 59_999))
def test_duration_is_the_sum_of_its_parts(hours: int, minutes: int, thousandths: int) -> None:
    seconds = f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")
    expected = 3600 * hours + 60 * minutes + thousandths / 1000
    assert go_duration_s(f"{hours}h{minutes}m{seconds}s") == pytest.approx(expected)
    assert go_duration_s(f"{minutes}m{thousandths}ms") == pytest.approx(60 * minutes + thousandths / 1000)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="0123456789.hmsnuµ -", max_size=12))
def test_a_duration_is_never_less_than_nothing(text: str) -> None:
    assert (go_duration_s(text) or 0.0) >= 0.0


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Limit 3, Used 3, Requested 1. Please try again in 20s. Visit us", 20.0),
        ("Please try again in 1m30s.", 90.0),
        ("please Try Again In 6ms", 0.006),
        ("try again in 1.2s", 1.2),
        ("Your rate limit resets in ~5s.", 5.0),
        ("retry after 3s", 3.0),
        ("limit reset in 2h", 7200.0),
        ("exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 8 seconds. Please", 8.0),
        ("please try again after 1 seconds", 1.0),
        ("Try again in about 2.5 minutes", 150.0),
        ("Retry in 1 hour.", 3600.0),
        ("Please wait 3 secs", 3.0),
        ("please wait for 30s", 30.0),
        ("retry after 1500 milliseconds", 1.5),
        ("RETRY AFTER 1M30S", 90.0),
        ("try again in 2 months", None),
        ("try again in 2monkeys", None),
        ("try again in 20", None),
        ("try again in a few minutes", None),
        ("20s", None),
        ("You used 20s of audio, try again later", None),
    ],
)
def test_delay_in_the_words_of_a_message(message: str, seconds: float | None) -> None:
    assert named({}, message) == (None if seconds is None else pytest.approx(seconds))


def limits(requests: tuple[str, str] | None = None, tokens: tuple[str, str] | None = None) -> dict[str, str]:
    """Headers: what remains of each limit, and when it is full again."""
    given = {"requests": requests, "tokens": tokens}
    return {
        f"x-ratelimit-{what}-{kind}": value
        for kind, pair in given.items()
        if pair
        for what, value in zip(("remaining", "reset"), pair, strict=True)
    }


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (limits(requests=("0", "6m0s")), 360.0),
        (limits(tokens=("0", "12ms")), 0.012),
        (limits(("0", "2s"), ("0", "1m0s")), 60.0),
        (limits(("0", "1m0s"), ("0", "2s")), 60.0),
        (limits(("0", "2s"), ("100", "1m0s")), 2.0),
        (limits(("7", "1m0s"), ("0", "2s")), 2.0),
        (limits(("1", "1m0s"), ("1", "2s")), None),
        (limits(requests=("0", "30")), 30.0),
        (limits(requests=("0", "soon")), None),
        (limits(("0", "soon"), ("0", "3s")), 3.0),
        (limits(requests=("0", "")), None),
        (limits(requests=("-1", "60")), None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "5s"}, None),
        ({"RateLimit": '"a";r=0;t=9, "b";r=4;t=99', "RateLimit-Policy": '"a";q=5;w=10, "b";q=50;w=86400'}, 9.0),
        ({"RateLimit": '"day";r=0;t=7200', "RateLimit-Policy": '"day";q=50;w=86400'}, 7200.0),
        ({"RateLimit": '"default";r=0;t=4'}, 4.0),
        ({"RateLimit": "limit=5, remaining=0, reset=4"}, 4.0),
        ({"RateLimit-Limit": "5", "RateLimit-Remaining": "0", "RateLimit-Reset": "4"}, 4.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262430", "Date": NOW}, 30.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262430"}, None),
        ({"X-RateLimit-Limit": "-1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, None),
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "30"}, None),
    ],
)
def test_resets_count_only_of_limits_of_which_nothing_remains(headers: dict[str, str], seconds: float | None) -> None:
    assert named(headers) == (None if seconds is None else pytest.approx(seconds))


def test_the_most_exact_spelling_goes_first() -> None:
    headers = {"retry-after-ms": "1000", "Retry-After": "2", **limits(requests=("0", "5s"))}
    order = []
    for without in ("", "retry-after-ms", "Retry-After"):
        headers.pop(without, None)
        order.append(named(headers, "try again in 4s", 3.0))
    order += [named(headers, "try again in 4s"), named(headers), named({})]
    assert order == [1.0, 2.0, 3.0, 4.0, 5.0, None]


def test_a_spelling_that_is_none_lets_the_next_speak() -> None:
    assert named({"retry-after-ms": "x", "Retry-After": "soon"}, "try again in 4s") == 4.0
    assert named({"retry-after-ms": "inf", "Retry-After": "2"}) == 2.0
    assert named_delay_s({}, NOTHING) is None


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789.:-+eTZhms ,GMTNov", max_size=30), st.sampled_from([None, NOW, "x"]))
def test_no_spelling_of_a_time_is_beyond_reading(text: str, date: str | None) -> None:
    found = seconds_until(text, date)
    assert found is None or isinstance(found, float)
