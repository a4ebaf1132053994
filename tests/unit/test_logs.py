"""One line of a log: as text, as JSON, and never with a key in it."""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cluster_tts import keys, logs
from cluster_tts.logs import Style, about, say_on_stderr

KEY = 'sk-"quoted"\\secret-1234'


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SOME_KEY", KEY)
    assert keys.find("SOME_KEY") == KEY
    return KEY


@pytest.fixture
def package_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("cluster_tts")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers, logger.level = handlers, level


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("cluster_tts.some").makeRecord(
        "cluster_tts.some", logging.WARNING, "file.py", 1, message, arguments, None, extra=extra
    )


def parsed(style: Style, line: logging.LogRecord) -> dict[str, Any]:
    text = style.formatter().format(line)
    assert "\n" not in text
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_line_of_json_has_time_level_module_message_run_and_what_it_is_about() -> None:
    line = record("clip %s: %s", "c1", "spoken", clip="c1", document="d", chunk=0, attempt=1)
    line.created = 0.25
    assert parsed(Style("json", "r1"), line) == {
        "time": "1970-01-01T00:00:00.250+00:00", "level": "WARNING", "logger": "cluster_tts.some",
        "message": "clip c1: spoken", "run": "r1", "document": "d", "chunk": 0, "clip": "c1", "attempt": 1,
    }  # fmt: skip


def test_fields_that_nobody_knows_stay_out_and_any_text_is_one_line() -> None:
    content = parsed(Style("json"), record("two\nlines \ud800 é", colour="red"))
    assert set(content) == {"time", "level", "logger", "message"}
    assert content["message"] == "two\nlines \ud800 é"


def test_a_task_says_once_what_its_lines_are_about() -> None:
    style = Style("json", "r1", "worker-1")

    async def work(clip: str) -> dict[str, Any]:
        about(clip=clip, document="d")
        await asyncio.sleep(0)
        return await asyncio.to_thread(parsed, style, record("from a thread, too", document="other"))

    async def both() -> list[dict[str, Any]]:
        return list(await asyncio.gather(work("c1"), work("c2")))

    found = asyncio.run(both())
    assert [line["clip"] for line in found] == ["c1", "c2"]
    assert {line["document"] for line in found} == {"other"}, "what the line itself says goes first"
    assert {line["worker"] for line in found} == {"worker-1"}


@pytest.mark.parametrize("style", [Style("text", "r1"), Style("json", "r1")])
def test_no_key_gets_into_a_line_however_it_is_written(style: Style, key: str) -> None:
    try:
        raise ValueError(f"the server quotes {key}")
    except ValueError:
        line = record("refused: %s", key, kind=f"bad {key}")
        line.exc_info = sys.exc_info()
    text = style.formatter().format(line)
    assert "secret-1234" not in text
    assert text.count("***") >= 2
    assert "ValueError" in text
    if style.format == "json":
        assert json.loads(text)["message"] == "refused: ***"


def test_text_of_a_worker_begins_with_run_and_worker_text_of_the_driver_does_not() -> None:
    line = record("hello")
    assert Style("text", "r1").formatter().format(line).endswith(" WARNING cluster_tts.some: hello")
    assert Style("text", "r1", "w-1").formatter().format(line).startswith("r1 w-1 2")


def test_a_process_that_works_for_another_run_says_whose_lines_these_are_now(
    package_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in "r1", "r2":
        say_on_stderr(Style("json", run, "w"))
        logging.getLogger("cluster_tts.some").info("of %s", run)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["run"], line["message"]) for line in lines] == [("r1", "of r1"), ("r2", "of r2")]
    assert sum(isinstance(handler, logs._ToStderr) for handler in package_logger.handlers) == 1
