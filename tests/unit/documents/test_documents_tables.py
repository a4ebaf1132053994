"""Tables: columns, items, times, documents in them; the same from CSV, JSON lines and Parquet."""

import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_tts.documents import Reading, find, read, tables
from cluster_tts.errors import CTTSError, DocumentError, JobError
from cluster_tts.model import Document, Paragraph, Role, Slot

SUFFIXES = (".csv", ".jsonl", ".parquet")
Rows = Sequence[dict[str, str]]


def write(folder: Path, rows: Rows, suffix: str = ".csv", delimiter: str = ",") -> Path:
    path = folder / f"table{suffix}"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}), path)
    return path


def spoken(path: Path, reading: Reading = Reading(), part: str | None = None) -> list[Paragraph]:  # noqa: B008
    return list(read(Document("table", path, part), reading))


def columns(**ours: Any) -> Reading:
    return Reading(columns=ours)


def refusal(path: Path, reading: Reading = Reading(), kind: type[CTTSError] = DocumentError) -> str:  # noqa: B008
    with pytest.raises(kind) as caught:
        spoken(path, reading)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def outcome(path: Path) -> str | None:
    """None where it was read, else why it was not."""
    try:
        spoken(path)
    except DocumentError as error:
        return str(error)
    return None


# Columns


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_row_is_a_paragraph_with_all_that_its_columns_say(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"ID": "v/1", "Text": "One  \n two.", "voice": "x", "speaker": "ANN", "start": "1.5", "end": "0:02,25"},
        {"ID": "v2", "Text": "Two.", "voice": "", "speaker": "", "start": "", "end": ""},
    ]
    assert spoken(write(tmp_path, rows, suffix)) == [
        Paragraph("One two.", Role(item="v/1", voice="x", speaker="ANN", cues=(Slot(1.5, 2.25),))),
        Paragraph("Two.", Role(item="v2")),
    ]


def test_ids_of_items_stay_as_they_are_written(tmp_path: Path) -> None:
    ids = ["1:1", "1_1", "a", "A", "..", "x.wav", "\u0301", "b" * 1_000]
    path = write(tmp_path, [{"id": each, "text": "One."} for each in ids])
    assert [each.role.item for each in spoken(path)] == ids


def test_columns_are_mapped_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, [{"verse_id": "1", "verse_text": "One.", "text": "not this"}])
    assert spoken(path, columns(text="verse_text", item="verse_id")) == [Paragraph("One.", Role(item="1"))]


def test_each_of_several_texts_that_is_there_is_an_item(tmp_path: Path) -> None:
    path = write(
        tmp_path, [{"id": "a", "word": "ox", "definition": "a beast", "sentence": ""}, {"id": "b", "word": "y"}]
    )
    assert [(each.role.item, each.text) for each in spoken(path, columns(text=["word", "definition", "sentence"]))] == [
        ("a-word", "ox"),
        ("a-definition", "a beast"),
        ("b-word", "y"),
    ]
    (path := tmp_path / "w.csv").write_text("word,meaning\nox,beast\n")
    assert [each.role.item for each in spoken(path, columns(text=["word", "meaning"]))] == ["2-word", "2-meaning"]


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (columns(text="verse"), "no column 'verse', which reading.columns.text asks for: there are 'text', 'id'"),
        (columns(item="key"), "no column 'key'"),
        (columns(text=["text", "key"]), "no column 'key'"),
    ],
)
def test_a_column_that_is_asked_for_and_not_there_stops_the_run(tmp_path: Path, reading: Reading, says: str) -> None:
    assert says in refusal(write(tmp_path, [{"text": "One.", "id": "1"}]), reading, JobError)


@pytest.mark.parametrize("reading", [columns(words="text"), columns(text=[]), columns(item=["text"])])
def test_settings_of_columns_that_mean_nothing_are_refused(tmp_path: Path, reading: Reading) -> None:
    with pytest.raises(JobError, match=r"reading\.columns"):
        spoken(write(tmp_path, [{"text": "One."}]), reading)


def test_a_table_without_texts_is_refused_with_what_there_is(tmp_path: Path) -> None:
    assert "no column 'text'" in (said := refusal(write(tmp_path, [{"a": "1", "b": "2"}])))
    assert "'a', 'b'" in said


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_of_csv_is_seen_in_its_first_line(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, [{"id": "1", "text": 'One, "two"; three | four\tfive'}], delimiter=delimiter)
    assert [each.text for each in spoken(path)] == ['One, "two"; three | four five']


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_those_of_texts(tmp_path: Path, encoding: str) -> None:
    (path := tmp_path / "a.csv").write_bytes("id,text\n1,Le café est fermé; déjà.\n".encode(encoding))
    assert spoken(path) == [Paragraph("Le café est fermé; déjà.", Role(item="1"))]


# Rows


def test_blank_lines_in_a_cell_separate_paragraphs_of_one_item(tmp_path: Path) -> None:
    path = write(tmp_path, [{"id": "1", "text": "One\ntwo.\n \nThree."}])
    assert spoken(path) == [Paragraph("One two.", Role(item="1")), Paragraph("Three.", Role(item="1"))]


def test_rows_without_words_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path := tmp_path / "a.csv").write_text("id,text\n1,One.\n2,\n3,...\n\n,\n4,Two.\n")
    with caplog.at_level(logging.WARNING):
        assert [each.text for each in spoken(path)] == ["One.", "Two."]
    assert "2 rows were left out" in caplog.text


@pytest.mark.parametrize(("suffix", "says"), [(".csv", "rows 2 and 4"), (".jsonl", "rows 1 and 3")])
def test_two_rows_with_one_id_are_both_named(tmp_path: Path, suffix: str, says: str) -> None:
    path = write(tmp_path, [{"id": "A/b", "text": "x"}, {"id": "c", "text": "x"}, {"id": " A/b", "text": "y"}], suffix)
    assert says in refusal(path)


@pytest.mark.parametrize(
    ("start", "end", "slot"),
    [
        ("0", "1", Slot(0.0, 1.0)),
        ("1.25", "", Slot(1.25, 1.25)),
        ("3", "2", Slot(3.0, 3.0)),
        ("01:02", "1:01:02.5", Slot(62.0, 3662.5)),
        ("1,5", "200:00:00,001", Slot(1.5, 720000.001)),
    ],
)
def test_times_are_seconds_or_a_clock(tmp_path: Path, start: str, end: str, slot: Slot) -> None:
    path = write(tmp_path, [{"text": "One.", "start": start, "end": end}])
    assert spoken(path)[0].role.cues == (slot,)
    assert spoken(path, Reading(times=False))[0].role.cues == ()


@pytest.mark.parametrize(
    ("start", "end"), [("soon", ""), ("-1", ""), ("nan", ""), ("1", "inf"), ("", "2"), ("1:75", "")]
)
def test_a_time_that_is_none_is_named_with_its_row(tmp_path: Path, start: str, end: str) -> None:
    assert "row 3: " in refusal(write(tmp_path, [{"text": "a"}, {"text": "One.", "start": start, "end": end}]))


def test_a_time_belongs_to_one_text(tmp_path: Path) -> None:
    path = write(tmp_path, [{"a": "One.\n\nTwo.", "b": "Three.", "start": "1"}])
    assert "timeline.fit=none" in refusal(path, columns(text=["a", "b"]), JobError)
    assert [each.text for each in spoken(path, columns(text="a"))] == ["One. Two."]


# Documents in a table


CHAPTERS = [
    {"document": chapter, "id": verse, "text": f"{chapter} {verse}."}
    for chapter, verse in [("b", "1"), ("a/1", "1"), ("b", "2"), ("", "1")]
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_value_of_the_column_document_is_one_in_order_of_appearance(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, CHAPTERS, suffix)
    found = find([str(path)])
    assert [(each.name, each.part) for each in found] == [("b", "b"), ("a_1", "a/1"), ("table", "")]
    assert [[each.text for each in read(document)] for document in found] == [["b 1.", "b 2."], ["a/1 1."], ["1."]]


def test_a_name_that_clashes_is_put_behind_that_of_the_table(tmp_path: Path) -> None:
    write(tmp_path, [*CHAPTERS, {"document": "a_1", "id": "1", "text": "x"}])
    (tmp_path / "b.txt").write_text("word")
    names = {each.part: each.name for each in find([str(tmp_path)])}
    assert (names[None], names["b"], names[""]) == ("b.txt", "table__b", "table")
    assert names["a/1"] != names["a_1"]
    assert all(names[part].startswith(f"{tmp_path.name}__table__a_1-") for part in ("a/1", "a_1"))


def test_a_table_of_many_documents_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    monkeypatch.setitem(tables.READERS, ".csv", lambda path, own=tables.READERS[".csv"]: times.append(1) or own(path))
    path = write(tmp_path, [{"document": str(row % 50), "text": f"Row {row}."} for row in range(5_000)])
    found = find([str(path)])
    assert len(found) == 50
    assert sum(len(list(read(document))) for document in found) == 5_000
    assert len(times) == 1
    path.write_text("document,text\na,Other.\n")
    assert [document.part for document in find([str(path)])] == ["a"]


def test_an_unreadable_table_is_found_for_its_reader_to_say_why(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('document,text\na,"x\n')
    assert find([str(path)]) == [Document("a", path)]
    assert "quote" in refusal(path)


# The three kinds


CELL = st.text("ab é猫\"',;|\t\n.1", max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"text": CELL}, optional=dict.fromkeys(("voice", "speaker"), CELL))))
def test_the_three_kinds_of_table_give_the_same_paragraphs(tmp_path: Path, rows: Rows) -> None:
    rows = [{"text": "Always there."}, *rows]
    first, *others = (spoken(write(tmp_path, rows, suffix)) for suffix in SUFFIXES)
    assert others == [first, first]
    assert first[0].text == "Always there."


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["One", "two"], pa.dictionary(pa.int32(), pa.string())),
        (["One", "two"], pa.large_string()),
        (["1", "2"], pa.int64()),
        (["1.5", "2.5"], pa.float64()),
    ],
)
def test_parquet_columns_of_texts_and_numbers_are_read(tmp_path: Path, values: list[str], kind: pa.DataType) -> None:
    plain = pa.array(values)
    column = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)
    pq.write_table(
        pa.table({"text": column, "audio": [b"\xff"] * 2, "tags": [[1], []]}), path := tmp_path / "a.parquet"
    )
    assert [each.text for each in spoken(path)] == values
    assert "column 'tags' holds something else" in refusal(path, columns(speaker="tags"))


def test_json_numbers_and_half_characters_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 12, "start": 1.5, "x": [1]}\n\n{"text": "a\\ud800b", "id": true}\n{"text": null}\n')
    assert [(each.text, each.role.item) for each in spoken(path)] == [("12", None), ("a?b", "true")]
    assert "row 1: column 'x'" in refusal(path, columns(voice="x"))


# Hostile files


def _parquet(**columns: object) -> bytes:
    pq.write_table(pa.table(columns), out := io.BytesIO())
    return out.getvalue()


HOSTILE = {
    ".csv": [
        b"",
        b"\n\n",
        b"%PDF-1.7\n",
        b"text\n" + bytes(100),
        b'text\n"never closed\n' + b"x\n" * 1_000,
        b'text,id\n"a"b,1\n',
        b"text\n" + b"x" * 10_000_000,
        b'text\n"' + b"x\n" * 5_000_000 + b'"\n',
        b"text,id\nOne, two, three\n",
        b"text,text\na,b\n",
        b"a" + b",a" * 100_000 + b"\n",
        b",,,\n1,2,3,4\n",
        "text\ndéjà vu, été".encode() + b"\xff\n",
        b"x" * 10_000_000,
    ],
    ".jsonl": [
        b"",
        b"{}\n{}\n",
        b"[1]\n",
        b'{"text": "a"}\n{"text": \n',
        b'{"text": ' + b"[" * 100_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        b'{"text": "' + b"x" * 10_000_000 + b'"}\n',
        b'{"text": ' + b"9" * 10_000 + b"}\n",
        b'{"text": ["a"]}\n',
        b'{"text": "a"}{"text": "b"}\n',
        b'{"text": "d\xc3\xa9j\xc3\xa0 \xff"}\n',
        b"\0" * 1_000,
        b"{" + b",".join(b'"c%d":1' % n for n in range(5_000)) + b"}\n",
    ],
    ".parquet": [
        b"",
        b"PAR1",
        b"PAR1" + bytes(1_000) + b"PAR1",
        b"text,id\n",
        _parquet(text=["a"])[:-20],
        _parquet(text=["a"])[20:],
        _parquet(text=["word " * 100] * 100).replace(b"word", b"\xff\xfe\xfd\xfc"),
        _parquet(text=[["a"]]),
        _parquet(words=["a"]),
        _parquet(text=pa.array([b"\xff"], pa.binary())),
        _parquet(text=pa.array([], pa.string())),
        _parquet(text=["x" * 5_000_001]),
    ],
}


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(suffix, content) for suffix, contents in HOSTILE.items() for content in contents],
    ids=[f"{suffix}-{index}" for suffix, contents in HOSTILE.items() for index in range(len(contents))],
)
def test_a_hostile_table_is_refused_in_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    (path := tmp_path / f"a{suffix}").write_bytes(content)
    refusal(path)
    assert [each.source for each in find([str(path)])] == [path]


def test_every_damaged_byte_of_a_parquet_file_is_read_or_refused(tmp_path: Path) -> None:
    whole = _parquet(text=[f"Row {row}." for row in range(50)], id=list(range(50)))
    for position in range(0, len(whole), 7):
        (path := tmp_path / "a.parquet").write_bytes(whole[:position] + b"\xa5" + whole[position + 1 :])
        told = outcome(path)
        assert told is None or "\n" not in told


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (path := tmp_path / "a.csv").open("wb") as file:
        file.truncate(5 * 2**30)
    assert "larger than 500,000,000 bytes" in refusal(path)


def test_a_time_by_which_silence_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("text,start\nHello,5\nAnd then,1e9\n")
    [document] = find([str(path)])
    with pytest.raises(DocumentError, match=r"late.csv': 'And then' would be heard after 277,778 hours"):
        list(read(document))
    assert [paragraph.text for paragraph in read(document, Reading(times=False))] == ["Hello", "And then"]


def test_long_silence_is_told_once_with_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path := tmp_path / "late.csv").write_text("text,start,end\nHello,5,\nAnd,9:00:00,20:00:00\nthen,30:36:00\n")
    assert len(spoken(path)) == 3
    [warning] = caplog.messages
    assert warning.startswith(f"'{path}': 10.6 hours of silence stand before what begins after 30.60 hours")
    caplog.clear()
    assert len(spoken(path, Reading(times=False))) == 3
    assert not caplog.messages
