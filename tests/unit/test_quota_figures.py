"""The arithmetic of ``make bench-quota``: what proves the promise has to be right itself."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "quota_figures.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quota_figures", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["quota_figures"] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


figures = load()


def entry(arrival_s: float, left_s: float | None = None, text: str = "A-0001", **more: Any) -> dict[str, Any]:
    refused = more.get("refused", "")
    return {
        "arrival_s": arrival_s, "left_s": left_s, "text": text, "characters": 10, "refused": refused,
        "admitted_s": None if refused else arrival_s, **more,
    }  # fmt: skip


def test_used_counts_what_was_let_in_within_the_time_and_no_refusals() -> None:
    log = [entry(at) for at in (0.0, 9.9, 10.0, 15.0, 29.9, 30.0)] + [entry(12.0, refused="requests")]
    assert figures.used(log, figures.requests, 10.0, 30.0, 2, 10.0) == pytest.approx(3 / 4)
    assert figures.used(log, figures.characters, 10.0, 30.0, 20, 10.0) == pytest.approx(30 / 40)
    assert len(figures.refused(log)) == 1


def test_only_refusals_by_a_limit_count() -> None:
    assert not figures.refused([entry(0.0, refused="invalid_api_key"), entry(0.0, fault="500")])


def test_shares_are_told_window_by_window() -> None:
    log = [entry(0.0), entry(1.0, text="B-0001"), entry(11.0), entry(12.0), entry(13.0, text="B-0002")]
    assert figures.shares(log, "A", figures.requests, 0.0, 10.0, 3) == [0.5, pytest.approx(2 / 3), 0.0]


def test_places_are_averaged_over_the_time_asked_for_also_of_what_has_not_ended() -> None:
    log = [entry(0.0, 4.0), entry(2.0, 12.0), entry(8.0)]
    assert figures.in_flight(log, 0.0, 10.0) == pytest.approx((4 + 8 + 2) / 10)


def test_list_scheduling_gives_each_place_the_next_one() -> None:
    assert figures.list_schedule([3, 1, 1, 1], 2) == 3
    assert figures.list_schedule([1, 1, 3], 2) == 4
    assert figures.list_schedule([2, 2, 2], 1) == 6


def test_the_longest_pause_reaches_to_the_edges() -> None:
    log = [entry(at) for at in (1.0, 2.0, 9.0)]
    assert figures.longest_pause_s(log, 0.0, 10.0) == 7.0
    assert figures.longest_pause_s(log, 0.0, 20.0) == 11.0
    assert figures.longest_pause_s([], 0.0, 5.0) == 5.0


def test_the_span_is_from_the_first_arrival_to_the_last_answer() -> None:
    assert figures.span_s([entry(1.0, 9.0), entry(2.0, 5.0), entry(3.0, 20.0, refused="requests")]) == 8.0


def test_when_a_share_was_reached_is_searched_in_half_seconds() -> None:
    assert figures.reached_s([], 0.9, 10.0, 20.0, lambda at: (at - 10) / 2) == 2.0
    assert figures.reached_s([], 0.9, 10.0, 20.0, lambda at: 0.0) == 10.0


def test_a_figure_says_what_is_wanted_and_whether_it_falls_short() -> None:
    used, share = figures.Figure("used", 0.985, low=0.99), figures.Figure("share", 0.5, low=0.45, high=0.55)
    assert (used.wanted, used.measured, used.good) == ("used >= 0.9900", "0.9850 !", False)
    assert (share.wanted, share.measured, share.good) == ("share >= 0.4500 <= 0.5500", "0.5000", True)
    assert (figures.Figure("refused", 1217).wanted, figures.Figure("refused", 1217).measured) == ("refused -", "1,217")
