"""An event loop whose time is simulated: waiting takes none, and tests read the clock they own."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

DEADLOCK_S = 60.0  # a thread on a loaded machine may take its time


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]  # chosen by platform
    """Instead of waiting for ``timeout`` it moves the loop's clock on by so much; threads are waited for in earnest."""

    loop: "SimulatedLoop"

    def select(self, timeout: float | None = None) -> Any:
        if timeout == 0:
            return super().select(0)
        if self.loop.in_threads or timeout is None:
            if ready := super().select(DEADLOCK_S):
                return ready
            raise RuntimeError("everybody waits, and nothing will ever happen")
        if not (ready := super().select(0)):
            self.loop.now += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0
        self.in_threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, future: object) -> None:
        self.in_threads -= 1

    def time(self) -> float:
        return self.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """The result of ``main`` on a simulated loop; a deadlock is an error."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


def now() -> float:
    """The simulated time."""
    return asyncio.get_running_loop().time()
