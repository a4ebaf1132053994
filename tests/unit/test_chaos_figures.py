"""The arithmetic of ``make chaos``: what proves the promises has to be right itself."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "chaos_figures.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chaos_figures", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chaos_figures"] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


figures = load()
KILL = figures.Kill("worker", 10.0, 10.2, 1)


def entry(text: str, admitted_s: float | None, left_s: float | None = None) -> dict[str, Any]:
    return {"text": text, "admitted_s": admitted_s, "left_s": left_s}


def told(victim: str = "worker", **more: Any) -> Any:
    plain: dict[str, Any] = {
        "victim": victim, "number": 0, "kills": (KILL,), "exit_codes": (0,), "lost_chunks": 0, "different": (),
        "repaid": 0, "in_flight": 3, "repaid_unasked": (), "refused": 0, "lost_s": 1.0, "left_behind": (),
    }  # fmt: skip
    return figures.Told(**{**plain, **more})


def test_in_flight_is_what_was_let_in_before_the_kill_and_had_not_long_left() -> None:
    log = [
        entry("answered long before", 8.0, 9.0),
        entry("just answered", 8.0, 9.9),
        entry("cut off by the kill", 9.5, 10.1),
        entry("not answered yet", 9.8),
        entry("sent while it was struck", 10.15, 11.0),
        entry("sent later", 10.3, 11.0),
        entry("refused", None, 10.1),
    ]
    asked = figures.in_flight(log, KILL)
    assert asked == {"just answered", "cut off by the kill", "not answered yet", "sent while it was struck"}


def test_a_drivers_workers_go_on_asking_so_what_counts_is_what_was_in_flight_when_the_last_of_them_died() -> None:
    orphaned = figures.Kill("driver", 10.0, 10.2, 1, orphans_s=12.0)
    log = [entry("at the driver's death", 9.9, 10.5), entry("cut off by theirs", 11.8, 11.9), entry("later", 12.1)]
    assert figures.in_flight(log, orphaned) == {"cut off by theirs"}


def test_every_payment_beyond_the_first_counts_and_must_have_been_in_flight() -> None:
    repeats = {"A-0001 harbour lies": 3, "B-0002 still": 2}
    assert figures.paid_again(repeats) == 3
    assert figures.not_in_flight(repeats, {"A-0001 har"}, 10) == ("B-0002 sti",)


def test_a_case_that_keeps_all_promises_tells_of_none() -> None:
    assert told(repaid=3).broken() == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"kills": ()}, "nobody was hit"),
        ({"lost_chunks": 1}, "1 chunks lost"),
        ({"different": ("a.wav",)}, "1 documents differ"),
        ({"repaid": 4}, "4 paid again, 3 allowed"),
        ({"repaid_unasked": ("A-0001",)}, "1 paid again that were not in flight: A-0001"),
        ({"refused": 2}, "2 refused"),
        ({"lost_s": 58.2}, "58 s lost"),
        ({"left_behind": ("claim x",)}, "left behind: claim x"),
        ({"exit_codes": (75, 0)}, "exit codes 75 0"),
        ({"complaint": "start 1 hangs"}, "start 1 hangs"),
    ],
)
def test_each_broken_promise_is_told(broken: dict[str, Any], said: str) -> None:
    assert told(**broken).broken() == [said]


@pytest.mark.parametrize("victim", figures.NOBODY_ASKING_DIES)
def test_nothing_may_be_paid_again_where_nobody_who_asks_was_hit(victim: str) -> None:
    assert told(victim, repaid=1).broken() == ["1 paid again, 0 allowed"]


@pytest.mark.parametrize(
    ("victim", "codes", "allowed"),
    [
        ("worker", (0,), True),
        ("worker", (75, 0), False),
        ("driver", (-9, 0), True),
        ("driver", (-9, 1, 0), False),
        ("power", (-9, 0), True),
        ("sigterm", (75, 0), True),
        ("sigterm", (0,), True),
        ("sigterm", (-6, 0), False),
        ("sigterm", (75,), False),
        ("sigterm", (), False),
    ],
)
def test_a_run_ends_with_what_the_blow_explains_and_at_last_with_0(
    victim: str, codes: tuple[int, ...], allowed: bool
) -> None:
    assert figures.allowed_exits(victim, codes) is allowed


def test_the_table_has_a_line_a_victim_and_marks_the_broken() -> None:
    lines = figures.table([told(), told(lost_s=9.0), told("queue", lost_chunks=2)])
    assert len(lines) == 3
    assert lines[1].endswith("kept")
    assert "5 (most 9)" in lines[1]
    assert lines[2].endswith("! 1 of 1 broken")
