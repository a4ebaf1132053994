"""Does a joined document hold exactly the samples of its clips, where its JSON says? Imports nothing it judges.

    python benchmarks/verify_document.py OUT NAME

Reads OUT/documents/NAME.json, the clips it names (below OUT), the audio, and its items; one line, exit code 0 or 1.
Clips must be 16 bit, mono, and of the rate of the document: others are resampled, and have no sample to compare with;
the audio must be WAV or FLAC. What is stretched is judged by its place and its loudness only.

A chunk is ``clip[skip_frames:]`` times ``gain``, its first ``fade_in_frames`` and last ``fade_out_frames`` under half
a cosine. Where it overlaps the one before it by ``overlap_frames`` both are under a quarter of a sine; in a document
with a ``timeline`` they are only added up.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

BLOCK_FRAMES = 65_536
ON_TIME_S = 0.02

Chunk = dict[str, Any]


def check(out: Path, name: str) -> str:
    """What was found right, as a line; ``ValueError`` names the first thing that is wrong."""
    times = json.loads((out / "documents" / f"{name}.json").read_text(encoding="utf-8"))
    chunks = times["chunks"]
    check_places(times)
    if times["audio"]:
        check_file(out / "documents" / times["audio"], times["sha256"], chunks, (0, times["frames"]), out, times)
    for item in times.get("items", ()):
        span = item["start_frame"], item["end_frame"]
        demand(item["frames"], span[1] - span[0], f"the length of item '{item['item']}'")
        check_file(out / item["path"], item["sha256"], list(chunks_of(item, chunks)), span, out, times)
    cues, items = len(times.get("cues", ())), len(times.get("items", ()))
    return f"{len(chunks)} chunks, {cues} cues, {items} items, {times['frames']} frames, every sample is right"


def check_places(times: dict[str, Any]) -> None:
    """Whether the places of all chunks agree with each other, and with the times they were to have."""
    chunks, heard_until, gap = times["chunks"], 0, 0
    demand([chunk["index"] for chunk in chunks], list(range(len(chunks))), "the order of the chunks")
    for chunk in in_time_order(chunks):
        start, what = chunk["start_frame"], f"of chunk {chunk['index']}"
        if "timeline" in times:
            common = max(0, min(chunk["end_frame"], heard_until) - start)
            demand(chunk["overlap_frames"], common, f"the overlap {what}")
            if start > heard_until > 0:
                demand(start, heard_until + gap, f"the start {what}")
        else:
            demand(start, heard_until + gap - chunk["overlap_frames"], f"the start {what}")
        heard_until, gap = max(heard_until, chunk["end_frame"]), chunk["gap_frames"]
    demand(heard_until + gap, times["frames"], "the sum of all chunks and gaps")
    for cue in times.get("cues", ()):
        chunk = chunks[cue["chunk"]]
        if cue["start_frame"] is not None:
            demand(cue["start_frame"], chunk["start_frame"], f"the start of the cue at {cue['start_s']} s")
            late_s = chunk["start_frame"] / times["rate"] - cue["start_s"]
            if abs(late_s - chunk["shift_s"]) > ON_TIME_S or (late_s > ON_TIME_S and "shift" not in cue["did"]):
                raise ValueError(f"the cue at {cue['start_s']} s begins {late_s:.3f} s late, and nothing tells of it")


def chunks_of(item: dict[str, Any], chunks: list[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        inside = item["start_frame"] <= chunk["start_frame"] and chunk["end_frame"] <= item["end_frame"]
        if inside and chunk.get("item", f"{chunk['paragraph'] + 1:04}") == item["item"]:
            yield chunk


def check_file(
    path: Path, sha256: str, chunks: list[Chunk], span: tuple[int, int], out: Path, times: dict[str, Any]
) -> None:
    """Whether the audio at ``path`` is what the clips of ``chunks`` make of the frames of ``span``."""
    with path.open("rb") as file:
        demand(hashlib.file_digest(file, "sha256").hexdigest(), sha256, f"the digest of {path.name}")
    with sf.SoundFile(path) as audio:
        demand((audio.samplerate, audio.channels, audio.subtype), (times["rate"], 1, "PCM_16"), "the format")
        demand(audio.frames, span[1] - span[0], f"the length of {path.name}")
        position, ahead = span[0], in_time_order(chunks)
        speaking: list[tuple[int, np.ndarray | None, int]] = []  # from where, what (None: stretched), until where
        while position < span[1]:
            end = min(position + BLOCK_FRAMES, span[1])
            while ahead and ahead[0]["start_frame"] < end:
                chunk = ahead.pop(0)
                speaking.append((chunk["start_frame"], heard(chunk, chunks, out, times), chunk["end_frame"]))
            check_block(audio.read(end - position, dtype="int16"), position, speaking, path.name)
            speaking = [each for each in speaking if each[2] > end]
            position = end


def check_block(
    found: np.ndarray, position: int, speaking: list[tuple[int, np.ndarray | None, int]], name: str
) -> None:
    wanted, unknown, exact = np.zeros(len(found)), np.zeros(len(found), bool), np.ones(len(found), bool)
    for start, samples, end in speaking:
        first, last = max(start, position), min(end, position + len(found))
        if samples is None:
            unknown[first - position : last - position] = True
        elif first < last:
            part = samples[first - start : last - start]
            wanted[first - position : last - position] += part
            exact[first - position : last - position] &= part == np.rint(part)
    wanted = np.clip(np.rint(wanted), -32768, 32767)
    wrong = ~unknown & (np.abs(wanted - found) > np.where(exact, 0, 1))
    if wrong.any():
        where = position + int(wrong.argmax())
        raise ValueError(f"{name} has {found[wrong.argmax()]} where {wanted[wrong.argmax()]:.0f} is due, frame {where}")


def heard(chunk: Chunk, chunks: list[Chunk], out: Path, times: dict[str, Any]) -> np.ndarray | None:
    """The samples of one chunk, as they are to stand in the document; None where it is stretched."""
    number, frames = chunk["index"], chunk["end_frame"] - chunk["start_frame"]
    if chunk.get("stretch", 1.0) != 1.0:
        return None
    with sf.SoundFile(out / chunk["clip"]) as clip:
        demand((clip.samplerate, clip.channels), (times["rate"], 1), f"the format of the clip of chunk {number}")
        samples = clip.read(dtype="int16")
    skipped = chunk.get("skip_frames", 0)
    part = samples[skipped : skipped + frames].astype(float)
    demand(len(part), frames, f"the length of chunk {number}")
    if chunk["gain"] != 1.0:
        part = np.clip(np.rint(part * chunk["gain"]), -32768, 32767)
    after = next((each for each in chunks if each["index"] == number + 1), None)
    fades = [(part, cosine(chunk.get("fade_in_frames", 0))), (part[::-1], cosine(chunk.get("fade_out_frames", 0)))]
    if "timeline" not in times:
        fades += [(part, sine(chunk["overlap_frames"])), (part[::-1], sine(after["overlap_frames"] if after else 0))]
    for edge, ramp in fades:
        edge[: len(ramp)] *= ramp
    return part


def cosine(frames: int) -> np.ndarray:
    return (1 - np.cos(np.pi * (np.arange(frames) + 0.5) / max(frames, 1))) / 2


def sine(frames: int) -> np.ndarray:
    return np.sin(np.pi / 2 * (np.arange(frames) + 0.5) / max(frames, 1))


def in_time_order(chunks: list[Chunk]) -> list[Chunk]:
    return sorted(chunks, key=lambda chunk: chunk["start_frame"])


def demand(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise ValueError(f"{what} is {found}, not {wanted}")


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    out, name = sys.argv[1:]
    try:
        print(f"{name}: {check(Path(out), name)}")
    except (ValueError, KeyError, OSError, sf.LibsndfileError) as error:
        print(f"{name}: WRONG: {error!r}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
