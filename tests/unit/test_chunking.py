"""Cutting: never over the limit, nothing lost, nothing doubled, whatever the script; cuts that outlive an edit."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster_tts.chunking import MEASURES, Cutter, chunk
from cluster_tts.job import ChunkingSettings
from cluster_tts.model import Paragraph

SCRIPTS = {
    "english": "It was the best of times, it was the worst of times; it was the age of wisdom. ",
    "chinese": "我们都是学生。他说：“你好，世界！”然后走了。",
    "thai": "สวัสดีครับผมชื่อสมชายและนี่คือข้อความยาวที่ไม่มีช่องว่าง",
    "arabic": "كان يا ما كان، في قديم الزمان؛ ملك عادل. هل تعرفه؟ ",
    "one endless word": "abcdefghijklmnopqrstuvwxyz",
    "emoji": "👨‍👩‍👧‍👦👍🏽🇩🇪",
    "combining marks": "e\u0301o\u0308a\u0323\u0302",
    "hindi": "यह एक वाक्य है। और यह दूसरा। ",
    "no sentence ends": "words and words and words and ",
}

texts = st.text(
    st.one_of(st.sampled_from(list("abc .,;!?\"'\n-")), st.characters(codec="utf-8", exclude_categories=["Cs"])),
    max_size=400,
)


@settings(deadline=None, max_examples=80)
@given(texts, st.integers(1, 60), st.sampled_from(sorted(MEASURES)))
@example("a. " * 50, 4, "codepoint")
@example("👨‍👩‍👧‍👦" * 3, 5, "byte")
def test_pieces_put_together_are_the_text_and_none_is_over_the_limit(text: str, limit: int, unit: str) -> None:
    measure = MEASURES[unit]
    pieces = Cutter(limit, "en", measure).cut(text)
    assert "".join(pieces) == text
    # One character may be dearer than the whole limit; then it stands alone.
    assert all(measure(piece.strip()) <= limit or len(piece.strip()) == 1 for piece in pieces)


@pytest.mark.parametrize("unit", sorted(MEASURES))
@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_script_stays_within_the_limit_and_loses_nothing(script: str, unit: str) -> None:
    text = (SCRIPTS[script] * 400)[:6_000]
    pieces = Cutter(300, "en", MEASURES[unit]).cut(text)
    assert "".join(pieces) == text
    assert all(0 < MEASURES[unit](piece.strip()) <= 300 for piece in pieces)
    assert len(pieces) <= 2 * MEASURES[unit](text) / 300 + 2, "pieces are packed, not scattered"


def test_a_cut_falls_between_sentences_where_one_fits() -> None:
    pieces = Cutter(60, "en").cut(
        "Dr. Brown paid $3.50 for tea. Then he left. The rain had stopped by the time he came home."
    )
    assert [piece.strip() for piece in pieces] == [
        "Dr. Brown paid $3.50 for tea. Then he left.",
        "The rain had stopped by the time he came home.",
    ]


def test_a_sentence_that_is_too_long_is_cut_at_a_clause_then_at_a_space() -> None:
    assert Cutter(20, "en").cut("one two three four, five six seven") == ["one two three four, ", "five six seven"]
    assert Cutter(12, "en").cut("one two three four") == ["one two ", "three four"]
    assert Cutter(14, "en").cut("pay 1,000,000 now") == ["pay 1,000,000 ", "now"], "no clause ends inside a number"


def test_a_grapheme_is_cut_only_if_it_alone_is_over_the_limit() -> None:
    family = "👨‍👩‍👧‍👦"
    assert set(Cutter(len(family) + 2, "en").cut(family * 20)) == {family}
    assert "".join(Cutter(5, "en").cut("e" + "\u0301" * 30)) == "e" + "\u0301" * 30


def test_closing_signs_stay_with_their_sentence() -> None:
    assert all(
        any(c.isalnum() for c in piece) for piece in Cutter(30, "en").cut("He said: “I will not go.” … “Never!” " * 20)
    )


def test_equal_input_gives_equal_chunks_numbered_in_order() -> None:
    paragraphs = [Paragraph("One. Two."), Paragraph("Three is a longer paragraph. " * 30)]
    first, second = (list(chunk("d", paragraphs, ChunkingSettings(max_characters=100))) for _ in range(2))
    assert first == second
    assert [piece.index for piece in first] == list(range(len(first)))
    assert " ".join(piece.text for piece in first) == " ".join(p.text.strip() for p in paragraphs)


def test_a_chunk_never_crosses_a_paragraph_unless_told_to_join_them() -> None:
    paragraphs = [Paragraph("One."), Paragraph("Two."), Paragraph("Three.")]
    assert [(c.paragraph, c.text) for c in chunk("d", paragraphs, ChunkingSettings())] == [
        (0, "One."), (1, "Two."), (2, "Three."),
    ]  # fmt: skip
    joined = ChunkingSettings(join_paragraphs=True, max_characters=10)
    assert [(c.paragraph, c.text) for c in chunk("d", paragraphs, joined)] == [(0, "One.\nTwo."), (2, "Three.")]


NUMBERED = [f"This is sentence number {n} of the text, and it says a thing." for n in range(40)]


@pytest.mark.parametrize("limit", [150, 400, 1000])
@pytest.mark.parametrize("changed", [0, 1, 7, 20, 39])
@pytest.mark.parametrize("by", ["edit", "insert", "remove"])
def test_after_an_edit_only_the_chunk_that_holds_it_changes(limit: int, changed: int, by: str) -> None:
    before = {piece.strip() for piece in Cutter(limit, "en").cut(" ".join(NUMBERED))}
    sentences = list(NUMBERED)
    if by == "edit":
        sentences[changed] = sentences[changed].replace("a thing", "another")
    elif by == "insert":
        sentences.insert(changed, "A new one.")
    else:
        del sentences[changed]
    after = Cutter(limit, "en", earlier=before).cut(" ".join(sentences))
    assert "".join(after) == " ".join(sentences)
    assert all(len(piece.strip()) <= limit for piece in after)
    assert len({piece.strip() for piece in after} - before) <= (1 if by != "insert" else 2)


def test_earlier_chunks_over_a_smaller_limit_are_not_kept() -> None:
    text = " ".join(NUMBERED)
    assert all(len(p.strip()) <= 100 for p in Cutter(100, "en", earlier=Cutter(400, "en").cut(text)).cut(text))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from([*NUMBERED, "Yes.", "No!"]), max_size=30), st.lists(st.sampled_from(NUMBERED), max_size=30)
)
def test_whatever_was_there_earlier_nothing_is_lost(now: list[str], then: list[str]) -> None:
    earlier = [piece.strip() for piece in Cutter(200, "en").cut(" ".join(then))]
    assert "".join(Cutter(200, "en", earlier=earlier).cut(" ".join(now))) == " ".join(now)
