"""How Replicate refuses, how its lists look, and how the headers of a create read (providers.md 4.1, 4.5)."""

import math
from typing import Any

from cluster_tts.emulator.fields import Fields, Invalid
from cluster_tts.emulator.wire import Answer, Call, ErrorRow, as_json

THROTTLED = ErrorRow(429, ("throttled",), "", "Request was throttled.")
NO_CREDIT = ErrorRow(
    402,
    ("insufficient_credit",),
    "Insufficient credit",
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase"
    " credit.",
)
BAD_KEY = ErrorRow(401, ("unauthenticated",), "Unauthenticated", "You did not pass a valid authentication token")
NOT_FOUND = ErrorRow(404, ("not_found",), "", "The requested resource could not be found.")
INVALID = ErrorRow(422, ("validation_failed",), "Input validation failed", "- input: the input is invalid\n")
BUSY = ErrorRow(503, (), "Service unavailable", "Please try again later.")

MOST_WAIT_S = 60
EVENTS = ("start", "output", "logs", "completed")


def throttled(wait_s: float | None) -> Answer:
    """Both ways of naming the delay, as captured (providers.md 4.5); None: it is not named."""
    if wait_s is None:
        return as_json({"detail": THROTTLED.message, "status": 429}, 429)
    seconds = max(1, math.ceil(wait_s))
    detail = f"{THROTTLED.message} Your rate limit resets in ~{seconds}s."
    return as_json({"detail": detail, "status": 429, "retry_after": seconds}, 429, {"Retry-After": str(seconds)})


def invalid(wrong: Invalid) -> Answer:
    place = ".".join(map(str, wrong.where[:-1])) or "input"
    field = {"type": wrong.kind, "field": wrong.param, "description": wrong.message}
    detail = f"- {place}: {wrong.message}\n"
    return as_json({"title": INVALID.kind, "detail": detail, "status": 422, "invalid_fields": [field]}, 422)


def page(results: list[dict[str, Any]]) -> Answer:
    return as_json({"previous": None, "next": None, "results": results})


def read_webhook(body: Fields) -> None:
    webhook = body.text("webhook", None)
    if webhook is not None and not webhook.startswith("https://"):
        raise Invalid(("webhook",), "must be an https URL", "enum")
    for event in body.items("webhook_events_filter", None, None):
        if event not in EVENTS:
            raise Invalid(("webhook_events_filter",), f"must be of {', '.join(EVENTS)}", "enum")


def read_wait(call: Call) -> int | None:
    """Seconds that ``Prefer: wait`` keeps the request open; None: it is answered at once."""
    for preference in (call.header("Prefer") or "").split(","):
        name, _, value = preference.strip().partition("=")
        if name == "wait":
            if value and not (value.isascii() and value.isdigit() and 1 <= int(value) <= MOST_WAIT_S):
                raise Invalid(("Prefer",), f"wait must be from 1 to {MOST_WAIT_S} seconds", "range")
            return int(value) if value else MOST_WAIT_S
    return None
