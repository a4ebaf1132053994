"""What speech costs in dollars, by the prices in the catalogue, and the most that it can cost. Arithmetic only."""

import math
from dataclasses import dataclass

from cluster_tts.cutting import MEASURES, Measure
from cluster_tts.job import Job
from cluster_tts.model import Receipt, Want
from cluster_tts.plausibility import DIGIT_LETTERS, LONG_S, letters

SLOWEST = 4.0  # letters a second, where check.characters_per_second is null: a quarter of what is usual


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a job's model on its plan: so much a unit of text and so much a second of audio.

    ``known`` is False where it cannot be told beforehand, and ``note`` says why. Where the provider reports what it
    charged, that number is in the unit the price is for: characters, or credits (``credits_per_unit`` of them a
    character).
    """

    usd_per_billed: float = 0.0
    credits_per_unit: float = 1.0
    usd_per_second: float = 0.0
    usd_per_machine_second: float = 0.0
    known: bool = True
    note: str = ""

    @classmethod
    def of(cls, job: Job) -> "Price":
        model = job.model
        if model.usd_per_machine_second is not None:
            return cls(
                usd_per_machine_second=model.usd_per_machine_second,
                known=False,
                note=f"priced by machine time (${model.usd_per_machine_second:g} a second)",
            )
        if model.usd_per_million_characters is not None or model.usd_per_minute is not None:
            return cls(
                usd_per_billed=(model.usd_per_million_characters or 0.0) / 1e6,
                usd_per_second=(model.usd_per_minute or 0.0) / 60,
            )
        if model.credits_per_character is not None:
            return _in_credits(job, model.credits_per_character)
        named = f"model {job.provider.model}" if job.provider.model else f"provider {job.provider.name}"
        return cls(known=False, note=f"no price known for {named}")

    def estimate(self, units: float, audio_s: float) -> float | None:
        """What it will cost to have a text of so many of the model's units spoken, in so many seconds of audio."""
        return self.charged(Receipt(), units, audio_s)

    def most(self, units: float, characters: float, slowest: float | None) -> float | None:
        """The most that one request can cost; None where no price is known beforehand.

        ``characters`` are counted as letters of speech (``plausibility.letters``, a digit as four), ``slowest`` is how
        few of them a second are believed: audio that lasts longer is no speech of that text.
        """
        return self.estimate(units, characters / (slowest or SLOWEST) + LONG_S)

    def charged(self, receipt: Receipt, units: float, audio_s: float) -> float | None:
        """What was charged for an answer, by the numbers that the provider reports of it, if it reports any."""
        if self.usd_per_machine_second and receipt.machine_s is not None:
            return receipt.machine_s * self.usd_per_machine_second
        if not self.known:
            return None
        of_text = units * self.credits_per_unit if receipt.billed_characters is None else receipt.billed_characters
        return of_text * self.usd_per_billed + audio_s * self.usd_per_second


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount of money and of characters as billed."""

    usd: float = 0.0
    characters: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.usd + other.usd, self.characters + other.characters)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one request of a job can take of its account: what is reserved before it leaves."""

    price: Price
    measure: Measure
    slowest: float
    credits_per_unit: float

    @classmethod
    def of(cls, job: Job) -> "Bounds":
        band, speed = job.check.characters_per_second, job.provider.options.get("speed")
        hurry = float(speed) if isinstance(speed, int | float) and speed > 0 else 1.0
        return cls(
            price=Price.of(job),
            measure=MEASURES[job.model.unit],
            slowest=(band[0] if band else SLOWEST) * hurry,
            credits_per_unit=job.model.credits_per_character or 0.0,
        )

    def want(self, text: str) -> Want:
        """What a request to speak ``text`` may take. Dollars are 0 where no price is known."""
        units = self.measure(text)
        spoken = letters(text, DIGIT_LETTERS) if self.price.usd_per_second else 0.0  # which takes a while to count
        usd = self.price.most(units, spoken, self.slowest)
        # A provider reports credits or characters, or nothing: then all that was asked is taken for billed.
        return Want(units, max(len(text), math.ceil(units * self.credits_per_unit)), usd or 0.0)

    def of_characters(self, characters: int) -> float:
        """The most dollars that any text of so many characters can cost; 0 where no price is known."""
        widest = self.measure("\U0010ffff")  # no character has more units
        usd = self.price.most(characters * widest, characters * DIGIT_LETTERS, self.slowest) if characters else 0.0
        return usd or 0.0


def dollars(usd: float) -> str:
    """An amount for people."""
    return "<$0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def _in_credits(job: Job, credits_per_unit: float) -> Price:
    plan = job.catalogue.plans.get(job.quota.plan or "")
    if plan is None:
        return Price(known=False, note="set quota.plan to price credits")
    if plan.usd_per_month is None or plan.credits_per_month is None:
        return Price(known=False, note=f"no price of credits known for plan {job.quota.plan}")
    return Price(usd_per_billed=plan.usd_per_month / plan.credits_per_month, credits_per_unit=credits_per_unit)


def months_of(job: Job, units: float) -> float | None:
    """How many months' credits of the job's plan a text of so many units takes; None where it has none."""
    plan, credits_per_unit = job.catalogue.plans.get(job.quota.plan or ""), job.model.credits_per_character
    if plan is None or plan.credits_per_month is None or credits_per_unit is None:
        return None
    return units * credits_per_unit / plan.credits_per_month
