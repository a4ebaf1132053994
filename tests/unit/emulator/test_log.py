"""The last requests one by one: bounded, in the order of arrival."""

from cluster_tts.emulator.log import Log


def test_only_the_last_are_kept_and_what_is_told_of_older_ones_is_forgotten() -> None:
    log = Log(2)
    for number in (1, 2, 3):
        log.arrive(number, float(number))
    log.note(1, refused="requests")
    log.note(3, text="three", admitted_s=3.5)
    assert [entry["number"] for entry in log.as_list()] == [2, 3]
    assert (log.as_list()[1]["text"], log.as_list()[1]["admitted_s"], log.as_list()[0]["left_s"]) == (
        "three",
        3.5,
        None,
    )


def test_without_a_size_nothing_is_kept() -> None:
    log = Log(0)
    log.arrive(1, 0.0)
    log.note(1, text="one")
    assert log.as_list() == []
