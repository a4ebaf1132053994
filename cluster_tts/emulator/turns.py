"""The line in front of a server that lets requests wait instead of refusing them: first come, first served."""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Lets in as many as there are places; ``free`` tells how many are free now, None: any number.

    Whoever was called and has not come in yet is counted too, so that nobody who comes later gets the place first.
    """

    def __init__(self, free: Callable[[], int | None]) -> None:
        self._free = free
        self._line: deque[asyncio.Future[None]] = deque()
        self._called = 0

    def __repr__(self) -> str:
        return f"<Turns: {len(self._line)} in line, {self._called} called, {self._free()} free>"

    async def wait(self) -> None:
        """Wait for a place, which is to be taken before anything else is awaited; ``call`` once that is done."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self.call()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # called and gone at once: the place is the next one's
                self._called -= 1
                self.call()
            raise
        self._called -= 1

    def call(self) -> None:
        """Call as many as there are places for: after a place was taken or given back, or their number changed."""
        while self._line and ((free := self._free()) is None or free > self._called):
            turn = self._line.popleft()
            if not turn.cancelled():  # else whoever waited has left
                turn.set_result(None)
                self._called += 1
