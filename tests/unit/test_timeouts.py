"""What is learned from answers, how generous it is, and that a server that becomes slow is waited for."""

import asyncio
import random
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile as sf

from cluster_tts.clips import Clips
from cluster_tts.job import Job, ProviderSettings
from cluster_tts.limiter.gates import OpenGate
from cluster_tts.model import Clip, Outcome, Receipt, Status, Utterance
from cluster_tts.storage import LocalFolder
from cluster_tts.synthesis import Synthesis
from cluster_tts.timeouts import ENOUGH, Timeouts
from tests.simulated import now, simulate


def taught(
    most_s: float = 120.0, answers: int = 100, base_s: float = 1.0, per_character_s: float = 0.01, sigma: float = 0.3
) -> Timeouts:
    chance, timeouts = random.Random(1), Timeouts(most_s)
    for _ in range(answers):
        characters = chance.randint(20, 400)
        timeouts.answered(characters, (base_s + per_character_s * characters) * chance.lognormvariate(0, sigma))
    return timeouts


def test_nothing_is_concluded_from_few_answers() -> None:
    assert taught(answers=ENOUGH - 1).of(100) == 120.0
    assert taught(answers=ENOUGH).of(100) < 120.0


def test_longer_texts_are_given_more_time_and_all_several_times_what_answers_take() -> None:
    timeouts = taught()
    assert timeouts.of(400) > 1.5 * timeouts.of(20)
    for characters in (20, 100, 400):
        assert timeouts.of(characters) > 5 * (1.0 + 0.01 * characters)
        assert timeouts.of(characters) < 20 * (1.0 + 0.01 * characters)


def test_it_is_never_above_what_the_job_allows_and_never_so_short_that_a_hiccup_counts() -> None:
    assert taught(most_s=5.0).of(100) == 5.0
    assert taught(base_s=0.01, per_character_s=0.0001).of(100) == 10.0
    assert taught(base_s=60.0).of(100) == 120.0


def test_a_few_answers_that_took_for_ever_teach_nothing() -> None:
    timeouts = taught()
    usual = timeouts.of(200)
    for _ in range(4):
        timeouts.answered(200, 100.0)
    for _ in range(6):
        timeouts.answered(200, 3.0)
    assert timeouts.of(200) < 1.5 * usual


def test_texts_longer_than_any_seen_are_given_time_in_proportion() -> None:
    timeouts = Timeouts(10_000.0)
    for _ in range(40):
        timeouts.answered(100, 5.0)
    assert timeouts.of(100) == 30.0
    assert timeouts.of(1_000) == 300.0


def test_texts_without_a_character_and_answers_at_once_are_borne() -> None:
    timeouts = Timeouts(120.0)
    for _ in range(40):
        timeouts.answered(0, 0.0)
    assert timeouts.of(0) == 10.0


def test_requests_that_time_out_together_raise_the_time_once_and_answers_in_time_lower_it_again() -> None:
    timeouts = taught()
    usual = timeouts.of(200)
    for _ in range(16):
        timeouts.timed_out(200, usual)
    assert timeouts.of(200) == 2 * usual
    for _ in range(5):
        timeouts.answered(200, 3.0)
    assert timeouts.of(200) < 1.2 * usual


def test_a_server_that_becomes_fifty_times_slower_is_waited_for_after_a_few_time_outs_and_learned_anew() -> None:
    timeouts = taught()
    times_out = 0
    for _ in range(100):
        allowed_s = timeouts.of(200)
        if allowed_s < 100.0:
            times_out += 1
            timeouts.timed_out(200, allowed_s)
        else:
            timeouts.answered(200, 100.0)
    assert times_out <= 4


def test_one_request_in_twenty_that_hangs_does_not_make_all_wait_for_long() -> None:
    chance, timeouts = random.Random(2), taught()
    waited = []
    for _ in range(2_000):
        if chance.random() < 0.05:
            waited.append(timeouts.of(200))
            timeouts.timed_out(200, waited[-1])
        else:
            timeouts.answered(chance.randint(20, 400), 3.0)
    assert sum(waited) / len(waited) < 45.0


class Hanging:
    """Answers after 2 s, but never the first time it is asked for a text that holds "hang"."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self) -> None:
        self.hung: set[str] = set()

    async def prepare(self) -> None:
        pass

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        hangs = "hang" in utterance.text and utterance.text not in self.hung
        self.hung.add(utterance.text)
        await asyncio.sleep(10_000.0 if hangs else 2.0)
        sf.write(target, np.full(2 * 8000, 1000, np.int16), 8000, format="WAV")
        return Receipt()

    async def aclose(self) -> None:
        pass


def test_a_request_that_hangs_is_asked_again_after_what_answers_take_not_after_the_longest_time(tmp_path: Path) -> None:
    async def main() -> list[Outcome]:
        job = Job(provider=ProviderSettings(name="tone", timeout_s=600.0))
        synthesis = Synthesis(Hanging(), OpenGate(), Clips(LocalFolder(tmp_path), "wav"), job, clock=now)
        texts = ["Thirty characters are enough. "] * ENOUGH + ["This text will hang, once only."]
        clips = [Clip(f"{number:032x}", text, "document", number) for number, text in enumerate(texts)]
        return [outcome for clip in clips async for outcome in synthesis.make(clip)]

    *_, hung, spoken = simulate(main())
    assert (hung.status, hung.error_kind) == (Status.RETRIED, "timeout")
    assert 10.0 <= hung.latency_s <= 15.0
    assert spoken.status is Status.SPOKEN
