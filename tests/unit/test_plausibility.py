"""How long speech of a text can last."""

import pytest

from cluster_tts.errors import RetryLater
from cluster_tts.model import Sound
from cluster_tts.plausibility import letters, refuse_cut_off, refuse_implausible

CHINESE = "我们走进了那座古老的图书馆，" * 7  # 13 characters and a comma


def lasting(seconds: float) -> Sound:
    return Sound(round(seconds * 1000), 1000, 1, "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("x" * 400, 9.5),  # 400 / 40 less half a second
        ("x" * 400, 103.0),  # 400 / 4 and three more
        ("7", 0.1),
        ("7", 4.0),  # "seven", counted as four
        ("1234567890", 13.0),
        ("Yes.", 0.3),
    ],
)
def test_speech_within_the_band_is_believed(text: str, seconds: float) -> None:
    refuse_implausible(lasting(seconds), text, [4, 40])


@pytest.mark.parametrize(
    ("text", "seconds"), [("x" * 400, 9.4), ("x" * 400, 103.1), ("7", 4.1), ("1234567890", 13.1), ("Yes.", 4.1)]
)
def test_speech_outside_of_it_is_not(text: str, seconds: float) -> None:
    with pytest.raises(RetryLater, match=r"400 char.*40 |check\.characters_per_second") as caught:
        refuse_implausible(lasting(seconds), text, [4, 40])
    assert caught.value.kind == "implausible_length"


def test_without_a_band_everything_is_believed() -> None:
    refuse_implausible(lasting(10_000), "Yes.", None)


@pytest.mark.parametrize(
    ("speed", "least", "most"), [(1.0, 9.5, 103.0), (2.0, 4.5, 53.0), (0.5, 19.5, 203.0), (4.0, 2.0, 28.0)]
)
def test_at_another_speed_the_seconds_are_others(speed: float, least: float, most: float) -> None:
    for seconds in (least, most):
        refuse_implausible(lasting(seconds), "x" * 400, [4, 40], speed)
    for seconds in (least - 0.1, most + 0.1):
        with pytest.raises(RetryLater, match=r"check\.characters_per_second") as caught:
            refuse_implausible(lasting(seconds), "x" * 400, [4, 40], speed)
        assert ("at speed" in str(caught.value)) == (speed != 1)


@pytest.mark.parametrize("per_second", [3.0, 4.0, 4.5, 5.0, 7.0, 10.0])
def test_chinese_as_it_is_spoken_is_believed(per_second: float) -> None:
    refuse_implausible(lasting(len(CHINESE) / per_second), CHINESE, [4, 40])


@pytest.mark.parametrize("per_second", [4.5, 5.0])
def test_chinese_of_which_a_third_came_is_not(per_second: float) -> None:
    with pytest.raises(RetryLater):
        refuse_implausible(lasting(len(CHINESE) / per_second / 3), CHINESE, [4, 40])


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("", 0),
        ("Hello, you.", 11),
        ("été", 3),
        ("e\u0301te\u0301", 3),  # the same, decomposed
        ("汉", 3.5),
        ("々", 3.5),
        ("𠀀", 3.5),
        ("ひゃ", 4),
        ("カー", 4),
        ("ｶ", 2),
        ("한국", 5.4),
        ("สวัสดี", 4),  # two vowel marks of six
        ("नमस्ते", 4),
        ("a\u200db\ufe0f", 2),  # invisible
        ("12", 2),
        ("١٢", 2),
    ],
)
def test_characters_last_as_long_as_so_many_letters(text: str, worth: float) -> None:
    assert letters(text) == pytest.approx(worth)


def test_digits_are_worth_what_is_asked() -> None:
    assert letters("a1٢", digit=4) == 9


SENTENCE = "x" * 145  # 10 s at 14.5 letters a second


@pytest.mark.parametrize(("pace", "seconds"), [(14.5, 6.7), (14.5, 10.0), (29.0, 3.25), (14.5, 60.0)])
def test_speech_of_about_the_usual_pace_may_stop_short(pace: float, seconds: float) -> None:
    refuse_cut_off(lasting(seconds), SENTENCE, pace)


@pytest.mark.parametrize(("pace", "seconds"), [(14.5, 6.6), (14.5, 0.1), (29.0, 3.15)])
def test_speech_that_stops_short_after_two_thirds_is_cut(pace: float, seconds: float) -> None:
    with pytest.raises(RetryLater, match=rf"{seconds:.1f} s where .* still loud at the end") as caught:
        refuse_cut_off(lasting(seconds), SENTENCE, pace)
    assert caught.value.kind == "cut_audio"


def test_a_short_word_is_never_cut() -> None:
    refuse_cut_off(lasting(0.1), "Stop!", 15)
