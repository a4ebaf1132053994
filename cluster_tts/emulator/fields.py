"""The fields of a JSON body, each with its type and range checked; a provider says in its own words what is wrong."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from cluster_tts.emulator.wire import Answer, as_json

MISSING = object()
KINDS = {str: "string", bool: "boolean", dict: "object", list: "array", int: "integer", float: "number"}

FASTAPI_TYPES = {
    "missing": "missing",
    "type": "type_error",
    "range": "out_of_range",
    "length": "string_length",
    "enum": "literal_error",
    "unknown": "extra_forbidden",
    "json": "json_invalid",
}


class Invalid(Exception):
    """A field is wrong. ``kind`` is 'missing', 'type', 'range', 'length', 'enum', 'unknown' or 'json'."""

    def __init__(self, where: tuple[str | int, ...], message: str, kind: str) -> None:
        super().__init__(message)
        self.where, self.message, self.kind = where, message, kind

    @property
    def param(self) -> str:
        return ".".join(map(str, self.where))


def read_object(raw: bytes) -> dict[str, Any]:
    """The object that a body is.

    Raises:
        Invalid: it is no JSON, or no object.
    """
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Invalid((), f"the body is no JSON: {error}", "json") from error
    if not isinstance(content, dict):
        raise Invalid((), "the body must be a JSON object", "type")
    return content


class Fields:
    """Typed access to an object; each method raises ``Invalid`` or answers the value, or ``default`` where absent.

    null counts as absent, except where the field is required.
    """

    def __init__(self, content: Mapping[str, Any], where: tuple[str | int, ...] = ()) -> None:
        self.content, self.where = content, where

    def only(self, known: Collection[str]) -> None:
        """Refuse fields that are not ``known``."""
        for name in self.content:
            if name not in known:
                raise Invalid((*self.where, name), f"Unrecognized request argument supplied: {name}", "unknown")

    def text(self, name: str, default: Any = MISSING, *, least: int = 0, most: int | None = None) -> Any:
        value = self._typed(name, default, str)
        if isinstance(value, str) and name in self.content:
            if len(value) < least:
                self._refuse(name, f"string should have at least {least} character{'s' * (least > 1)}", "length")
            if most is not None and len(value) > most:
                self._refuse(name, f"string should have at most {most} characters, not {len(value)}", "length")
        return value

    def one_of(self, name: str, known: Collection[Any], default: Any = MISSING) -> Any:
        value = self.content.get(name)
        if value is None:
            return self._absent(name, default)
        if isinstance(value, bool | float | dict | list) or value not in known:
            supported = ", ".join(f"'{word}'" for word in known)
            self._refuse(name, f"invalid value: '{value}'. Supported values are: {supported}", "enum")
        return value

    def number(self, name: str, least: float, most: float, default: Any = MISSING) -> Any:
        value = self._typed(name, default, int, float)
        self._check_range(name, value, least, most)
        return value

    def integer(self, name: str, least: float, most: float, default: Any = MISSING) -> Any:
        value = self._typed(name, default, int)
        self._check_range(name, value, least, most)
        return value

    def flag(self, name: str, default: Any = MISSING) -> Any:
        return self._typed(name, default, bool)

    def inner(self, name: str, default: Any = MISSING) -> "Fields | None":
        """The fields of an object inside this one; None where it is absent and may be."""
        value = self._typed(name, default, dict)
        return None if value is None else Fields(value, (*self.where, name))

    def items(self, name: str, most: int | None = None, default: Any = MISSING) -> list[Any]:
        value = self._typed(name, default, list)
        if value is not None and most is not None and len(value) > most:
            self._refuse(name, f"list should have at most {most} items, not {len(value)}", "length")
        return value or []

    def _typed(self, name: str, default: Any, *types: type) -> Any:
        value = self.content.get(name)
        if value is None:
            return self._absent(name, default)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            self._refuse(name, f"invalid type: expected {_article(KINDS[types[-1]])}", "type")
        return value

    def _absent(self, name: str, default: Any) -> Any:
        if default is MISSING:
            self._refuse(name, f"missing required parameter: '{name}'", "missing")
        return default

    def _check_range(self, name: str, value: Any, least: float, most: float) -> None:
        if self.content.get(name) is not None and not least <= value <= most:  # NaN is in no range
            self._refuse(name, f"must be from {least:g} to {most:g}, not {value}", "range")

    def _refuse(self, name: str, message: str, kind: str) -> None:
        raise Invalid((*self.where, name), message, kind)


def fastapi_list(wrong: Invalid, place: str = "body") -> Answer:
    """The 422 of servers made with FastAPI, as ElevenLabs and many self-hosted ones are (providers.md 2.6, 5)."""
    problem = {"type": FASTAPI_TYPES[wrong.kind], "loc": [place, *wrong.where], "msg": wrong.message, "input": None}
    return as_json({"detail": [problem]}, 422)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aio" else f"a {noun}"
