"""Dialogue scripts: turns, speakers, directions; what is one and what is none."""

import logging
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cluster_tts.config import load
from cluster_tts.documents import Reading, dialogue, read, text
from cluster_tts.documents.dialogue import is_dialogue
from cluster_tts.documents.text import Block
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.model import Document, Role

AUTO = Reading(speakers=frozenset({"anna", "ben", "爱丽丝", "old man"}))
ALWAYS = Reading(dialogue="always", speakers=AUTO.speakers)
BREAK = "  "  # of a line in Markdown
NEVER = Reading(dialogue="never", speakers=AUTO.speakers)


def turns(folder: Path, content: str, reading: Reading = AUTO, suffix: str = ".txt") -> list[tuple[str | None, str]]:
    path = folder / f"play{suffix}"
    path.write_text(dedent(content), encoding="utf-8")
    return [(each.role.speaker, each.text) for each in read(Document("play", path), reading)]


def refusal(folder: Path, content: str, reading: Reading = AUTO, suffix: str = ".txt") -> str:
    with pytest.raises(JobError) as caught:
        turns(folder, content, reading, suffix)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def outcome(path: Path) -> str | None:
    """None where it was read, else why it was not."""
    try:
        assert all(each.text for each in read(Document("a", path), AUTO))
    except (JobError, DocumentError) as error:
        return str(error)
    return None


# Turns


def test_a_turn_goes_on_over_lines_and_blank_lines_up_to_the_next_name(tmp_path: Path) -> None:
    content = """\
        ANNA: One
        and two.

        She told me: three.
        BEN: Four.

        ANNA: Five.
        """
    assert turns(tmp_path, content) == [
        ("ANNA", "One and two."),
        ("ANNA", "She told me: three."),
        ("BEN", "Four."),
        ("ANNA", "Five."),
    ]


def test_a_turn_is_kept_whole_however_long_its_lines_are(tmp_path: Path) -> None:
    long = "word " * 60 + "end."
    assert turns(tmp_path, f"ANNA: {long}\n{long}\nBEN: Yes.") == [("ANNA", f"{long} {long}"), ("BEN", "Yes.")]


def test_a_speaker_is_spelled_as_at_the_first_use(tmp_path: Path) -> None:
    assert turns(tmp_path, "Anna: One.\nBEN: Two.\nANNA: Three.") == [
        ("Anna", "One."),
        ("BEN", "Two."),
        ("Anna", "Three."),
    ]


def test_words_may_begin_in_the_line_below_the_name(tmp_path: Path) -> None:
    assert turns(tmp_path, "ANNA:\nOne.\n\nBEN:\n\nTwo.") == [("ANNA", "One."), ("BEN", "Two.")]


def test_a_fullwidth_colon_needs_no_blank(tmp_path: Path) -> None:
    assert turns(tmp_path, "爱丽丝：你好。\nBEN：嗯。") == [("爱丽丝", "你好。"), ("BEN", "嗯。")]


def test_a_turn_without_words_is_silent(tmp_path: Path) -> None:
    assert turns(tmp_path, "ANNA: ...\nBEN: Two.\n* * *\nANNA: Three.") == [("BEN", "Two."), ("ANNA", "Three.")]


# Directions


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ANNA: [laughs] One [sighs] two.", "One two."),
        ("ANNA (softly, to Ben): One.", "One."),
        ("ANNA: (softly) One.", "One."),
        ("ANNA: (softly\nto Ben) One.", "One."),
        ("ANNA: One (or two) left.", "One (or two) left."),
        ("ANNA: One.\n(She leaves:\nit rains.)\n[Dark: all is\nover.]", "One."),
        ("[Enter [both] BEN: and dog.]\nANNA: One.", "One."),
        ("ANNA: One.\n(aside) two.", "One. (aside) two."),
        ("ANNA: One [and never closed.", "One [and never closed."),
    ],
)
def test_directions_are_silent(tmp_path: Path, written: str, said: str) -> None:
    assert turns(tmp_path, f"{written}\nBEN: Well.") == [("ANNA", said), ("BEN", "Well.")]


# Markdown


def test_markdown_keeps_names_lines_and_headings(tmp_path: Path) -> None:
    content = f"""\
        ---
        title: x
        ---
        # Scene: one

        **ANNA:** One *and*
        two.
        BEN (softly): Three.
        ANNA: Four.{BREAK}
        BEN: Five.

        - ANNA: Six.
        """
    path = tmp_path / "play.md"
    path.write_text(dedent(content))
    paragraphs = list(read(Document("play", path), AUTO))
    assert paragraphs[0].role == Role(heading=True)
    assert [(each.role.speaker, each.text) for each in paragraphs] == [
        (None, "Scene: one"),
        ("ANNA", "One and two."),
        ("BEN", "Three."),
        ("ANNA", "Four."),
        ("BEN", "Five."),
        ("ANNA", "Six."),
    ]


def test_a_line_is_counted_as_an_editor_does(tmp_path: Path) -> None:
    assert "CARL (line 4)" in refusal(tmp_path, "ANNA: One.\n\nBEN: Two,\nCARL: three.")
    content = "---\ntitle: x\n---\n# One\n\nANNA: One.\nCARL: Two."
    assert "CARL (line 7)" in refusal(tmp_path, content, suffix=".md")


# What is a dialogue


@pytest.mark.parametrize(
    "content",
    [
        "NOTE: bring a coat.",
        "NOTE: bring a coat.\nhttp://a.example/x\n12:30 is the time.",
        "It began.\nANNA: One.\nBEN: Two.",
        "http://a.example\nftp://b.example",
        "12:30 lunch\n13:00 rest",
        "Dear Sir: one.\nDear Madam: two.",
        "ANNA : one, and nobody else.",
        "他说：你好。\n她说：你好。",
    ],
)
def test_other_texts_are_none(tmp_path: Path, content: str) -> None:
    assert {speaker for speaker, _ in turns(tmp_path, content)} == {None}


@pytest.mark.parametrize("name", ["CARL", "GUARD 2", "MRS. O'NEIL-ŠMÍD", "МАША", "2ND GUARD", "ΆΝΝΑ"])
def test_capitals_of_any_script_are_names_and_need_a_voice(tmp_path: Path, name: str) -> None:
    assert f"{name} (line 2)" in refusal(tmp_path, f"ANNA: One.\n{name}: Two.")


def test_every_speaker_without_a_voice_is_named_at_once_and_what_to_do(tmp_path: Path) -> None:
    said = refusal(tmp_path, "ANNA: 1 one.\nCARL: 2 two.\nDORA: 3 three.\nCarl: 4 four.", ALWAYS)
    assert "play.txt' is a dialogue in which CARL (line 2), DORA have no voice" in said
    assert "voices.CARL=" in said
    assert "reading.dialogue=never" in said
    script = refusal(tmp_path, "CARL: One.", NEVER, ".dialogue")
    assert "name the file .txt if it is none" in script
    assert "never" not in script


def test_the_setting_that_is_named_is_one_that_can_be_given(tmp_path: Path) -> None:
    assert "'voices[MRS. X]=...'" in refusal(tmp_path, "ANNA: One.\nMRS. X: Two.")
    assert load((), ["voices[MRS. X]=a", "voices.GUARD 2=b"], {}).voices == {"MRS. X": "a", "GUARD 2": "b"}


def test_without_any_voice_a_dialogue_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    assert "ANNA (line 1), BEN have no voice" in refusal(tmp_path, "ANNA: One.\nBEN: Two.\nANNA: Three.", Reading())


def test_a_name_in_small_letters_makes_it_none_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = "ANNA: One.\nBEN: Two.\nCarl: Three."
    with caplog.at_level(logging.WARNING):
        assert {speaker for speaker, _ in turns(tmp_path, content)} == {None}
    assert "line 3 is neither in capitals nor has a voice" in caplog.text
    assert "Carl (line 3)" in refusal(tmp_path, content, ALWAYS)


def test_never_and_always_are_obeyed(tmp_path: Path) -> None:
    assert turns(tmp_path, "ANNA: One.\nBEN: Two.", NEVER) == [(None, "ANNA: One. BEN: Two.")]
    assert turns(tmp_path, "It began.\n\nANNA: One.", ALWAYS) == [(None, "It began."), ("ANNA", "One.")]
    assert "note (line 1)" in refusal(tmp_path, "note: bring a coat.", ALWAYS)


@pytest.mark.parametrize("suffix", [".dialogue", ".SCRIPT"])
def test_files_called_dialogues_are_some_whatever_is_set(tmp_path: Path, suffix: str) -> None:
    assert turns(tmp_path, "ANNA: One.", NEVER, suffix) == [("ANNA", "One.")]


def test_the_encoding_is_guessed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path := tmp_path / "a.txt").write_bytes("ANNA: Café.\nBEN: Déjà vu, été.".encode("cp1252"))
    with caplog.at_level(logging.WARNING):
        assert len(list(read(Document("a", path), AUTO))) == 2
    assert caplog.text.count("not UTF-8") == 1


@pytest.mark.parametrize("content", ["TODO: one.\nFIXME: two.", "NOTE: one.\nNOTE: two.", "TODO: 1 a.\n\nDONE: 2 b."])
def test_notes_are_no_dialogue_where_no_voices_are_given(tmp_path: Path, content: str) -> None:
    assert {speaker for speaker, _ in turns(tmp_path, content, Reading())} == {None}
    assert "have no voice" in refusal(tmp_path, content.replace("NOTE: two", "TODO: two"))


def test_no_more_is_read_than_it_takes_to_see_that_a_text_is_no_dialogue(tmp_path: Path) -> None:
    def blocks() -> Iterator[Block]:
        yield Block("ANNA: One.", 1)
        yield Block("BEN: Two.", 2, goes_on=True)
        yield Block("Scene", 4, heading=True)
        yield Block("It rains.", 6)
        raise AssertionError("read on")

    assert not is_dialogue(blocks, tmp_path, AUTO.speakers)


def test_a_dialogue_may_be_of_any_length_without_a_blank_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "LONGEST_PARAGRAPH", 1_000)
    monkeypatch.setattr(text, "LONGEST_PARAGRAPH", 1_000)
    assert len(turns(tmp_path, "ANNA: One.\nBEN: Two,\nand three.\n" * 500)) == 1_000
    with pytest.raises(DocumentError, match=r"a paragraph of more than 1,000 characters"):
        turns(tmp_path, "BEN: One.\nANNA: Two.\n" + "And three.\n" * 500)


def test_a_bracket_that_is_never_closed_holds_no_text_back(tmp_path: Path) -> None:
    said = turns(tmp_path, "ANNA: One [and\n" + "BEN: two.\nANNA: three.\n" * 5_000)
    assert len(said) == 10_001
    assert said[0] == ("ANNA", "One [and")


# Hostile files


@pytest.mark.parametrize("suffix", [".script", ".md", ".txt"])
@pytest.mark.parametrize(
    "content",
    [
        b"ANNA: " + b"[" * 20_000 + b"\nBEN: x",
        b"ANNA: " + b"(" * 20_000 + b"\nBEN: x",
        b"ANNA: " + b"[a" * 10_000 + b"]" * 10_000 + b"\nBEN: x",
        b"(\n" * 3_000 + b"\nANNA: x\nBEN: y",
        b"ANNA: x\nBEN: y\n" * 3_000,
        b"ANNA: x\n\n" + b"y\n" * 10_000 + b"\nBEN: z",
        b"A" * 1_000_000 + b": x\nANNA: y\nBEN: z",
        b"A " * 100_000 + b": x",
        b"ANNA (" * 50_000 + b": x\nBEN: y",
        b"ANNA:" + b" " * 500_000 + b"x\nBEN: y",
        b"ANNA: x\nBEN: y\n" + (b"A" + b" " * 4_000 + b"x\n") * 50,
        b"ANNA: x\nBEN: y\n" + (b"A" + b" " * 4_000 + b"(x)" + b" " * 4_000 + b"x\n") * 50,
    ],
    ids=range(12),
)
def test_hostile_texts_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    (path := tmp_path / f"a{suffix}").write_bytes(content)
    told = outcome(path)
    assert told is None or ("\n" not in told and len(told) < 1_000)
