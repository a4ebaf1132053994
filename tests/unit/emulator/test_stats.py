"""Counts of what happened: exact windows, places over time, what was paid twice."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.emulator.stats import MOST_TEXTS, InFlight, Stats, Window


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60))
def test_the_largest_window_is_exact(events: list[tuple[float, int]]) -> None:
    window, now, log = Window(5.0), 0.0, []
    for gap, characters in events:
        now += gap
        log.append((now, characters))
        window.add(characters, now)
    inside = [[size for at, size in log if end - 5.0 + 1e-9 < at <= end] for end, _ in log]
    assert window.most_requests == max(map(len, inside), default=0)
    assert window.most_characters == max(map(sum, inside), default=0)


def test_places_are_averaged_over_time() -> None:
    places = InFlight()
    assert places.as_dict() == {"now": 0, "peak": 0, "mean": 0.0}
    for by, now in ((1, 10.0), (1, 11.0), (-1, 13.0), (-1, 14.0)):
        places.change(by, now)
    assert places.as_dict() == {"now": 0, "peak": 2, "mean": 1.5}


def test_what_is_paid_twice_is_named_and_can_be_taken_back() -> None:
    stats = Stats(60.0)
    for text in ("a", "bb", "a", "a"):
        stats.charge(text, len(text))
    assert (stats.charged, stats.charged_characters) == (4, 5)
    assert stats.as_dict()["repeats"] == {"a": 3}
    stats.charge("a", 1, times=-1)
    stats.charge("bb", 2, times=-1)
    found = stats.as_dict()
    assert (found["charged"], found["charged_characters"], found["texts_charged"]) == (2, 2, 1)
    assert found["repeats"] == {"a": 2}


def test_memory_is_bounded() -> None:
    stats = Stats(1.0)
    for number in range(2 * MOST_TEXTS):
        stats.ask(f"text {number}", 6, float(number))
        stats.charge(f"text {number}", 6)
        stats.charge(f"text {number}", 6)
    found = stats.as_dict()
    assert len(found["asked"]) == MOST_TEXTS
    assert sum(name.startswith("#") for name in found["repeats"]) == MOST_TEXTS  # beyond the cap: digests


def test_times_are_told_from_the_start() -> None:
    stats = Stats(60.0)
    assert [stats.arrive(now) for now in (1.0, 2.5)] == [1, 2]
    stats.admit(3, 2.5)
    stats.serve(4.2)
    stats.leave(4.2)
    found = stats.as_dict()
    assert (found["first_arrival_s"], found["last_arrival_s"], found["last_end_s"]) == (1.0, 2.5, 4.2)
    assert found["served_per_second"] == [(4, 1)]
    assert found["in_flight"]["mean"] == 1.0
