"""Replicate's predictions: what becomes of them, how they look, and when they are forgotten (providers.md 4.2)."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cluster_tts.emulator.wire import Ticket, new_id

FINAL = ("succeeded", "failed", "canceled", "aborted")
ENDS = {"failed": "failed", "canceled": "canceled", "aborted": "aborted"}  # fault to status
GOOD_FAULTS = ("list_output", "data_output", "object_output", "processing", "starting", "poll_429")
ONCE_ONLY = ("cut", "cut_length", "stall")  # of a download: the next one is whole
MOST_KEPT = 20_000
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass
class Prediction:
    """One prediction. Its output is made when somebody looks at it, from the ticket's text."""

    ticket: Ticket
    model: str
    version: str
    input: dict[str, Any]
    id: str = field(default_factory=lambda: new_id(octets=13))
    status: str = "starting"
    error: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    completed: datetime | None = None
    removed: bool = False
    data_uri: str | None = None
    polled: bool = False
    shown: bool = False
    broken: bool = False  # by a download that did not get to its end
    fault: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        container = self.ticket.ask.sound.container
        return f"output.{'pcm' if container == 'raw' else container}"

    def logs(self) -> str:
        return "" if self.started is None or self.removed else f"Speaking {self.ticket.ask.characters} characters\n"

    def as_dict(self, origin: str, status: str | None = None, *, filled: bool = True) -> dict[str, Any]:
        """How the API shows it; ``status`` and ``filled`` pretend that it is not that far yet."""
        status = status or self.status
        finished = status in FINAL
        content: dict[str, Any] = {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "input": {} if self.removed else self.input,
            "logs": self.logs(),
            "output": self._output(origin) if filled and self.status == "succeeded" else None,
            "data_removed": self.removed,
            "error": self.error,
            "status": status,
            "created_at": _time(self.created),
            "started_at": None if status == "starting" else _time(self.started),
            "completed_at": _time(self.completed) if finished else None,
            "urls": {
                "get": f"{origin}/v1/predictions/{self.id}",
                "cancel": f"{origin}/v1/predictions/{self.id}/cancel",
            },
            "metrics": {},
        }
        if finished and self.started and self.completed:
            content["metrics"] = {"predict_time": (self.completed - self.started).total_seconds()}
        return content

    def _output(self, origin: str) -> Any:
        if self.removed:
            return None
        url = f"{origin}/files/{self.id}/{self.file_name}"
        match self.fault:
            case "list_output":
                return [url]
            case "object_output":
                return {"audio": url}
            case "data_output":
                return self.data_uri
        return url


class Predictions:
    """All predictions, by id, and the clock that moves them on."""

    def __init__(self, expire_after_s: float, ended: Callable[[Prediction], None]) -> None:
        self._expire_after_s, self._ended = expire_after_s, ended
        self._all: OrderedDict[str, Prediction] = OrderedDict()

    def get(self, prediction_id: str) -> Prediction | None:
        found = self._all.get(prediction_id)
        return None if found is None else self._look(found)

    def latest(self, count: int) -> list[Prediction]:
        return [self._look(prediction) for prediction in islice(reversed(self._all.values()), count)]

    def start(self, prediction: Prediction, starting_s: float, processing_s: float, deadline_s: float | None) -> None:
        """Let a prediction run its course."""
        self._all[prediction.id] = prediction
        while len(self._all) > MOST_KEPT:
            self._all.popitem(last=False)
        loop = asyncio.get_running_loop()
        if starting_s + processing_s <= 0:
            self._process(prediction)
            self._finish(prediction)
            return
        prediction.timers = [
            loop.call_later(starting_s, self._process, prediction),
            loop.call_later(starting_s + processing_s, self._finish, prediction),
        ]
        if deadline_s is not None:
            prediction.timers.append(loop.call_later(deadline_s, self._miss_deadline, prediction))

    def cancel(self, prediction: Prediction) -> None:
        """End it now, if it has not ended."""
        self._end(prediction, "canceled")

    def _process(self, prediction: Prediction) -> None:
        if prediction.fault != "aborted":
            prediction.status, prediction.started = "processing", datetime.now(UTC)

    def _finish(self, prediction: Prediction) -> None:
        if prediction.fault == "failed":
            prediction.error = "The model failed while generating audio"
        self._end(prediction, ENDS.get(prediction.fault or "", "succeeded"))
        prediction.removed = prediction.fault == "expired"

    def _miss_deadline(self, prediction: Prediction) -> None:
        """Canceled while running, aborted before (changelog 2025-10-16, providers.md 4.2)."""
        self._end(prediction, "aborted" if prediction.status == "starting" else "canceled")

    def _end(self, prediction: Prediction, status: str) -> None:
        if prediction.status in FINAL:
            return
        for timer in prediction.timers:
            timer.cancel()
        prediction.status, prediction.completed = status, datetime.now(UTC)
        prediction.done.set()
        self._ended(prediction)

    def _look(self, prediction: Prediction) -> Prediction:
        """The prediction, without its data if those have expired."""
        completed = prediction.completed
        if completed and (datetime.now(UTC) - completed).total_seconds() >= self._expire_after_s:
            prediction.removed, prediction.data_uri, prediction.input = True, None, {}
        return prediction


def read_duration(text: str) -> float | None:
    """Seconds of a ``Cancel-After``: ``90s``, ``1m``, ``1h30m``; None: it is none."""
    found = DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
