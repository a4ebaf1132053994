"""The program as people use it, with the cheapest voice, in this process; and the same from Python."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile as sf

import cluster_tts as package
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.manifest import Manifest
from cluster_tts.model import Outcome, Status
from cluster_tts.storage import LocalFolder
from tests.unit.media import videos

from .conftest import TONE, ClusterTts

TEXTS = {
    "texts/one.txt": "The first sentence is here. The second follows it.\n\nAnd a paragraph of its own.\n",
    "texts/two.md": "# Two\n\nSomething else entirely. It is short.\n",
    "texts/deep/three.txt": "Down here there is one more.\n",
}
SETTINGS = {"engine": "local", "provider.name": "tone", "provider.options.latency_s": 0}
SMALL = "chunking.max_characters=40"  # so that a paragraph is several clips


@pytest.fixture(autouse=True)
def texts(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")


def everything_in(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def outcomes(out: Path) -> list[Outcome]:
    return list(Manifest(LocalFolder(out / "manifest")).read_outcomes())


def test_a_run_leaves_one_audio_file_a_document_and_a_record(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    ended = cluster_tts("run", "texts", *TONE, "--out", "new/audio")
    assert ended.exit_code == 0
    assert ended.out == ""
    assert "whole: 3 of 3 documents whole" in ended.err
    assert "new/audio" in ended.err
    out = tmp_path / "new/audio"
    for name in "one", "two", "deep__three":
        times = json.loads((out / f"documents/{name}.json").read_text(encoding="utf-8"))
        assert sf.info(out / f"documents/{name}.wav").frames == times["frames"] == times["chunks"][-1]["end_frame"]
        assert (out / f"documents/{name}.srt").is_file()
    for name in "manifest/documents.parquet", "job.yaml", "run.log", "report.json", "report.html":
        assert (out / name).is_file()
    assert not list(out.rglob(".*")), "nothing half made is left"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "texts"]


def test_running_again_speaks_nothing_and_joins_nothing(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE)
    before = everything_in(tmp_path / "out/documents") | everything_in(tmp_path / "out/clips")
    again = cluster_tts("run", "texts", *TONE, "--json")
    assert again.exit_code == 0
    assert (again.json["totals"]["spoken"], again.json["totals"]["found"]) == (0, 0)
    assert everything_in(tmp_path / "out/documents") | everything_in(tmp_path / "out/clips") == before


def test_one_edited_sentence_is_one_clip_and_one_join(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE, SMALL)
    before = everything_in(tmp_path / "out/documents")
    path = tmp_path / "texts/one.txt"
    path.write_text(path.read_text().replace("The second follows it.", "The second is another."))
    again = cluster_tts("run", "texts", *TONE, SMALL, "--json").json
    assert (again["status"], again["totals"]["spoken"]) == ("whole", 1)
    after = everything_in(tmp_path / "out/documents")
    assert {name for name in after if after[name] != before[name]} == {"one.wav", "one.json", "one.srt", "one.vtt"}


def test_an_edit_that_nobody_hears_changes_nothing(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE)
    before = everything_in(tmp_path / "out/documents")
    path = tmp_path / "texts/one.txt"
    path.write_text(path.read_text() + "\n \n")
    for _ in range(2):
        again = cluster_tts("run", "texts", *TONE, "--json").json
        assert (again["status"], again["totals"]["spoken"]) == ("whole", 0)
    assert everything_in(tmp_path / "out/documents") == before


def test_a_plan_writes_nothing_and_is_what_the_run_then_does(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    def plans() -> list[dict[str, object]]:
        before = everything_in(tmp_path)
        told = [
            cluster_tts("plan", "texts", *TONE, SMALL, "--json").json,
            cluster_tts("run", "texts", *TONE, SMALL, "--dry-run", "--json").json,
        ]
        assert everything_in(tmp_path) == before
        return told

    plan, dry_run = plans()
    assert plan == dry_run
    assert not (tmp_path / "out").exists()
    done = cluster_tts("run", "texts", *TONE, SMALL, "--json").json
    assert (plan["clips"], plan["clips_there"]) == (done["totals"]["spoken"], 0)
    assert plan["characters_to_speak"] == done["totals"]["characters"]
    assert plan["chunks"] == done["totals"]["chunks"]
    path = tmp_path / "texts/two.md"
    path.write_text(path.read_text() + "\nOne more.\n")
    (tmp_path / "texts/one.txt").unlink()
    plan, dry_run = plans()
    assert plan == dry_run
    done = cluster_tts("run", "texts", *TONE, SMALL, "--json").json
    assert (plan["characters_to_speak"], done["totals"]["spoken"]) == (len("One more."), 1)
    assert plans()[0]["characters_to_speak"] == 0


def test_a_plan_shows_a_table_and_names_what_cannot_be_read(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    (tmp_path / "texts/empty.txt").touch()
    ended = cluster_tts("plan", "texts", *TONE)
    assert ended.exit_code == 3
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert lines[0].split() == ["document", "status", "chunks", "characters", "clips", "missing"]
    assert lines[1].split() == ["deep__three", "planned", "1", "28", "1"]
    assert (
        "  empty is unreadable: 'texts/empty.txt' has nothing to speak in it: add text to it or leave it out" in lines
    )


def test_fresh_forgets_the_manifest_and_keeps_the_clips(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    first = cluster_tts("run", "texts", *TONE, "--json").json
    clips, documents = everything_in(tmp_path / "out/clips"), everything_in(tmp_path / "out/documents")
    fresh = cluster_tts("run", "texts", *TONE, "--fresh", "--json").json
    assert (fresh["status"], fresh["totals"]["spoken"]) == ("whole", 0)
    assert fresh["totals"]["found"] == first["totals"]["spoken"]
    assert everything_in(tmp_path / "out/clips") == clips
    again = everything_in(tmp_path / "out/documents")
    assert {name: content for name, (_, content) in again.items()} == {
        name: content for name, (_, content) in documents.items()
    }
    assert all(again[name][0] > documents[name][0] for name in documents), "each document was joined again"


def test_retry_failed_speaks_what_failed_and_nothing_else(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    voice = (*TONE, SMALL, "provider.options.fail=0.5")
    first = cluster_tts("run", "texts", *voice, "retry.max_attempts=1")
    assert first.exit_code == 3
    failed = {outcome.clip_id for outcome in outcomes(tmp_path / "out") if outcome.status is Status.FAILED}
    spoken = {outcome.clip_id for outcome in outcomes(tmp_path / "out") if outcome.status is Status.SPOKEN}
    assert failed
    assert spoken
    assert "the tone was told to fail" in first.err
    assert "the tone was told to fail" in cluster_tts("status", "out").out
    (tmp_path / "texts/new.txt").write_text("This one is new.")
    second = cluster_tts("run", "texts", *voice, "retry.max_attempts=2", "--retry-failed", "--json")
    assert second.exit_code == 75, "the new document was left alone, and waits"
    assert second.json["message"].endswith("what has not been asked for yet is asked for without --retry-failed")
    assert [line["status"] for line in second.json["documents"] if line["name"] == "new"] == ["planned"]
    assert second.json["totals"]["documents_whole"] == 3
    again = {outcome.clip_id for outcome in outcomes(tmp_path / "out") if outcome.status is Status.SPOKEN} - spoken
    assert again == failed
    third = cluster_tts("run", "texts", *voice, "retry.max_attempts=2", "--json")
    assert (third.exit_code, third.json["totals"]["spoken"]) == (0, 1)


def test_sequential_is_one_request_at_a_time_and_needs_no_ray(
    cluster_tts: ClusterTts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster_tts.commands._pool", lambda job, *_: None if job.engine == "local" else 1 / 0)
    voice = ("provider.name=tone", "provider.options.latency_s=0.02")
    assert cluster_tts("run", "texts", *voice, SMALL, "--sequential").exit_code == 0
    asked = sorted(outcomes(tmp_path / "out"), key=lambda outcome: outcome.started_at)
    assert len(asked) > 3
    assert all(before.finished_at <= after.started_at for before, after in pairwise(asked))


def test_stitching_again_asks_nobody(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE, SMALL)
    clips, asked = everything_in(tmp_path / "out/clips"), len(outcomes(tmp_path / "out"))
    before = sf.info(tmp_path / "out/documents/one.wav")
    ended = cluster_tts("stitch", "out", "stitching.format=flac", "stitching.gap_ms=1000", "--json")
    assert (ended.exit_code, ended.json["status"]) == (0, "whole")
    after = sf.info(tmp_path / "out/documents/one.flac")
    assert (after.format, after.subtype) == ("FLAC", "PCM_16")
    assert after.duration > before.duration
    assert everything_in(tmp_path / "out/clips") == clips
    assert len(outcomes(tmp_path / "out")) == asked


def first_clip_of_two(folder: Path) -> Path:
    times = json.loads((folder / "out/documents/two.json").read_text(encoding="utf-8"))
    return Path(folder / "out" / times["chunks"][0]["clip"])


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-2] + b"xx")])
def test_a_document_that_cannot_be_joined_again_keeps_its_audio_and_buys_nothing(
    cluster_tts: ClusterTts, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    cluster_tts("run", "texts", *TONE)
    change(first_clip_of_two(tmp_path))
    before = (tmp_path / "out/documents/two.wav").read_bytes()
    ended = cluster_tts("stitch", "out", "stitching.gap_ms=900", "--json")
    assert (ended.exit_code, ended.json["status"]) == (3, "incomplete")
    assert ended.json["message"] == ("1 document was not joined again, for clips are gone; its audio of before is kept")
    assert {line["name"]: line["status"] for line in ended.json["documents"]}["two"] == "whole"
    assert "cluster-tts: not joined again: two\n" in ended.err
    assert (tmp_path / "out/documents/two.wav").read_bytes() == before
    again = cluster_tts("run", "texts", *TONE, "--json")
    assert (again.exit_code, again.json["totals"]["spoken"]) == (0, 0)


def test_stitching_finds_the_videos_of_a_run_from_any_folder(
    cluster_tts: ClusterTts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine of a cluster does, where Ray was started somewhere else."""
    (tmp_path / "film.srt").write_text("1\n00:00:00,200 --> 00:00:01,000\nThe ferry is late.\n")
    videos.make(tmp_path / "film.mp4")
    assert cluster_tts("run", "film.srt", *TONE).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ended = cluster_tts("stitch", "../out", "media.track=instead")
    assert ended.exit_code == 0, ended.err


def test_stitching_without_the_plan_of_a_document_is_no_success(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE)
    for path in (tmp_path / "out/manifest/plan").iterdir():
        path.unlink()
    ended = cluster_tts("stitch", "out")
    assert ended.exit_code == 75
    assert "is gone: run the run's own command again, which makes it anew" in ended.err
    assert cluster_tts("run", "texts", *TONE).exit_code == 0


@pytest.mark.parametrize("suffix", ["json", "srt", "wav"])
def test_whatever_is_gone_of_a_document_a_run_joins_it_again(
    cluster_tts: ClusterTts, tmp_path: Path, suffix: str
) -> None:
    cluster_tts("run", "texts", *TONE)
    (gone := tmp_path / f"out/documents/two.{suffix}").unlink()
    again = cluster_tts("run", "texts", *TONE, "--json")
    assert (again.exit_code, again.json["totals"]["spoken"]) == (0, 0)
    assert gone.is_file()


def test_stitching_names_the_documents_that_lack_clips(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE)
    first_clip_of_two(tmp_path).unlink()
    (tmp_path / "out/documents/two.wav").unlink()
    ended = cluster_tts("stitch", "out")
    assert ended.exit_code == 3
    assert "two is incomplete: 1 clip missing" in ended.err
    assert "1 of 3 documents are not whole\n" in ended.err, "nothing has failed that --retry-failed could speak"
    assert "2 of 3 documents whole" in ended.err
    assert cluster_tts("run", "texts", *TONE).exit_code == 0


def test_status_and_report_say_what_the_run_said(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    done = cluster_tts("run", "texts", *TONE, "--json").json
    status = cluster_tts("status", "out")
    assert status.exit_code == 0
    assert [line.split()[:2] for line in status.out.splitlines()[1:4]] == [
        [line["name"], "whole"] for line in done["documents"]
    ]
    assert "whole: 3 of 3 documents whole" in status.out
    assert cluster_tts("status", "out", "--json").json["totals"]["spoken"] == done["totals"]["spoken"]
    for name in "report.json", "report.html":
        (tmp_path / "out" / name).unlink()
    ended = cluster_tts("report", "out")
    assert (ended.exit_code, ended.err) == (0, "wrote out/report.json and out/report.html\n")
    again = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (again["status"], again["documents"]) == ("whole", done["documents"])
    assert "one" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [("status", "out"), ("stitch", "out"), ("report", "out"), ("plan", "texts", *TONE)])
def test_ctrl_c_ends_any_command_in_one_line(
    cluster_tts: ClusterTts, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def interrupt(where: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cluster_tts.storage.at", interrupt)
    ended = cluster_tts(*command, "--json")
    assert ended.exit_code == 75
    assert ended.err.strip() == "cluster-tts: interrupted; run it again"
    assert ended.json == {"status": "interrupted", "exit_code": 75, "message": "interrupted; run it again"}


def test_the_log_tells_everything_but_the_text(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE, "--verbose")
    log = (tmp_path / "out/run.log").read_text(encoding="utf-8")
    assert all(outcome.clip_id in log for outcome in outcomes(tmp_path / "out"))
    assert "sentence" not in log


# -- processes --------------------------------------------------------------------------------------------------------

IMPORTED = """
import sys
from cluster_tts.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as ended:
    print(ended.code, *({{"ray", "pyarrow", "numpy", "rich", "omegaconf", "hibari"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["plan", "texts", "provider.name=tone"], {"pyarrow", "numpy", "rich", "omegaconf"}),
    ],
)
def test_what_is_not_needed_is_not_imported(tmp_path: Path, arguments: list[str], allowed: set[str]) -> None:
    """Help comes at once; a plan for a Ray cluster can be made where Ray is not installed."""
    script = IMPORTED.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    exit_code, *imported = done.stdout.splitlines()[-1].split()
    assert exit_code == "0", done.stderr
    assert set(imported) <= allowed


def test_the_package_can_be_run_as_a_module(tmp_path: Path) -> None:
    module = [sys.executable, "-m", "cluster_tts"]
    done = subprocess.run([*module, "plan", "texts", *TONE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "3 documents" in done.stdout
    assert done.stderr == ""
    wrong = subprocess.run([*module, "run", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def start_slow_run(folder: Path, latency_s: float) -> subprocess.Popen[str]:
    """A run that has something in flight."""
    voice = ("engine=local", "provider.name=tone", f"provider.options.latency_s={latency_s}", "workers.slots=2", SMALL)
    arguments = [sys.executable, "-m", "cluster_tts", "run", "texts", *voice]
    running = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "documents 0/3" in running.stderr.readline()
    time.sleep(latency_s / 3)  # as near to the middle of a request as can be told from outside
    return running


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_in_order_and_the_same_command_continues_it(tmp_path: Path, asked_by: int) -> None:
    running = start_slow_run(tmp_path, 0.6)
    running.send_signal(asked_by)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 75, err
    assert "a second Ctrl-C ends at once" in err
    assert "run the same command again to continue" in err
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (report["status"], report["exit_code"]) == ("interrupted", 75)
    spoken = outcomes(tmp_path / "out")
    assert [outcome.status for outcome in spoken] == [Status.SPOKEN] * 2, "what was in flight has ended"
    assert not list(tmp_path.rglob("*.part"))
    again = start_slow_run(tmp_path, 0.6)
    again.communicate(timeout=20)
    assert again.returncode == 0
    everything = outcomes(tmp_path / "out")
    assert len({outcome.clip_id for outcome in everything}) == len(everything), "nothing is spoken twice"
    assert everything[:2] == spoken


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    running = start_slow_run(tmp_path, 6)
    assert running.stderr is not None
    started = time.monotonic()
    running.send_signal(signal.SIGINT)
    while "a second Ctrl-C" not in running.stderr.readline():
        pass
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 75
    assert "ended at once; run the same command again to continue" in err
    assert time.monotonic() - started < 3, "it did not wait for what was in flight"


# -- from Python ------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_and_run_from_python(in_folder: Path) -> None:
    plan = package.plan("texts", settings=SETTINGS)
    assert not (in_folder / "out").exists()
    result = package.run(["texts/one.txt", Path("texts/two.md")], Path("audio: 😀"), settings=SETTINGS)
    assert (result.exit_code, result.out) == (0, "audio: 😀")
    assert {line.name for line in result.report.documents} == {"one", "two"}
    assert len(plan.documents) == 3
    assert package.plan("texts", "audio: 😀", settings=SETTINGS).clips_there == result.report.totals["spoken"]


async def test_plan_and_run_on_a_running_loop(in_folder: Path) -> None:
    assert len((await package.plan_async("texts", settings=list(TONE))).documents) == 3
    result = await package.run_async("texts", settings=list(TONE))
    assert result.exit_code == 0
    assert (await package.plan_async("texts", settings=SETTINGS)).characters_to_speak == 0


def test_speak_gives_one_file(in_folder: Path) -> None:
    path = package.speak("Hello there.", "hello.wav", settings=SETTINGS)
    assert sf.info(path).duration > 0.5
    assert sorted(each.name for each in in_folder.iterdir()) == ["hello.wav", "texts"]


async def test_speak_on_a_running_loop(in_folder: Path) -> None:
    path = await package.speak_async("Hello there.", in_folder / "hello.wav", settings=SETTINGS)
    assert path.is_file()


@pytest.mark.parametrize(
    ("text", "path", "settings", "says"),
    [
        ("Hello.", "nowhere/hello.wav", {}, "nowhere/hello.wav"),
        ("Hello.", "texts", {}, "'texts'"),
        ("x" * 401, "hello.wav", {}, "chunking.max_characters is 400"),
        ("Hello.", "hello.wav", {"provider.voice": "sin"}, "did you mean sine"),
        ("Hello.", "hello.wav", {"gap_ms": 1}, "'gap_ms' in settings"),
        ("Hello.", "hello.wav", {"stitching.gap_ms": "x"}, "'stitching.gap_ms' in settings is 'x'"),
    ],
)
def test_what_cannot_be_spoken_from_python_is_a_job_error(
    in_folder: Path, text: str, path: str, settings: dict[str, object], says: str
) -> None:
    with pytest.raises(JobError, match=says):
        package.speak(text, path, settings={**SETTINGS, **settings})
    assert [each.name for each in in_folder.iterdir()] == ["texts"]


def test_a_text_that_cannot_be_spoken_is_a_chunk_error(in_folder: Path) -> None:
    options = {"provider.options.fail": 1, "retry.max_attempts": 1}
    with pytest.raises(ChunkError, match="told to fail"):
        package.speak("Hello.", "hello.wav", settings={**SETTINGS, **options})
    assert not (in_folder / "hello.wav").exists()


def test_settings_from_python_mean_what_they_are(in_folder: Path) -> None:
    """A text stays a text, whatever YAML would make of it."""
    settings = {**SETTINGS, "out": Path("no"), "quota.account": "on", "stitching.sample_rate": None}
    assert package.run("texts", settings=settings).out == "no"
    assert 'account: "on"' in (in_folder / "no/job.yaml").read_text().replace("'", '"')


def test_a_run_that_fails_says_so_in_report_json_over_what_an_earlier_run_said(
    cluster_tts: ClusterTts, tmp_path: Path
) -> None:
    assert cluster_tts("run", "texts", *TONE).exit_code == 0
    assert cluster_tts("run", "nowhere", *TONE).exit_code == 2
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["status"], report["exit_code"]) == ("failed", 2)
    assert "'nowhere' does not exist" in report["message"]
    assert cluster_tts("run", "texts", *TONE).exit_code == 0
    assert json.loads((tmp_path / "out/report.json").read_text())["status"] == "whole"


def test_audio_of_a_text_that_cannot_be_read_any_more_does_not_stay(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    cluster_tts("run", "texts", *TONE)
    cluster_tts("stitch", "out", "stitching.format=flac")
    (tmp_path / "texts/one.txt").write_bytes(b"\0\0\0binary")
    assert cluster_tts("run", "texts", *TONE, "stitching.format=flac").exit_code == 3
    left = sorted(path.name for path in (tmp_path / "out/documents").glob("one.*"))
    assert left == [], "neither the newest audio nor that of an earlier format"
    assert (tmp_path / "out/documents/two.flac").is_file()


async def test_a_cancelled_run_stops_speaking_and_is_recorded_as_interrupted(tmp_path: Path) -> None:
    running = asyncio.create_task(
        package.run_async(
            tmp_path / "texts", tmp_path / "out", {**SETTINGS, "provider.options.latency_s": 0.2, "workers.slots": 1}
        )
    )
    clips = tmp_path / "out" / "clips"
    while not list(clips.rglob("*.wav")):  # noqa: ASYNC110 - a file tells no event
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    made = len(list(clips.rglob("*.wav")))
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["status"], report["exit_code"]) == ("interrupted", 75)
    await asyncio.sleep(0.5)  # two more would have been spoken by now
    assert len(list(clips.rglob("*.wav"))) == made
    assert len({o.clip_id for o in outcomes(tmp_path / "out") if o.status is Status.SPOKEN}) == made
