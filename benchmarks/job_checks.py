"""Is what a job left what its documents ask for? Reads the documents by itself, and of ours only ``<name>.json``.

Each check answers with what is wrong, a line each. Texts are compared by their letters; order, items and speakers by
the digests heard and by the emulator's log; pauses by the JSON, and by listening whether there is silence.
"""

import csv
import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import soundfile as sf
from heard import Finished, digest_of, digests, finished, letters, loud_ends, silent_between, voices_by_digest
from subtitle_check import check as check_times
from subtitle_check import parse

Log = list[dict[str, Any]]
Gap = Callable[[dict[str, Any], dict[str, Any]], Iterable[int]]

AROUND_S = 0.012  # the ear has steps of 4 ms, and encoders shift everything by the same
CODEC_S = 0.08  # what an encoder may smear or shift at the edges of a pause
MOST_SHIFT_S = 0.4
OTHER_TAG = re.compile(r"</?(?!v\b)[^>]*>")  # than the one that names a speaker
WORD_COLUMNS = ("word", "definition", "sentence")


@dataclass(frozen=True)
class Expected:
    """A document as it should be: its items by name with the text of each, in reading order."""

    name: str
    items: dict[str, str]


def scripture(source: Path, out: Path, log: Log) -> list[str]:
    """Every verse an item and a part of its chapter, 450 ms apart."""
    wrong = []
    documents = finished(out)
    for expected in _tables(source, lambda row: row["document"], lambda row: {row["item"]: row["text"]}):
        found = documents.get(expected.name)
        if found is None:
            wrong.append(f"there is no document '{expected.name}'")
            continue
        wrong += _items(out, expected, "mp3")
        wrong += _order(found, list(expected.items.values()))
        wrong += _pauses(found, lambda before, after: {450})
    return wrong + _asked_once(log)


def vocabulary(source: Path, out: Path, log: Log) -> list[str]:
    """Three clips a word, in the voice of its row, and nothing joined."""
    wrong = []
    (expected,) = _tables(source, lambda row: source.stem, _clips_of)
    wrong += _items(out, expected, "mp3")
    if (out / "documents" / f"{source.stem}.mp3").exists():
        wrong.append("the items were joined, which nobody asked for")
    voices = voices_by_digest(log)
    for row in _rows(source):
        for column in WORD_COLUMNS:
            wrong += _voiced(row[column], row["voice"], voices)
    return wrong + _asked_once(log)


def dubbing(folder: Path, out: Path, log: Log, voices: dict[str, str], usual: str) -> list[str]:
    """Every cue on time, and in the voice of its speaker."""
    wrong = []
    documents = finished(out)
    for source in sorted(folder.iterdir()):
        if source.stem not in documents:
            wrong.append(f"there is no document '{source.stem}'")
            continue
        found = documents[source.stem]
        wrong += [f"{source.name}: {each}" for each in check_times(source, found, MOST_SHIFT_S).wrong]
        wrong += _speakers(source, found, voices_by_digest(log), voices, usual)
    return wrong


def digest(folder: Path, out: Path, log: Log, voices: dict[str, str], usual: str) -> list[str]:
    """Narrative whole and in order, and of the dialogue every turn in the voice of its speaker."""
    documents, spoken = finished(out), voices_by_digest(log)
    wrong = []
    for source in sorted(folder.iterdir()):
        if source.stem not in documents:
            wrong.append(f"there is no document '{source.stem}'")
            continue
        found, content = documents[source.stem], source.read_text(encoding="utf-8")
        turns = dialogue(content, voices)
        if turns:
            for name, text in turns:
                wrong += _voiced(text, voices[name], spoken)
            wrong += _order(found, [text for _, text in turns], by_chunk=False)
            wrong += _pauses(found, lambda before, after: {250, 350, 600})
        else:
            wrong += _whole(found, content)
            wrong += _order(found, [chunk["text"] for chunk in found.chunks])
            wrong += _pauses(found, lambda before, after: {250, 600, 900})
            wrong += [line for chunk in found.chunks for line in _voiced(chunk["text"], usual, spoken)]
    return wrong + _asked_once(log)


def reading(source: Path, out: Path, log: Log) -> list[str]:
    """Chunks of at most 300 characters in order, overlapping inside a paragraph, 700 ms between two."""
    content = source.read_text(encoding="utf-8")
    found = finished(out)[source.stem]
    wrong = _whole(found, content) + _order(found, [chunk["text"] for chunk in found.chunks])
    wrong += [f"chunk {chunk['index']} is too long" for chunk in found.chunks if len(chunk["text"]) > 300]
    title = content.partition("\n")[0]

    def gap(before: dict[str, Any], after: dict[str, Any]) -> set[int]:
        if before["paragraph"] == after["paragraph"]:
            return {0}
        return {700, 900} if before["text"] == title else {700}  # a title may be a heading

    wrong += _pauses(found, gap)
    inside = [after for before, after in pairwise(found.chunks) if before["paragraph"] == after["paragraph"]]
    wrong += [f"chunk {chunk['index']} does not overlap" for chunk in inside if not 0 < _ms(found, chunk) <= 60]
    if found.chunks[-1]["end_frame"] != found.frames:
        wrong.append(f"the last chunk ends at {found.chunks[-1]['end_frame']} of {found.frames} frames")
    return wrong + _asked_once(log)


def languages(batch: Path, out: Path) -> list[str]:
    """Every row of the batch a document of its name, whole, and as long as its text."""
    documents = finished(out)
    wrong = []
    for row in _rows(batch):
        found = documents.get(row["name"])
        if found is None or found.audio is None:
            wrong.append(f"there is no document '{row['name']}'")
            continue
        wrong += _whole(found, (batch.parent / row["source"]).read_text(encoding="utf-8"))
        start_s, end_s = loud_ends(found.audio)
        if not 5 < end_s - start_s < 120:
            wrong.append(f"'{row['name']}' is {end_s - start_s:.1f} s of sound")
    return wrong


def dialogue(content: str, voices: Iterable[str]) -> list[tuple[str, str]]:
    """Who says what in a script: names that have a voice, directions in square brackets left out."""
    turns: list[tuple[str, str]] = []
    for line in re.sub(r"\[[^\]]*\]", " ", content).splitlines():
        name, colon, words = line.partition(":")
        if colon and name in voices:
            turns.append((name, words))
        elif turns and line.strip():
            turns[-1] = (turns[-1][0], f"{turns[-1][1]} {line}")
    return [(name, " ".join(words.split())) for name, words in turns]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _clips_of(row: dict[str, str]) -> dict[str, str]:
    return {f"{row['word']}-{column}": row[column] for column in WORD_COLUMNS}


def _tables(
    source: Path, name: Callable[[dict[str, str]], str], items: Callable[[dict[str, str]], dict[str, str]]
) -> list[Expected]:
    found: dict[str, dict[str, str]] = {}
    for row in _rows(source):
        found.setdefault(name(row), {}).update(items(row))
    return [Expected(*each) for each in found.items()]


def _items(out: Path, expected: Expected, suffix: str) -> list[str]:
    """Exactly the files that are expected, and in each the text of its item."""
    folder = out / "documents" / expected.name
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    wanted = {f"{item}.{suffix}" for item in expected.items}
    wrong = [f"'{expected.name}' has no item '{name}'" for name in sorted(wanted - there)]
    wrong += [f"'{expected.name}' has '{name}', which is no item" for name in sorted(there - wanted)]
    for item, text in expected.items.items():
        if f"{item}.{suffix}" in there:
            heard = [digest for digest, _ in digests(folder / f"{item}.{suffix}")]
            if heard != [digest_of(text)]:
                wrong.append(f"item '{item}' of '{expected.name}' says something else")
    return wrong


def _order(found: Finished, texts: Sequence[str], by_chunk: bool = True) -> list[str]:
    """All texts are heard in their order; where each is a chunk, at the distances that the JSON has."""
    assert found.audio is not None
    heard = digests(found.audio)
    if [digest for digest, _ in heard] != [digest_of(text) for text in texts]:
        missing = {digest_of(text) for text in texts} - {digest for digest, _ in heard}
        return [f"'{found.name}': heard {len(heard)} texts, {len(texts)} expected in order, {len(missing)} not at all"]
    if not by_chunk:
        return []
    starts = [chunk["start_frame"] / found.rate for chunk in found.chunks]
    shifts = [at_s - start_s for (_, at_s), start_s in zip(heard, starts, strict=True)]
    return [
        f"'{found.name}': chunk {number} is heard {1000 * (shift - shifts[0]):+.0f} ms from where the others are"
        for number, shift in enumerate(shifts)
        if abs(shift - shifts[0]) > AROUND_S
    ]


def _pauses(found: Finished, allowed: Gap) -> list[str]:
    """Between two chunks a pause that is configured, and silence in it."""
    assert found.audio is not None
    wrong = []
    edge = round(CODEC_S * found.rate)
    with sf.SoundFile(found.audio) as audio:
        for before, after in pairwise(found.chunks):
            gap = before["gap_frames"]
            wanted = {round(found.rate * ms / 1000) for ms in allowed(before, after)}
            if gap not in wanted:
                wrong.append(f"'{found.name}': {1000 * gap / found.rate:.0f} ms after chunk {before['index']}")
            start, end = before["end_frame"] + edge, before["end_frame"] + gap - edge
            if end > start and not silent_between(audio, start, end):
                wrong.append(f"'{found.name}': no silence after chunk {before['index']}")
    return wrong


def _whole(found: Finished, content: str) -> list[str]:
    return [] if letters(found.text) == letters(content) else [f"'{found.name}' is not the text of its document"]


def _voiced(text: str, voice: str, spoken: dict[str, set[str]]) -> list[str]:
    """Whether a text was asked for with this voice and with no other."""
    found = spoken.get(digest_of(text), set())
    return [] if found == {voice} else [f"'{text[:30]}' is spoken by {sorted(found) or 'nobody'}, not by {voice}"]


def _speakers(
    source: Path, found: Finished, spoken: dict[str, set[str]], voices: dict[str, str], usual: str
) -> list[str]:
    """Each chunk in the voice of whoever the file says at the time of its cue."""
    content = html.unescape(OTHER_TAG.sub("", source.read_text(encoding="utf-8")))
    said_by = {
        letters("".join(cue.lines)): next(
            (voice for name, voice in voices.items() if any(f"<v {name}>{line}" in content for line in cue.lines)),
            usual,
        )
        for cue in parse(source)
    }
    wrong = []
    for chunk in found.chunks:
        own = letters(chunk["text"])
        wanted = {voice for words, voice in said_by.items() if words and words in own}
        if len(wanted) != 1 or spoken.get(digest_of(chunk["text"])) != wanted:
            wrong.append(f"{source.name}: '{chunk['text'][:30]}' is not spoken by {sorted(wanted)}")
    return wrong


def _asked_once(log: Log) -> list[str]:
    """Nobody was refused, and nothing was asked for twice."""
    refused = sum(1 for entry in log if entry["refused"])
    asked = [(digest, voice) for entry in log for digest, voice in entry["said"]]
    wrong = [f"{refused} requests were refused"] if refused else []
    twice = len(asked) - len(set(asked))
    return wrong + ([f"{twice} texts were asked for twice"] if twice else [])


def _ms(found: Finished, chunk: dict[str, Any]) -> float:
    return 1000 * chunk["overlap_frames"] / found.rate
