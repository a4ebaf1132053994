"""The job files over their providers' emulators, with the documents in ``examples``.

Order and items are read back from the sound, voices from the emulator's log, pauses and times from ``<name>.json``.
"""

import csv
import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import soundfile as sf

from cluster_tts.emulator.speech import digest_of, read_back_file

from .emulating import KEY, KEYS, Emulator, over, run_aside

EXAMPLES = Path(__file__).parents[2] / "examples"
VERSES, WORDS = EXAMPLES / "scripture" / "chapters.csv", EXAMPLES / "vocabulary" / "words.csv"
ESSAY, BATCH = EXAMPLES / "reading" / "on-paths.txt", EXAMPLES / "languages" / "batch.csv"
DUBBING, DIGEST = EXAMPLES / "dubbing", EXAMPLES / "digest"
RACHEL, GEORGE = "21m00Tcm4TlvDq8ikWAM", "JBFqnCBsd6RMkjVDRZzb"
COLUMNS = ("word", "definition", "sentence")
SUBTITLES = ("lighthouse.srt", "ferry.srt", "interview.vtt", "market.ass")
OF_DUBBING, OF_DIGEST = {"ADA": "nova", "TOM": "echo"}, {"ADA": RACHEL, "TOM": GEORGE}


@dataclass(frozen=True)
class Account:
    """A provider's emulator, and runs of a job over it in a folder."""

    provider: str
    emulator: Emulator
    folder: Path

    def run(self, job: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        given = (*map(str, arguments), "-c", job, *over(self.provider, self.emulator))
        engine = () if "--sequential" in given else ("engine=local",)
        own = {KEYS[self.provider]: KEY, "CLUSTER_TTS_STATE_DIR": str(self.folder / "state")}
        return run_aside(self.folder, *given, *engine, **own)

    def log(self) -> list[dict[str, Any]]:
        return [entry for entry in self.emulator.log() if entry["text"]]

    def voices(self) -> dict[int, set[str]]:
        """The voices that each text was asked for with, by its digest."""
        found: dict[int, set[str]] = defaultdict(set)
        for entry in self.log():
            for digest, voice in entry["said"]:
                found[int(digest, 16)].add(voice)
        return found


@contextmanager
def account(provider: str, folder: Path, *options: str) -> Iterator[Account]:
    emulator = Emulator(provider, "--log", "10000", *options)
    try:
        yield Account(provider, emulator, folder)
    finally:
        emulator.stop()


@dataclass(frozen=True)
class Done:
    """What a job left in OUT."""

    account: Account
    ended: subprocess.CompletedProcess[str]

    @property
    def documents(self) -> Path:
        return self.account.folder / "out" / "documents"

    def told(self, name: str) -> Any:
        return json.loads((self.documents / f"{name}.json").read_text(encoding="utf-8"))

    def heard(self, path: str) -> list[int]:
        return [found.digest for found in read_back_file(self.documents / path)]


def finish(account: Account, job: str, *arguments: str | Path) -> Done:
    ended = account.run(job, *arguments)
    assert ended.returncode == 0, ended.stderr
    return Done(account, ended)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def words_of(told: Any) -> str:
    return letters("".join(chunk["text"] for chunk in told["chunks"]))


def pauses_ms(told: Any) -> list[int]:
    return [round(1000 * chunk["gap_frames"] / told["rate"]) for chunk in told["chunks"][:-1]]


class TestScripture:
    @pytest.fixture(scope="class")
    @classmethod
    def verses(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The first five of each chapter."""
        table = tmp_path_factory.mktemp("verses") / "chapters.csv"
        lines = VERSES.read_text(encoding="utf-8").splitlines(keepends=True)
        table.write_text("".join([*lines[:6], *lines[21:26]]), encoding="utf-8")
        return table

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, verses: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
        with account("openai", tmp_path_factory.mktemp("scripture")) as one:
            yield finish(one, "scripture", verses)

    def test_every_verse_is_a_file_that_says_it(self, done: Done, verses: Path) -> None:
        for verse in rows(verses):
            assert done.heard(f"{verse['document']}/{verse['item']}.mp3") == [digest_of(verse["text"])], verse["item"]
        assert len(list(done.documents.glob("*/*"))) == len(rows(verses)) == 10

    @pytest.mark.parametrize("chapter", ["stones-1", "stones-2"])
    def test_a_chapter_is_its_verses_in_order(self, done: Done, verses: Path, chapter: str) -> None:
        texts = [row["text"] for row in rows(verses) if row["document"] == chapter]
        assert done.heard(f"{chapter}.mp3") == [digest_of(text) for text in texts]

    @pytest.mark.parametrize("chapter", ["stones-1", "stones-2"])
    def test_verses_are_a_short_pause_apart(self, done: Done, chapter: str) -> None:
        assert pauses_ms(done.told(chapter)) == [450] * 4

    def test_a_verse_that_is_added_is_the_only_one_asked_for(self, verses: Path, tmp_path: Path) -> None:
        table = tmp_path / "chapters.csv"
        shutil.copy(verses, table)
        with account("openai", tmp_path / "run") as one:
            finish(one, "scripture", table)
            asked = len(one.log())
            with table.open("a", encoding="utf-8") as file:
                file.write("stones-2,2-21,And whoever reads this has already begun.\n")
            done = finish(one, "scripture", table)
            assert [entry["text"] for entry in one.log()[asked:]] == ["And whoever reads this has already begun."[:40]]
        assert done.heard("stones-2/2-21.mp3") == [digest_of("And whoever reads this has already begun.")]
        assert len(done.heard("stones-2.mp3")) == 6


class TestVocabulary:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
        with account(
            "cartesia", tmp_path_factory.mktemp("vocabulary"), "--max-concurrent", "3", "--latency", "0.1"
        ) as one:
            yield finish(one, "vocabulary", WORDS, "quota.plan=pro")

    def test_every_word_has_three_clips_named_by_it(self, done: Done) -> None:
        wanted = {f"{row['word']}-{column}.mp3": digest_of(row[column]) for row in rows(WORDS) for column in COLUMNS}
        assert {path.name for path in (done.documents / "words").iterdir()} == set(wanted)
        assert {name: done.heard(f"words/{name}") for name in wanted} == {name: [d] for name, d in wanted.items()}

    def test_each_is_spoken_by_the_voice_of_its_row(self, done: Done) -> None:
        voices = done.account.voices()
        for row in rows(WORDS):
            assert [voices[digest_of(row[column])] for column in COLUMNS] == [{row["voice"]}] * 3, row["word"]

    def test_nothing_is_joined(self, done: Done) -> None:
        assert not (done.documents / "words.mp3").exists()
        assert done.told("words")["audio"] is None

    def test_the_plan_of_the_account_is_kept_and_used(self, done: Done) -> None:
        stats = done.account.emulator.stats()
        assert stats["refused"] == {}
        assert stats["in_flight"]["peak"] == 3

    def test_a_word_that_is_added_is_all_that_is_asked_for(self, tmp_path: Path) -> None:
        table = tmp_path / "words.csv"
        table.write_text("".join(WORDS.read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8")
        with account("cartesia", tmp_path / "run") as one:
            finish(one, "vocabulary", table)
            asked = len(one.log())
            with table.open("a", encoding="utf-8") as file:
                file.write(f"ebb,The going out of the tide.,Wait for the ebb and walk.,{rows(WORDS)[0]['voice']}\n")
            finish(one, "vocabulary", table)
            texts = {entry["text"] for entry in one.log()[asked:]}
        assert texts == {"ebb", "The going out of the tide.", "Wait for the ebb and walk."}


class TestDubbing:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
        with account("openai", tmp_path_factory.mktemp("dubbing")) as one:
            yield finish(one, "dubbing", DUBBING, *(f"voices.{name}={voice}" for name, voice in OF_DUBBING.items()))

    def speech(self, done: Done, name: str, words: str) -> Any:
        return next(chunk for chunk in done.told(name)["chunks"] if words in chunk["text"])

    @pytest.mark.parametrize("file", SUBTITLES)
    def test_every_cue_begins_on_time_or_says_how_late_it_is(self, done: Done, file: str) -> None:
        told = done.told(Path(file).stem)
        starts_ms = sorted(event.start for event in pysubs2.load(str(DUBBING / file)) if not event.is_comment)
        assert sorted(round(1000 * cue["start_s"]) for cue in told["cues"]) == starts_ms
        firsts = [cue for cue in told["cues"] if cue["start_frame"] is not None]
        assert len(firsts) == len({cue["chunk"] for cue in told["cues"]})
        for cue in firsts:
            chunk = told["chunks"][cue["chunk"]]
            late_s = cue["start_frame"] / told["rate"] - cue["start_s"]
            assert late_s == pytest.approx(chunk["shift_s"], abs=0.02)
            assert ("shift" in cue["did"]) == (chunk["shift_s"] > 0)
            assert chunk["shift_s"] <= 0.4

    def test_sound_is_where_the_report_says(self, done: Done) -> None:
        told = done.told("market")
        heard = [found.start_s for found in read_back_file(done.documents / "market.wav")]
        assert heard == pytest.approx([chunk["start_frame"] / told["rate"] for chunk in told["chunks"]], abs=0.02)

    def test_cues_of_one_sentence_are_one_speech(self, done: Done) -> None:
        told = done.told("lighthouse")
        whole = "This is the last lighthouse on the coast that is still looked after by a person, and the person is"
        assert told["chunks"][0]["text"] == f"{whole} eighty-one."
        assert [cue["chunk"] for cue in told["cues"][:4]] == [0, 0, 0, 1]

    def test_speakers_have_their_voices(self, done: Done) -> None:
        voices = done.account.voices()
        said = re.findall(r"<v (\w+)>(.+)", (DUBBING / "interview.vtt").read_text(encoding="utf-8"))
        assert len(said) == 6
        for name, words in said:
            text = re.sub("<[^>]*>", "", words).replace("&amp;", "&")
            assert voices[digest_of(text)] == {OF_DUBBING[name]}, text
        assert {tuple(voices[digest_of(chunk["text"])]) for chunk in done.told("market")["chunks"]} == {("onyx",)}

    def test_speech_that_is_too_long_takes_the_space_behind_it_first_and_then_hurries(self, done: Done) -> None:
        assert self.speech(done, "ferry", "Then somebody opens")["did"] == ["space"]
        hurried = set(self.speech(done, "lighthouse", "There are one hundred")["did"])
        assert hurried & {"speed", "stretch"}
        assert "over" not in hurried
        assert self.speech(done, "lighthouse", "Below the lamp")["shift_s"] == 0

    def test_a_cue_that_lasts_no_time_is_spoken(self, done: Done) -> None:
        assert self.speech(done, "ferry", "Ropes!")["slot"] == {"start_s": 8.0, "end_s": 8.0}


class TestDigest:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
        with account("elevenlabs", tmp_path_factory.mktemp("digest"), "--max-concurrent", "5") as one:
            voices = (f"voices.{name}={voice}" for name, voice in OF_DIGEST.items())
            yield finish(one, "digest", DIGEST, "quota.plan=creator", *voices)

    def turns(self) -> list[tuple[str, str]]:
        script = re.sub(r"\[[^]]*\]", " ", (DIGEST / "two-keepers.txt").read_text(encoding="utf-8"))
        said = [line.partition(": ")[::2] for line in script.splitlines() if line.strip()]
        return [(name, " ".join(words.split())) for name, words in said]

    def test_the_narrative_is_whole_and_in_order(self, done: Done) -> None:
        told = done.told("night-shift")
        assert words_of(told) == letters((DIGEST / "night-shift.md").read_text(encoding="utf-8"))
        assert done.heard("night-shift.mp3") == [digest_of(chunk["text"]) for chunk in told["chunks"]]

    def test_every_turn_is_heard_in_order_without_stage_directions(self, done: Done) -> None:
        assert done.heard("two-keepers.mp3") == [digest_of(words) for _, words in self.turns()]

    def test_every_turn_has_the_voice_of_its_speaker(self, done: Done) -> None:
        voices = done.account.voices()
        for name, words in self.turns():
            assert voices[digest_of(words)] == {OF_DIGEST[name]}, words

    def test_turns_share_requests(self, done: Done) -> None:
        shared = [entry for entry in done.account.log() if len(entry["said"]) > 1]
        assert sum(len(entry["said"]) for entry in shared) == len(self.turns())
        assert len(shared) <= 3
        assert all(entry["characters"] <= 1800 for entry in shared)

    def test_a_speaker_without_a_voice_is_named_before_anything_is_paid(self, tmp_path: Path) -> None:
        with account("elevenlabs", tmp_path) as one:
            ended = one.run("digest", DIGEST / "two-keepers.txt", f"voices.ADA={RACHEL}")
            assert ended.returncode == 2
            assert "TOM" in ended.stderr
            assert one.log() == []


class TestReading:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
        with account("replicate", tmp_path_factory.mktemp("reading"), "--latency", "0.02") as one:
            yield finish(one, "reading", ESSAY, "quota.plan=standard")

    def test_short_chunks_are_heard_in_order(self, done: Done) -> None:
        told = done.told("on-paths")
        assert max(len(chunk["text"]) for chunk in told["chunks"]) <= 300
        assert words_of(told) == letters(ESSAY.read_text(encoding="utf-8"))
        assert done.heard("on-paths.wav") == [digest_of(chunk["text"]) for chunk in told["chunks"]]

    def test_chunks_of_a_paragraph_overlap_by_silence_and_paragraphs_stand_apart(self, done: Done) -> None:
        told = done.told("on-paths")
        inside = [a["paragraph"] == b["paragraph"] for a, b in pairwise(told["chunks"])]
        assert {ms for ms, same in zip(pauses_ms(told), inside, strict=True) if same} == {0}
        assert {ms for ms, same in zip(pauses_ms(told)[1:], inside[1:], strict=True) if not same} == {700}
        overlaps = [after["overlap_frames"] for after, same in zip(told["chunks"][1:], inside, strict=True) if same]
        assert set(overlaps) == {round(0.06 * told["rate"])}

    def test_the_length_is_exact_to_the_sample(self, done: Done) -> None:
        told = done.told("on-paths")
        length = sum(chunk["end_frame"] - chunk["start_frame"] for chunk in told["chunks"])
        length += sum(chunk["gap_frames"] - chunk["overlap_frames"] for chunk in told["chunks"])
        assert sf.info(done.documents / "on-paths.wav").frames == told["frames"] == length

    def test_one_request_at_a_time_gives_the_same_bytes(self, done: Done, tmp_path: Path) -> None:
        with account("replicate", tmp_path) as one:
            alone = finish(one, "reading", ESSAY, "quota.plan=standard", "--sequential")
            assert one.emulator.stats()["in_flight"]["peak"] == 1
        assert done.account.emulator.stats()["in_flight"]["peak"] > 1
        first, second = (each.documents / "on-paths.wav" for each in (done, alone))
        assert first.read_bytes() == second.read_bytes()


class TestLanguages:
    @pytest.fixture(scope="class")
    @classmethod
    def documents(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("languages")
        ended = run_aside(folder, str(BATCH), "-c", "languages", "engine=local")
        assert ended.returncode == 0, ended.stderr
        return folder / "out" / "documents"

    def test_every_row_is_a_document_of_its_name(self, documents: Path) -> None:
        assert {path.stem for path in documents.glob("*.opus")} == {row["name"] for row in rows(BATCH)}

    def test_every_document_is_the_whole_text_of_its_file(self, documents: Path) -> None:
        for row in rows(BATCH):
            told = json.loads((documents / f"{row['name']}.json").read_text(encoding="utf-8"))
            assert words_of(told) == letters((BATCH.parent / row["source"]).read_text(encoding="utf-8"))

    def test_every_script_is_spoken(self, documents: Path) -> None:
        for path in documents.glob("*.opus"):
            assert 5 < sf.info(path).duration < 60, path.name

    def test_one_text_in_two_voices_is_two_sounds(self, tmp_path: Path) -> None:
        (tmp_path / "text.txt").write_text("Добрый день.\n", encoding="utf-8")
        (tmp_path / "batch.csv").write_text(
            "source,voice,name\ntext.txt,ru,one\ntext.txt,ru-LV,two\n", encoding="utf-8"
        )
        ended = run_aside(tmp_path / "run", str(tmp_path / "batch.csv"), "-c", "languages", "engine=local")
        assert ended.returncode == 0, ended.stderr
        one, two = (json.loads((tmp_path / f"run/out/documents/{name}.json").read_text()) for name in ("one", "two"))
        assert one["chunks"][0]["clip_id"] != two["chunks"][0]["clip_id"]
