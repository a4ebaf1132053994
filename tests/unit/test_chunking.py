"""Cutting: never over the limit, nothing lost, nothing doubled, whatever the script; cuts that outlive an edit."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster_tts.chunking import chunk
from cluster_tts.context import in_context
from cluster_tts.cutting import MEASURES, Cutter, Dialogue, Room
from cluster_tts.job import ChunkingSettings, ModelFacts
from cluster_tts.model import PLAIN, Chunk, Paragraph, Role, Slot, Speech, Turn

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
    pieces = Cutter(Room(1_000_000, limit, measure), "en").cut(text)
    assert "".join(pieces) == text
    # One character may be dearer than the whole limit; then it stands alone.
    assert all(measure(piece.strip()) <= limit or len(piece.strip()) == 1 for piece in pieces)


@pytest.mark.parametrize("unit", sorted(MEASURES))
@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_script_stays_within_the_limit_and_loses_nothing(script: str, unit: str) -> None:
    text = (SCRIPTS[script] * 400)[:6_000]
    pieces = Cutter(Room(1_000_000, 300, MEASURES[unit]), "en").cut(text)
    assert "".join(pieces) == text
    assert all(0 < MEASURES[unit](piece.strip()) <= 300 for piece in pieces)
    assert len(pieces) <= 2 * MEASURES[unit](text) / 300 + 2, "pieces are packed, not scattered"


@settings(deadline=None, max_examples=80)
@given(texts, st.integers(1, 60), st.integers(1, 120))
@example("我们都是学生。" * 10, 20, 30)
@example("words and words and " * 10, 20, 1_000)
def test_both_limits_hold_the_user_s_in_characters_and_the_model_s_in_its_own(text: str, user: int, model: int) -> None:
    measure = MEASURES["byte"]
    pieces = Cutter(Room(user, model, measure), "en").cut(text)
    assert "".join(pieces) == text
    for piece in map(str.strip, pieces):
        assert len(piece) == 1 or (len(piece) <= user and measure(piece) <= model)


def test_two_limits_together_cut_no_finer_than_the_stricter_one_alone() -> None:
    text = (SCRIPTS["chinese"] + SCRIPTS["one endless word"]) * 40
    room = Room(100, 200, MEASURES["byte"])
    pieces = Cutter(room, "en").cut(text)
    full = [room.share_of(piece) for piece in pieces[:-1]]
    assert min(full) > 0.5
    assert {len(piece) > 100 * 0.9 for piece in pieces} == {True, False}, "now one limit ends a piece, now the other"


def test_a_chunk_is_no_longer_than_its_model_takes() -> None:
    paragraphs = [Paragraph("我们都是学生。" * 30)]
    wanted = ChunkingSettings(max_characters=100)
    for model, most in (
        (ModelFacts(), 100),
        (ModelFacts(max_characters=50), 50),
        (ModelFacts(unit="byte", max_characters=150), 50),
        (ModelFacts(unit="byte", max_characters=5_000), 100),
    ):
        longest = max(len(piece.text) for piece in chunk("d", paragraphs, wanted, model))
        assert most - 7 < longest <= most


def test_joined_paragraphs_stay_within_the_model_s_limit_too() -> None:
    paragraphs = [Paragraph("éé."), Paragraph("éé."), Paragraph("éé.")]
    joined = ChunkingSettings(join_paragraphs=True, max_characters=100)
    model = ModelFacts(unit="byte", max_characters=11)
    assert [c.text for c in chunk("d", paragraphs, joined, model)] == ["éé.\néé.", "éé."]


def test_a_cut_falls_between_sentences_where_one_fits() -> None:
    pieces = Cutter(Room(60), "en").cut(
        "Dr. Brown paid $3.50 for tea. Then he left. The rain had stopped by the time he came home."
    )
    assert [piece.strip() for piece in pieces] == [
        "Dr. Brown paid $3.50 for tea. Then he left.",
        "The rain had stopped by the time he came home.",
    ]


def test_a_sentence_that_is_too_long_is_cut_at_a_clause_then_at_a_space() -> None:
    assert Cutter(Room(20), "en").cut("one two three four, five six seven") == [
        "one two three four, ",
        "five six seven",
    ]
    assert Cutter(Room(12), "en").cut("one two three four") == ["one two ", "three four"]
    assert Cutter(Room(14), "en").cut("pay 1,000,000 now") == ["pay 1,000,000 ", "now"], (
        "no clause ends inside a number"
    )


def test_a_grapheme_is_cut_only_if_it_alone_is_over_the_limit() -> None:
    family = "👨‍👩‍👧‍👦"
    assert set(Cutter(Room(len(family) + 2), "en").cut(family * 20)) == {family}
    assert "".join(Cutter(Room(5), "en").cut("e" + "\u0301" * 30)) == "e" + "\u0301" * 30


def test_closing_signs_stay_with_their_sentence() -> None:
    assert all(
        any(c.isalnum() for c in piece)
        for piece in Cutter(Room(30), "en").cut("He said: “I will not go.” … “Never!” " * 20)
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
    before = {piece.strip() for piece in Cutter(Room(limit), "en").cut(" ".join(NUMBERED))}
    sentences = list(NUMBERED)
    if by == "edit":
        sentences[changed] = sentences[changed].replace("a thing", "another")
    elif by == "insert":
        sentences.insert(changed, "A new one.")
    else:
        del sentences[changed]
    after = Cutter(Room(limit), "en", earlier=before).cut(" ".join(sentences))
    assert "".join(after) == " ".join(sentences)
    assert all(len(piece.strip()) <= limit for piece in after)
    assert len({piece.strip() for piece in after} - before) <= (1 if by != "insert" else 2)


def test_earlier_chunks_over_a_smaller_limit_are_not_kept() -> None:
    text = " ".join(NUMBERED)
    assert all(
        len(p.strip()) <= 100 for p in Cutter(Room(100), "en", earlier=Cutter(Room(400), "en").cut(text)).cut(text)
    )


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from([*NUMBERED, "Yes.", "No!"]), max_size=30), st.lists(st.sampled_from(NUMBERED), max_size=30)
)
def test_whatever_was_there_earlier_nothing_is_lost(now: list[str], then: list[str]) -> None:
    earlier = [piece.strip() for piece in Cutter(Room(200), "en").cut(" ".join(then))]
    assert "".join(Cutter(Room(200), "en", earlier=earlier).cut(" ".join(now))) == " ".join(now)


# -- context ----------------------------------------------------------------------------------------------------------


def around(texts: list[str], characters: int) -> list[tuple[str, str, str]]:
    chunks = [Chunk("d", index, 0, text) for index, text in enumerate(texts)]
    return [(piece.text, before, after) for piece, before, after in in_context(chunks, characters)]


def test_each_chunk_comes_with_what_is_read_before_and_after_it() -> None:
    assert around(["One.", "Two.", "Three."], 100) == [
        ("One.", "", "Two."), ("Two.", "One.", "Three."), ("Three.", "Two.", ""),
    ]  # fmt: skip
    assert around(["One."], 100) == [("One.", "", "")]
    assert around([], 100) == []


def test_without_context_there_is_none() -> None:
    assert around(["One.", "Two."], 0) == [("One.", "", ""), ("Two.", "", "")]


@pytest.mark.parametrize(
    ("characters", "before", "after"),
    [
        (3, "nes", "bus"),  # inside a word, where there is no other end
        (4, "ines", "busy"),
        (5, "lines", "busy"),
        (6, "lines", "busy"),
        (11, "old lines", "busy bees"),
        (12, "old lines", "busy bees"),
        (13, "two old lines", "busy bees hum"),
        (50, "two old lines", "busy bees hum"),
    ],
)
def test_context_is_cut_between_words_where_there_are_words(characters: int, before: str, after: str) -> None:
    assert around(["two old lines", "x", "busy bees hum"], characters)[1] == ("x", before, after)


def test_context_of_a_script_without_blanks_is_cut_between_characters() -> None:
    assert around(["我们都是学生。", "你好", "他说世界"], 3)[1] == ("你好", "学生。", "他说世")


@settings(deadline=None, max_examples=80)
@given(st.lists(texts.map(str.strip).filter(bool), max_size=6), st.integers(0, 40))
def test_context_is_part_of_the_neighbours_and_never_longer_than_asked_for(parts: list[str], characters: int) -> None:
    found = around(parts, characters)
    assert [text for text, _, _ in found] == parts
    for (_, before, after), earlier, later in zip(found, ["", *parts], [*parts[1:], ""], strict=False):
        assert earlier.endswith(before)
        assert later.startswith(after)
        assert max(len(before), len(after)) <= characters
        assert not characters or bool(before) == bool(earlier)


# -- roles ------------------------------------------------------------------------------------------------------------

ANNA, BEN = Role(speaker="ANNA", voice="nova"), Role(speaker="BEN", voice="onyx")
TOGETHER = ChunkingSettings(join_paragraphs=True, max_characters=60)
TALK = Dialogue(characters=50, voices=2)


def test_every_chunk_of_a_paragraph_has_its_role_and_its_voice() -> None:
    role = Role(speaker="ANNA", voice="nova", item="v1", cues=(Slot(1.0, 2.0),))
    pieces = list(chunk("d", [Paragraph("One. Two. Three.", role)], ChunkingSettings(max_characters=6)))
    assert [piece.text for piece in pieces] == ["One.", "Two.", "Three."]
    assert {(piece.role, piece.speech) for piece in pieces} == {(role, Speech("nova"))}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ANNA, BEN),
        (Role(item="a"), Role(item="b")),
        (Role(heading=True), PLAIN),
        (PLAIN, Role(heading=True)),
        (Role(cues=(Slot(0, 1),)), Role(cues=(Slot(1, 2),))),
        (Role(voice="nova"), PLAIN),
    ],
)
def test_what_sounds_otherwise_or_has_a_file_or_a_time_of_its_own_shares_no_chunk(one: Role, other: Role) -> None:
    pieces = list(chunk("d", [Paragraph("One.", one), Paragraph("Two.", other)], TOGETHER))
    assert [(piece.text, piece.role) for piece in pieces] == [("One.", one), ("Two.", other)]


def test_paragraphs_of_one_speaker_share_a_chunk() -> None:
    [piece] = chunk("d", [Paragraph("One.", ANNA), Paragraph("Two.", ANNA)], TOGETHER, dialogue=TALK)
    assert (piece.text, piece.role, piece.speech) == ("One.\nTwo.", ANNA, Speech("nova")), "no dialogue of one"


def test_turns_share_a_request_where_the_voice_takes_a_dialogue() -> None:
    said = [Paragraph("Hello Ben.", ANNA), Paragraph("Hello Anna.", BEN), Paragraph("How are you?", ANNA)]
    [piece] = chunk("d", said, TOGETHER, dialogue=TALK)
    assert piece.text == "Hello Ben.\nHello Anna.\nHow are you?"
    assert piece.speech == Speech(
        turns=(
            Turn("Hello Ben.", "nova", "ANNA"),
            Turn("Hello Anna.", "onyx", "BEN"),
            Turn("How are you?", "nova", "ANNA"),
        )
    )
    assert (piece.role.speaker, piece.role.voice) == ("ANNA, BEN", None)
    assert len(list(chunk("d", said, ChunkingSettings(), dialogue=TALK))) == 3, "only where that was asked for"


def test_a_dialogue_holds_no_more_characters_and_voices_than_one_request_may() -> None:
    said = [Paragraph("Twenty characters ab", ANNA), Paragraph("Twenty characters cd", BEN)] * 2
    assert [len(piece.text) for piece in chunk("d", said, TOGETHER, dialogue=TALK)] == [41, 41]
    third = [Paragraph("One.", ANNA), Paragraph("Two.", BEN), Paragraph("Three.", Role(speaker="C", voice="echo"))]
    assert [piece.text for piece in chunk("d", third, TOGETHER, dialogue=TALK)] == ["One.\nTwo.", "Three."]


def test_a_turn_too_long_for_a_dialogue_is_spoken_apart_by_its_own_voice() -> None:
    long = "A sentence of some words. " * 5
    pieces = list(chunk("d", [Paragraph("Hello.", ANNA), Paragraph(long.strip(), BEN)], TOGETHER, dialogue=TALK))
    assert [piece.speech for piece in pieces] == [Speech("nova"), *[Speech("onyx")] * (len(pieces) - 1)]
    assert len(pieces) > 2


def test_a_turn_without_a_voice_shares_no_request() -> None:
    said = [Paragraph("One.", ANNA), Paragraph("Two.", Role(speaker="BEN"))]
    assert [piece.text for piece in chunk("d", said, TOGETHER, dialogue=TALK)] == ["One.", "Two."]


def test_a_dialogue_says_who_begins_and_who_ends_it() -> None:
    said = [Paragraph("One.", BEN), Paragraph("Two.", ANNA), Paragraph("Three.", ANNA)]
    [piece] = chunk("d", said, TOGETHER, dialogue=TALK)
    assert (piece.role.speaker, piece.role.begins, piece.role.ends) == ("ANNA, BEN", "BEN", "ANNA")


TURNS = [Paragraph(f"Turn {n}, of twenty signs", ANNA if n % 2 else BEN) for n in range(20)]
TWO_OR_THREE = ChunkingSettings(join_paragraphs=True, max_characters=80)
LONG_TALK = Dialogue(characters=80, voices=2)


@pytest.mark.parametrize(
    ("edit", "bought"),
    [
        (lambda said: said, 0),
        (lambda said: [*said[:4], Paragraph("A turn that was not there before.", ANNA), *said[4:]], 3),
        (lambda said: [*said[:7], *said[8:]], 1),
        (lambda said: [*said[:9], Paragraph("Another ninth turn.", ANNA), *said[10:]], 1),
        (lambda said: [Paragraph("A turn before all others.", ANNA), *said], 1),
        (lambda said: [*said, Paragraph("One more.", BEN)], 1),
    ],
    ids=["none", "inserted", "removed", "changed", "first", "last"],
)
def test_an_edited_dialogue_buys_the_requests_that_hold_the_edit(edit, bought: int) -> None:  # type: ignore[no-untyped-def]
    before = [piece.text for piece in chunk("d", TURNS, TWO_OR_THREE, dialogue=LONG_TALK)]
    after = [piece.text for piece in chunk("d", edit(TURNS), TWO_OR_THREE, earlier=before, dialogue=LONG_TALK)]
    assert len([text for text in after if text not in before]) <= bought
    assert "\n".join(after) == "\n".join(paragraph.text for paragraph in edit(TURNS))


def test_paragraphs_that_share_requests_keep_them_after_an_edit() -> None:
    said = [Paragraph(f"Paragraph {n}, of twenty-five") for n in range(20)]
    before = [piece.text for piece in chunk("d", said, TWO_OR_THREE)]
    edited = [*said[:5], Paragraph("New."), *said[5:]]
    after = [piece.text for piece in chunk("d", edited, TWO_OR_THREE, earlier=before)]
    assert len([text for text in after if text not in before]) <= 2
