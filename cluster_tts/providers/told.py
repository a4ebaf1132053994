"""What the headers of an answer tell of its account's limits, in every spelling that has been seen.

    x-ratelimit-limit-requests: 500, x-ratelimit-remaining-tokens: 49990, x-ratelimit-reset-requests: 1m0s
    RateLimit: "user";r=50;t=30           with RateLimit-Policy: "user";q=100;w=60
    RateLimit: limit=100, remaining=50, reset=30                    with RateLimit-Policy: 100;w=60
    RateLimit-Limit: 100, 100;w=60, RateLimit-Remaining: 50, RateLimit-Reset: 30
    x-ratelimit-limit: 100, x-ratelimit-remaining: 50, x-ratelimit-reset: 30 or an epoch
    current-concurrent-requests: 3, maximum-concurrent-requests: 10

These are OpenAI's; draft-ietf-httpapi-ratelimit-headers from -08, -07 and up to -06; gateways'; and ElevenLabs'.
What makes no sense is not told: a header is never worth an error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from cluster_tts.model import Told
from cluster_tts.providers.durations import number, seconds_until

MINUTE_S = 60.0
SHORTEST_WINDOW_S = 0.001
LONGEST_WINDOW_S = 3600.0  # a limit by the day, spread over its minutes, would hold up what may well leave at once
SLACK_S = 1.0  # by which a reset of a minute's limit may be over a minute: servers round up
LONGEST_HEADER = 1_000  # characters: what is longer is no limit
MOST = 10**12
ITEM = re.compile(r'(?:[^,"]|"[^"]*")+')
WORD = re.compile(  # of an item: a name in quotes, a parameter, or a bare name at its beginning
    r'(?<!=)"([^"]*)"|;\s*([a-z]+)\s*=\s*(?:"([^"]*)"|([^;,"]*))|^\s*([A-Za-z*][\w.*-]*)'
)
MEMBER = re.compile(r"(?:^|,)\s*(limit|remaining|reset)\s*=\s*([^,;]*)")


class Standing(NamedTuple):
    """One limit as it is told: how much per window, what is left of it, when it is whole again. None: not said."""

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    window_s: float | None = None


UNTOLD = Standing()


def told_of(headers: Mapping[str, str]) -> Told | None:
    """What ``headers`` tell: rates per minute, and requests in flight; None if they tell nothing.

    A limit of a longer window is told as its part of a minute, what remains of it as no more than that. Of a shorter
    one only the rate is told: how much of it may leave at once cannot be said per minute. Limits by the day are not
    told. Characters are the tokens of the model, see ``in_unit``.
    """
    said = _said(headers)
    requests = min(
        (told for told in map(_per_minute, _requests(said)) if told != UNTOLD),
        key=lambda told: (told.limit is None, told.limit, told.remaining is None),
        default=UNTOLD,
    )
    tokens = _per_minute(_openai(said, "tokens"))
    most = _count(said.get("maximum-concurrent-requests")) or None
    in_flight = _count(said.get("current-concurrent-requests"))
    at_once = next((each for each in _structured(said, "concurrent-requests") if each.limit), UNTOLD)
    if at_once.limit is not None and most is None:
        most = int(at_once.limit)
        in_flight = None if at_once.remaining is None else max(0, most - int(at_once.remaining))
    told = Told(
        limit_requests=_whole(requests.limit), remaining_requests=_whole(requests.remaining),
        reset_requests_s=requests.reset_s,
        limit_characters=_whole(tokens.limit), remaining_characters=_whole(tokens.remaining),
        reset_characters_s=tokens.reset_s,
        in_flight=in_flight, most_in_flight=most,
    )  # fmt: skip
    return told if told != Told() else None


def in_unit(told: Told | None, unit: str) -> Told | None:
    """``told`` for a model that counts in ``unit``: a text has no more tokens than bytes, but maybe more than
    codepoints, so that only where bytes are counted a limit of tokens can be kept."""
    if told is None or unit == "byte":
        return told
    told = replace(told, limit_characters=None, remaining_characters=None, reset_characters_s=None)
    return told if told != Told() else None


def used_up_s(headers: Mapping[str, str]) -> float | None:
    """The longest reset among the limits of which nothing remains, whatever their windows; None if there is none."""
    said = _said(headers)
    standings = (*_requests(said), _openai(said, "tokens"))
    resets = (each.reset_s for each in standings if each.remaining == 0 and (each.limit is None or each.limit > 0))
    return max((reset for reset in resets if reset is not None), default=None)


def _said(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may tell a limit, by their names in lower case; one that comes twice is a list."""
    said: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        if ("rate" in name or "concurrent" in name or name == "date") and len(value) <= LONGEST_HEADER:
            said[name] = f"{said[name]}, {value}" if name in said and name != "date" else value
    return said


def _requests(said: Mapping[str, str]) -> Iterator[Standing]:
    """Every limit of requests; the most exact spelling alone, for gateways tell the same twice."""
    if (exact := _openai(said, "requests")) != UNTOLD:
        yield exact
    elif structured := list(_structured(said, "requests")):
        yield from structured
    else:
        yield from _generic(said)


def _openai(said: Mapping[str, str], what: str) -> Standing:
    """OpenAI's spelling, of a minute. Azure's copies are bare seconds, and -1 or 0 where there is no such limit."""
    limit, remaining, reset = (said.get(f"x-ratelimit-{part}-{what}") for part in ("limit", "remaining", "reset"))
    return Standing(_amount(limit), _amount(remaining), _reset_s(reset, said))


def _structured(said: Mapping[str, str], unit: str) -> Iterator[Standing]:
    """The draft's later spelling: what remains, and what may be asked, found by the names that they have in common."""
    policies = [each for each in _items(said.get("ratelimit-policy", "")) if "q" in each[1]]
    standings = [each for each in _items(said.get("ratelimit", "")) if "r" in each[1]]
    for names, policy in policies:
        if policy.get("qu", "requests") != unit:
            continue
        alone = len(policies) == len(standings) == 1
        now = next((each for others, each in standings if alone or names & others), {})
        yield _standing(policy.get("q"), now.get("r"), now.get("t"), policy.get("w"), said)
    if not policies and unit == "requests":
        for _, now in standings:
            yield _standing(now.get("q"), now.get("r"), now.get("t"), now.get("w"), said)


def _generic(said: Mapping[str, str]) -> Iterator[Standing]:
    """The draft's earlier spellings, and those from before there was one."""
    if members := dict(MEMBER.findall(said.get("ratelimit", ""))):
        yield _with_window(members.get("limit"), members.get("remaining"), members.get("reset"), said)
        return
    if limit := said.get("x-ratelimit-limit-minute"):  # Kong
        yield _standing(limit, said.get("x-ratelimit-remaining-minute"), None, "60", said)
        return
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit"):
        limit, remaining, reset = (said.get(f"{prefix}-{part}") for part in ("limit", "remaining", "reset"))
        if limit or remaining or reset:
            yield _with_window(limit, remaining, reset, said)
            return


def _with_window(limit: str | None, remaining: str | None, reset: str | None, said: Mapping[str, str]) -> Standing:
    """``limit`` may name its windows behind it, else its policy does: ``100, 100;w=60, 5000;w=3600``."""
    first = (limit or "").partition(",")[0].partition(";")[0].strip()
    window = None
    for item in ITEM.findall(f"{limit or ''}, {said.get('ratelimit-policy', '')}"):
        _, named = _item(item)
        if "w" in named and window is None and first in (item.partition(";")[0].strip(), named.get("q")):
            window = named["w"]
    return _standing(first or None, (remaining or "").partition(",")[0] or None, reset, window, said)


def _standing(
    limit: str | None, remaining: str | None, reset: str | None, window: str | None, said: Mapping[str, str]
) -> Standing:
    return Standing(_amount(limit), _amount(remaining), _reset_s(reset, said), number(window))


def _items(value: str) -> Sequence[tuple[set[str], dict[str, str]]]:
    """The names and parameters of each item of a structured list: ``"user";r=50;t=30, "all";r=9;t=1``."""
    return [_item(item) for item in ITEM.findall(value)]


def _item(item: str) -> tuple[set[str], dict[str, str]]:
    words = [word.groups(default="") for word in WORD.finditer(item)]
    names = {quoted or bare for quoted, parameter, *_, bare in words if not parameter}
    return names, {parameter: quoted or bare for _, parameter, quoted, bare, _ in words if parameter}


def _per_minute(told: Standing) -> Standing:
    limit, remaining, reset_s, window_s = told
    if limit is not None and limit <= 0:
        return UNTOLD
    if window_s is None:  # mostly a minute, and never one where it takes longer until all is there again
        window_s = MINUTE_S if (reset_s or 0.0) <= MINUTE_S + SLACK_S else LONGEST_WINDOW_S + 1
    if not SHORTEST_WINDOW_S <= window_s <= LONGEST_WINDOW_S:
        return UNTOLD
    if remaining is not None and remaining < 0:
        remaining = None
    if limit is None:
        return Standing(None, remaining, reset_s) if window_s == MINUTE_S else UNTOLD
    limit = max(1.0, limit * MINUTE_S / window_s)
    if window_s < MINUTE_S:
        return Standing(limit)
    return Standing(limit, None if remaining is None else min(remaining, limit), reset_s)


def _reset_s(text: str | None, said: Mapping[str, str]) -> float | None:
    seconds = seconds_until(text, said.get("date"))
    return None if seconds is None or seconds < 0 else seconds


def _amount(text: str | None) -> float | None:
    value = number(text)
    return None if value is None or abs(value) > MOST else value


def _count(text: str | None) -> int | None:
    value = _amount(text)
    return None if value is None or value < 0 else int(value)


def _whole(amount: float | None) -> int | None:
    return None if amount is None else int(amount + 1e-9)
