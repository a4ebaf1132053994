"""Does a joined WAV hold exactly the samples of its clips, and silence between them? Imports nothing it judges.

    python benchmarks/verify_document.py OUT NAME

Reads OUT/documents/NAME.json, the clips it names (below OUT) and the WAV; one line, exit code 0 or 1. Clips must be
16 bit, mono, and of the rate of the document: others are resampled, and have no sample to compare with.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

BLOCK_FRAMES = 65_536


def check(out: Path, name: str) -> str:
    """What was found right, as a line; ``ValueError`` names the first thing that is wrong."""
    folder = out / "documents"
    times = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    path = folder / times["audio"]
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != times["sha256"]:
            raise ValueError("the digest is another")
    with sf.SoundFile(path) as joined:
        demand((joined.samplerate, joined.channels, joined.subtype), (times["rate"], 1, "PCM_16"), "the format")
        demand(joined.frames, times["frames"], "the length")
        position = 0
        for number, chunk in enumerate(times["chunks"]):
            demand(chunk["index"], number, "the index of a chunk")
            demand(chunk["start_frame"], position, f"the start of chunk {number}")
            with sf.SoundFile(out / chunk["clip"]) as clip:
                demand(
                    (clip.samplerate, clip.channels), (times["rate"], 1), f"the format of the clip of chunk {number}"
                )
                demand(clip.frames, chunk["end_frame"] - position, f"the length of chunk {number}")
                for block in clip.blocks(BLOCK_FRAMES, dtype="int16"):
                    if not np.array_equal(joined.read(len(block), dtype="int16"), block):
                        raise ValueError(f"chunk {number} has other samples than its clip")
            if np.any(joined.read(chunk["gap_frames"], dtype="int16")):
                raise ValueError(f"the gap after chunk {number} is not silent")
            position = chunk["end_frame"] + chunk["gap_frames"]
        demand(position, joined.frames, "the sum of all chunks and gaps")
    return f"{len(times['chunks'])} chunks, {position} frames, every sample is right"


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
