"""Blows and their moments: a strike waits for a moment drawn at random, then hits."""

import os
import random
import signal
import time
from collections.abc import Callable

import chaos_victims as victims
from chaos_cases import Case, Strike, Undisturbed
from chaos_figures import Kill

Blow = Callable[[Case, random.Random], list[int]]
Moment = Callable[[Case, random.Random, Undisturbed], bool]
WITHIN_S = 60.0  # a part that was killed may take so long to come back, or a document to be joined


def hit(victim: str, case: Case, chance: random.Random) -> Kill | None:
    """Strike now; None where there was nobody to hit."""
    before_s = case.now_s()
    pids = BLOWS[victim](case, chance)
    if not pids:
        return None
    if victim != "sigterm":
        case.driver.poll()  # or it stays a zombie
        victims.wait_dead(pids)
    kill = Kill(victim, before_s, case.now_s(), len(pids))
    if victim == "driver":
        case.watch.orphans_of(case.driver.pid, kill)
    return kill


def strike(victim: str) -> Strike:
    """Hit ``victim`` once, at a moment drawn at random."""
    moment = any_moment if victim in ("driver", "power", "sigterm") else while_working

    def struck(case: Case, chance: random.Random, than: Undisturbed) -> Kill | None:
        return hit(victim, case, chance) if moment(case, chance, than) else None

    return struck


def while_working(case: Case, chance: random.Random, than: Undisturbed) -> bool:
    """From the first request to shortly before the end; False where the run was over before."""
    wait_s = chance.uniform(0.0, 0.8) * (than.took_s - than.asks_after_s)
    return case.sleep_until_asked() and case.sleep(wait_s)


def any_moment(case: Case, chance: random.Random, than: Undisturbed) -> bool:
    """From when there is something to continue to shortly before the end."""
    wait_s = chance.uniform(0.0, 0.95) * than.took_s
    while not case.exists() and not case.over():
        time.sleep(0.05)
    return case.sleep(wait_s - (time.monotonic() - case.begun))


def _one_process(victim: str) -> Blow:
    return lambda case, chance: victims.strike_one(victim, case.sessions, chance, WITHIN_S, case.over)


def _driver(case: Case, chance: random.Random) -> list[int]:
    """SIGKILL to the driver alone; its Ray finds out by itself."""
    case.driver.kill()
    return [case.driver.pid]


def _power(case: Case, chance: random.Random) -> list[int]:
    """Everything that the run has started, at one moment."""
    return victims.strike_all([case.driver.pid])


def _sigterm(case: Case, chance: random.Random) -> list[int]:
    """As an orchestrator stops a run; nobody is killed."""
    os.kill(case.driver.pid, signal.SIGTERM)
    return [case.driver.pid]


def _node(case: Case, chance: random.Random) -> list[int]:
    """All processes of the second node, if a worker is there."""
    second = case.cluster_sessions[1]
    return victims.strike_all([second]) if victims.titled("worker", [second]) else []


BLOWS: dict[str, Blow] = {
    **{victim: _one_process(victim) for victim in victims.TITLES},
    "node": _node,
    "driver": _driver,
    "power": _power,
    "sigterm": _sigterm,
}
