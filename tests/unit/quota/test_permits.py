"""A limiter outlives the run that made it: whoever changes a message has to say so by another number."""

import re
from dataclasses import fields, is_dataclass
from typing import Any

from cluster_tts.model import News, Purse, Told, Want
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.quota.permits import PROTOCOL, Ask, Claim, Reply

MESSAGES: tuple[Any, ...] = (Claim, Ask, Reply, Want, News, Told, Purse, Limits, Standing)


def spelled() -> str:
    return "\n".join(
        f"{message.__name__}.{field.name}: {_type(field.type)}" for message in MESSAGES for field in fields(message)
    )


def _type(named: Any) -> str:
    return re.sub(r"\b\w+\.(?=\w)", "", named.__name__ if isinstance(named, type) else str(named))


def test_messages_are_made_of_nothing_else() -> None:
    known = {"str", "int", "float", "bool", "None", "tuple", "Mapping", *(message.__name__ for message in MESSAGES)}
    assert all(is_dataclass(message) for message in MESSAGES)
    assert {word for line in spelled().splitlines() for word in re.findall(r"\w+", line.split(": ")[1])} <= known


def test_another_shape_of_a_message_is_another_protocol() -> None:
    """Never change what belongs to a number that was released: write the new shapes under the next one."""
    assert spelled() == SHAPES[PROTOCOL].rstrip()


SHAPES = {
    1: """\
Claim.run: str
Claim.limits: Limits
Claim.share: float
Claim.weight: float
Claim.adaptive: bool
Claim.max_unknown: int
Claim.purse: Purse
Ask.worker: str
Ask.number: int
Ask.wants: Mapping[int, Want]
Ask.done: tuple[tuple[int, float], ...]
Ask.news: tuple[News, ...]
Ask.era: str
Ask.sent: tuple[tuple[float, int], ...] | None
Ask.holds: Mapping[int, Want]
Ask.spent: tuple[float, int]
Reply.era: str
Reply.granted: tuple[int, ...]
Reply.tell_s: float | None
Reply.broke: str
Want.units: int
Want.characters: int
Want.usd: float
News.request: int
News.kind: str
News.after_s: float | None
News.told: Told | None
News.units: int
News.latency_s: float
News.sent_after_s: float
News.billed_characters: int | None
News.cost_usd: float | None
Told.limit_requests: int | None
Told.remaining_requests: int | None
Told.reset_requests_s: float | None
Told.limit_characters: int | None
Told.remaining_characters: int | None
Told.reset_characters_s: float | None
Told.in_flight: int | None
Told.most_in_flight: int | None
Purse.usd: float | None
Purse.characters: int | None
Limits.requests: float | None
Limits.characters: float | None
Limits.in_flight: int | None
Limits.window_s: float
Limits.guard_s: float
Limits.burst: float | None
Limits.burst_characters: float | None
Standing.account: str
Standing.limits: Limits
Standing.requests: int
Standing.characters: int
Standing.in_flight: int
Standing.waiting: int
Standing.granted: int
Standing.refused: int
Standing.cool_s: float
Standing.remaining: float | None
Standing.degraded_to: int | None
Standing.learned: Mapping[str, float]
Standing.parties: int
Standing.notes: tuple[tuple[int, str], ...]
"""
}
