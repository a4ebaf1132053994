"""Subtitles: cues, times, speakers, and everything in them that is not spoken."""

import logging
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tts.documents import Reading, read
from cluster_tts.documents.cues import Cues
from cluster_tts.errors import DocumentError
from cluster_tts.model import Document, Paragraph, Slot

CUE = Reading(group="cue")
HEAD = "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name\n"


def cues(folder: Path, content: str | bytes, suffix: str = ".srt", reading: Reading = CUE) -> list[Paragraph]:
    path = folder / f"film{suffix}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read(Document("film", path), reading))


def one(folder: Path, text: str, suffix: str = ".srt") -> Paragraph:
    content = f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n\n"
    if suffix == ".vtt":
        content = f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n"
    if suffix == ".ass":
        content = f"{HEAD}Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{text}\n"
    (found,) = cues(folder, content, suffix)
    return found


def texts(paragraphs: list[Paragraph]) -> list[str]:
    return [paragraph.text for paragraph in paragraphs]


def slots(paragraphs: list[Paragraph]) -> list[tuple[Slot, ...]]:
    return [paragraph.role.cues for paragraph in paragraphs]


def refusal(folder: Path, content: str | bytes, suffix: str = ".srt") -> str:
    with pytest.raises(DocumentError) as caught:
        cues(folder, content, suffix)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


# Words


@pytest.mark.parametrize(
    ("suffix", "written", "said"),
    [
        (".srt", "<i>One</i> <font color='#fff'>two</font>", "One two"),
        (".srt", "{\\an8}One\ntwo", "One two"),
        (".srt", "- One?\n- Two.", "One? Two."),
        (".srt", "–One?\n—Two.", "One? Two."),
        (".srt", "-5 degrees, 3 - 4", "-5 degrees, 3 - 4"),
        (".srt", "♪ La la ♪", "La la"),
        (".srt", "[door slams]\nOne (two) [sighs]", "One (two)"),
        (".srt", "(sighs)\nOne", "One"),
        (".srt", "\u202bשלום\u202c\u200f עולם\u2069", "שלום עולם"),
        (".srt", "AT&T &amp; 3 < 4", "AT&T & 3 < 4"),
        (".vtt", "fish &amp; chips &lt;3&nbsp;x", "fish & chips <3 x"),
        (".vtt", "<c.yellow>One</c> <00:01.500>two <00:01.600><b>three</b>", "One two three"),
        (".ass", "{\\i1}One{\\i0}\\Ntwo\\hthree\\nfour, five", "One two three four, five"),
        (".ass", "{\\p1}m 0 0 l 100 0{\\p0}One", "One"),
        (".ass", "{\\pos(1,2)}One", "One"),
    ],
)
def test_only_words_are_spoken(tmp_path: Path, suffix: str, written: str, said: str) -> None:
    assert one(tmp_path, written, suffix).text == said


@pytest.mark.parametrize(
    "silent", ["♪", "♪♪", "[door slams]", "(sighs)", "- (sighs)", "...", "<i></i>", "[two\nlines]"]
)
def test_a_cue_without_words_is_left_out(tmp_path: Path, silent: str) -> None:
    content = f"1\n00:00:01,000 --> 00:00:02,000\n{silent}\n\n2\n00:00:03,000 --> 00:00:04,000\nOne\n"
    assert texts(cues(tmp_path, content)) == ["One"]


@pytest.mark.parametrize(
    ("suffix", "written", "speaker"),
    [
        (".vtt", "<v Ann &amp; Bo>One", "Ann & Bo"),
        (".vtt", "<v.loud Ann>One</v> <v Ann>two</v>", "Ann"),
        (".vtt", "<v Ann>One</v> <v Ben>two</v>", None),
        (".srt", "One", None),
    ],
)
def test_who_speaks_is_told_where_one_does(tmp_path: Path, suffix: str, written: str, speaker: str | None) -> None:
    assert one(tmp_path, written, suffix).role.speaker == speaker


def test_names_of_substation_events_speak_and_comments_and_drawings_do_not(tmp_path: Path) -> None:
    content = (
        HEAD
        + "Comment: 0,0:00:00.00,0:00:01.00,Default,Ann,0,0,0,,secret\n"
        + "Dialogue: 0,0:00:01.00,0:00:02.00,Default, Ann ,0,0,0,,One\n"
        + "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,x,0,0,,{\\p2}m 0 0 l 9 9\n"
        + "dialogue: 0,0:00:03.25,0:00:04.00,Default,,x,0,0,,Two\n"
    )
    paragraphs = cues(tmp_path, content, ".ass")
    assert [(each.role.speaker, each.text) for each in paragraphs] == [("Ann", "One"), (None, "Two")]
    assert slots(paragraphs)[1] == (Slot(3.25, 4.0),)


def test_ssa_of_the_old_kind_is_read(tmp_path: Path) -> None:
    content = (
        "[Script Info]\nScriptType: v4.00\n\nDialogue: Marked=0,0:00:01.00,0:00:02.00,Default,Ann,0,0,0,,One, two\n"
    )
    (found,) = cues(tmp_path, content, ".ssa")
    assert (found.role.speaker, found.text) == ("Ann", "One, two")


# Times


@pytest.mark.parametrize(
    ("written", "slot"),
    [
        ("00:00:01,000 --> 00:00:02,345", Slot(1.0, 2.345)),
        ("0:0:1.5 --> 0:0:2.25", Slot(1.5, 2.25)),
        ("00:01.000 --> 00:02.000 line:0 position:20%", Slot(1.0, 2.0)),
        ("7 00:00:01,000 -> 00:00:02,000 X1:40", Slot(1.0, 2.0)),
        ("00:00:03,000 --> 00:00:01,000", Slot(3.0, 3.0)),
        ("00:00:03,000 --> 00:00:03,000", Slot(3.0, 3.0)),
        ("-00:00:01,000 --> 00:00:03,000", Slot(0.0, 3.0)),
        ("100:00:01,001 --> 1234:00:02,000", Slot(360_001.001, 4_442_402.0)),
    ],
)
def test_times_are_read_to_the_millisecond(tmp_path: Path, written: str, slot: Slot) -> None:
    assert slots(cues(tmp_path, f"1\n{written}\nOne\n")) == [(slot,)]


def test_cues_are_sorted_by_their_start_and_otherwise_stay_in_order(tmp_path: Path) -> None:
    content = "".join(f"{n}\n00:00:0{start},000 --> 00:00:09,000\n{word}\n\n" for n, start, word in
                      [(1, 5, "d"), (2, 1, "a"), (3, 3, "b"), (4, 3, "c")])  # fmt: skip
    assert texts(cues(tmp_path, content)) == ["a", "b", "c", "d"]


def test_without_times_there_are_none(tmp_path: Path) -> None:
    content = "1\n00:00:01,000 --> 00:00:02,000\nOne\n"
    assert slots(cues(tmp_path, content, reading=Reading(times=False))) == [()]


def test_cues_of_one_sentence_are_one_paragraph_with_all_their_times(tmp_path: Path) -> None:
    content = (
        "1\n00:00:01,000 --> 00:00:02,000\nShe came\n\n2\n00:00:02,100 --> 00:00:03,000\nand left.\n\n"
        "3\n00:00:03,100 --> 00:00:04,000\nSo.\n"
    )
    paragraphs = cues(tmp_path, content, reading=Reading())
    assert texts(paragraphs) == ["She came and left.", "So."]
    assert slots(paragraphs) == [(Slot(1.0, 2.0), Slot(2.1, 3.0)), (Slot(3.1, 4.0),)]
    assert texts(cues(tmp_path, content, reading=Reading(max_characters=17))) == ["She came", "and left.", "So."]


# Files as they are


def test_names_notes_and_styles_of_webvtt_are_not_spoken(tmp_path: Path) -> None:
    content = (
        "WEBVTT - a film\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nsecret\n\n"
        "intro\n00:01.000 --> 00:02.000\nOne\n\nNOTE more\n\nchapter 2\n00:03.000 --> 00:04.000\nTwo\n"
        "00:05.000 --> 00:06.000\nThree\n"
    )
    assert texts(cues(tmp_path, content, ".vtt")) == ["One", "Two", "Three"]
    assert texts(cues(tmp_path, content, ".srt")) == ["One", "Two", "Three"]


def test_counters_are_not_spoken_and_numbers_that_are_said_are(tmp_path: Path) -> None:
    content = (
        "1\n00:00:01,000 --> 00:00:02,000\nHow many?\n\n\n2\n00:00:02,000 --> 00:00:03,000\n\n42\n\n"
        "3\n00:00:03,000 --> 00:00:04,000\nNo, \n43\n4\n00:00:05,000 --> 00:00:06,000\n44"
    )
    assert texts(cues(tmp_path, content)) == ["How many?", "42", "No, 43", "44"]


def test_garbage_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = "Advertisement\n\n1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:xx --> 00:00:09,000\nlost\n\n3\n" \
        "00:00:03,000 --> 00:00:04,000\nTwo\n"  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert texts(cues(tmp_path, content)) == ["One", "Two"]
    assert "3 lines were left out" in caplog.text


def test_a_bad_line_of_substation_is_not_the_end_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,One\n"
    content = f"{HEAD}Style: x,y,notanumber\n{good}Dialogue: 0,later,0:00:02.00,Default,,0,0,0,,Two\nDialogue:\n{good}"
    with caplog.at_level(logging.WARNING):
        assert texts(cues(tmp_path, content, ".ass")) == ["One", "One"]
    assert "1 lines were left out" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-le"])
def test_encodings_are_those_of_texts(tmp_path: Path, encoding: str) -> None:
    content = "1\r\n00:00:01,000 --> 00:00:02,000\r\nLe café est fermé, déjà.\r\n\r\n"
    assert texts(cues(tmp_path, content.encode(encoding))) == ["Le café est fermé, déjà."]


LINE = st.text("abcé猫., !?", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
WRITTEN = st.lists(st.tuples(st.integers(0, 9_000_000), st.integers(0, 9_000), st.lists(LINE, min_size=1, max_size=3)))


@pytest.mark.parametrize("kind", ["srt", "vtt", "ass"])
@given(written=WRITTEN)
def test_what_pysubs2_writes_is_read_as_it_reads_it(kind: str, written: list[tuple[int, int, list[str]]]) -> None:
    file = pysubs2.SSAFile()
    for start, length, lines in written:
        text = r"\N".join(line.strip() for line in lines)
        file.append(pysubs2.SSAEvent(start // 10 * 10, (start + length) // 10 * 10, text))
    content = file.to_string(kind)
    theirs = [(event.start, event.end, event.plaintext.split("\n")) for event in pysubs2.SSAFile.from_string(content)] \
        if written else []  # fmt: skip
    found = Cues(content.splitlines(), f".{kind}")
    ours = [(cue.start_ms, cue.end_ms, "\n".join(cue.lines).replace(r"\N", "\n").split("\n")) for cue in found]
    assert ours == theirs
    assert found.left_out == 0


# Hostile files


TIMES = b"1\n00:00:01,000 --> 00:00:02,000\n"
EVENT = HEAD.encode() + b"Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,"


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass", ".ssa"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"WEBVTT\n\nNOTE nothing\n",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
        bytes(10_000),
        b"x" * 6_000_000,
        b"no times here\n" * 10_000,
        b"1\n00:00:01,000 --> \n" * 10_000,
        b"99999999999999999999:00:00,000 --> 99999999999999999999:00:01,000\nx\n",
        TIMES + b"[" * 9_000 + b"\n",
        HEAD.encode(),
        b"\xff\xfe\x00",
        TIMES + "déjà vu, été".encode() + b"\xff\n",
    ],
    ids=range(13),
)
def test_a_file_without_a_cue_is_refused_in_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    assert f"film{suffix}'" in refusal(tmp_path, content, suffix)


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass"])
@pytest.mark.parametrize(
    "marks", [b"<" * 9_000, b"<a" * 4_000, b"{" * 9_000, b"{\\p1" * 2_000, b"[" * 9_000, b"(" * 9_000, b"-" * 9_000,
              b" " * 9_000, b"&" * 9_000, b"<v a" * 2_000, b"0" * 9_000, b"{\\i1}" * 1_900,
              b" " * 8_000 + b"x", b"<v" + b" " * 8_000],
    ids=range(14),
)  # fmt: skip
def test_floods_of_marks_take_no_time(tmp_path: Path, marks: bytes, suffix: str) -> None:
    head = EVENT if suffix == ".ass" else b"WEBVTT\n\n" + TIMES[2:] if suffix == ".vtt" else TIMES
    content = b"\n".join([head.replace(b",000", b".000") + b"One.", *[marks] * 200, b"\n" * 50_000])
    assert cues(tmp_path, content, suffix)[0].text


def test_what_is_too_large_to_be_held_is_refused_unread(tmp_path: Path) -> None:
    with (path := tmp_path / "a.srt").open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(DocumentError, match="larger than 50,000,000 bytes"):
        list(read(Document("a", path)))
