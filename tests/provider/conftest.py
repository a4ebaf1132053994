"""Providers to be tested: our own, those with a server over its emulator, and whatever PROVIDER names."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster_tts import config
from cluster_tts.clips import Clips
from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.server import Emulator, running
from cluster_tts.emulator.settings import Settings
from cluster_tts.errors import REFUSALS, JobError
from cluster_tts.job import Job, ProviderSettings
from cluster_tts.model import Clip, News, Outcome, Status, Utterance, Want
from cluster_tts.patience import pause_s
from cluster_tts.providers import PROVIDERS, make, replicate
from cluster_tts.providers.base import Provider
from cluster_tts.storage import LocalFolder
from cluster_tts.synthesis import Synthesis

Speak = Callable[..., Awaitable[Path]]
Emulate = Callable[..., Awaitable[Emulator]]
SpeakAll = Callable[..., Awaitable["Ended"]]

ROOT = Path(__file__).parents[2]
OWN = os.environ.get("PROVIDER")
NEEDS = {"hibari": "hibari", "espeak": "espeakng_loader"}
KEY = "the-key-of-an-emulated-account"


@pytest.fixture
def speak(tmp_path: Path) -> Speak:
    """Speaks a text to a file of its own, named as the clips in the making are."""
    count = 0

    async def speak(provider: Provider, text: str, before: str = "", after: str = "") -> Path:
        nonlocal count
        count += 1
        target = tmp_path / f".clip.{count}.part"
        await provider.speak(Utterance(text, before, after), target)
        return target

    return speak


@pytest.fixture
async def emulate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulate]:
    """Starts emulators in the test's own loop, which want ``KEY``: ``await emulate("openai", faults={"500": 1})``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in EMULATORS:
        monkeypatch.setenv(str(_job(name).provider.api_key_env), KEY)
    async with AsyncExitStack() as emulators:

        async def emulate(name: str, **options: Any) -> Emulator:
            return await emulators.enter_async_context(running(Settings(name, **{"api_key": KEY, **options})))

        yield emulate


def job_over(emulator: Emulator, **settings: Any) -> Job:
    """The job that a user of the emulated provider would have; ``retry__max_attempts=2`` sets what has a dot."""
    job = _job(emulator.settings.provider, **settings)
    return replace(job, provider=replace(job.provider, base_url=emulator.url))


@cache
def _job(name: str, **settings: Any) -> Job:
    overrides = {setting.replace("__", "."): value for setting, value in settings.items()}
    return config.load(overrides=[{"provider.name": name, **overrides}], environ={})


# -- one test for every provider: whoever asks for one of these -------------------------------------------------------


@pytest.fixture(params=[OWN] if OWN else PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return str(request.param)


@pytest.fixture
async def emulator(name: str, emulate: Emulate) -> Emulator | None:
    return await emulate(name) if name in EMULATORS else None


@pytest.fixture
def settings(name: str, emulator: Emulator | None) -> ProviderSettings:
    if emulator:
        return job_over(emulator).provider
    return config.load(overrides=[{"provider.name": name}], environ=os.environ if OWN else {}).provider


@pytest.fixture
async def provider(settings: ProviderSettings) -> AsyncIterator[Provider]:
    provider = make(settings)
    yield provider
    await provider.aclose()


# -- clips as a worker has them made, but nobody waits -----------------------------------------------------------------


class Gate:
    """Open, but that whoever was refused waits before passing again; notes what a limiter would cool for everybody."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.cooled: list[float] = []
        self._sleep = sleep
        self._places = itertools.count()
        self._pauses: dict[object, list[float]] = {}  # by whoever passes: one task makes one clip

    @asynccontextmanager
    async def place(self, want: Want) -> AsyncIterator[int]:
        assert want.units > 0
        if pauses := self._pauses.get(asyncio.current_task()):
            await self._sleep(pauses[-1])
        yield next(self._places)

    def report(self, news: News) -> None:
        refusals = self._pauses.setdefault(asyncio.current_task(), [])
        if news.kind not in REFUSALS:
            refusals.clear()
            return
        refusals.append(pause_s(news.kind, news.after_s, len(refusals) + 1))
        if news.after_s is not None or news.kind != "too_many_at_once":
            self.cooled.append(refusals[-1])


@dataclass
class Time:
    """A clock that moves on when somebody waits, by as much."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)  # those within one attempt

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        await asyncio.sleep(min(seconds, 0.01))


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(replicate, "asyncio", SimpleNamespace(sleep=time.nap, timeout=asyncio.timeout))
    return time


@dataclass
class Ended:
    """How the attempts at some clips ended: what was told, what was raised, what lies on disk."""

    outcomes: list[Outcome]
    error: JobError | None
    cooled: list[float]
    clips: Clips

    @property
    def statuses(self) -> list[Status]:
        return [outcome.status for outcome in self.outcomes]

    @property
    def kinds(self) -> set[str]:
        return {outcome.error_kind for outcome in self.outcomes if outcome.error_kind}


@pytest.fixture
def speak_all(tmp_path: Path, time: Time) -> SpeakAll:
    """Has texts spoken as a worker does it, all at once, until each is a clip or given up or an error ends it all."""

    async def speak_all(job: Job, *texts: str, sleep: Callable[[float], Awaitable[None]] | None = None) -> Ended:
        clips, gate, outcomes = (
            Clips(LocalFolder(tmp_path / "clips"), job.provider.suffix),
            Gate(sleep or time.sleep),
            list[Outcome](),
        )
        provider = make(job.provider)
        synthesis = Synthesis(provider, gate, clips, job, sleep or time.sleep, time.clock)

        async def attempts(number: int, text: str) -> None:
            async with aclosing(synthesis.make(Clip(f"{number:032x}", text, "document", number))) as told:
                async for outcome in told:
                    outcomes.append(outcome)

        try:
            ended = await asyncio.gather(*map(attempts, range(len(texts)), texts), return_exceptions=True)
        finally:
            await synthesis.aclose()
        errors = [error for error in ended if error is not None]
        assert all(isinstance(error, JobError) for error in errors), errors
        assert not list(tmp_path.rglob("*.part")), "nothing half made is left"
        return Ended(
            outcomes, next((error for error in errors if isinstance(error, JobError)), None), gate.cooled, clips
        )

    return speak_all
