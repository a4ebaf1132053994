"""Which cues are spoken as one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.documents.grouping import LONGEST_SLOT_S, MOST_CUES, Cue, grouped, joined
from cluster_tts.model import Slot

WORDS = [
    "Well",
    "she left.",
    "no,",
    "Dr.",
    "so…",
    "why?”",
    "他来了。",
    "نعم؟",
    "a" * 60,
    "-",
    "He said:",
    "...",
    "क्या।",
]


@st.composite
def cues(draw: st.DrawFn) -> list[Cue]:
    start = 0.0
    found = []
    for _ in range(draw(st.integers(0, 30))):
        start = round(max(0.0, start + draw(st.sampled_from([-0.3, -0.05, 0.0, 0.2, 1.0, 1.1, 4.0]))), 3)
        end = round(start + draw(st.sampled_from([0.0, 0.4, 2.0, 9.0])), 3)
        speaker = draw(st.sampled_from([None, None, None, "Ann"]))
        found.append(Cue(Slot(start, end), draw(st.sampled_from(WORDS)), speaker))
        start = end
    return found


@given(cues(), st.integers(1, 200))
def test_every_cue_comes_once_in_order_and_groups_stay_within_their_bounds(cues: list[Cue], most: int) -> None:
    groups = list(grouped(cues, "en", most))
    assert [cue for group in groups for cue in group] == cues
    assert " ".join(map(joined, groups)) == " ".join(cue.text for cue in cues)
    for group in groups:
        assert group
        assert len({cue.speaker for cue in group}) == 1
        assert len(group) == 1 or len(joined(group)) <= most
        assert len(group) <= MOST_CUES
        length_s = max(cue.slot.end_s for cue in group) - group[0].slot.start_s
        assert len(group) == 1 or length_s <= LONGEST_SLOT_S
        for left, right in pairwise(group):
            assert -0.1 <= round(right.slot.start_s - left.slot.end_s, 6) <= 1.0


def together(*texts: str, language: str = "en") -> bool:
    spoken = [Cue(Slot(index, index + 0.9), text) for index, text in enumerate(texts)]
    return len(list(grouped(spoken, language, 400))) == 1


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("She came", "and left.", True),
        ("She came,", "and left.", True),
        ("She came…", "and left.", True),
        ("She came...”", "and left.", True),
        ("She came -", "and left.", True),
        ("I met Dr.", "Brown there.", True),
        ("She came.", "He left.", False),
        ("She came!”", "He left.", False),
        ("(She came?)", "He left.", False),
        ("„Sie kam.“", "Er ging.", False),
        ("«Она пришла».", "Он ушёл.", False),
        ("她来了。", "他走了。", False),
        ("她来了。」", "他走了。", False),
        ("هل جاءت؟", "نعم", False),
        ("वह आई।", "वह गया।", False),
    ],
)
def test_a_sentence_ends_as_its_script_has_it(first: str, second: str, one: bool) -> None:
    assert together(first, second) is one


@pytest.mark.parametrize(
    ("second", "one"),
    [
        (Cue(Slot(3.0, 4.0), "b", "Ann"), True),
        (Cue(Slot(3.001, 4.0), "b", "Ann"), False),
        (Cue(Slot(1.9, 4.0), "b", "Ann"), True),
        (Cue(Slot(1.899, 4.0), "b", "Ann"), False),
        (Cue(Slot(2.0, 15.0), "b", "Ann"), True),
        (Cue(Slot(2.0, 15.001), "b", "Ann"), False),
        (Cue(Slot(2.0, 4.0), "b", "Ben"), False),
        (Cue(Slot(2.0, 4.0), "b" * 8, "Ann"), True),
        (Cue(Slot(2.0, 4.0), "b" * 9, "Ann"), False),
    ],
)
def test_the_bounds_are_exact(second: Cue, one: bool) -> None:
    first = Cue(Slot(0.0, 2.0), "a", "Ann")
    assert len(list(grouped([first, second], "en", 10))) == (1 if one else 2)
