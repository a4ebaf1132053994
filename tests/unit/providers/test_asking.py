"""Whatever a provider does, asking it ends in a receipt and a file, or in one of our own errors."""

import asyncio
import errno
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cluster_tts.errors import AccountRefused, ChunkError, CTTSError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance
from cluster_tts.providers.asking import ask
from cluster_tts.providers.base import Provider
from tests.simulated import simulate


class Odd(Provider):
    """Writes a file, and then returns or raises what it is told."""

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, result: Any, writes: bool = True) -> None:
        self.result = result
        self.writes = writes

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return "odd 1"

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        if self.writes:
            target.write_bytes(b"RIFF")
        if isinstance(self.result, BaseException):
            raise self.result
        if callable(self.result):
            return await self.result(target)
        return self.result


def asked(provider: Odd, target: Path) -> Receipt:
    return simulate(ask(provider, Utterance("text"), target, 30.0))


def test_a_receipt_comes_through(tmp_path: Path) -> None:
    receipt = Receipt(billed_characters=4, cost_usd=0.0)
    assert asked(Odd(receipt), tmp_path / "part") is receipt


@pytest.mark.parametrize(
    ("error", "expected", "kind"),
    [
        (RetryLater("busy", "busy"), RetryLater, "busy"),
        (ChunkError("no such script"), ChunkError, "unspeakable"),
        (AccountRefused("no credit", "no_credit"), AccountRefused, "no_credit"),
        (ConnectionResetError("gone"), RetryLater, "reset"),
        (TimeoutError(), RetryLater, "timeout"),
        (OSError("<urlopen error [Errno 111] Connection refused>"), RetryLater, "provider_error"),
        (FileNotFoundError(errno.ENOENT, "No such file", "model.onnx"), RetryLater, "provider_error"),
        (KeyError("voice"), ChunkError, "provider_defect"),
        (SystemExit(3), ChunkError, "provider_defect"),
    ],
)
def test_every_error_becomes_one_of_ours(
    tmp_path: Path, error: BaseException, expected: type[Exception], kind: str
) -> None:
    with pytest.raises(CTTSError) as raised:
        asked(Odd(error), tmp_path / "part")
    assert type(raised.value) is expected
    assert getattr(raised.value, "kind", None) == kind


def test_its_own_time_out_is_not_told_as_ours(tmp_path: Path) -> None:
    async def dawdle(target: Path) -> Receipt:
        await asyncio.sleep(1e6)
        return Receipt()

    with pytest.raises(RetryLater, match=r"no answer within 30 s \(at most provider\.timeout_s\)"):
        asked(Odd(dawdle), tmp_path / "part")
    with pytest.raises(RetryLater, match="the provider gave up waiting"):
        asked(Odd(TimeoutError()), tmp_path / "part")


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied", "PART")],
)
def test_what_storage_refuses_is_left_to_whoever_owns_it(tmp_path: Path, error: OSError) -> None:
    target = tmp_path / "part"
    if error.filename:
        error.filename = str(target)
    with pytest.raises(OSError, match=str(error.strerror)):
        asked(Odd(error), target)


@pytest.mark.parametrize(
    ("result", "writes", "words"),
    [
        (None, True, "speak returned NoneType, not a Receipt"),
        ({"billed": 4}, True, "speak returned dict"),
        (Receipt(), False, "speak wrote no file"),
        (Receipt(billed_characters=-1), True, "a number cannot be"),
        (Receipt(cost_usd=float("nan")), True, "a number cannot be"),
        (Receipt(cost_usd=float("inf")), True, "a number cannot be"),
        (Receipt(speed=0.0), True, "a number cannot be"),
    ],
)
def test_what_is_no_answer_is_a_defect_that_is_told(tmp_path: Path, result: Any, writes: bool, words: str) -> None:
    with pytest.raises(ChunkError, match=words) as raised:
        asked(Odd(result, writes), tmp_path / "part")
    assert raised.value.kind == "provider_defect"
