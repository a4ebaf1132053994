"""Pacing: who would speak on into the next cue is asked to speak faster, before anything is paid."""

from dataclasses import replace

from cluster_tts.job import TimelineSettings
from cluster_tts.model import Chunk, Role, Slot
from cluster_tts.pacing import paced

SETTINGS = TimelineSettings(pause_ms=0, max_speed=1.2)


def cue(index: int, start_s: float, end_s: float, characters: int, paragraph: int | None = None) -> Chunk:
    role = Role(cues=(Slot(start_s, end_s),))
    return Chunk("d", index, index if paragraph is None else paragraph, "x" * characters, role)


def speeds(chunks: list[Chunk], settings: TimelineSettings = SETTINGS, most: float = 2.0) -> list[float]:
    given = list(paced(chunks, settings, characters_per_second=10.0, most=most))
    assert [chunk.text for chunk in given] == [chunk.text for chunk in chunks]
    return [chunk.speech.speed for chunk in given]


def test_speed_is_asked_for_only_where_the_free_space_does_not_do() -> None:
    assert speeds([cue(0, 0, 1, 20), cue(1, 2, 3, 20), cue(2, 4, 5, 20)]) == [1.0, 1.0, 1.0]
    assert speeds([cue(0, 0, 1, 22), cue(1, 2, 3, 40), cue(2, 4, 5, 99)]) == [1.1, 1.2, 1.0], "nothing follows the last"


def test_no_more_than_the_voice_can_and_the_settings_allow() -> None:
    fast = [cue(0, 0, 1, 40), cue(1, 2, 3, 10)]
    assert speeds(fast, most=1.1) == [1.1, 1.0]
    assert speeds(fast, TimelineSettings(pause_ms=0, max_speed=1.5)) == [1.5, 1.0]
    assert speeds(fast, most=1.0) == [1.0, 1.0]


def test_chunks_of_one_cue_share_its_time_and_its_speed() -> None:
    assert speeds([cue(0, 0, 1, 11, paragraph=0), cue(1, 0, 1, 11, paragraph=0), cue(2, 2, 3, 5, paragraph=1)]) == [
        1.1, 1.1, 1.0,
    ]  # fmt: skip


def test_the_order_of_rows_does_not_matter() -> None:
    in_time = [cue(0, 0, 1, 22), cue(1, 2, 3, 40), cue(2, 4, 5, 99)]
    assert speeds(in_time[::-1]) == [1.0, 1.2, 1.1]


def test_what_has_no_time_hurries_nobody_and_is_not_hurried() -> None:
    title = Chunk("d", 0, 0, "x" * 99)
    said = [replace(each, paragraph=each.paragraph + 1) for each in (cue(0, 0, 1, 22), cue(1, 2, 3, 10))]
    assert speeds([title, *said, replace(title, paragraph=9)]) == [1.0, 1.1, 1.0, 1.0]


def test_nobody_is_hurried_where_times_do_not_bind() -> None:
    fast = [cue(0, 0, 1, 40), cue(1, 1, 3, 10)]
    assert speeds(fast, TimelineSettings(fit="starts")) == [1.0, 1.0]
    plain = [Chunk("d", 0, 0, "x" * 400), Chunk("d", 1, 1, "x")]
    assert speeds(plain) == [1.0, 1.0]
    assert speeds([]) == []


def test_plain_text_is_not_held() -> None:
    def endless():  # type: ignore[no-untyped-def]
        while True:
            yield Chunk("d", 0, 0, "x")

    assert next(paced(endless(), SETTINGS, 10.0, 2.0)).text == "x"
