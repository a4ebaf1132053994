"""The last requests one by one, for those who want to reckon for themselves what an account was asked, and when."""

from dataclasses import asdict, dataclass
from typing import Any

MOST_TEXT = 40


@dataclass(slots=True)
class Entry:
    """One request to speak, from the address ``peer``. Times are seconds since the start, or the last reset; None: not
    yet, or never.

    ``refused`` is the cause, '' if it was let in. ``left_s`` is when its last byte or refusal left; at replicate, when
    its status became final. ``in_flight`` counts itself. ``latency_s`` is what was drawn, not what it took. ``said`` is
    the digest that speech of each turn carries (see ``speech``), in hexadecimal, and its voice; ``speed`` was asked.
    """

    number: int
    arrival_s: float
    peer: str = ""
    text: str = ""
    characters: int = 0
    refused: str = ""
    admitted_s: float | None = None
    in_flight: int = 0
    latency_s: float = 0.0
    fault: str | None = None
    left_s: float | None = None
    said: tuple[tuple[str, str], ...] = ()
    speed: float = 1.0


class Log:
    """The last ``size`` requests; what is told of older ones is forgotten."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[int, Entry] = {}

    def __repr__(self) -> str:
        return f"<Log of {len(self._entries)} of at most {self._size}>"

    def arrive(self, number: int, now: float, peer: str = "") -> None:
        """Begin an entry; the oldest makes room for it."""
        if not self._size:
            return
        if len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[number] = Entry(number, now, peer)

    def note(self, number: int, **told: Any) -> None:
        """Add to the entry of a request what is known of it now."""
        if (entry := self._entries.get(number)) is not None:
            for name, value in told.items():
                setattr(entry, name, value)

    def as_list(self) -> list[dict[str, Any]]:
        """In the order of arrival."""
        return [asdict(entry) for entry in self._entries.values()]
