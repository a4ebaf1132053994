"""What headers tell of an account's limits: every spelling that has been seen, and that nonsense tells nothing."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from cluster_tts.model import Told
from cluster_tts.providers.http import receipt_of
from cluster_tts.providers.told import in_unit, told_of, used_up_s

DATE = {"Date": "Sat, 21 Nov 2026 12:00:00 GMT"}
IN_30_S = "1795262430"


def openai(limit: str | None, remaining: str | None, reset: str | None, kind: str = "requests") -> dict[str, str]:
    parts = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{part}-{kind}": value for part, value in parts.items() if value is not None}


def requests(limit: int | None, remaining: int | None = None, reset_s: float | None = None) -> Told:
    return Told(limit_requests=limit, remaining_requests=remaining, reset_requests_s=reset_s)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (openai("500", "499", "120ms"), requests(500, 499, 0.12)),
        (openai("500", "0", "1m0s"), requests(500, 0, 60.0)),
        (openai("500", None, None), requests(500)),
        (openai(None, "7", None), requests(None, 7)),
        (openai("500", "x", "soon"), requests(500)),
        (openai("60", "59", "1"), requests(60, 59, 1.0)),
        (openai("60.0", "59", "1"), requests(60, 59, 1.0)),
        (openai("500", "501", "0s"), requests(500, 500, 0.0)),
        (
            openai("500", "499", "120ms") | openai("50000", "49000", "1.2s", "tokens"),
            Told(500, 499, 0.12, 50_000, 49_000, 1.2),
        ),
        (
            openai("150000", "149984", "6ms", "tokens"),
            Told(limit_characters=150_000, remaining_characters=149_984, reset_characters_s=0.006),
        ),
    ],
)
def test_openai_tells_requests_and_tokens_and_how_long_until_all_of_them_are_back(
    headers: dict[str, str], told: Told
) -> None:
    assert told_of(headers) == told


@pytest.mark.parametrize(
    "headers",
    [
        openai("-1", "-1", "0"),
        openai("0", "0", "0"),
        openai("-1", "0", "60"),
        openai("0", "10", "1s"),
        openai(None, "-1", None),
        openai("-1", "-1", "0", "tokens"),
    ],
)
def test_azures_minus_one_and_nought_tell_nothing(headers: dict[str, str]) -> None:
    assert told_of(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        openai("10000", "9980", "2m52.8s"),  # OpenAI's limit by the day
        openai("14400", "14000", "40m0s"),  # Groq's
        {"RateLimit": '"day";r=4998;t=69076', "RateLimit-Policy": '"day";q=5000;w=86400'},
        {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "3300"},
        {"RateLimit": '"default";r=4998;t=690'},
    ],
)
def test_a_limit_by_the_day_is_none_by_the_minute(headers: dict[str, str]) -> None:
    assert told_of(headers) is None


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        # draft-ietf-httpapi-ratelimit-headers-08 and later
        ({"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'}, requests(100, 50, 30.0)),
        ({"RateLimit": "default;r=50;t=30", "RateLimit-Policy": "default;q=100;w=60"}, requests(100, 50, 30.0)),
        ({"RateLimit": '"a";r=50;t=30', "RateLimit-Policy": '"b";q=100;w=60'}, requests(100, 50, 30.0)),
        ({"RateLimit-Policy": '"default";q=100;w=60'}, requests(100)),
        ({"RateLimit": '"default";r=50;t=30'}, requests(None, 50, 30.0)),
        (
            {"RateLimit": '"u,s;r=9";r=7;t=45;pk="r;t=1"', "RateLimit-Policy": '"u,s;r=9";q=10;w=60;pk="q=3"'},
            requests(10, 7, 45.0),
        ),
        (  # Hugging Face puts two names before the policy
            {"ratelimit": '"api";r=95;t=140', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
            requests(100, 95, 140.0),
        ),
        (
            {"RateLimit": '"day";r=9;t=50, "min";r=8;t=1', "RateLimit-Policy": '"min";q=60;w=60, "day";q=9;w=86400'},
            requests(60, 8, 1.0),
        ),
        (
            {
                "RateLimit": '"all";r=900;t=10, "mine";r=3;t=20',
                "RateLimit-Policy": '"all";q=1000;w=60, "mine";q=30;w=60, "size";q=9;w=60;qu="content-bytes"',
            },
            requests(30, 3, 20.0),
        ),
        (
            {"RateLimit": '"n";r=4', "RateLimit-Policy": '"n";q=10;qu="concurrent-requests"'},
            Told(in_flight=6, most_in_flight=10),
        ),
        # -07
        ({"RateLimit": "limit=100, remaining=50, reset=30"}, requests(100, 50, 30.0)),
        ({"RateLimit": "limit=600, remaining=50, reset=30", "RateLimit-Policy": "600;w=120"}, requests(300, 50, 30.0)),
        # -00 to -06
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "50", "RateLimit-Reset": "30"}, requests(100, 50, 30.0)),
        ({"RateLimit-Limit": "100, 100;w=60, 5000;w=3600", "RateLimit-Remaining": "5"}, requests(100, 5)),
        ({"RateLimit-Limit": "600", "RateLimit-Policy": '9;w=60, 600;w=120;comment="x"'}, requests(300)),
        # gateways: Envoy, Kong, many others
        ({"X-RateLimit-Limit": "600, 600;w=60", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "30"},
         requests(600, 5, 30.0)),
        ({"X-RateLimit-Limit-Minute": "600", "X-RateLimit-Remaining-Minute": "5", "RateLimit-Limit": "600"},
         requests(600, 5)),
        ({"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": IN_30_S, **DATE},
         requests(600, 5, 30.0)),
        ({"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": f"{IN_30_S}000", **DATE},
         requests(600, 5, 30.0)),
        ({"X-RateLimit-Limit": "600", "X-RateLimit-Reset": "2026-11-21T12:00:30Z", **DATE}, requests(600, None, 30.0)),
        ({"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": IN_30_S}, requests(600, 5)),
        ({"X-RateLimit-Limit": "600", "X-RateLimit-Reset": "1795262399", **DATE}, requests(600)),
        ({"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "5"}, requests(600, 5)),
        # the most exact alone
        (openai("500", "499", "1s") | {"X-RateLimit-Limit": "5", "RateLimit-Limit": "6"}, requests(500, 499, 1.0)),
    ],
)  # fmt: skip
def test_drafts_and_gateways_tell_the_same_in_other_words(headers: dict[str, str], told: Told) -> None:
    assert told_of(headers) == told
    assert told_of({name.upper(): value for name, value in headers.items()}) == told
    assert told_of(CIMultiDict(headers)) == told


@pytest.mark.parametrize(
    ("quota", "window", "remaining", "told"),
    [
        ("100", "60", "50", requests(100, 50, 9.0)),
        ("3000", "300", "2999", requests(600, 600, 9.0)),
        ("3000", "300", "7", requests(600, 7, 9.0)),
        ("10", "3600", "9", requests(1, 1, 9.0)),
        ("10", "1", "9", requests(600)),
        ("10", "3601", "9", None),
        ("10", "0", "9", None),
        ("10", "-60", "9", None),
        ("10", "nan", "9", requests(10, 9, 9.0)),
    ],
)
def test_a_limit_of_another_window_is_told_by_the_minute_and_of_a_shorter_one_only_its_rate(
    quota: str, window: str, remaining: str, told: Told | None
) -> None:
    """Ten a second are six hundred a minute, but never six hundred at once."""
    assert told_of({"RateLimit": f'"a";r={remaining};t=9', "RateLimit-Policy": f'"a";q={quota};w={window}'}) == told


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"current-concurrent-requests": "3", "maximum-concurrent-requests": "10"},
         Told(in_flight=3, most_in_flight=10)),
        ({"maximum-concurrent-requests": "10"}, Told(most_in_flight=10)),
        ({"current-concurrent-requests": "0"}, Told(in_flight=0)),
        ({"current-concurrent-requests": "-1", "maximum-concurrent-requests": "0"}, None),
        ({"current-concurrent-requests": "many", "maximum-concurrent-requests": "-1"}, None),
    ],
)  # fmt: skip
def test_elevenlabs_tells_how_many_are_in_flight_and_may_be(headers: dict[str, str], told: Told | None) -> None:
    assert told_of(headers) == told


def test_a_header_that_comes_twice_is_a_list() -> None:
    twice = CIMultiDict([("RateLimit-Policy", '"a";q=9;w=60'), ("RateLimit-Policy", '"b";q=5;w=60')])
    assert told_of(twice) == requests(5)


def test_every_receipt_has_what_was_told_and_one_without_headers_nothing() -> None:
    assert receipt_of(429, CIMultiDict(openai("5", "0", "1s"))).told == requests(5, 0, 1.0)
    assert receipt_of(200, CIMultiDict({"Content-Type": "audio/wav"})).told is None


def test_tokens_bound_bytes_and_nothing_else() -> None:
    both = told_of(openai("500", "499", "1s") | openai("50000", "49000", "1s", "tokens"))
    assert in_unit(both, "byte") == both
    assert in_unit(both, "codepoint") == requests(500, 499, 1.0)
    assert in_unit(told_of(openai("50000", "49000", "1s", "tokens")), "utf16") is None
    assert in_unit(None, "byte") is None


NAMES = [
    *(f"x-ratelimit-{part}{kind}" for part in ("limit", "remaining", "reset")
      for kind in ("-requests", "-tokens", "", "-minute")),
    "RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Rate-Limit-Limit",
    "current-concurrent-requests", "maximum-concurrent-requests", "Date", "rate",
]  # fmt: skip
GARBAGE = st.one_of(
    st.text(max_size=20),
    st.text(alphabet='0123456789,;="qwrtl a-.e', max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.just('"' * 900),
    st.sampled_from(["1e308", "-0", "NaN", "٣", "1" * 5_000, '"a";q=1e9;w=1e-9', "limit=,remaining=,reset=", "9;w="]),
)


@settings(max_examples=300, deadline=None)
@example({"RateLimit-Policy": '"a";q=1e11;w=1e-300'})
@given(st.dictionaries(st.sampled_from(NAMES), GARBAGE, max_size=8))
def test_no_header_is_beyond_reading_and_what_is_told_can_be_reckoned_with(headers: dict[str, str]) -> None:
    told = told_of(headers)
    assert (used_up_s(headers) or 0.0) >= 0.0
    if told is None:
        return
    assert told != Told()
    assert told.limit_requests is None or told.limit_requests >= 1
    assert told.limit_characters is None or told.limit_characters >= 1
    assert told.most_in_flight is None or told.most_in_flight >= 1
    for amount in (told.remaining_requests, told.remaining_characters, told.in_flight):
        assert amount is None or amount >= 0
    for reset_s in (told.reset_requests_s, told.reset_characters_s):
        assert reset_s is None or 0.0 <= reset_s < float("inf")
    if told.limit_requests is not None and told.remaining_requests is not None:
        assert told.remaining_requests <= told.limit_requests
