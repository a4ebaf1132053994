"""How a line of a log is written down: as text for people, or as one JSON object for machines.

``FIELDS`` say what a line is about. They come with the line (``extra={"document": ...}``), or from ``about``, which
holds for everything that the same task says from then on. No key is in either: not in a message, not in a traceback.
"""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster_tts import keys
from cluster_tts.model import Outcome

FIELDS = ("document", "chunk", "clip", "attempt", "status", "kind", "worker", "node")
"""What a line may be about, besides its run."""

_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default={})  # noqa: B039 - nobody changes it


def about(**fields: Any) -> None:
    """Let every line that this task says from now on carry these ``FIELDS``."""
    _about.set({**_about.get(), **fields})


def of_attempt(outcome: Outcome) -> dict[str, Any]:
    """What a line about an attempt is about."""
    return {
        "document": outcome.document, "chunk": outcome.chunk_index, "clip": outcome.clip_id,
        "attempt": outcome.attempt, "status": str(outcome.status), "kind": outcome.error_kind,
        "worker": outcome.worker, "node": outcome.node,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How lines are written (``logging.format``) and whose they are. It can be sent to other machines.

    ``worker`` is empty for the driver, whose log is its run's alone.
    """

    format: str = "text"
    run: str = ""
    worker: str = ""

    def formatter(self) -> logging.Formatter:
        """What writes lines so."""
        return JsonFormatter(self) if self.format == "json" else TextFormatter(self)


class TextFormatter(logging.Formatter):
    """Time, level, module and message. Lines of a worker begin with run and worker, since they stand among others'."""

    def __init__(self, style: Style) -> None:
        whose = f"{style.run} {style.worker} " if style.worker else ""
        super().__init__(f"{whose.replace('%', '%%')}%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return keys.redact(super().format(record))  # also of a defect's traceback, whose error may quote anything


class JsonFormatter(logging.Formatter):
    """One object a line, in ASCII: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``run``, those of
    ``FIELDS`` that the line is about, and ``traceback`` where there is one."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._whose = {name: value for name in ("run", "worker") if (value := getattr(style, name))}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._whose,
        }
        here = _about.get()
        for name in FIELDS:
            if (value := getattr(record, name, here.get(name))) is not None:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Each text by itself: once they are JSON, a key may be spelt in yet another way.
        return json.dumps(
            {name: keys.redact(value) if isinstance(value, str) else value for name, value in line.items()}
        )


class _ToStderr(logging.StreamHandler[Any]):
    """The one handler that ``say_on_stderr`` has given this process."""


def say_on_stderr(style: Style) -> None:
    """Have this process, which works for a run elsewhere, say on stderr what it logs: there Ray collects it."""
    logger = logging.getLogger("cluster_tts")
    for handler in [handler for handler in logger.handlers if isinstance(handler, _ToStderr)]:
        logger.removeHandler(handler)
    handler = _ToStderr()
    handler.setFormatter(style.formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
