"""What each answer means, by bodies as servers really send them: providers.md 1.5, 2.6, 3.5, 4.5 and 5."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster_tts import keys
from cluster_tts.errors import AccountRefused, ChunkError, JobError, RetryLater
from cluster_tts.model import Receipt
from cluster_tts.providers import cartesia, elevenlabs, openai, replicate
from cluster_tts.providers.answers import COMMON, LONGEST_QUOTE, Meaning, Row, as_error, meaning, read_body
from cluster_tts.providers.delays import named_delay_s

TABLES = {
    "openai": openai.TABLE,
    "elevenlabs": elevenlabs.TABLE,
    "cartesia": cartesia.TABLE,
    "replicate": replicate.TABLE,
}


def error(message: str, kind: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def detail(status: str, message: str = "m", **newer: str) -> dict[str, Any]:
    return {"detail": {"status": status, "message": message, **newer}}


def title(code: str | None, heading: str) -> dict[str, Any]:
    return {"error_code": code, "title": heading, "message": "m", "request_id": "r", "doc_url": "https://d"}


RPM = (
    "Rate limit reached for gpt-4o-mini-tts on requests per min (RPM): Limit 3, Used 3, Requested 1. "
    "Please try again in 20s."
)
AZURE = (
    "Requests to the Audio_Speech Operation under Azure OpenAI API version 2025-04-01 have exceeded call rate limit of "
    "your current OpenAI S0 pricing tier. Please retry after 8 seconds."
)
THROTTLED = "Request was throttled. Your rate limit for creating predictions is reduced. Your rate limit resets in ~5s."
NO_MONEY = "You exceeded your current quota"
CREDITS = "You have 0 credits remaining, while 12 credits are required"
LATER, MANY, SLOW = "rate_limited", "too_many_at_once", "slow_down"

ANSWERS: list[tuple[str, int, Any, type[Exception], str | None, float | None]] = [
    # OpenAI
    ("openai", 400, error("too long", "invalid_request_error"), ChunkError, "refused_text", None),
    ("openai", 401, error("bad key", "x", "invalid_api_key"), AccountRefused, "account_refused", None),
    ("openai", 403, error("Country not supported"), AccountRefused, "account_refused", None),
    ("openai", 404, error("gone", "invalid_request_error", "model_not_found"), JobError, None, None),
    ("openai", 429, error(RPM, "requests", "rate_limit_exceeded"), RetryLater, LATER, 20.0),
    ("openai", 429, error("Slow down", "rate_limit_error", "slow_down"), RetryLater, SLOW, None),
    ("openai", 429, error(NO_MONEY, "insufficient_quota", "insufficient_quota"), AccountRefused, "no_credit", None),
    *(
        ("openai", 429, error(NO_MONEY, kind, code), AccountRefused, "no_credit", None)
        for kind, code in (
            ("insufficient_quota", None),
            ("billing", "credit_balance_exhausted"),
            ("billing", "organization_spend_limit_exceeded"),
            ("billing", "project_spend_limit_exceeded"),
            ("billing", "organization_usage_limit_exceeded"),
        )
    ),
    ("openai", 429, error("Too many", "tokens"), RetryLater, LATER, None),
    ("openai", 429, error(AZURE, None, "429"), RetryLater, LATER, 8.0),
    ("openai", 429, error(AZURE, None, "RateLimitReached"), RetryLater, LATER, 8.0),
    *(("openai", 429, error("Sorry", "rate_limit_error", code), RetryLater, MANY, None) for code in openai.CONCURRENCY),
    ("openai", 429, error("High concurrency usage of this API", None, "1302"), RetryLater, MANY, None),
    ("openai", 429, error("Your account is in arrears", None, "1113"), AccountRefused, "no_credit", None),
    ("openai", 429, {"message": "m", "type": "service_tier_capacity_exceeded", "code": "3505"}, RetryLater, "busy",
     None),
    ("openai", 500, error("The server had an error", "server_error"), RetryLater, "server_error", None),
    ("openai", 502, b"<html><head><title>502 Bad Gateway</title></head></html>", RetryLater, "server_error", None),
    ("openai", 503, error("busy", "service_unavailable_error", "server_is_overloaded"), RetryLater, "busy", None),
    ("openai", 504, b"", RetryLater, "server_error", None),
    # Servers that speak it
    ("openai", 400, {"detail": {"error": "invalid_model", "message": "m", "type": "t"}}, JobError, None, None),
    ("openai", 400, {"detail": {"error": "validation_error", "message": "m"}}, ChunkError, "refused_text", None),
    ("openai", 422, {"detail": [{"loc": ["body", "input"], "msg": "m"}]}, ChunkError, "refused_text", None),
    ("openai", 500, {"detail": {"error": "processing_error", "message": "m"}}, RetryLater, "server_error", None),
    ("openai", 404, {"detail": "Not Found"}, JobError, None, None),
    # ElevenLabs
    ("elevenlabs", 400, detail("max_character_limit_exceeded"), ChunkError, "refused_text", None),
    ("elevenlabs", 400, detail("voice_not_found"), ChunkError, "refused_text", None),
    ("elevenlabs", 401, detail("voice_not_found"), ChunkError, "refused_text", None),
    ("elevenlabs", 404, detail("voice_not_found"), ChunkError, "refused_text", None),
    ("elevenlabs", 401, detail("invalid_api_key"), AccountRefused, "account_refused", None),
    ("elevenlabs", 401, detail("detected_unusual_activity"), AccountRefused, "account_refused", None),
    ("elevenlabs", 401, {"detail": "Unauthorized"}, AccountRefused, "account_refused", None),
    ("elevenlabs", 401, detail("quota_exceeded", CREDITS), AccountRefused, "no_credit", None),
    ("elevenlabs", 402, detail("x", CREDITS, code="quota_exceeded"), AccountRefused, "no_credit", None),
    ("elevenlabs", 402, detail("paid_plan_required"), AccountRefused, "account_refused", None),
    ("elevenlabs", 403, detail("only_for_creator+"), AccountRefused, "account_refused", None),
    ("elevenlabs", 422, {"detail": [{"loc": ["body"], "msg": "m", "type": "t"}]}, ChunkError, "refused_text", None),
    ("elevenlabs", 429, detail("too_many_concurrent_requests"), RetryLater, MANY, None),
    ("elevenlabs", 429, detail("x", type="rate_limit_error", code="concurrent_limit_exceeded"), RetryLater, MANY, None),
    ("elevenlabs", 429, detail("system_busy", type="rate_limit_error"), RetryLater, "busy", None),
    ("elevenlabs", 429, detail("rate_limit_exceeded"), RetryLater, LATER, None),
    ("elevenlabs", 500, b"Internal Server Error", RetryLater, "server_error", None),
    # Cartesia
    ("cartesia", 402, title("quota_exceeded", "Out of credits"), AccountRefused, "no_credit", None),
    ("cartesia", 429, title("quota_exceeded", "Out of credits"), AccountRefused, "no_credit", None),
    ("cartesia", 404, title("voice_not_found", "No voice"), ChunkError, "refused_text", None),
    ("cartesia", 404, title("model_not_found", "No model"), JobError, None, None),
    ("cartesia", 429, title("concurrency_limited", "Too many concurrent requests"), RetryLater, MANY, None),
    ("cartesia", 429, b"Too Many Requests: you have 2 contexts", RetryLater, MANY, None),
    ("cartesia", 400, title(None, "Invalid speed"), ChunkError, "refused_text", None),
    ("cartesia", 401, title(None, "Unauthorized"), AccountRefused, "account_refused", None),
    # Replicate
    ("replicate", 429, {"detail": THROTTLED, "status": 429, "retry_after": 5}, RetryLater, LATER, 5.0),
    ("replicate", 429, {"detail": THROTTLED.replace("5s", "7s"), "status": 429}, RetryLater, LATER, 7.0),
    ("replicate", 402, {"title": "Insufficient credit", "detail": "d"}, AccountRefused, "no_credit", None),
    ("replicate", 401, {"title": "Unauthenticated", "detail": "d"}, AccountRefused, "account_refused", None),
    ("replicate", 404, {"detail": "The requested resource could not be found.", "status": 404}, JobError, None, None),
    ("replicate", 422, {"title": "Input validation failed", "detail": "d"}, ChunkError, "refused_text", None),
    # Anybody
    ("", 301, b"", JobError, None, None),
    ("", 199, b"", JobError, None, None),
    ("", 405, {"detail": "Method Not Allowed"}, JobError, None, None),
    ("", 408, b"", RetryLater, "server_error", None),
    ("", 409, b"", RetryLater, "server_error", None),
    ("", 410, b"", JobError, None, None),
    ("", 413, b"", ChunkError, "refused_text", None),
    ("", 425, b"", RetryLater, "server_error", None),
    ("", 429, b"", RetryLater, LATER, None),
    ("", 402, b"", AccountRefused, "no_credit", None),
    ("", 403, b"", AccountRefused, "account_refused", None),
    ("", 404, b"", JobError, None, None),
    ("", 503, b"", RetryLater, "busy", None),
    ("", 529, b"", RetryLater, "busy", None),
    ("", 520, b"", RetryLater, "server_error", None),
]  # fmt: skip


def table_of(name: str) -> tuple[Row, ...]:
    return TABLES.get(name, ())


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize(("name", "status", "body", "expected", "kind", "after_s"), ANSWERS)
def test_answer_means_what_the_program_does_next(
    name: str, status: int, body: Any, expected: type[Exception], kind: str | None, after_s: float | None
) -> None:
    said, receipt = read_body(as_bytes(body)), Receipt(http_status=status)
    found: Any = as_error(meaning(table_of(name), status, said.codes), said.message, named_delay_s({}, said), receipt)
    assert (type(found), getattr(found, "kind", None)) == (expected, kind)
    assert getattr(found, "after_s", None) == after_s
    assert getattr(found, "receipt", receipt) == receipt
    assert said.message in str(found)


@pytest.mark.parametrize("name", ["", *TABLES])
def test_every_row_decides_over_an_answer_above(name: str) -> None:
    """Rows that decide the same as what follows them are there for the reader."""
    rows = (*table_of(name), *(COMMON if not name else ()))
    decided = set()
    for table, status, body, *_ in ANSWERS:
        if name and table != name:
            continue
        codes = read_body(as_bytes(body)).codes
        statuses = (status, f"{status // 100}xx", "*")
        fits = [row for row in (*table_of(table), *COMMON) if row[0] in statuses and (not row[1] or row[1] in codes)]
        decided.add(fits[0])
    assert set(rows) - decided == set()


def test_a_providers_row_goes_before_what_holds_for_all_and_order_decides() -> None:
    table: tuple[Row, ...] = ((429, "a", Meaning.BUSY), ("4xx", "a", Meaning.MISTAKE), ("*", "b", Meaning.NO_CREDIT))
    assert meaning(table, 429, ["b", "a"]) is Meaning.BUSY
    assert meaning(table, 400, ["a", "b"]) is Meaning.MISTAKE
    assert meaning(table, 500, ["b"]) is Meaning.NO_CREDIT
    assert meaning(table, 429, ["c"]) is Meaning.LATER
    assert meaning(table, 500, ["a"]) is Meaning.FAULT


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        (Meaning.MISTAKE, "; check provider.model, provider.base_url and provider.options"),
        (Meaning.REFUSED, "; check the API key and what its account may use"),
        (Meaning.NO_CREDIT, "; add credit or raise the limit, then run the same command again"),
        (Meaning.HOPELESS, ""),
        (Meaning.LATER, ""),
    ],
)
def test_what_stops_the_run_says_what_to_do(what: Meaning, hint: str) -> None:
    assert str(as_error(what, "openai answered", None, Receipt())) == f"openai answered{hint}"


@pytest.mark.parametrize(
    ("body", "codes", "message"),
    [
        (error("m", "t", "c"), ("c", "t"), "m"),
        (detail("s", "m", code="c", type="t"), ("c", "s", "t"), "m"),
        (title("c", "T"), ("c",), "T: m"),
        ({"title": "T", "detail": "d", "status": 402, "type": "about:blank"}, ("about:blank",), "T: d"),
        ({"detail": {"error": "c", "message": "m"}}, ("c",), "m"),
        ({"error": "no such model", "code": 5}, (), "no such model"),
        ({"error": "no_model"}, ("no_model",), "no_model"),
        ({"error": {"message": None}}, (), '{"error": {"message": null}}'),
        ({"detail": [{"loc": ["body", "a", 0], "msg": "x"}, {"loc": ["body"], "msg": "y"}, "z"]}, (), "a.0: x y z"),
        ({"detail": [{"loc": "body", "msg": "x"}, {"loc": 5, "msg": "y"}, 7, None]}, (), "x y"),
        ({"detail": []}, (), '{"detail": []}'),
        ([1, "two"], (), '[1, "two"]'),
        ({"code": "two words", "message": "m"}, (), "m"),
        ({"code": "x" * 101, "message": "m"}, (), "m"),
        ("Title: Message", (), '"Title: Message"'),
        (b"Title:\r\n  Mes\0sage\x1b[2J\xc2\x9b", (), "Title: Message[2J"),
        (b"<!DOCTYPE html><TITLE lang=en>\n 503 &mdash; Busy\n</TITLE><p>x", (), "an HTML page: 503 &mdash; Busy"),
        (b"<html><body><h1>502 Bad</h1>\n<p>Gateway</p></body></html>", (), "502 Bad Gateway"),
        (b"1 < 2 > 0", (), "1 < 2 > 0"),
        (b"\xff\xfe broken", (), "\ufffd\ufffd broken"),
        (b"", (), ""),
        (b"[" * 60_000, (), "[" * LONGEST_QUOTE + " ..."),
        (b"x" * (LONGEST_QUOTE + 1), (), "x" * LONGEST_QUOTE + " ..."),
        (b"x" * LONGEST_QUOTE, (), "x" * LONGEST_QUOTE),
    ],
)  # fmt: skip
def test_body_of_any_shape_is_read_as_codes_and_one_line(body: Any, codes: tuple[str, ...], message: str) -> None:
    said = read_body(as_bytes(body))
    assert (said.codes, said.message) == (codes, message)


@pytest.mark.parametrize(
    ("body", "after_s"),
    [
        ('{"retry_after": 5}', 5.0),
        ('{"detail": {"retry_after": 2.5}}', 2.5),
        ('{"error": {"message": "m"}, "retry_after": 3}', 3.0),
        ('{"retry_after": 0}', 0.0),
        ('{"retry_after": true}', None),
        ('{"retry_after": "5"}', 5.0),
        ('{"retry_after": "1m5s"}', 65.0),
        ('{"retry_after": "soon"}', None),
        ('{"retry_after": "soon", "retryAfter": 4}', 4.0),
        ('{"error": {"retry_after_seconds": 6}}', 6.0),
        ('{"error": {"retry_after_ms": 1500}}', 1.5),
        ('{"detail": {"retryAfterMs": "250"}}', 0.25),
        ('{"retry_after": [5]}', None),
        ('{"retry_after": NaN}', None),
        ('{"retry_after": Infinity}', None),
        (f'{{"retry_after": 1{"0" * 400}}}', None),
        ('{"retry_after": null}', None),
        ("{}", None),
    ],
)
def test_delay_in_a_body_is_a_number(body: str, after_s: float | None) -> None:
    assert read_body(body.encode()).after_s == after_s


def test_a_key_in_the_body_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_seen", {"sk-0123456789"})
    assert read_body(b'{"error":{"message":"Incorrect key sk-0123456789"}}').message == "Incorrect key ***"
    assert read_body(b"." * (LONGEST_QUOTE - 5) + b"sk-0123456789").message == "." * (LONGEST_QUOTE - 5) + "***"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "message", "loc", "code", "retry_after"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@example({"error": "0\r\x08"})
@example({"error": f"{'word ' * 60}and more"})
@given(JSON)
def test_no_body_is_beyond_reading(content: Any) -> None:
    said = read_body(json.dumps(content).encode())
    assert said.message == " ".join(said.message.split())
    assert all(isinstance(code, str) for code in said.codes)
