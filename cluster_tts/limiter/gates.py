"""A worker's side of the gate: what it passes through before every request."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from cluster_tts.errors import REFUSALS, AccountRefused, RetryLater
from cluster_tts.model import News, Want
from cluster_tts.patience import pause_s
from cluster_tts.quota.permits import Ask, Claim, LimiterPort, Reply


class OpenGate:
    """The gate of a provider without an account: open, but for a server that said when to come again."""

    def __init__(self) -> None:
        self._cold_until = 0.0
        self._refused = 0

    @asynccontextmanager
    async def place(self, want: Want) -> AsyncIterator[int]:
        loop = asyncio.get_running_loop()
        while (cold_s := self._cold_until - loop.time()) > 0:  # noqa: ASYNC110 - and may have grown meanwhile
            await asyncio.sleep(cold_s)
        yield 0

    def report(self, news: News) -> None:
        """Nobody else asks this provider: only its refusals matter."""
        if news.kind not in REFUSALS:
            self._refused = 0
            return
        self._refused += 1
        now = asyncio.get_running_loop().time()
        self._cold_until = max(self._cold_until, now + pause_s(news.kind, news.after_s, self._refused))


class CoreGate:
    """The gate of an embedded voice: nobody else's quota, but no more at once than there are cores to compute them."""

    def __init__(self, cores: int) -> None:
        self._cores = asyncio.Semaphore(cores)

    @asynccontextmanager
    async def place(self, want: Want) -> AsyncIterator[int]:
        async with self._cores:
            yield 0

    def report(self, news: News) -> None:
        """There is no server to learn from."""


class Passages:
    """The gates of calls that count apart from speech, by the name of their class (``catalogue.classes``)."""

    def __init__(self, gates: Mapping[str, "LimiterGate"]) -> None:
        self._gates = gates

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        """Pass once a call of that class may leave; a refusal that it raises is heard by its class alone."""
        if (gate := self._gates.get(name)) is None:
            yield
            return
        async with gate.place(Want(0)) as request:
            try:
                yield
            except RetryLater as error:
                gate.report(News(request, error.kind, error.after_s))
                raise
            except Exception:
                gate.report(News(request, "wrong_request"))
                raise
            gate.report(News(request))


class LimiterGate:
    """A worker's side of the gate: the wants of all its slots travel in one pending call.

    As long as anything waits or is in flight a call is pending, so that a limiter that died and came back hears at
    once of all that it has forgotten.
    """

    def __init__(self, limiter: LimiterPort, account: str, claim: Claim, worker: str) -> None:
        self._limiter = limiter
        self._account = account
        self._claim = claim
        self._worker = worker
        self._ids = itertools.count()
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[Want, asyncio.Future[None]]] = {}
        self._held: dict[int, tuple[float, Want]] = {}  # when it left, and what it may cost
        self._untold: dict[int, Want] = {}  # of what left, that of which nothing has been reported
        self._spent = (0.0, 0)  # dollars and characters, at most, of what was reported
        self._sent: deque[tuple[float, int]] = deque()
        self._done: list[tuple[int, float]] = []  # with when they left
        self._news: list[News] = []
        self._era = ""
        self._tell_s: float | None = None
        self._sending = False
        self._calls: set[asyncio.Task[None] | None] = set()

    @asynccontextmanager
    async def place(self, want: Want) -> AsyncIterator[int]:
        """Hold a place in flight, known by the number that is given; entered once the request may leave, to be left
        when its last byte is there. What came of it has to be reported.

        Raises:
            AccountRefused: the run's purse does not cover it.
        """
        request = next(self._ids)
        allowed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[request] = want, allowed
        self._send()
        try:
            await allowed
            self._leaves(request, want)
            yield request
        except asyncio.CancelledError:
            if request in self._held:  # nobody will ever know what came of it
                self._settle(News(request, "cancelled"))
            else:
                self._news.append(News(request, "unused", cost_usd=0.0, billed_characters=0))
            raise
        finally:
            self._waiting.pop(request, None)
            held = self._held.pop(request, None)
            self._done.append((request, held[0] if held else asyncio.get_running_loop().time()))
            self._send()

    def report(self, news: News) -> None:
        """Tell what came of a request."""
        self._settle(news)
        self._send()

    def _settle(self, news: News) -> None:
        self._news.append(news)
        want = self._untold.pop(news.request, Want(0))
        usd = want.usd if news.cost_usd is None else news.cost_usd
        characters = want.characters if news.billed_characters is None else news.billed_characters
        self._spent = self._spent[0] + usd, self._spent[1] + characters

    def _leaves(self, request: int, want: Want) -> None:
        now = asyncio.get_running_loop().time()
        self._held[request] = now, want
        self._untold[request] = want
        self._sent.append((now, want.units))
        span = self._claim.limits.window_s + self._claim.limits.guard_s
        while self._sent[0][0] < now - span:
            self._sent.popleft()

    def _send(self) -> None:
        """Ask once all that happens in this moment has happened: many slots make one call."""
        if not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._sending = False
        wants = {request: want for request, (want, allowed) in self._waiting.items() if not allowed.done()}
        sent, holds, spent = self._told()
        now = asyncio.get_running_loop().time()
        done = tuple((request, now - left) for request, left in self._done)
        ask = Ask(self._worker, next(self._numbers), wants, done, tuple(self._news), self._era, sent, holds, spent)
        self._done.clear()
        self._news.clear()
        self._calls.add(asyncio.get_running_loop().create_task(self._call(ask)))

    def _told(self) -> tuple[tuple[tuple[float, int], ...] | None, dict[int, Want], tuple[float, int]]:
        """What a limiter that has forgotten everything has to know."""
        if self._tell_s is None:
            return None, {}, (0.0, 0)
        now = asyncio.get_running_loop().time()
        sent = tuple((now - left, units) for left, units in self._sent if now - left <= self._tell_s)
        holds = {request: want for request, (_, want) in self._held.items()}
        checked = [want for request, want in self._untold.items() if request not in self._held]
        usd = self._spent[0] + sum(want.usd for want in checked)
        return sent, holds, (usd, self._spent[1] + sum(want.characters for want in checked))

    async def _call(self, ask: Ask) -> None:
        try:
            reply = await self._limiter.ask(self._account, self._claim, ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, the slots that wait are told
            self._fail(error)
            return
        finally:
            self._calls.discard(asyncio.current_task())
        if reply.tell_s is not None:
            self._again(ask, reply)
            return
        self._era, self._tell_s = reply.era, None
        if reply.broke:
            self._fail(AccountRefused(f"the budget is used up: {reply.broke}", "budget"))
        for request in reply.granted:
            if (entry := self._waiting.get(request)) and not entry[1].done():
                entry[1].set_result(None)
        # What was granted since then is told in answer to the next call: there must be one on its way, and as long as
        # anything is in flight, or about to leave, the limiter has to hear that this worker lives.
        if not self._calls and self._waiting:
            self._send()

    def _again(self, ask: Ask, reply: Reply) -> None:
        """Ask a limiter that knows nothing of this worker again, and tell it all."""
        self._tell_s, self._era = reply.tell_s, ask.era
        now = asyncio.get_running_loop().time()
        self._done[:0] = [(request, now - since_s) for request, since_s in ask.done]
        self._news[:0] = ask.news
        self._send()

    def _fail(self, error: Exception) -> None:
        for _, allowed in self._waiting.values():
            if not allowed.done():
                allowed.set_exception(error)
