"""Runs of the program over each provider's emulator, a process of its own, with the faults and limits it is told.

The order of a joined document is read back from its samples, what was paid from the emulator's books.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.faults import CHARGED
from cluster_tts.emulator.predictions import ONCE_ONLY
from cluster_tts.emulator.speech import digest_of, read_back_file
from cluster_tts.manifest import Manifest
from cluster_tts.model import Status
from cluster_tts.providers import PROVIDERS
from cluster_tts.storage import LocalFolder

from .emulating import KEY, KEYS, SAMPLES, SMALL, Emulator, emulators, everywhere, over, run_aside

AT_ONCE = 3
PACE, LEAST_S = 15, 0.456  # of the emulators' speech

ERRORS = ("busy", "500", "502", "504")
STREAMS = ("reset", "hang", "stall", "cut", "cut_length", "cut_quietly", "empty", "header_only", "json", "html",
           "wrong_format")  # fmt: skip
FAULTS = {  # that another attempt may not meet
    "cartesia": (*ERRORS, *STREAMS, "concurrency_limited"),
    "elevenlabs": (*ERRORS, *STREAMS, "503", "rate_limit_exceeded", "too_many_concurrent_requests"),
    "openai": (*ERRORS, *STREAMS, "rate_limit_exceeded", "slow_down"),
    "replicate": (*ERRORS, *STREAMS, "throttled", "failed", "canceled", "aborted", "expired", "file_404", "processing",
                  "starting", "poll_429", "list_output", "data_output", "object_output"),
}  # fmt: skip
UNANSWERED = ("hang", "stall")  # after which our place is free again a little earlier than the server's


@dataclass(frozen=True)
class Rehearsal:
    """A run that has ended, and what the emulator says of it."""

    out: Path
    ended: subprocess.CompletedProcess[str]
    stats: dict[str, Any]

    def texts(self) -> dict[str, list[str]]:
        """The chunks of each document in reading order, as planned."""
        plans = Manifest(LocalFolder(self.out / "manifest")).plans()
        return {name: [planned.text for planned in location] for name, location in plans.items()}


def rehearse(folder: Path, sources: list[str], emulated: dict[str, Emulator], *settings: str) -> dict[str, Rehearsal]:
    """The same documents over each emulator, all four runs at the same time."""

    def run(provider: str) -> Rehearsal:
        emulator = emulated[provider]
        arguments = (*sources, *over(provider, emulator), "engine=local", *settings)
        ended = run_aside(folder / provider, *arguments, **{KEYS[provider]: KEY})
        return Rehearsal(folder / provider / "out", ended, emulator.stats())

    with ThreadPoolExecutor(len(emulated)) as pool:
        return dict(zip(emulated, pool.map(run, emulated), strict=True))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rehearsal]]:
    """About 200 chunks with 5 % faults."""

    def options(provider: str) -> list[str]:
        rate = 0.05 / len(FAULTS[provider])
        return ["--seed", "4", *(word for fault in FAULTS[provider] for word in ("--fault", f"{fault}={rate:.6f}"))]

    folder = tmp_path_factory.mktemp("faulty")
    book = (SAMPLES / "alice-in-wonderland-i-v.txt").read_text(encoding="utf-8")[:9_000]
    (folder / "book.txt").write_text(book.rpartition("\n\n")[0], encoding="utf-8")
    sources = [str(folder / "book.txt"), *(str(path) for path in sorted(SAMPLES.iterdir()) if "alice" not in path.name)]
    patient = ("retry.max_attempts=12", "provider.idle_timeout_s=1", "provider.timeout_s=5")
    with emulators(options) as emulated:
        yield rehearse(folder, sources, emulated, SMALL, *patient)


@everywhere
def test_with_faults_of_every_kind_all_documents_are_whole_and_in_order(
    faulty: dict[str, Rehearsal], provider: str
) -> None:
    done = faulty[provider]
    assert done.ended.returncode == 0, done.ended.stderr
    texts = done.texts()
    assert sum(map(len, texts.values())) >= 190
    assert len(texts) == 6
    for document, chunks in texts.items():
        heard = [found.digest for found in read_back_file(done.out / f"documents/{document}.wav")]
        assert heard == [digest_of(text) for text in chunks], document


@everywhere
def test_with_faults_of_every_kind_nothing_is_paid_twice_but_what_a_fault_has_spoilt(
    faulty: dict[str, Rehearsal], provider: str
) -> None:
    done = faulty[provider]
    spoilt = CHARGED if provider != "replicate" else {*CHARGED, "canceled", "expired", "file_404"} - {*ONCE_ONLY}
    clips = {text for chunks in done.texts().values() for text in chunks}
    paid_in_vain = sum(count for fault, count in done.stats["faults"].items() if fault in spoilt)
    assert sum(done.stats["faults"].values()) >= 5, "there were faults"
    assert done.stats["texts_charged"] == len(clips)
    assert done.stats["charged"] == len(clips) + paid_in_vain
    assert sum(times - 1 for times in done.stats["repeats"].values()) == paid_in_vain
    outcomes = list(Manifest(LocalFolder(done.out / "manifest")).read_outcomes())
    spoken = Counter(outcome.clip_id for outcome in outcomes if outcome.status is Status.SPOKEN)
    assert (len(spoken), set(spoken.values())) == (len(clips), {1})
    assert all(outcome.error_kind for outcome in outcomes if outcome.status is Status.RETRIED)
    for outcome in outcomes:
        if outcome.sound:
            assert outcome.sound.seconds == pytest.approx(max(LEAST_S, outcome.characters / PACE), abs=0.01), "whole"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rehearsal]]:
    """Accounts that allow three requests at once, and jobs that know it."""
    folder = tmp_path_factory.mktemp("limited")
    slow = ["--max-concurrent", str(AT_ONCE), "--latency", "0.02", "--jitter", "0.5", "--seed", "5"]
    with emulators(lambda provider: [*slow, "--fault", "500=0.02", "--fault", "cut=0.02"]) as emulated:
        settings = (SMALL, f"quota.max_concurrent_requests={AT_ONCE}", "retry.max_attempts=9")
        sources = [str(SAMPLES / name) for name in ("letter.txt", "verses.txt", "digest.md")]
        yield rehearse(folder, sources, emulated, *settings)


@everywhere
def test_who_knows_the_limit_is_never_refused_and_uses_all_of_it(limited: dict[str, Rehearsal], provider: str) -> None:
    done = limited[provider]
    assert done.ended.returncode == 0, done.ended.stderr
    assert done.stats["refused"] == {}
    assert done.stats["in_flight"]["peak"] == AT_ONCE


def test_each_provider_with_an_emulator_is_in_the_tables_here() -> None:
    assert set(KEYS) == set(FAULTS) == set(EMULATORS)
    assert set(EMULATORS) < set(PROVIDERS)
