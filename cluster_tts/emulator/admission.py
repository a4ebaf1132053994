"""The one way in: every request to speak is counted, held against the limits and the purse, and given its fault."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from cluster_tts.emulator.faults import CHARGED, TRANSPORT, Faults
from cluster_tts.emulator.limits import Account, Count, Standing, count
from cluster_tts.emulator.log import MOST_TEXT, Log
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.speech import digest_of
from cluster_tts.emulator.stats import Stats
from cluster_tts.emulator.turns import Turns
from cluster_tts.emulator.wire import Ask, Call, Refusal, Ticket, Wire


class Admission:
    """The account of an emulator: its limits, its credit, its bad luck, and the counters of all that.

    What is admitted holds a place until ``leave``. It is charged when it comes in, so that requests at the same time
    cannot spend the same credit; a fault that costs nothing is never charged.
    """

    def __init__(self, settings: Settings, wire: Wire, clock: Callable[[], float]) -> None:
        self._settings, self._wire, self._clock = settings, wire, clock
        self._era, self._sent = 0, 0
        self._turns = Turns(self._free)
        self._faults = Faults(settings.faults, [*TRANSPORT, *wire.fault_names()], settings.seed)
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened; what is under way ends uncounted."""
        settings, window_s = self._settings, self._settings.window_s
        self._era += 1
        self._start = self._clock()
        self.stats, self.log = Stats(window_s), Log(settings.log)
        self._inside: set[int] = set()
        self.account = Account(
            self._count("requests_per_minute"),
            self._count("characters_per_minute"),
            settings.max_concurrent,
            refusals_count=self._wire.refusals_count,
        )
        self._polls = count("sliding", settings.per_window(settings.polls_per_minute), window_s)
        self._turns.call()

    def change(self, limits: Mapping[str, float | None]) -> Settings:
        """Hold other limits from now on, by the names of ``LIMITS``; what was counted stays counted.

        A limit that there was none of counts what was let in within the last window.

        Raises:
            JobError: a value makes no sense.
        """
        self._settings = replace(self._settings, **limits)  # type: ignore[arg-type]  # refused there
        account = self.account
        account.requests = self._changed(account.requests, "requests_per_minute")
        account.characters = self._changed(account.characters, "characters_per_minute")
        account.most_in_flight = self._settings.max_concurrent
        self._turns.call()
        return self._settings

    def travel_s(self) -> float:
        """How much later than it was sent the next request arrives."""
        self._sent += 1
        return self._settings.travel_s * self._faults.lateness(self._sent)

    def now(self) -> float:
        """Seconds since the start, or the last reset."""
        return self._clock() - self._start

    def arrive(self, peer: str = "") -> int:
        """Count an arrival from the address ``peer``: its number."""
        now = self.now()
        number = self.stats.arrive(now)
        self.log.arrive(number, now, peer)
        return number

    async def enter(self, call: Call, ask: Ask) -> Ticket:
        """Let a request in, where the server has them queue: once it is its turn.

        Raises:
            Refusal: a limit is reached, or the credit.
        """
        self.log.note(call.number, text=ask.text[:MOST_TEXT], characters=ask.characters)
        self.log.note(call.number, said=_said(ask), speed=ask.speed)
        self.stats.ask(ask.text, ask.characters, self.now())
        if not self._settings.queue:
            return self.admit(call, ask)
        await self._turns.wait()
        try:
            return self.admit(call, ask)
        finally:
            self._turns.call()

    def admit(self, call: Call, ask: Ask) -> Ticket:
        """Let a request in now.

        Raises:
            Refusal: a limit is reached, or the credit.
        """
        now = self.now()
        verdict = self.account.admit(ask.characters, now)
        if verdict.refused:
            raise Refusal(verdict.refused, self._wire.limited(verdict, ask, call, self.standings()))
        credit = self._settings.out_of_credit_after
        if credit is not None and (remaining := credit - self.stats.charged_characters) < max(1, ask.characters):
            self.account.leave()
            raise Refusal("credit", self._wire.broke(ask, remaining, call))
        fault = self._faults.draw(call.number)
        ticket = Ticket(call.number, ask, fault, self._costs(fault), self.account.in_flight, self._era)
        self.stats.admit(ask.characters, now)
        self._inside.add(call.number)
        latency_s = sum(self.latency_s(ticket))
        self.log.note(call.number, admitted_s=now, in_flight=ticket.place, latency_s=latency_s, fault=fault)
        if fault is not None:
            self.stats.faults[fault] += 1
        if ticket.charged:
            self.stats.charge(ask.text, ask.characters)
        return ticket

    def refuse(self, call: Call, cause: str) -> None:
        """Count a refusal, which leaves now."""
        self.stats.refused[cause] += 1
        self.log.note(call.number, refused=cause, left_s=self.now())

    def leave(self, ticket: Ticket) -> None:
        """Give back the place of a ticket, if it still holds one: just before its last byte leaves.

        Any later, and a client that reacts to the last byte could arrive before its place is free.
        """
        if ticket.era == self._era and ticket.number in self._inside:
            self._inside.remove(ticket.number)
            self.account.leave()
            self.stats.leave(self.now())
            self.log.note(ticket.number, left_s=self.now())
            self._turns.call()

    def refund(self, ticket: Ticket) -> None:
        """Take back the charge of what never ran (Replicate's ``aborted``, providers.md 4.2)."""
        if ticket.charged and ticket.era == self._era:
            self.stats.charge(ticket.ask.text, ticket.ask.characters, times=-1)

    def poll(self) -> float:
        """Count a call that speaks nothing: how long it has to wait, 0 if it may pass (Replicate: providers.md 4.4)."""
        self.stats.polls += 1
        if self._polls is None:
            return 0.0
        wait_s = self._polls.wait_s(1, self.now())
        if not wait_s:
            self._polls.add(1, self.now())
        return wait_s

    def standings(self) -> dict[str, Standing]:
        """How the limits stand, by 'requests' and 'characters', as far as there are any."""
        counts: dict[str, Count | None] = {"requests": self.account.requests, "characters": self.account.characters}
        return {what: counted.standing(self.now()) for what, counted in counts.items() if counted is not None}

    def latency_s(self, ticket: Ticket) -> tuple[float, float]:
        """Seconds to the first byte, and from there to the last."""
        slowness = self._faults.slowness(ticket.number, self._settings.jitter)
        spoken_s = self._settings.latency_per_character_s * ticket.ask.characters
        return self._settings.latency_s * slowness, spoken_s * slowness

    def _free(self) -> int | None:
        most = self.account.most_in_flight
        return None if most is None else most - self.account.in_flight

    def _count(self, name: str) -> Count | None:
        settings = self._settings
        burst = settings.burst if name == "requests_per_minute" else settings.burst_characters
        return count(settings.count, settings.per_window(getattr(settings, name)), settings.window_s, burst)

    def _changed(self, counted: Count | None, name: str) -> Count | None:
        limit = self._settings.per_window(getattr(self._settings, name))
        if counted is not None and limit is not None:
            counted.change(limit, self.now())
            return counted
        fresh = self._count(name)
        if fresh is not None:
            for at, characters in self.stats.admitted.latest():
                fresh.add(1 if name == "requests_per_minute" else characters, at)
        return fresh

    def _costs(self, fault: str | None) -> bool:
        own = fault in self._wire.own_faults and fault not in self._wire.free_faults
        return fault is None or fault in CHARGED or own


def _said(ask: Ask) -> tuple[tuple[str, str], ...]:
    """The digest and the voice of each turn."""
    turns = ask.turns or (ask.text,)
    return tuple((f"{digest_of(text):010x}", voice) for text, voice in zip(turns, ask.voices, strict=True))
