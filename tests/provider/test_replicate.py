"""Predictions over real sockets: what is asked again, what is cancelled, and which outputs are a file."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cluster_tts.errors import AccountRefused, ChunkError, CTTSError, JobError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance
from cluster_tts.providers import make, replicate
from cluster_tts.providers.replicate import Replicate
from tests.provider.conftest import Emulate, job_over
from tests.provider.recorder import Handler, Recorder, recording, saying

DATA = "data:audio/wav;base64,UklGRg=="
UTTERANCE = Utterance("Hello.")


class Account(Recorder):
    """Answers by path: ``created``, then ``polls`` one by one, then ``files``; the last of each stays."""

    created: Any
    polls: list[Any]
    files: list[Handler]

    async def script(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/files/"):
            return await next_of(self.files)(request)
        if request.path.endswith("/cancel"):
            return web.json_response({"id": "p1", "status": "canceled"})
        told = self.created if request.method == "POST" else next_of(self.polls)
        return await told(request) if callable(told) else web.json_response(told)

    @property
    def sent(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


def next_of(things: list[Any]) -> Any:
    return things.pop(0) if len(things) > 1 else things[0]


def prediction(status: str, output: Any = None, **further: Any) -> dict[str, Any]:
    return {"id": "p1", "status": status, "output": output, **further}


CREATE, POLL, CANCEL, FILE = (
    "POST /v1/models/o/n/predictions", "GET /v1/predictions/p1", "POST /v1/predictions/p1/cancel", "GET /files/1",
)  # fmt: skip


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with recording(Account) as account:
        account.answer, account.polls, account.files = account.script, [], [saying(b"RIFF audio")]
        yield account


@pytest.fixture
async def voice(account: Account, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replicate]:
    monkeypatch.setenv("TEST_API_TOKEN", "r8_0123456789abcdef")
    voice = Replicate(
        ProviderSettings(
            "replicate", base_url=account.url, api_key_env="TEST_API_TOKEN", model="o/n", inputs={"text": "text"}
        )
    )
    yield voice
    await voice.aclose()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; they take no time."""
    made: list[float] = []
    sleep = asyncio.sleep

    async def nap(seconds: float) -> None:
        made.append(seconds)
        await sleep(0)

    monkeypatch.setattr(replicate.asyncio, "sleep", nap)
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / ".clip.part"


async def failure(voice: Replicate, target: Path) -> Any:
    with pytest.raises(CTTSError) as failed:
        await voice.speak(UTTERANCE, target)
    return failed.value


async def test_a_prediction_is_polled_ever_more_seldom_until_it_has_ended(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    account.created = prediction("starting")
    account.polls = [prediction("starting"), *[prediction("processing")] * 9, prediction("succeeded", DATA)]
    await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, *[POLL] * 11]
    assert naps[:3] == [0.5, 0.75, 1.125]
    assert naps[-1] == 10.0
    assert target.read_bytes() == b"RIFF"


@pytest.mark.parametrize(
    "shape",
    [
        lambda uri: uri,
        lambda uri: [uri],
        lambda uri: {"audio": uri, "seed": 4, "words": "hello"},
        lambda uri: {"parts": [{"file": uri}], "more": None},
    ],
)
@pytest.mark.parametrize("inline", [True, False])
async def test_one_file_in_an_output_of_any_shape_is_the_clip(
    account: Account, voice: Replicate, target: Path, shape: Any, inline: bool
) -> None:
    account.created = prediction(
        "succeeded", shape(DATA if inline else f"{account.url}/files/1"), metrics={"predict_time": 2.5}
    )
    receipt = await voice.speak(UTTERANCE, target)
    assert target.read_bytes() == (b"RIFF" if inline else b"RIFF audio")
    assert account.sent == ([CREATE] if inline else [CREATE, FILE])
    assert (receipt.request_id, receipt.machine_s, receipt.billed_characters) == ("p1", 2.5, len(UTTERANCE.text))


@pytest.mark.parametrize(
    ("uri", "content"), [("data:audio/wav,RI%46F%00", b"RIFF\0"), ("data:;base64,", b""), (DATA, b"RIFF")]
)
async def test_a_file_inside_the_output(
    account: Account, voice: Replicate, target: Path, uri: str, content: bytes
) -> None:
    account.created = prediction("succeeded", uri)
    await voice.speak(UTTERANCE, target)
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    ("output", "error", "kind"),
    [
        (None, RetryLater, "expired"),
        ([DATA, DATA], JobError, None),
        ({"a": DATA, "b": [DATA]}, JobError, None),
        ([], JobError, None),
        ("some words", JobError, None),
        (7, JobError, None),
        ("data:audio/wav;base64,!", RetryLater, "not_audio"),
        ("data:audio/wav;base64,ü", RetryLater, "not_audio"),
    ],
)
async def test_an_output_without_one_file_is_no_clip(
    account: Account, voice: Replicate, target: Path, output: Any, error: type[Exception], kind: str
) -> None:
    account.created = prediction("succeeded", output, data_removed=True)
    failed = await failure(voice, target)
    assert (type(failed), getattr(failed, "kind", None)) == (error, kind)
    if error is not JobError:
        assert failed.receipt.billed_characters == len(UTTERANCE.text), "it was made, so it is paid"


async def test_an_odd_output_of_a_model_that_has_worked_costs_one_clip_and_else_stops_the_run(
    account: Account, voice: Replicate, target: Path
) -> None:
    account.created = prediction("succeeded", [DATA, DATA])
    failed = await failure(voice, target)
    assert type(failed) is JobError, "it would be paid for every clip of the job"
    assert "gave 2 files where one was expected: ['data:" in str(failed)
    account.created = prediction("succeeded", DATA)
    await voice.speak(UTTERANCE, target)
    account.created = prediction("succeeded", [DATA, DATA])
    failed = await failure(voice, target)
    assert (type(failed), failed.kind) == (ChunkError, "unexpected_output")
    assert failed.receipt.billed_characters == len(UTTERANCE.text)


@pytest.mark.parametrize(
    ("status", "kind", "billed"),
    [("failed", "model_failed", 6), ("canceled", "canceled", 6), ("aborted", "aborted", 0)],
)
async def test_a_prediction_that_ended_badly_is_made_again(
    account: Account, voice: Replicate, target: Path, status: str, kind: str, billed: int
) -> None:
    account.created = prediction(status, error="CUDA\nout of memory: r8_0123456789abcdef")
    failed = await failure(voice, target)
    assert (type(failed), failed.kind, failed.receipt.billed_characters) == (RetryLater, kind, billed)
    assert str(failed) == f"the model says '{status}': CUDA out of memory: ***"
    assert account.sent == [CREATE], "what has ended is not cancelled"


async def test_output_while_processing_is_taken_if_it_is_a_string(
    account: Account, voice: Replicate, target: Path
) -> None:
    account.created = prediction("processing", f"{account.url}/files/1")
    await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, FILE]


async def test_a_list_may_grow_while_processing(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    account.created = prediction("processing", [f"{account.url}/files/0"])
    account.polls = [prediction("succeeded", [f"{account.url}/files/1"])]
    await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, POLL, FILE]


async def test_a_refused_poll_waits_as_told_and_costs_no_prediction(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    throttled = saying(b'{"detail":"Request was throttled.","status":429}', 429, headers={"Retry-After": "7"})
    account.created = prediction("starting")
    account.polls = [throttled, saying(b"", 500), saying(b"oops"), throttled, prediction("succeeded", DATA)]
    await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, *[POLL] * 5]
    assert naps == [0.5, 7.0, 2.0, 4.0, 7.0]


async def test_a_file_is_fetched_again_without_a_new_prediction(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x" * 50)
        request.transport.close()
        return response

    account.created = prediction("succeeded", f"{account.url}/files/1")
    account.files = [saying(b"", 503), cut, saying(b"RIFF audio")]
    await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, FILE, FILE, FILE]
    assert target.read_bytes() == b"RIFF audio"


@pytest.mark.parametrize(
    ("status", "kind", "fetches"), [(404, "expired", 1), (403, "expired", 1), (500, "server_error", 6)]
)
async def test_a_file_that_cannot_be_had_costs_this_attempt_only(
    account: Account, voice: Replicate, target: Path, naps: list[float], status: int, kind: str, fetches: int
) -> None:
    account.created = prediction("succeeded", f"{account.url}/files/1")
    account.files = [saying(b"gone", status)]
    failed = await failure(voice, target)
    assert (type(failed), failed.kind, failed.receipt.billed_characters) == (RetryLater, kind, 6)
    assert account.sent == [CREATE, *[FILE] * fetches]


async def test_a_file_on_another_host_is_fetched_without_the_token(
    account: Account, voice: Replicate, target: Path
) -> None:
    async with recording() as elsewhere:
        account.created = prediction("succeeded", f"{elsewhere.url}/files/1")
        await voice.speak(UTTERANCE, target)
        assert "Authorization" not in elsewhere.requests[0].headers
    assert target.read_bytes() == b"RIFF audio"


@pytest.mark.parametrize("status", ["starting", "processing"])
async def test_a_cancelled_call_cancels_its_prediction_and_leaves_no_task(
    account: Account, voice: Replicate, target: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    polled = asyncio.Event()

    async def poll(request: web.Request) -> web.StreamResponse:
        polled.set()
        return web.json_response(prediction(status))

    monkeypatch.setattr(replicate, "FIRST_POLL_S", 0.0)
    account.created, account.polls = prediction("starting"), [poll]
    before = asyncio.all_tasks()
    speaking = asyncio.create_task(voice.speak(UTTERANCE, target))
    await polled.wait()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert account.sent[-1] == CANCEL
    assert account.sent.count(CANCEL) == 1
    await voice.aclose()
    assert not {task for task in asyncio.all_tasks() - before if task.get_coro().__qualname__.startswith("Replicate")}


async def test_an_attempt_that_takes_too_long_cancels_its_prediction(
    account: Account, voice: Replicate, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_late(request: web.Request) -> web.StreamResponse:
        limit.reschedule(0.0)
        return web.json_response(prediction("starting"))

    monkeypatch.setattr(replicate, "FIRST_POLL_S", 0.0)
    account.created, account.polls = prediction("starting"), [too_late]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            await voice.speak(UTTERANCE, target)
    assert account.sent == [CREATE, POLL, CANCEL]


async def test_a_prediction_that_cannot_be_polled_is_cancelled(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    account.created, account.polls = prediction("starting"), [saying(b"", 500)]
    failed = await failure(voice, target)
    assert (type(failed), failed.kind) == (RetryLater, "server_error")
    assert account.sent == [CREATE, *[POLL] * 6, CANCEL]


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"status": "succeeded"},
        {"id": 5, "status": "starting"},
        {"id": "../x", "status": "starting"},
        {"id": "p1"},
        None,
    ],
)
async def test_an_answer_that_is_no_prediction_is_asked_again(
    account: Account, voice: Replicate, target: Path, told: Any
) -> None:
    account.created = told
    failed = await failure(voice, target)
    assert (type(failed), failed.kind) == (RetryLater, "not_json")
    assert account.sent == [CREATE], "nothing is polled or cancelled by a name that is none"


@pytest.mark.parametrize(
    ("answer", "error", "kind", "after_s"),
    [
        (saying(b'{"detail":"Your rate limit resets in ~5s.","status":429,"retry_after":5}', 429), RetryLater,
         "rate_limited", 5.0),
        (saying(b'{"title":"Insufficient credit","detail":"You have","status":402}', 402), AccountRefused, "no_credit",
         None),
        (saying(b'{"title":"Input validation failed","detail":"- input: text is required","status":422}', 422),
         ChunkError, "refused_text", None),
    ],
)  # fmt: skip
async def test_a_refused_create_is_never_repeated_here(
    account: Account, voice: Replicate, target: Path, answer: Handler, error: type[Exception], kind: str, after_s: Any
) -> None:
    account.created = answer
    failed = await failure(voice, target)
    assert (type(failed), failed.kind, getattr(failed, "after_s", None)) == (error, kind, after_s)
    assert account.sent == [CREATE]


async def test_a_create_names_its_deadline(account: Account, voice: Replicate, target: Path) -> None:
    account.created = prediction("succeeded", DATA)
    receipt = await voice.speak(UTTERANCE, target)
    assert account.requests[0].headers["Cancel-After"] == "120s"
    assert isinstance(receipt, Receipt)


async def test_a_file_offered_in_the_clear_is_not_fetched_where_the_api_is_not(target: Path) -> None:
    voice = Replicate(ProviderSettings("replicate", model="o/n", inputs={"text": "text"}))
    with pytest.raises(RetryLater, match="not offered by https") as failed:
        await voice._fetch("http://127.0.0.1:9/files/1", target, 100)
    assert failed.value.kind == "unexpected_output"
    assert not target.exists()


# -- polls are counted apart from creates ------------------------------------------------------------------------------


class Passage:
    """Lets so many pass in any window, first come, first served; notes who passed and what was refused."""

    def __init__(self, most: float = float("inf"), window_s: float = 0.0) -> None:
        self.passed: list[str] = []
        self.inside = 0
        self.refused: list[float | None] = []
        self._most, self._window_s = most, window_s
        self._left: deque[float] = deque()
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        now = asyncio.get_running_loop().time
        async with self._turn:
            if len(self._left) >= self._most:
                await asyncio.sleep(max(0.0, self._left.popleft() + self._window_s - now()))
            self._left.append(now())
        self.passed.append(name)
        self.inside += 1
        try:
            yield
        except RetryLater as error:
            self.refused.append(error.after_s)
            raise
        finally:
            self.inside -= 1


async def test_every_poll_passes_where_polls_are_counted_and_nothing_else_does(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    passage = voice.passage = Passage()
    inside: list[tuple[str, int]] = []

    async def script(request: web.Request) -> web.StreamResponse:
        inside.append((f"{request.method} {request.path}", passage.inside))
        return await account.script(request)

    account.answer = script
    account.created = prediction("starting")
    account.polls = [
        prediction("starting"),
        prediction("processing"),
        prediction("succeeded", f"{account.url}/files/1"),
    ]
    await voice.speak(UTTERANCE, target)
    assert inside == [(CREATE, 0), (POLL, 1), (POLL, 1), (POLL, 1), (FILE, 0)]
    assert passage.passed == ["polls"] * 3
    assert passage.refused == []


async def test_a_refused_poll_is_told_where_polls_are_counted_and_to_nobody_else(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    passage = voice.passage = Passage()
    throttled = saying(b'{"detail":"Request was throttled.","status":429,"retry_after":7}', 429)
    account.created = prediction("starting")
    account.polls = [throttled, prediction("succeeded", DATA)]
    receipt = await voice.speak(UTTERANCE, target)
    assert passage.refused == [7.0]
    assert passage.passed == ["polls"] * 2, "asked again, it passes again"
    assert receipt.http_status == 200, "whoever counts creates hears of no refusal"


async def test_what_is_cancelled_while_its_poll_waits_leaves_and_cancels_its_prediction(
    account: Account, voice: Replicate, target: Path, naps: list[float]
) -> None:
    waiting = asyncio.Event()

    @asynccontextmanager
    async def closed(name: str) -> AsyncIterator[None]:
        waiting.set()
        await asyncio.Event().wait()
        yield

    voice.passage = closed
    account.created = prediction("starting")
    speaking = asyncio.create_task(voice.speak(UTTERANCE, target))
    await waiting.wait()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert account.sent == [CREATE, CANCEL]


@pytest.mark.parametrize("counted", [True, False])
async def test_polls_that_are_counted_are_not_refused_however_many_predictions_there_are(
    counted: bool, emulate: Emulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight predictions, each polled twenty times a second; the account allows ten polls a second, in any half."""
    monkeypatch.setattr(replicate, "FIRST_POLL_S", 0.05)
    monkeypatch.setattr(replicate, "LONGEST_POLL_S", 0.05)
    emulator = await emulate(
        "replicate", polls_per_minute=600, window_s=0.5, latency_s=0.8, faults={"starting": 1}, retry_after_s=1
    )
    voice = make(job_over(emulator).provider)
    passage = voice.passage = Passage(5, 0.5 + 0.25) if counted else Passage()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(voice.speak(Utterance(f"Sentence {number}."), tmp_path / f"{number}.part"))
    finally:
        await voice.aclose()
    assert emulator.stats()["served"] == 8
    assert emulator.stats()["polls"] == len(passage.passed)
    assert (passage.refused == []) is counted
