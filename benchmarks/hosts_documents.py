"""Documents of every kind for ``hosts``: texts with and without headings, a table of several, subtitles.

No two chunks are alike, and each differs from all others in its first characters, so that what is paid twice is known.
"""

import csv
from pathlib import Path

from quota_runs import texts

PARAGRAPHS, ROWS, CUES = 8, 6, 9
SLOT_S, PAUSE_S = 4.0, 0.5


def write(folder: Path, count: int) -> None:
    """So many documents: a quarter of them subtitles, a sixth in one table, the others texts."""
    folder.mkdir(parents=True)
    subtitles, tabled = count // 4, count // 6
    for number in range(count - subtitles - tabled):
        spoken = texts(f"T{number:02}", PARAGRAPHS)
        if number % 5 == 4:
            heading = f"# Chapter {number} of the harbour"
            (folder / f"chapter-{number:02}.md").write_text("\n\n".join([heading, *spoken]) + "\n")
        else:
            (folder / f"text-{number:02}.txt").write_text("\n\n".join(spoken) + "\n")
    for number in range(subtitles):
        (folder / f"film-{number:02}.srt").write_text(_subtitles(texts(f"S{number:02}", CUES, (30, 70))))
    with (folder / "verses.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["document", "item", "text"])
        for number in range(tabled):
            for item, text in enumerate(texts(f"V{number:02}", ROWS, (40, 120)), 1):
                table.writerow([f"verses-{number:02}", f"{number}-{item:02}", text])


def _subtitles(spoken: list[str]) -> str:
    return "\n".join(
        f"{number}\n{_clock((number - 1) * SLOT_S)} --> {_clock(number * SLOT_S - PAUSE_S)}\n{text}\n"
        for number, text in enumerate(spoken, 1)
    )


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(at_s, 60)
    return f"00:{int(minutes):02}:{int(seconds):02},{round(at_s % 1 * 1000):03}"
