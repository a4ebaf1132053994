"""Plain text: encodings, lines, paragraphs."""

import codecs
import logging
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.documents import read
from cluster_tts.documents import text as reader
from cluster_tts.documents.text import lines, paragraphs, unwrap
from cluster_tts.errors import DocumentError
from cluster_tts.model import Document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "text.txt"


def spoken(path: Path, content: str | bytes) -> list[str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [paragraph.text for paragraph in paragraphs(path)]


# Encodings


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_unicode_is_read_with_and_without_mark(path: Path, mark: bytes, encoding: str) -> None:
    text = "The café is open — “till nine.”"
    assert spoken(path, mark + text.encode(encoding)) == [text]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "It’s late."),
        ("cp1252", "Le café est fermé. L’été dernier, nous avons déjeuné près de la forêt, où l’âne rêve."),
        ("cp1252", "Über den Straßen hängen Nebel, und die Bäume stehen schön in der Kälte."),
        ("cp1250", "Zażółć gęślą jaźń. Łódź płynie po rzece, a dzieci śpią."),
        ("cp1251", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."),
        ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        ("gb18030", "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。"),
    ],
)
def test_older_encodings_are_recognised_and_the_guess_is_logged(
    path: Path, caplog: pytest.LogCaptureFixture, encoding: str, text: str
) -> None:
    with caplog.at_level(logging.WARNING):
        assert spoken(path, text.encode(encoding)) == [text]
    assert "not UTF-8" in caplog.text


def test_one_old_letter_far_down_a_long_text_is_enough(path: Path) -> None:
    plain = "All of this is plain.\n\n" * 40_000
    assert spoken(path, (plain + "Café.\n\n" + plain).encode("cp1252"))[40_000] == "Café."


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 text follows",
        b"PK\x03\x04" + b"text " * 20,
        b"\x89PNG\r\n\x1a\n",
        b"a\0b" * 40,
        bytes(range(1, 9)) * 20,
        b"\0" * 100,
    ],
)
def test_a_binary_file_is_refused_by_name(path: Path, content: bytes) -> None:
    with pytest.raises(DocumentError, match=rf"{path.name}' looks binary"):
        spoken(path, content)


def test_damaged_utf8_is_not_taken_for_something_older(path: Path) -> None:
    with pytest.raises(DocumentError, match="damaged at byte 16"):
        spoken(path, "déjà vu, été".encode() + b"\xff!")


def test_bytes_that_are_no_text_in_any_encoding_are_refused(path: Path) -> None:
    with pytest.raises(DocumentError, match="save it as UTF-8"):
        spoken(path, bytes(range(0x7F, 0x100)) * 8)


def test_an_encoding_that_does_not_last_to_the_end_is_refused(path: Path) -> None:
    with pytest.raises(DocumentError, match="not utf-16 to its end"):
        spoken(path, codecs.BOM_UTF16_LE + "words".encode("utf-16-le") + b"x")


# Lines


def test_every_kind_of_line_end_ends_a_line(path: Path) -> None:
    path.write_bytes("a\r\nb\rc\nd\u2028e\vf\u0085g\fh\u2029i".encode())
    assert list(lines(path)) == ["a", "b", "c", "d", "e", "f", "g", "", "h", "", "i"]


def test_invisible_characters_are_dropped_and_joiners_kept(path: Path) -> None:
    kept = "\u0645\u06cc\u200c\u0631\u0648\u0645 \U0001f468\u200d\U0001f469 क्\u200dष"
    assert spoken(path, f"\ufeffso\u00adft ze\u200bro\ufeff bell\x07 {kept}") == [f"soft zero bell {kept}"]


# Paragraphs


@pytest.mark.parametrize(
    "gap", ["\n\n", "\r\n \t\r\n", "\n\n\n\n", "\f", "\n* * *\n", "\n-----\n", "\n" + "=" * 200 + "\n"]
)
def test_blank_lines_page_breaks_and_lines_of_signs_separate(path: Path, gap: str) -> None:
    assert spoken(path, f"One,\ntwo.{gap}Three.\n") == ["One, two.", "Three."]


def test_a_text_of_signs_only_keeps_them(path: Path) -> None:
    assert spoken(path, "* * *\n\n ---\n") == ["* * *", "---"]


def test_a_line_too_long_to_be_wrapped_is_a_paragraph(path: Path) -> None:
    long = "x" * 121
    assert spoken(path, f"Short\nlines.\n{long}\n{long}\nShort again.") == ["Short lines.", long, long, "Short again."]


def test_white_space_is_collapsed(path: Path) -> None:
    assert spoken(path, "  a \t b\u00a0\u3000c\n\td  ") == ["a b c d"]


@pytest.mark.parametrize(
    ("wrapped", "joined"),
    [
        ("one\ntwo", "one two"),
        ("a daisy-\nchain", "a daisy-chain"),
        ("pre-\nWar", "pre- War"),
        ("he paused --\nthen left", "he paused -- then left"),
        ("pages 3-\nor so", "pages 3- or so"),
        ("exam\u00ad\nple", "example"),
        ("吾輩は\n猫である。\n名前は", "吾輩は猫である。名前は"),
        ("猫である\nAlice", "猫である Alice"),
        ("모든\n국민은", "모든 국민은"),
    ],
)
def test_wrapped_lines_are_joined_as_their_script_asks(path: Path, wrapped: str, joined: str) -> None:
    assert spoken(path, wrapped) == [joined]


@given(st.lists(st.text("ab-é猫。 \t\u00a0\u00ad\u200b\u200d")))
def test_unwrapping_loses_no_letter_and_leaves_single_blanks(wrapped: list[str]) -> None:
    text = unwrap(wrapped)
    assert text == " ".join(text.split())
    assert [sign for sign in text if sign in "ab-é猫。"] == [sign for sign in "".join(wrapped) if sign in "ab-é猫。"]


def test_paragraphs_come_one_by_one_without_the_file_in_memory(path: Path) -> None:
    path.write_text("A line of text.\nAnd another.\n\n" * 100_000)
    tracemalloc.start()
    first = list(islice(paragraphs(path), 2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [paragraph.text for paragraph in first] == ["A line of text. And another."] * 2
    assert peak < path.stat().st_size / 2


# Reading a document, whatever its kind


def refusal(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        list(read(Document("name", path)))
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_suffix_chooses_the_reader(tmp_path: Path) -> None:
    for suffix, text in {".txt": "*a*", ".TXT": "*a*", "": "*a*", ".md": "a", ".Markdown": "a"}.items():
        path = tmp_path / f"file{suffix}"
        path.write_text("*a*")
        assert [paragraph.text for paragraph in read(Document("file", path))] == [text]


def test_a_document_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "vanished.txt")
    assert "no file that can be read" in refusal(tmp_path)
    assert "give .txt, .md, .markdown" in refusal(tmp_path / "book.pdf")


@pytest.mark.parametrize("content", ["", " \n\n\t\n", "\ufeff", "\u200b\u00ad\n"])
def test_a_document_without_anything_in_it_is_refused(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    assert "nothing to speak" in refusal(path)


def test_a_document_of_code_and_pictures_without_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.md"
    path.write_text("```\nprint()\n```\n\n![](a.png)\n")
    assert "nothing to speak" in refusal(path)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LONGEST_PARAGRAPH", 1_000)
    (path := tmp_path / "a.txt").write_text("word " * 200)
    assert len(list(paragraphs(path))) == 1
    path.write_text("word " * 200 + "w")
    with pytest.raises(DocumentError, match=r"a line of more than 1,000 characters"):
        list(paragraphs(path))


def test_a_paragraph_without_an_end_is_refused_and_many_short_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LONGEST_PARAGRAPH", 1_000)
    (path := tmp_path / "a.txt").write_text("A line.\n\n" * 500)
    assert len(list(paragraphs(path))) == 500
    path.write_text("A line.\n" * 500)
    with pytest.raises(DocumentError, match=r"a paragraph of more than 1,000 characters"):
        list(paragraphs(path))


def test_a_text_of_long_lines_needs_no_blank_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LONGEST_PARAGRAPH", 1_000)
    (path := tmp_path / "a.txt").write_text(f"{'word ' * 26}\n" * 500)
    assert len(list(read(Document("a", path)))) == 500


def test_a_sparse_file_of_five_gigabytes_is_refused_by_its_head(tmp_path: Path) -> None:
    with (path := tmp_path / "a.txt").open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(DocumentError, match="looks binary"):
        list(paragraphs(path))
