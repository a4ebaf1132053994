"""Replicate: predictions of any speech model (providers.md 4)."""

import asyncio
import base64
import itertools
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import unquote_to_bytes

from cluster_tts import keys
from cluster_tts.errors import REFUSALS, AccountRefused, ChunkError, CTTSError, JobError, RetryLater
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Receipt, Utterance, Voice, WireFormat
from cluster_tts.providers.answers import Row
from cluster_tts.providers.base import Provider
from cluster_tts.providers.http import Call, Server, most_bytes, other_server

log = logging.getLogger(__name__)

BASE_URL = "https://api.replicate.com"

TABLE: tuple[Row, ...] = ()  # 402, 401, 404, 422 and 429 mean what they say (providers.md 4.5)

POLLS = "polls"  # they count against a limit of their own, see catalogue.classes
FIRST_POLL_S, LONGEST_POLL_S, POLL_GROWTH = 0.5, 10.0, 1.5
LONGEST_PAUSE_S = 60.0  # between asking again: a place is held meanwhile
LONGEST_RUN_S = 86_400.0  # no machine worked longer: what says so is no number to reckon with
UNCOUNTED = {*REFUSALS, "unreachable", "busy"}
MOST_FAULTS = 5  # of polling or fetching, in a row: what is asked for is made and paid, so it is worth asking again
WAIT_S = 60  # the longest that a create may be asked to wait, and what `Prefer: wait` alone means
CANCEL_S = 5.0
UNFINISHED = ("starting", "processing")
ENDED_BADLY = {"failed": "model_failed", "canceled": "canceled", "aborted": "aborted"}
FORMATS = ("wav", "mp3", "flac")
VERSION = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[\w-]{1,100}", re.ASCII)  # of a prediction; it becomes part of an address

T = TypeVar("T")


class Replicate(Provider):
    """Speech by a model on Replicate: ``owner/name``, ``owner/name:version`` or the 64 digits of a version.

    ``provider.inputs`` says what the model calls its inputs (``text``, ``voice``, ``format``) and which others it gets
    (``defaults``); the catalogue has it for known models. ``provider.options`` are inputs too, judged by the model.
    """

    embedded: ClassVar[bool] = False
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._path, self._version = _address(settings.model)
        inputs = settings.inputs
        self._text, self._voice, self._form = (inputs.get(name) for name in ("text", "voice", "format"))
        if not self._text:
            raise JobError(
                f"the inputs of model '{settings.model}' are not known: name the one that takes the text, "
                "as in provider.inputs.text=prompt"
            )
        if settings.voice and not self._voice:
            raise JobError(f"model '{settings.model}' takes no voice: leave provider.voice null")
        if settings.format not in FORMATS:
            raise JobError(f"provider.format is '{settings.format}': must be one of {', '.join(FORMATS)}")
        for name, own in ((self._text, "text"), (self._voice, "voice"), (self._form, "format")):
            if name and name in settings.options:
                instead = "it is the text of the documents" if own == "text" else f"set provider.{own} instead"
                raise JobError(f"provider.options.{name}: {instead}")
        speed = settings.options.get("speed", 1.0)
        self._speed = float(speed) if isinstance(speed, int | float) and speed > 0 else 1.0
        self._server = Server(settings, BASE_URL, TABLE)
        self._has_worked = False

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return other_server(settings, "replicate.com")

    def like(self, settings: ProviderSettings) -> "Replicate":
        other = Replicate(settings)
        other._server = self._server
        return other

    async def prepare(self) -> None:
        self._server.prepare()

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        created = await self._create(utterance)
        try:
            prediction = await self._finished(created)
        except RetryLater as error:
            raise _counted(error, "poll_failed", Receipt(http_status=201, request_id=created["id"])) from None
        receipt = self._receipt(prediction, utterance)
        if kind := ENDED_BADLY.get(prediction["status"]):
            words = " ".join(keys.redact(str(prediction.get("error") or "no reason given")).split())[:300]
            raise RetryLater(f"the model says '{prediction['status']}': {words}", kind, receipt=receipt)
        output = prediction.get("output")
        if output is None:
            raise RetryLater("the prediction has no output any more: it expired", "expired", receipt=receipt)
        uris = list(_uris(output, self._server.base_url))
        if len(uris) != 1:
            raise self._unexpected(output, len(uris), receipt)
        try:
            await self._fetch(uris[0], target, most_bytes(utterance.text))
        except RetryLater as error:
            raise _counted(error, "fetch_failed", receipt) from None
        except (JobError, ChunkError) as error:  # the file is gone, which says nothing of the others
            raise RetryLater(f"the file of the prediction cannot be had: {error}", "expired", receipt=receipt) from None
        self._has_worked = True
        return receipt

    async def voices(self) -> Sequence[Voice]:
        name = (self._settings.model or "").partition(":")[0]
        model = await self._server.json(Call("GET", f"/v1/models/{name}"))
        schemas = ((model.get("latest_version") or {}).get("openapi_schema") or {}).get("components", {})
        schemas = schemas.get("schemas", {})
        field = schemas.get("Input", {}).get("properties", {}).get(self._voice, {})
        for part in field.get("allOf", ()):  # enumerations stand beside the inputs
            field = {**field, **schemas.get(str(part.get("$ref", "")).rpartition("/")[2], {})}
        return [Voice(str(each)) for each in field.get("enum", ())]

    async def aclose(self) -> None:
        await self._server.aclose()

    async def _create(self, utterance: Utterance) -> dict[str, Any]:
        named = {self._text: utterance.text, self._voice: self._settings.voice, self._form: self._settings.format}
        given = {name: value for name, value in named.items() if name and value is not None}
        inputs = {**self._settings.inputs.get("defaults", {}), **given, **self._settings.options}
        wait_s = min(WAIT_S, int(self._settings.timeout_s) - 1)
        call = Call(
            "POST",
            self._path,
            json={"version": self._version, "input": inputs} if self._version else {"input": inputs},
            headers={
                "Prefer": "wait" if wait_s == WAIT_S else f"wait={max(1, wait_s)}",
                # So that a prediction whose answer we never got is not paid for half an hour.
                "Cancel-After": f"{math.ceil(self._settings.timeout_s)}s",
            },
        )
        return _prediction(await self._server.json(call, most_bytes(utterance.text)))

    async def _finished(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """``prediction`` once it has ended, cancelled if nobody waits for it any more.

        One that is still ``processing`` may have its output already (providers.md 4.2); a list may still grow.
        """
        pause_s = FIRST_POLL_S
        try:
            while prediction["status"] in UNFINISHED and not isinstance(prediction.get("output"), str):
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_POLL_S, POLL_GROWTH * pause_s)
                prediction = _prediction(await _patiently(partial(self._poll, prediction["id"])))
        except BaseException as error:
            await self._cancel(prediction["id"])
            if isinstance(error, JobError) and not isinstance(error, AccountRefused):  # says nothing of the others
                raise RetryLater(f"the prediction is gone: {error}", "expired") from None
            raise
        return prediction

    async def _poll(self, prediction: str) -> Any:
        """How it stands. A refusal is of this class of call alone: it says nothing of creates (providers.md 4.4)."""
        async with self.passage(POLLS):
            return await self._server.json(Call("GET", f"/v1/predictions/{prediction}"))

    async def _cancel(self, prediction: str) -> None:
        try:
            async with asyncio.timeout(CANCEL_S):
                await self._server.json(Call("POST", f"/v1/predictions/{prediction}/cancel"))
        except (CTTSError, TimeoutError) as error:
            log.warning("prediction %s could not be cancelled and may be charged: %s", prediction, error)

    async def _fetch(self, uri: str, target: Path, most: int) -> None:
        """The file at once, for it is deleted after an hour. Our key goes to Replicate's own host only."""
        if uri.startswith("data:"):
            target.write_bytes(_inline(uri))
            return
        if not uri.startswith("https://") and not self._server.base_url.startswith("http://"):
            raise RetryLater("the file of the prediction is not offered by https", "unexpected_output")

        async def fetch() -> None:
            async with self._server.call(Call("GET", uri)) as answer:
                await answer.save(target, most)

        await _patiently(fetch)

    def _receipt(self, prediction: Mapping[str, Any], utterance: Utterance) -> Receipt:
        free = prediction["status"] == "aborted"  # its deadline passed before it began: providers.md 4.2
        return Receipt(
            http_status=200,
            request_id=prediction["id"],
            billed_characters=0 if free else len(utterance.text),
            machine_s=_machine_s(prediction.get("metrics")),
            wire=WireFormat(self._settings.format),
            speed=self._speed,
        )

    def _unexpected(self, output: Any, files: int, receipt: Receipt) -> CTTSError:
        """Of a model that has worked, this answer is odd; of one that never has, every answer will be."""
        shape = keys.redact(" ".join(str(output).split()))[:200]
        what = f"model '{self._settings.model}' gave {files} files where one was expected: {shape}"
        if self._has_worked:
            return ChunkError(what, "unexpected_output", receipt)
        return JobError(f"{what}; choose a model whose output is one audio file")


def _counted(error: RetryLater, otherwise: str, receipt: Receipt) -> RetryLater:
    """``error`` so that it counts as an attempt, for the prediction was made and may be paid."""
    kind = otherwise if error.kind in UNCOUNTED else error.kind
    return RetryLater(str(error), kind, receipt=receipt)


def _machine_s(metrics: Any) -> float | None:
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < LONGEST_RUN_S:
        return None
    return float(seconds)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What ``ask`` gives, asked again after faults and refusals, for it costs nothing to."""
    for fault in itertools.count(1):
        try:
            return await ask()
        except RetryLater as error:
            if fault > MOST_FAULTS:
                raise
            await asyncio.sleep(min(LONGEST_PAUSE_S, 2.0 ** (fault - 1) if error.after_s is None else error.after_s))
    raise AssertionError("a count has no end")


def _address(model: str | None) -> tuple[str, str | None]:
    """Where predictions of ``model`` are created, and the version that is named in their body."""
    name, _, version = (model or "").rpartition(":")
    if VERSION.fullmatch(version) and (not name or name.count("/") == 1):
        return "/v1/predictions", version
    if not name and re.fullmatch(r"[\w.-]+/[\w.-]+", version, re.ASCII):
        return f"/v1/models/{version}/predictions", None
    raise JobError(f"provider.model is '{model}': must be owner/name, owner/name:version or a version of 64 digits")


def _prediction(content: Any) -> dict[str, Any]:
    """``content``, if it can be a prediction."""
    told = content if isinstance(content, dict) else {}
    name = told.get("id")
    if not isinstance(told.get("status"), str) or not (isinstance(name, str) and NAME.fullmatch(name)):
        raise RetryLater("the answer is no prediction", "not_json")
    return told


def _uris(output: Any, base_url: str) -> Iterator[str]:
    """Every file in an output of whatever shape: an address, a list, an object."""
    if isinstance(output, str) and output.startswith(("https://", "http://", "data:")):
        yield output
    elif isinstance(output, str) and output.startswith("/"):
        yield base_url + output
    elif isinstance(output, list | dict):
        for part in output.values() if isinstance(output, dict) else output:
            yield from _uris(part, base_url)


def _inline(uri: str) -> bytes:
    head, _, content = uri.partition(",")
    try:
        return base64.b64decode(content, validate=True) if head.endswith(";base64") else unquote_to_bytes(content)
    except ValueError:
        raise RetryLater("the file of the prediction is no base64", "not_audio") from None
