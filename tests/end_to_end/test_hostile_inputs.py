"""Whatever is thrown at the program: one clear line that names it, the promised exit code, and never a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .conftest import TONE, ClusterTts, Ended

GOOD = "Hello there. How are you?\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0"
NAME_OF_240_BYTES = "n" * 236 + ".txt"
ESCAPES = "red\x1bc\nsecond line"

Content = str | bytes | Callable[[Path], object]
"""What a file holds, or what else is made at its path."""


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@dataclass(frozen=True)
class Case:
    """One hostile input: what is there besides ``good.txt``, what is typed, and what must come of it."""

    id: str
    argv: tuple[str, ...]
    exit_code: int
    says: tuple[str, ...] = ()
    files: Mapping[str, Content] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


def run(*arguments: str, voice: tuple[str, ...] = TONE) -> tuple[str, ...]:
    return ("run", *voice, *arguments)


SOURCES = [
    Case("no arguments", ("run",), 2, ("Missing argument 'SOURCE|key=value'",)),
    Case("no sources", run(), 2, ("no sources", "name at least one")),
    Case("empty source", run(""), 2, ("a source is empty",)),
    Case("missing path", run("nowhere.txt"), 2, ("'nowhere.txt' does not exist",)),
    Case("one of two is missing", run("good.txt", "nowhere"), 2, ("'nowhere' does not exist",)),
    Case("standard input", run("-"), 2, ("'-' does not exist",)),
    Case("a URL that is no storage", run("ftp://host/a.txt"), 2, ("'ftp://host/a.txt'", "s3://")),
    Case("a key in a URL", run("s3://AKIA:secret@bucket/a.txt"), 2, ("'bucket'", "AWS_ACCESS_KEY_ID")),
    Case("folder without files", run("empty"), 2, ("'empty'", ".txt, .md"), {"empty": folder}),
    Case("folder with other files only", run("d"), 2, ("'d'", ".txt, .md"), {"d/a.pdf": "%PDF", "d/b.docx": "PK"}),
    Case("glob that matches nothing", run("*.rst"), 2, ("'*.rst'", ".txt, .md")),
    Case("folder with the name of a text", run("d.txt"), 2, ("'d.txt'",), {"d.txt": folder}),
    Case("dangling link", run("link.txt"), 2, ("'link.txt' does not exist",), {"link.txt": link_to("nowhere")}),
    Case("loop of links", run("loop.txt"), 2, ("'loop.txt'",), {"loop.txt": link_to("loop.txt")}),
    Case("named pipe", run("pipe.txt"), 2, ("'pipe.txt' is neither a file nor a folder",), {"pipe.txt": pipe}),
    Case("device", run("/dev/zero"), 2, ("'/dev/zero' is neither a file nor a folder",)),
    Case("PDF", run("a.pdf"), 2, ("'a.pdf' cannot be read", ".txt, .md"), {"a.pdf": "%PDF-1.7"}),
    Case("PDF among good ones", run("good.txt", "a.pdf"), 2, ("'a.pdf' cannot be read",), {"a.pdf": "%PDF-1.7"}),
    Case("file given twice", run("good.txt", "./good.txt"), 2, ("'good.txt'", "name it once")),
    Case("folder, and file in it", run("d", "d/a.txt"), 2, ("'d/a.txt'", "'d'", "name it once"), {"d/a.txt": GOOD}),
    Case(
        "file, and link to it", run("good.txt", "b.txt"), 2, ("'b.txt'", "'good.txt'", "name it once"),
        {"b.txt": link_to("good.txt")},
    ),
    Case("path too long for the system", run("x" * 5000), 2, ("File name too long",)),
    Case("leading dash as an option", run("-bad.txt"), 2, ("No such option",), {"-bad.txt": GOOD}),
    Case("control characters in a missing name", run(ESCAPES), 2, (r"red\x1bc\nsecond line' does not exist",)),
]  # fmt: skip

DOCUMENTS_ALONE = [
    Case("empty file", run("a.txt"), 2, ("'a.txt' has nothing to speak",), {"a.txt": ""}),
    Case("white space only", run("a.txt"), 2, ("'a.txt' has nothing to speak",), {"a.txt": " \n\t\f\r\n\u3000"}),
    Case("byte order mark only", run("a.txt"), 2, ("'a.txt' has nothing to speak",), {"a.txt": "\ufeff"}),
    Case("UTF-16 mark only", run("a.txt"), 2, ("'a.txt' has nothing to speak",), {"a.txt": b"\xff\xfe"}),
    Case("control characters only", run("a.txt"), 2, ("'a.txt' looks binary",), {"a.txt": "\x01\x02\x7f\x1b"}),
    Case("PNG with the name of a text", run("a.txt"), 2, ("'a.txt' looks binary",), {"a.txt": PNG}),
    Case("NULs", run("a.txt"), 2, ("'a.txt' looks binary",), {"a.txt": b"text\0\0\0text" * 9}),
    Case("damaged UTF-8", run("a.txt"), 2, ("'a.txt' is UTF-8, but damaged",), {"a.txt": "äöü".encode() * 9 + b"\xff"}),
    Case("Markdown of nothing but code", run("a.md"), 2, ("'a.md' has nothing to speak",), {"a.md": "```\nx = 1\n```"}),
    Case(
        "many, all empty", run("d"), 2, ("'d/0.txt' has nothing", "and 3 more"),
        {f"d/{number}.txt": "" for number in range(8)},
    ),
]  # fmt: skip

DOCUMENTS_AMONG_GOOD_ONES = [
    Case("empty file", run("."), 3, ("a is unreadable: 'a.txt' has nothing to speak",), {"a.txt": ""}),
    Case("binary file", run("."), 3, ("a is unreadable: 'a.txt' looks binary",), {"a.txt": PNG}),
    Case("dangling link", run("."), 3, ("a is unreadable: 'a.txt' cannot be read",), {"a.txt": link_to("nowhere")}),
    Case("named pipe", run("."), 3, ("a is unreadable: 'a.txt' is no file",), {"a.txt": pipe}),
    Case(
        "several", run("."), 3, ("a is unreadable", "b is unreadable", "2 of 3 documents are not whole"),
        {"a.txt": "", "b.md": ""},
    ),
    Case(
        "name that commands a terminal", run("."), 3, (r"red\x1bc\nsecond line.txt' has nothing to speak",),
        {f"{ESCAPES}.txt": ""},
    ),
]  # fmt: skip

SETTINGS = [
    Case("unknown key", run("good.txt", "stiching.gap_ms=5"), 2, ("'stiching.gap_ms'", "mean stitching.gap_ms")),
    Case("key without its section", run("good.txt", "gap_ms=5"), 2, ("'gap_ms'", "did you mean stitching.gap_ms?")),
    Case("unknown section", run("good.txt", "sound.loudness=5"), 2, ("'sound.loudness'", "default.yaml has them all")),
    Case("key of a key", run("good.txt", "out.dir=x"), 2, ("'out.dir'",)),
    Case("word for a number", run("good.txt", "stitching.gap_ms=x"), 2, ("'stitching.gap_ms'", "'x'", "whole number")),
    Case("nothing for a number", run("good.txt", "stitching.gap_ms="), 2, ("'stitching.gap_ms'", "is null", "whole")),
    Case("fraction for a count", run("good.txt", "quota.burst=1.5"), 2, ("'quota.burst'", "1.5", "whole number")),
    Case("list for a word", run("good.txt", "provider.voice=[a]"), 2, ("'provider.voice'", "['a']", "must be a text")),
    Case("word for a section", run("good.txt", "provider=tone"), 2, ("'provider'", "'tone'", "set provider.name")),
    Case("null for a section", run("good.txt", "workers=null"), 2, ("'workers'", "set workers.count or")),
    Case("broken YAML", run("good.txt", "provider.voice={"), 2, ("'provider.voice={'", "key=value")),
    Case("unknown reference", run("good.txt", "provider.voice=${nothing}"), 2, ("no voice '${nothing}'", "known are")),
    Case("negative", run("good.txt", "stitching.gap_ms=-1"), 2, ("'stitching.gap_ms' is -1", "from 0 to")),
    Case("not a number", run("good.txt", "provider.timeout_s=.nan"), 2, ("'provider.timeout_s' is nan", "above 0")),
    Case("unknown engine", run("good.txt", "engine=dask"), 2, ("'engine' is 'dask'", "ray, local")),
    Case("unknown format", run("good.txt", "stitching.format=aac"), 2, ("'aac'", "wav, flac, mp3")),
    Case("unknown wire format", run("good.txt", "provider.format=mp3"), 2, ("'mp3'", "wav or flac")),
    Case("unknown provider", run("good.txt", "provider.name=hibary"), 2, ("'hibary'", "did you mean hibari?")),
    Case("unknown voice", run("good.txt", "provider.voice=sin"), 2, ("'sin'", "did you mean sine?")),
    Case("unknown option", run("good.txt", "provider.options.rte=8000"), 2, ("'rte'", "did you mean rate?")),
    Case("option out of range", run("good.txt", "provider.options.rate=1"), 2, ("provider.options.rate is 1", "8000")),
    Case("value longer than a file name", run("good.txt", f"provider.voice={'v' * 300}"), 2, ("knows no voice",)),
    Case("file of settings that is missing", run("good.txt", "-c", "no.yaml"), 2, ("'no.yaml'", "check the path")),
    Case("file of settings that is a folder", run("good.txt", "-c", "d"), 2, ("'d'", "Is a directory"), {"d": folder}),
    Case(
        "file of settings that is no YAML", run("good.txt", "-c", "a.yaml"), 2, ("'a.yaml' is not valid YAML",),
        {"a.yaml": "provider: [\n"},
    ),
    Case(
        "file of settings that is binary", run("good.txt", "-c", "a.yaml"), 2, ("'a.yaml' is not valid YAML",),
        {"a.yaml": PNG},
    ),
    Case(
        "file of settings that is a list", run("good.txt", "-c", "a.yaml"), 2, ("'a.yaml' is a list", "key: value"),
        {"a.yaml": "- a\n- b\n"},
    ),
    Case(
        "file of settings with an unknown key", run("good.txt", "-c", "a.yaml"), 2,
        ("'stitching.gap' in a.yaml", "did you mean stitching.gap_ms"), {"a.yaml": "stitching:\n  gap: 1\n"},
    ),
    Case(
        "file of settings that would run code", run("good.txt", "-c", "a.yaml"), 2, ("'a.yaml' is not valid YAML",),
        {"a.yaml": "out: !!python/object/apply:os.mkdir [harm]\n"},
    ),
    Case(
        "variable of a wrong type", run("good.txt"), 2, ("CLUSTER_TTS_STITCHING__GAP_MS", "'x'", "whole number"),
        environ={"CLUSTER_TTS_STITCHING__GAP_MS": "x"},
    ),
    Case(
        "variable that is no setting", run("good.txt"), 2, ("CLUSTER_TTS_VOICE", "did you mean provider.voice?"),
        environ={"CLUSTER_TTS_VOICE": "sine"},
    ),
    Case("retry where there was no run", run("good.txt", "--retry-failed"), 2, ("'out' holds no run", "leave out")),
    Case("retry and forget", run("good.txt", "--retry-failed", "--fresh"), 2, ("--fresh forgets", "leave out one")),
    Case("retry and do nothing", run("good.txt", "--retry-failed", "--dry-run"), 2, ("--dry-run", "leave out one")),
    Case("unknown option of the command", run("good.txt", "--frech"), 2, ("No such option: --frech", "--fresh")),
    Case("unknown command", ("speak", "good.txt"), 2, ("No such command 'speak'",)),
    Case("option without its value", run("good.txt", "--out"), 2, ("--out", "requires an argument")),
]  # fmt: skip

OUTPUTS = [
    Case("a file", run("good.txt", "--out", "good.txt"), 2, ("cannot write to 'good.txt'", "no folder", "--out")),
    Case("below a file", run("good.txt", "--out", "good.txt/x"), 2, ("cannot write to 'good.txt/x'", "--out")),
    Case("read-only", run("good.txt", "--out", "/proc/x"), 2, ("cannot write to '/proc/x'", "--out")),
    Case("no name", run("good.txt", "--out", ""), 2, ("'out' is ''", "must name a folder")),
    Case("a reference", run("good.txt", "--out", "${x"), 2, ("'out'", "'${x'")),
    Case("not UTF-8", run("good.txt", "--out", "\udcff"), 2, (r"'out' is '\udcff'", "UTF-8")),
    Case("too long", run("good.txt", "--out", "x" * 300), 2, ("File name too long", "--out")),
    Case("a URL that is no storage", run("good.txt", "--out", "http://b/k"), 2, ("'http://b/k'", "s3://")),
    Case("clips in a file", run("good.txt", "clips.dir=good.txt"), 2, ("cannot write to 'good.txt'", "clips.dir")),
    Case("log is a folder", run("good.txt"), 2, ("'", "out/run.log'", "Is a directory"), {"out/run.log/x": ""}),
    Case("job.yaml is a folder", run("good.txt"), 2, ("job.yaml'", "Is a directory"), {"out/job.yaml/x": ""}),
    Case("plan is a file", run("good.txt"), 2, ("out/manifest", "Not a directory"), {"out/manifest": ""}),
    Case(
        "documents is a file", run("good.txt"), 2, ("out/documents/good.wav'", "--out"),
        {"out/documents": ""},
    ),
    Case(
        "report is a folder", run("good.txt"), 2, ("report.json'", "--out"),
        {"out/report.json/x": ""},
    ),
]  # fmt: skip

OTHER_COMMANDS = [
    Case(f"{command}: {what}", (command, path), 2, (f"'{path}' holds no run", "--out"))
    for command in ("status", "report", "stitch")
    for path, what in (("nowhere", "missing folder"), (".", "folder without a run"), ("good.txt", "file"))
]

ENCODINGS = {
    "utf-16-with-mark.txt": GOOD.encode("utf-16"),
    "utf-16-without-mark.txt": GOOD.encode("utf-16-le"),
    "latin-1.txt": "Déjà vu, ça va?\n".encode("latin-1"),
    "old-mac.txt": b"One.\r\rTwo.",
    "signs-only.txt": "* * *\n",  # which this voice takes
    "one-word.txt": "a" * 100_000,
}
NAMES = (
    "a\nb.txt", "[b]markup :smile:.txt", "'single' and \"double\".txt", "😀.txt", NAME_OF_240_BYTES,
    "\udcff is no UTF-8.txt", " ..txt", "Good.txt", "GOOD.txt", "-dash.txt", "a=b.txt", "%2e%s{}.txt", "con.txt",
)  # fmt: skip
SPOKEN = [
    Case("every encoding", run("."), 0, ("'latin-1.txt' is not UTF-8",), ENCODINGS),
    Case("names in a folder", run("."), 0, files=dict.fromkeys(NAMES, GOOD)),
    Case("names one by one", run("--", *NAMES), 0, files=dict.fromkeys(NAMES, GOOD)),
    Case("leading dash", run("--", "-a.txt"), 0, files={"-a.txt": GOOD}),
    Case("equals sign in a name without suffix", run("gap_ms=5"), 0, files={"gap_ms=5": GOOD}),
    Case("way over the parent folder", run("d/../good.txt"), 0, files={"d": folder}),
    Case("output named like a value of YAML", run("good.txt", "--out", "no"), 0),
    Case("output with an emoji", run("good.txt", "--out", "😀\n:"), 0),
    Case("output inside the source", run(".", "--out", "d"), 0),
    Case("empty file of settings", run("good.txt", "-c", "a.yaml"), 0, files={"a.yaml": ""}),
]


def build(root: Path, files: Mapping[str, Content]) -> None:
    for name, content in {"good.txt": GOOD, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def params(*tables: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for table in tables for case in table])


@pytest.fixture
def ended(case: Case, cluster_tts: ClusterTts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    build(tmp_path, case.files)
    for name, value in case.environ.items():
        monkeypatch.setenv(name, value)
    result = cluster_tts(*case.argv)
    assert result.exit_code == case.exit_code, result.err
    for words in case.says:
        assert words in result.err
    return result


@params(SOURCES, DOCUMENTS_ALONE, SETTINGS, OUTPUTS, OTHER_COMMANDS)
def test_what_stops_the_run_is_told_in_one_line(case: Case, ended: Ended, tmp_path: Path) -> None:
    lines = ended.err.splitlines()
    if lines[-1].startswith("Error: "):  # of the argument parser, which may say how to ask for help before
        assert lines[0].startswith(("Usage: ", "Error: "))
    elif ended.exit_code == 75:
        assert lines[-1].startswith("cluster-tts: ")
    else:
        assert len(lines) == 1, ended.err
        assert lines[0].startswith("cluster-tts: ")
    assert ended.out == ""
    assert ended.exit_code == 75 or not list(tmp_path.rglob("*.wav"))
    if case not in (*DOCUMENTS_ALONE, *OUTPUTS):
        assert not (tmp_path / "out").exists()  # what is wrong with the command is told before anything is written


@params(DOCUMENTS_AMONG_GOOD_ONES)
def test_a_bad_document_is_named_and_the_others_are_finished(case: Case, ended: Ended, tmp_path: Path) -> None:
    assert (tmp_path / "out/documents/good.wav").is_file()
    assert sorted(path.name for path in (tmp_path / "out/documents").glob("*.wav")) == ["good.wav"]
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (report["status"], report["exit_code"]) == ("incomplete", 3)
    assert {line["name"] for line in report["documents"] if line["error"]} == {
        line["name"] for line in report["documents"] if line["name"] != "good"
    }


@params(SPOKEN)
def test_what_only_looks_hostile_is_spoken(case: Case, ended: Ended, tmp_path: Path) -> None:
    (report,) = tmp_path.rglob("report.json")
    names = [line["name"] for line in json.loads(report.read_text(encoding="utf-8"))["documents"]]
    assert {f"{name}.wav" for name in names} == {path.name for path in report.parent.glob("documents/*.wav")}


def test_what_a_voice_cannot_read_is_named_with_the_voice_that_can(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    pytest.importorskip("hibari")
    build(tmp_path, {"japanese.txt": "He said こんにちは to me.", "signs.txt": "* * *"})
    ended = cluster_tts("run", "good.txt", "japanese.txt", "signs.txt", "engine=local", "provider.name=hibari")
    assert ended.exit_code == 3
    assert (tmp_path / "out/documents/good.wav").is_file()
    japanese = next(line for line in ended.err.splitlines() if "japanese #0" in line)
    signs = next(line for line in ended.err.splitlines() if "signs #0" in line)
    assert "'こんにちは'" in japanese
    assert "'* * *'" in signs
    assert all("provider.name=espeak" in line for line in (japanese, signs))


@pytest.mark.parametrize(("others", "exit_code"), [((), 2), (("good.txt",), 3)], ids=["alone", "among good ones"])
def test_a_file_that_may_not_be_read_is_named(
    cluster_tts: ClusterTts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...], exit_code: int
) -> None:
    """The tests may run as root, who reads everything: so the refusal is made up."""
    build(tmp_path, {"secret.txt": GOOD})
    really_open = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "secret.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    ended = cluster_tts(*run("secret.txt", *others))
    assert ended.exit_code == exit_code
    assert "'secret.txt'" in ended.err
    assert "Permission denied" in ended.err


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    """Damage that the end of the file, where Parquet begins to read, does not show."""
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(byte ^ 0x5A for byte in content[4 : len(content) // 3])
    path.write_bytes(content)


def date_ahead(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"cluster_tts.schema_version": "99"}), path)


PARTS = ["documents-*.parquet", "documents.parquet", "outcomes/*.parquet", "plan/*.parquet"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", [truncate, empty, garble])
def test_a_damaged_manifest_is_named_by_whoever_looks_and_mended_by_a_run(
    cluster_tts: ClusterTts, tmp_path: Path, part: str, damage: Callable[[Path], None]
) -> None:
    build(tmp_path, {})
    assert cluster_tts(*run("good.txt")).exit_code == 0
    (path,) = (tmp_path / "out/manifest").glob(part)
    audio = (tmp_path / "out/documents/good.wav").read_bytes()
    damage(path)
    damaged = path.read_bytes()
    needed = part != "documents.parquet"  # which is there for people to open
    for argv in ("plan", *TONE, "good.txt"), ("status", "out"), ("report", "out"):
        ended = cluster_tts(*argv)
        assert ended.exit_code == 0
        assert (f"{path.relative_to(tmp_path)}' is damaged" in ended.err) == needed
    assert cluster_tts("stitch", "out").exit_code == (75 if needed else 0)
    assert path.read_bytes() == damaged or not needed, "whoever looks changes nothing"
    ended = cluster_tts(*run("good.txt"), "--json")
    assert (ended.exit_code, ended.json["totals"]["spoken"]) == (0, 0)
    assert (path.with_name(f"damaged-{path.name}").exists(), "set aside" in ended.err) == (needed, needed)
    assert (tmp_path / "out/documents/good.wav").read_bytes() == audio
    assert cluster_tts("status", "out").err == ""


@pytest.mark.parametrize("part", PARTS)
def test_a_manifest_of_another_version_is_refused_by_every_command(
    cluster_tts: ClusterTts, tmp_path: Path, part: str
) -> None:
    build(tmp_path, {})
    assert cluster_tts(*run("good.txt")).exit_code == 0
    if part == "documents.parquet":
        (tmp_path / "out/manifest/documents-000001.parquet").unlink()
    (path,) = (tmp_path / "out/manifest").glob(part)
    date_ahead(path)
    for argv in run("good.txt"), ("plan", *TONE, "good.txt"), ("stitch", "out"), ("status", "out"), ("report", "out"):
        ended = cluster_tts(*argv)
        assert ended.exit_code == 2, (argv, ended)
        assert len(ended.err.splitlines()) == 1
        assert str(path.relative_to(tmp_path)) in ended.err
        assert "schema 99" in ended.err
    path.rename(tmp_path / "away")
    assert cluster_tts(*run("good.txt")).exit_code == 0


def test_a_job_that_another_version_saved_is_told_as_such(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    build(tmp_path, {})
    cluster_tts(*run("good.txt"))
    saved = tmp_path / "out/job.yaml"
    saved.write_text("# Saved by cluster_tts 9.1.0\nstitching:\n  reverb: 1\n")
    ended = cluster_tts("stitch", "out")
    assert ended.exit_code == 2
    assert "'out/job.yaml' was saved by cluster_tts 9.1.0, and this is" in ended.err
    assert "unknown setting 'stitching.reverb'" in ended.err


def test_a_run_whose_settings_are_not_ours_is_not_stitched(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    build(tmp_path, {})
    cluster_tts(*run("good.txt"))
    saved = tmp_path / "out/job.yaml"
    for content, says in {
        "stitching:\n  reverb: 1\n": "'stitching.reverb' in out/job.yaml",
        "engine: [\n": "'out/job.yaml' is not valid YAML",
    }.items():
        saved.write_text(content)
        ended = cluster_tts("stitch", "out")
        assert ended.exit_code == 2
        assert says in ended.err
        assert len(ended.err.splitlines()) == 1
    saved.unlink()
    assert "'out/job.yaml' is gone: run the run's own command again" in cluster_tts("stitch", "out").err


def test_a_report_that_is_not_ours_is_no_hindrance(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    build(tmp_path, {})
    cluster_tts(*run("good.txt"))
    report = tmp_path / "out/report.json"
    for content in "", "[]", '{"totals": 5}', "{", "\0":
        report.write_text(content)
        assert cluster_tts("status", "out", "--json").json["status"] == "whole"
    assert cluster_tts("report", "out").exit_code == 0
    assert json.loads(report.read_text(encoding="utf-8"))["status"] == "whole"


def test_json_is_one_object_and_all_there_is_on_stdout(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    build(tmp_path, {"a\udcff.txt": "", "latin.txt": "Déjà vu.".encode("latin-1")})
    assert len(cluster_tts("plan", *TONE, ".", "--json").json["documents"]) == 3
    assert cluster_tts(*run(".", "--dry-run", "--json")).json["clips"] == 2
    assert cluster_tts(*run(".", "--json")).json["exit_code"] == 3
    assert cluster_tts("stitch", "out", "--json").json["exit_code"] == 3
    assert cluster_tts("status", "out", "--json").json["exit_code"] == 3
    assert cluster_tts("report", "out", "--json").json["status"] == "incomplete"


@pytest.mark.parametrize(
    ("argv", "exit_code"),
    [
        (run("nowhere.txt"), 2),
        (run("good.txt", "gap=1"), 2),
        (run("good.txt", "--frech"), 2),
        (run(), 2),
        (("plan", "nowhere.txt"), 2),
        (("stitch", "nowhere"), 2),
        (("status", "nowhere"), 2),
        (("report", "nowhere"), 2),
        (run("good.txt", "--out", "broken"), 2),
    ],
)
def test_json_tells_of_a_failure_too(
    cluster_tts: ClusterTts, tmp_path: Path, argv: tuple[str, ...], exit_code: int
) -> None:
    build(tmp_path, {"broken/documents": ""})
    ended = cluster_tts(*argv, "--json")
    assert ended.exit_code == ended.json["exit_code"] == exit_code
    assert ended.json["status"] == {2: "failed", 75: "interrupted"}[exit_code]
    assert ended.json["message"] in ended.err


def test_a_defect_is_one_line_and_its_traceback_a_file(
    cluster_tts: ClusterTts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, {})
    monkeypatch.setattr("cluster_tts.commands.make_plan", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = cluster_tts("plan", *TONE, "good.txt", "--json")
    assert ended.exit_code == ended.json["exit_code"] == 1
    assert len(ended.err.splitlines()) == 1
    (file,) = tmp_path.glob("cluster-tts-*.txt")
    assert str(file) in ended.err
    assert "make_plan" in file.read_text(encoding="utf-8")


SHELL = f"{sys.executable} -m cluster_tts"
IN_PIPE = [
    (f"{SHELL} plan {{tone}} d | head -0", 1),
    (f"{SHELL} plan {{tone}} d --json | head -0", 1),
    (f"{SHELL} plan {{tone}} d >&-", 0),
    (f"{SHELL} run {{tone}} d 2>&1 >/dev/null | head -0", 0),
    (f"{SHELL} run {{tone}} d 2>&-", 0),
    (f"PYTHONIOENCODING=ascii {SHELL} plan {{tone}} d", 0),
    (f"PYTHONIOENCODING=ascii {SHELL} run {{tone}} d", 0),
]


def test_readers_that_leave_and_streams_that_are_closed(tmp_path: Path) -> None:
    """A plan that nobody reads ends; a run goes on, for it is not made to be read."""
    folders = [tmp_path / str(number) for number in range(len(IN_PIPE))]
    shells = []
    for (command, _), folder in zip(IN_PIPE, folders, strict=True):
        build(folder, {"d/naïve 😀.txt": GOOD})
        command = f"set -o pipefail; {command.format(tone=' '.join(TONE))}"
        shells.append(subprocess.Popen(["bash", "-c", command], cwd=folder, stderr=subprocess.PIPE, text=True))
    for (command, exit_code), folder, shell in zip(IN_PIPE, folders, shells, strict=True):
        err = shell.communicate(timeout=60)[1]
        assert shell.returncode == exit_code, (command, err)
        assert "Error" not in err, (command, err)
        assert (folder / "out/documents/naïve 😀.wav").exists() == (" run " in command), command
