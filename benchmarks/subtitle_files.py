"""Ten subtitle files as the world has them, the same for the same seed: srt, vtt and ass, 200 to 2,000 cues each."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ENGLISH = (
    "harbour lantern winter quiet morning keeper letter window bridge river stone garden market answer story engine "
    "the a and of under beside without before again never always maybe came went held found left wrote carried waited"
)
ARABIC = "البحر المدينة الصباح الباب الكتاب الطريق القمر الشجرة قال ذهبت رأينا كان في على من تحت بعد قبل هناك هنا"
HEBREW = "הים העיר הבוקר הדלת הספר הדרך הירח העץ אמר הלכה ראינו היה על מתחת אחרי לפני שם כאן עכשיו אתמול"
JAPANESE = "灯台 港 朝 手紙 窓 橋 川 石 庭 市場 静かな 小さな は が を に で も 来た 行った 見つけた 書いた 待っていた"
TAGS = ("<i>{}</i>", "<b>{}</b>", '<font color="#ffcc00">{}</font>', "{{\\an8}}{}", "♪ {} ♪", "<i>{}")
SPEAKERS = ("ADA", "TOM")


@dataclass(frozen=True)
class Cue:
    """A cue as it is written into a file: what its text looks like there, and who says it, if anybody is named."""

    start_s: float
    end_s: float
    text: str
    speaker: str = ""


@dataclass(frozen=True)
class Recipe:
    """A file to be made: cues are as long as ``pace`` characters a second ask for, sentences ``most_cues`` cues."""

    name: str
    cues: int
    words: str
    pace: tuple[float, float] = (12.0, 17.0)
    pauses_s: tuple[float, float] = (0.0, 0.1)
    rests_s: tuple[float, float] = (0.2, 2.0)
    blank: str = " "
    stop: str = "."
    most_cues: int = 3
    spoil: Callable[[random.Random, list[Cue]], list[Cue]] = lambda chance, cues: cues


def recipes() -> list[Recipe]:
    """Each with a trouble of its own."""
    return [
        Recipe("talk.srt", 2_000, ENGLISH),
        Recipe("quick.srt", 1_500, ENGLISH, pace=(21.0, 34.0), rests_s=(0.0, 0.4)),
        Recipe("overlap.ass", 800, ENGLISH, spoil=_overlapping),
        Recipe("broken.srt", 600, ENGLISH, spoil=_broken),
        Recipe("tags.srt", 500, ENGLISH, most_cues=1, spoil=_tagged),
        Recipe("arabic.srt", 400, ARABIC, pace=(12.0, 20.0), stop="؟", spoil=_right_to_left),
        Recipe("hebrew.vtt", 300, HEBREW, pace=(12.0, 20.0), spoil=_right_to_left),
        Recipe("japanese.srt", 700, JAPANESE, pace=(4.0, 7.0), blank="", stop="。"),
        Recipe("speakers.vtt", 1_000, ENGLISH, most_cues=1, spoil=_spoken),
        Recipe("gaps.ass", 200, ENGLISH, rests_s=(3.0, 30.0), spoil=_far_apart),
    ]


def write(folder: Path, scale: float = 1.0, seed: int = 6) -> list[Path]:
    """Make all ten, with so many of their cues (at least 20 each)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, recipe in enumerate(recipes()):
        chance = random.Random(1_000 * seed + number)
        cues = make(replace(recipe, cues=max(20, round(recipe.cues * scale))), chance)
        paths.append(folder / recipe.name)
        paths[-1].write_text(WRITERS[paths[-1].suffix](cues), encoding="utf-8", newline="\n")
    return paths


def make(recipe: Recipe, chance: random.Random) -> list[Cue]:
    """The cues of one file: sentences that go on over several, then what is wrong with it."""
    vocabulary = recipe.words.split()
    cues: list[Cue] = []
    at_s = round(chance.uniform(0.2, 3.0), 3)
    while len(cues) < recipe.cues:
        parts = chance.randint(1, recipe.most_cues)
        for part in range(parts):
            words = [chance.choice(vocabulary) for _ in range(chance.randint(2, 9))]
            if part == 0:
                words[0] = words[0].capitalize()
            text = recipe.blank.join(words) + (recipe.stop if part == parts - 1 else "")
            end_s = round(at_s + max(0.7, len(text) / chance.uniform(*recipe.pace)), 3)
            cues.append(Cue(at_s, end_s, text))
            at_s = round(end_s + chance.uniform(*recipe.pauses_s), 3)
        at_s = round(at_s + chance.uniform(*recipe.rests_s), 3)
    return recipe.spoil(chance, cues[: recipe.cues])


def _overlapping(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    """Every fifth begins while the one before is still there; every second is somebody else's."""
    found = []
    for number, cue in enumerate(cues):
        if number and number % 5 == 0:
            before = cues[number - 1]
            start_s = before.start_s + chance.uniform(0.1, 0.9) * (before.end_s - before.start_s)
            cue = replace(cue, start_s=round(start_s, 2))
        found.append(replace(cue, start_s=round(cue.start_s, 2), speaker=SPEAKERS[number % 2]))
    return found


def _broken(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    """Of no length, with the end before the start, empty, out of order."""
    found = []
    for number, cue in enumerate(cues):
        match number % 10:
            case 1:
                cue = replace(cue, end_s=cue.start_s)
            case 3:
                cue = replace(cue, end_s=max(0.0, round(cue.start_s - 1.5, 3)))
            case 5:
                cue = replace(cue, text=chance.choice(("", "♪", "...", "<i></i>")))
            case 7:
                cue = replace(cue, text=cue.text.replace(" ", "\n", 1))
        found.append(cue)
    for at in range(10, len(found) - 1, 40):
        found[at], found[at + 1] = found[at + 1], found[at]
    return found


def _tagged(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    return [replace(cue, text=chance.choice(TAGS).format(cue.text)) for cue in cues]


def _right_to_left(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    """With the marks that editors put around lines, and a number now and then."""
    marks = ("\u202b{}\u202c", "\u200f{}", "{}\u200f", "{} 12", "{}")
    return [replace(cue, text=chance.choice(marks).format(cue.text)) for cue in cues]


def _spoken(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    """By one of two speakers, or by both in one cue."""
    found = []
    for number, cue in enumerate(cues):
        if number % 7 == 3:
            first, _, rest = cue.text.partition(" ")
            cue = replace(cue, text=f"- {first}?\n- {rest.capitalize() or 'Yes.'}")
            found.append(cue)
        else:
            found.append(replace(cue, speaker=chance.choice(SPEAKERS)))
    return found


def _far_apart(chance: random.Random, cues: list[Cue]) -> list[Cue]:
    """And one silence of ten minutes."""
    half = len(cues) // 2
    later = [replace(cue, start_s=cue.start_s + 600, end_s=cue.end_s + 600) for cue in cues[half:]]
    return [replace(cue, start_s=round(cue.start_s, 2)) for cue in (*cues[:half], *later)]


def _srt(cues: list[Cue]) -> str:
    return "\n".join(
        f"{number}\n{clock(cue.start_s, ',')} --> {clock(cue.end_s, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues, 1)
    )


def _vtt(cues: list[Cue]) -> str:
    def lines() -> Iterator[str]:
        yield "WEBVTT\n\nSTYLE\n::cue { color: white }\n\nNOTE Written for cluster_tts.\n"
        for number, cue in enumerate(cues, 1):
            said = f"<v {cue.speaker}>{cue.text}" if cue.speaker else cue.text
            placed = " align:start position:10%" if number % 9 == 0 else ""
            yield f"{clock(cue.start_s, '.')} --> {clock(cue.end_s, '.')}{placed}\n{said.replace('&', '&amp;')}\n"

    return "\n".join(lines())


ASS_HEAD = """[Script Info]
Title: Made for cluster_tts
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H00FFFFFF,0,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not to be spoken
"""


def _ass(cues: list[Cue]) -> str:
    def line(number: int, cue: Cue) -> str:
        text = cue.text.replace("\n", "\\N")
        text = f"{{\\i1}}{text}{{\\i0}}" if number % 6 == 0 else text
        times = f"{clock(cue.start_s, '.')[1:-1]},{clock(cue.end_s, '.')[1:-1]}"
        return f"Dialogue: 0,{times},Default,{cue.speaker},0,0,0,,{text}\n"

    return ASS_HEAD + "".join(line(number, cue) for number, cue in enumerate(cues, 1))


def clock(seconds: float, point: str) -> str:
    """``hh:mm:ss.mmm`` with the decimal mark that a format has."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{ms:03}"


WRITERS = {".srt": _srt, ".vtt": _vtt, ".ass": _ass}
