"""Limits of an account as they are met, not as faults: refusals cost nothing, are waited for, and end a run in words.

The provider asks its emulator, over loopback, through ``Synthesis``, with no gate of ours in between.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from cluster_tts.emulator import EMULATORS
from cluster_tts.errors import EXIT_CONTINUE, EXIT_REFUSED, AccountRefused, Interrupted
from cluster_tts.model import Status
from tests.provider.conftest import KEY, OWN, Emulate, SpeakAll, Time, job_over

pytestmark = pytest.mark.skipif(OWN is not None, reason="PROVIDER names one of one's own")

TEXTS = [f"Sentence number {number} of some has about as many characters." for number in range(10, 18)]
LENGTH = len(TEXTS[0])

everywhere = pytest.mark.parametrize("name", EMULATORS)


def shortened(time: Time, factor: float) -> Callable[[float], Awaitable[None]]:
    """Notes the waits, but makes them ``factor`` times as long, and the clock stands still."""

    async def sleep(seconds: float) -> None:
        time.waits.append(seconds)
        await asyncio.sleep(seconds * factor)

    return sleep


@pytest.mark.parametrize(
    ("name", "kind", "cools"),
    [
        ("cartesia", "too_many_at_once", False),
        ("elevenlabs", "too_many_at_once", False),
        ("openai", "slow_down", True),  # it has no limit of requests in flight: this is what comes nearest
        ("replicate", "rate_limited", True),  # likewise
    ],
)
async def test_many_at_once_are_all_spoken_in_the_end_and_no_refusal_is_counted(
    name: str, kind: str, cools: bool, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate(name, max_concurrent=1, latency_s=0.02)
    job = job_over(emulator, retry__max_attempts=1)
    ended = await speak_all(job, *TEXTS, sleep=shortened(time, 0.01))
    stats = emulator.stats()
    assert ended.error is None
    assert ended.statuses.count(Status.SPOKEN) == len(ended.clips.listing()) == len(TEXTS)
    assert set(ended.statuses) == {Status.SPOKEN, Status.RETRIED}
    assert ended.kinds == {kind}
    assert stats["refused"] == {"concurrency": ended.statuses.count(Status.RETRIED)}
    assert (stats["in_flight"]["peak"], stats["charged"], stats["repeats"]) == (1, len(TEXTS), {})
    assert max(time.waits) <= 4 or cools, "a place is free again every few seconds"
    assert ended.cooled == (time.waits if cools else [])


@pytest.mark.parametrize(
    ("name", "kind", "wait_s", "cools"),
    [
        ("cartesia", "too_many_at_once", 1, False),  # it has no such limit, and no other 429
        ("elevenlabs", "rate_limited", 1, True),  # it names no delay
        ("openai", "rate_limited", 600, True),
        ("replicate", "rate_limited", 600, True),
    ],
)
@pytest.mark.parametrize("limit", ["requests_per_minute", "characters_per_minute"])
async def test_a_rate_that_is_used_up_is_waited_for_as_long_as_the_server_says(
    name: str, kind: str, wait_s: int, cools: bool, limit: str, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    each = 1 if limit == "requests_per_minute" else LENGTH
    emulator = await emulate(name, window_s=600, **{limit: 2 * each / 10})
    job = job_over(emulator, retry__max_attempts=1)

    async def sleep(seconds: float) -> None:
        time.waits.append(seconds)
        emulator.reset()  # as if the window had passed

    assert (await speak_all(job, *TEXTS[:2], sleep=sleep)).statuses == [Status.SPOKEN] * 2
    third = await speak_all(job, *TEXTS[:3], sleep=sleep)
    assert sorted(third.statuses) == [Status.FOUND, Status.FOUND, Status.RETRIED, Status.SPOKEN]
    assert third.kinds == {kind}
    assert time.waits == pytest.approx([wait_s], abs=20 if wait_s == 600 else 0), "some of the window has passed"
    assert third.cooled == (time.waits if cools else [])


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("cartesia", {}, 402),
        ("elevenlabs", {"credit_status": 401}, 401),
        ("elevenlabs", {"credit_status": 402}, 402),
        ("openai", {}, 429),
        ("replicate", {}, 402),
    ],
)
async def test_an_empty_purse_ends_the_run_and_what_was_spoken_stays_and_is_not_paid_again(
    name: str, options: dict[str, int], status: int, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate(name, out_of_credit_after=3 * LENGTH + LENGTH // 2, **options)
    job = job_over(emulator)
    ended = await speak_all(job, *TEXTS)
    stats = emulator.stats()
    assert type(ended.error) is AccountRefused
    assert (ended.error.kind, ended.error.exit_code) == ("no_credit", EXIT_REFUSED)
    assert "add credit or raise the limit, then run the same command again" in str(ended.error)
    assert {outcome.http_status for outcome in ended.outcomes} == {200, status}
    assert len(ended.clips.listing()) == stats["charged"] == 3
    assert stats["arrivals"] == len(TEXTS), "none was tried again"
    assert time.waits == []

    emulator.reset()  # somebody has paid
    continued = await speak_all(job, *TEXTS)
    assert continued.statuses.count(Status.FOUND) == 3
    assert emulator.stats()["arrivals"] == len(TEXTS) - 3


@everywhere
async def test_a_wrong_key_ends_the_run_at_the_first_answer(
    name: str, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate(name, api_key="of somebody else")
    ended = await speak_all(job_over(emulator), TEXTS[0])
    assert type(ended.error) is AccountRefused
    assert (ended.error.kind, ended.error.exit_code) == ("account_refused", EXIT_REFUSED)
    assert "check the API key" in str(ended.error)
    assert KEY not in str(ended.error)
    assert (emulator.stats()["arrivals"], emulator.stats()["charged"], time.waits) == (1, 0, [])
    assert not ended.clips.listing()


@pytest.mark.parametrize(
    ("name", "limit", "waits"),
    [
        ("cartesia", "max_concurrent", [1, 2, *[4] * 50]),
        ("elevenlabs", "max_concurrent", [1, 2, *[4] * 50]),
        ("elevenlabs", "requests_per_minute", [1, 2, 4, 8, 16, 32, 60, 60, 60]),
        ("openai", "requests_per_minute", [60, 60, 60]),  # as it says
        ("openai", "characters_per_minute", [60, 60, 60]),
        ("openai", "max_concurrent", [1, 2, 4, 8, 16, 32, 60, 60, 60]),
        ("replicate", "requests_per_minute", [60, 60, 60]),
        ("replicate", "max_concurrent", [1] * 200),
    ],
)
async def test_an_account_that_allows_nothing_is_borne_until_patience_ends(
    name: str, limit: str, waits: list[float], emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate(name, **{limit: 0})
    ended = await speak_all(job_over(emulator, quota__patience_s=200, retry__max_attempts=1), TEXTS[0])
    assert type(ended.error) is Interrupted
    assert ended.error.exit_code == EXIT_CONTINUE
    assert "out of patience" in str(ended.error)
    assert "quota.patience_s is 200" in str(ended.error)
    assert time.waits == waits
    assert set(ended.statuses) == {Status.RETRIED}
    assert (emulator.stats()["arrivals"], emulator.stats()["charged"]) == (len(waits) + 1, 0)
    assert not ended.clips.listing()


@everywhere
async def test_a_server_that_is_not_there_ends_the_run_after_its_attempts(
    name: str, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    job = job_over(await emulate(name))
    with socket.socket() as bound:  # but it does not listen
        bound.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ended = await speak_all(replace(job, provider=replace(job.provider, base_url=nowhere)), TEXTS[0])
    assert type(ended.error) is Interrupted
    assert "check provider.base_url and the network" in str(ended.error)
    assert ended.kinds == {"unreachable"}
    assert time.waits == [1, 2, 4]


async def test_polls_are_limited_too_and_wait_as_long_as_the_server_says_within_the_one_attempt(
    emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate("replicate", latency_s=1.2, faults={"poll_429": 1}, retry_after_s=7)
    ended = await speak_all(job_over(emulator, provider__timeout_s=2.9), TEXTS[0])  # so that it waits for 1 s only
    assert ended.statuses == [Status.SPOKEN]
    assert time.naps[:2] == [0.5, 7]
    assert time.waits == []
    assert (emulator.stats()["arrivals"], emulator.stats()["charged"]) == (1, 1)
