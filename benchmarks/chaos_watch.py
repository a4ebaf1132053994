"""An eye on a case while it goes on: which processes it had, and when the workers of a dead driver had died."""

import threading
from collections.abc import Callable, Iterable

import chaos_victims as victims
from chaos_figures import Kill

LOOK_S = 0.1
ORPHANS_S = 30.0  # workers may outlive their driver so long; after that they are left behind


class Watch:
    """Looks ten times a second, on a thread of its own. ``seen`` are all processes that were ever there."""

    def __init__(self, sessions: Callable[[], Iterable[int]], now_s: Callable[[], float]) -> None:
        self._sessions, self._now_s = sessions, now_s
        self._awaited: dict[int, Kill] = {}  # by the session of the dead driver
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen: set[int] = set()
        self.orphans_s: dict[Kill, float] = {}
        self._thread.start()

    def orphans_of(self, session: int, kill: Kill) -> None:
        """Note when the last worker has died of the driver whose ``kill`` this was."""
        self._awaited[session] = kill

    def stop(self) -> None:
        """Once the case is over; whoever is still there stays noted."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            self.seen.update(victims.of_sessions(self._sessions()))
            for session, kill in list(self._awaited.items()):
                now_s = self._now_s()
                if not victims.titled("worker", [session]) or now_s > kill.after_s + ORPHANS_S:
                    self.orphans_s[kill] = now_s
                    del self._awaited[session]
