"""The one way in: every request to speak is counted, held against the limits and the purse, and given its fault."""

from collections.abc import Callable

from cluster_tts.emulator.faults import CHARGED, TRANSPORT, Faults
from cluster_tts.emulator.limits import Account, Count, Standing, count
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.stats import Stats
from cluster_tts.emulator.wire import Ask, Call, Refusal, Ticket, Wire


class Admission:
    """The account of an emulator: its limits, its credit, its bad luck, and the counters of all that.

    What is admitted holds a place until ``leave``. It is charged when it comes in, so that requests at the same time
    cannot spend the same credit; a fault that costs nothing is never charged.
    """

    def __init__(self, settings: Settings, wire: Wire, clock: Callable[[], float]) -> None:
        self._settings, self._wire, self._clock = settings, wire, clock
        self._era = 0
        self._faults = Faults(settings.faults, [*TRANSPORT, *wire.fault_names()], settings.seed)
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened; what is under way ends uncounted."""
        settings, window_s = self._settings, self._settings.window_s
        self._era += 1
        self._start = self._clock()
        self.stats = Stats(window_s)
        self.account = Account(
            count(settings.count, settings.per_window(settings.requests_per_minute), window_s, settings.burst),
            count(settings.count, settings.per_window(settings.characters_per_minute), window_s),
            settings.max_concurrent,
            refusals_count=self._wire.refusals_count,
        )
        self._polls = count("sliding", settings.per_window(settings.polls_per_minute), window_s)

    def now(self) -> float:
        """Seconds since the start, or the last reset."""
        return self._clock() - self._start

    def arrive(self) -> int:
        """Count an arrival: its number."""
        return self.stats.arrive(self.now())

    def admit(self, call: Call, ask: Ask) -> Ticket:
        """Let a request in.

        Raises:
            Refusal: a limit is reached, or the credit.
        """
        now = self.now()
        self.stats.ask(ask.text, ask.characters, now)
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
        if fault is not None:
            self.stats.faults[fault] += 1
        if ticket.charged:
            self.stats.charge(ask.text, ask.characters)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back the place of a ticket."""
        if ticket.era == self._era:
            self.account.leave()
            self.stats.leave(self.now())

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

    def _costs(self, fault: str | None) -> bool:
        own = fault in self._wire.own_faults and fault not in self._wire.free_faults
        return fault is None or fault in CHARGED or own
