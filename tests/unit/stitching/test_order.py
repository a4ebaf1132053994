"""What stands between two pieces, and how items are called."""

import pytest

from cluster_tts.job import StitchingSettings
from cluster_tts.model import Role, Sound
from cluster_tts.stitching.order import Item, Order, Piece, gap_ms, names_of, read_order

SETTINGS = StitchingSettings(gap_ms=1, paragraph_gap_ms=2, speaker_gap_ms=3, heading_gap_ms=4, each_item=True)


def piece(paragraph: int = 0, text: str = "Hello.", **role: object) -> Piece:
    return Piece(0, paragraph, text, "clip", Sound(100, 1_000, 0, ""), Role(**role))  # type: ignore[arg-type]


def order(*pieces: Piece) -> Order:
    return read_order(iter(pieces), 1_000, SETTINGS)


def names(*pieces: Piece) -> list[str]:
    return [name for each in names_of(pieces).values() for name in each]


@pytest.mark.parametrize(
    ("before", "after", "gap"),
    [
        (piece(), piece(), 1),
        (piece(speaker="A", heading=True), piece(speaker="A", heading=True), 1),
        (piece(), piece(1), 2),
        (piece(speaker="A"), piece(1, speaker="A"), 2),
        (piece(speaker="A"), piece(1), 2),  # who speaks then is not known to be another
        (piece(speaker="A"), piece(1, speaker="B"), 3),
        (piece(heading=True), piece(1), 4),
        (piece(), piece(1, heading=True), 4),
        (piece(heading=True, speaker="A"), piece(1, speaker="B"), 4),
        (piece(item="a"), piece(item="b"), 2),
    ],
)
def test_a_gap_follows_from_what_stands_between_two_pieces(before: Piece, after: Piece, gap: int) -> None:
    assert gap_ms(before, after, SETTINGS) == gap


def test_gaps_are_in_frames_and_the_last_piece_has_none() -> None:
    assert order(piece(), piece(), piece(1)).gaps.tolist() == [1, 2, 0]


def test_an_item_is_named_by_its_source_or_else_by_its_paragraph() -> None:
    found = order(piece(item="John 3:16"), piece(item="John 3:16"), piece(1), piece(1), piece(2))
    assert found.items == [("John 3:16", True), ("0002", False), ("0003", False)]
    assert found.firsts == [0, 2, 4]


def test_items_of_one_name_are_numbered_also_where_a_disk_does_not_tell_capitals_apart() -> None:
    assert names(piece(item="a"), piece(1, item="b"), piece(2, item="A"), piece(3, item="a-2")) == [
        "a", "b", "A-2", "a-2-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "name"), [("a/b\\c\n", "a_b_c_"), ("../x", "__x"), (".x", "_x"), ("", "_"), ("창세기 1:1", "창세기 1_1")]
)
def test_the_name_of_an_item_is_one_that_a_file_can_have(item: str, name: str) -> None:
    assert names(piece(item=item)) == [name]


def test_long_items_have_short_names_that_differ() -> None:
    first, second = names(piece(item="창" * 200 + "1"), piece(1, item="창" * 200 + "2"))
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 150


def test_an_id_that_reads_like_the_number_of_a_paragraph_is_another_item() -> None:
    pieces = [piece(item="0002"), piece(1), piece(2, item="1:1"), piece(3, item="1_1")]
    assert order(*pieces).items == [("0002", True), ("0002", False), ("1:1", True), ("1_1", True)]
    assert names_of(pieces) == {
        Item("0002", True): ["0002"], Item("0002", False): ["0002-2"], Item("1:1", True): ["1_1"],
        Item("1_1", True): ["1_1-2"],
    }  # fmt: skip


def test_a_heading_that_was_cut_is_one_chapter() -> None:
    found = order(
        piece(heading=True, text="A long"), piece(heading=True, text="title"), piece(1), piece(2, heading=True)
    )
    assert found.headings == [(0, "A long title"), (3, "Hello.")]
