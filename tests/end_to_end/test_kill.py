"""One run of 200 chunks with three kills: nothing is lost, nothing paid twice but what was in flight, same bytes.

``make chaos`` does the same forty times, at moments drawn at random, for every victim there is.
"""

import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import chaos
import chaos_cases as cases
from chaos_figures import Kill
from chaos_places import Place
from chaos_strikes import hit

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes of a run in /proc"),
]

QUICK = ("--latency", "0.3", "--sigma", "0.3", "--max-concurrent", "10", "--characters-per-second", "40")
AT_ONCE = ("--characters-per-second", "40")
UNLIMITED = ("quota.requests_per_minute=null", "quota.max_concurrent_requests=32", "engine=local")


def after(requests: int, victim: str) -> cases.Strike:
    """Hit ``victim`` once so many requests have come."""

    def strike(case: cases.Case, chance: random.Random, than: cases.Undisturbed) -> Kill | None:
        return hit(victim, case, chance) if case.sleep_until_asked(requests) else None

    return strike


@pytest.mark.timeout(150)
def test_a_worker_the_queue_and_then_everything_die_in_one_run_and_nothing_is_lost(tmp_path: Path) -> None:
    port = chaos.free_port()  # one for both: the address is part of a clip's name
    whole = cases.undisturbed(Place(tmp_path, port, UNLIMITED, account=AT_ONCE))
    place = Place(tmp_path, port, ("engine=ray", "quota.requests_per_minute=null"), account=QUICK)
    strikes = [after(30, "worker"), after(80, "queue"), after(140, "power")]
    told = cases.disturbed(place, "power", 0, 1, whole, strikes)
    assert [kill.victim for kill in told.kills] == ["worker", "queue", "power"]
    assert told.exit_codes == (-9, 0)
    assert told.broken() == [], told
