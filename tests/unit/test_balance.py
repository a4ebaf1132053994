"""Chunks that keep so many places busy to the same moment: by numbers, and by texts as ``chunking`` cuts them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.balance import balanced, busy_until, filled, sizes, spread
from cluster_tts.chunking import chunk
from cluster_tts.job import ChunkingSettings, ModelFacts
from cluster_tts.model import Paragraph

ONE_IN_TWENTY = [0.05]  # of a request


def text(characters: int, seed: int = 1) -> str:
    """Sentences of 30 to 90 characters."""
    chance, sentences = random.Random(seed), ""
    while len(sentences) < characters:
        words = " ".join("abcdefghij"[: chance.randint(2, 9)] for _ in range(chance.randint(6, 14)))
        sentences += words.capitalize() + ". "
    return sentences.strip()


def lengths(paragraphs: list[str], **chunking: object) -> list[int]:
    settings = ChunkingSettings(**chunking)  # type: ignore[arg-type]
    return [len(piece.text) for piece in chunk("d", map(Paragraph, paragraphs), settings)]


def test_eight_chunks_on_five_places_become_ten_of_equal_size() -> None:
    paragraph = ONE_IN_TWENTY * 160
    _, (cutting,) = balanced(lambda _: [paragraph], 5)
    assert sizes(paragraph, cutting) == pytest.approx([0.8] * 10)


def test_what_fills_its_rounds_already_is_left_as_full_as_it_is() -> None:
    paragraph = ONE_IN_TWENTY * 200
    _, (cutting,) = balanced(lambda _: [paragraph], 5)
    assert sizes(paragraph, cutting) == pytest.approx([1.0] * 10)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1), max_size=60), st.floats(0.3, 1))
def test_a_cutting_uses_up_every_atom_once_and_no_chunk_is_fuller_than_one_request(
    paragraph: list[float], limit: float
) -> None:
    for cutting in (filled(paragraph, limit), spread(paragraph, limit)):
        assert cutting == sorted(set(cutting))
        assert (cutting[-1:] or [0]) == [len(paragraph)]
        assert all(size <= 1 + 1e-6 for size in sizes(paragraph, cutting))
        assert sum(sizes(paragraph, cutting)) == pytest.approx(sum(paragraph))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.floats(0.05, 0.4), min_size=1, max_size=12), min_size=1, max_size=8), st.integers(1, 12))
def test_it_never_ends_noticeably_later_than_full_requests_would(texts: list[list[float]], places: int) -> None:
    _, cuttings = balanced(lambda _: texts, places)
    even = [size for text, cutting in zip(texts, cuttings, strict=True) for size in sizes(text, cutting)]
    full = [size for text in texts for size in sizes(text, filled(text, 1.0))]
    assert busy_until(even, places) <= 1.01 * busy_until(full, places) + 1e-9


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("places", [3, 5, 10])
def test_documents_of_a_few_chunks_take_less_time_and_none_longer(places: int, together: bool) -> None:
    fewer = 0
    for seed in range(20):
        paragraphs = [text(500 + 100 * seed, seed), text(900, seed + 1), text(300, seed + 2)]
        full = lengths(paragraphs, join_paragraphs=together)
        even = lengths(paragraphs, join_paragraphs=together, balance=places)
        assert max(even) <= 400
        assert sum(even) + len(even) >= sum(full), "nothing is lost"
        ends = [busy_until([size / 400 for size in each], places) for each in (even, full)]
        assert ends[0] <= 1.02 * ends[1]
        fewer += ends[0] < 0.95 * ends[1]
    assert fewer >= 8


def test_chunks_still_end_where_sentences_do() -> None:
    whole = text(3_000)
    pieces = [piece.text for piece in chunk("d", [Paragraph(whole)], ChunkingSettings(balance=5))]
    assert " ".join(pieces) == whole
    assert len(pieces) == 10
    assert all(piece.endswith(".") for piece in pieces)


def test_a_model_that_takes_less_is_balanced_within_what_it_takes() -> None:
    model = ModelFacts(unit="byte", max_characters=200)
    paragraphs = [Paragraph(text(1_500))]
    pieces = [piece.text for piece in chunk("d", paragraphs, ChunkingSettings(balance=5), model)]
    assert len(pieces) % 5 == 0
    assert max(map(len, pieces)) <= 200


def test_after_an_edit_all_other_chunks_stay_as_they_were() -> None:
    before = text(3_000)
    settings = ChunkingSettings(balance=5)
    old = [piece.text for piece in chunk("d", [Paragraph(before)], settings)]
    for position in range(4, len(old) - 1):
        sentence = old[position].split(". ")[0]
        edited = before.replace(sentence, sentence + " indeed")
        new = [piece.text for piece in chunk("d", [Paragraph(edited)], settings, earlier=old)]
        assert len(set(new) - set(old)) == 1
        assert len(set(old) - set(new)) == 1


def test_a_long_document_is_not_held_and_cut_as_ever() -> None:
    paragraphs = [text(700, seed) for seed in range(40)]
    taken = 0

    def coming() -> object:
        nonlocal taken
        for paragraph in paragraphs:
            taken += 1
            yield Paragraph(paragraph)

    chunks = chunk("d", coming(), ChunkingSettings(balance=1))  # type: ignore[arg-type]
    first = next(chunks)
    assert taken < 10
    assert [len(piece.text) for piece in [first, *chunks]] == lengths(paragraphs)


def test_an_empty_document_has_no_chunks() -> None:
    assert lengths([], balance=5) == []
    assert lengths([" "], balance=5) == []
