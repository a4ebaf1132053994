"""Cues beside the audio: WebVTT with speakers, and rows in reading order."""

import io
import json

import numpy as np

from cluster_tts.model import Role, Sound
from cluster_tts.stitching.layout import PLACE
from cluster_tts.stitching.order import Piece
from cluster_tts.stitching.times import Times


def written(*pieces: tuple[int, Piece]) -> list[str]:
    files = [io.StringIO() for _ in range(3)]
    times = Times(files, {"rate": 10})
    for number, piece in pieces:
        place = np.zeros((), PLACE)[()]
        place["start"], place["end"] = 10 * number, 10 * number + 5
        times.add(number, piece, place, {})
    times.close({"frames": 1}, {})
    return [file.getvalue() for file in files]


def piece(number: int, text: str = "Hello.", **role: object) -> Piece:
    return Piece(number, 0, text, "clip", Sound(1, 1, 1, ""), Role(**role))  # type: ignore[arg-type]


def test_webvtt_names_who_speaks_and_escapes_what_would_be_markup() -> None:
    _, srt, vtt = written((0, piece(0, "1 < 2 & 3\n\n-->", speaker="Tom\n& <Jerry>")), (1, piece(1)))
    assert vtt == (
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:00.500\n<v Tom &amp; &lt;Jerry&gt;>1 &lt; 2 &amp; 3\n--&gt;\n\n"
        "2\n00:00:01.000 --> 00:00:01.500\nHello.\n\n"
    )
    assert srt.startswith("1\n00:00:00,000 --> 00:00:00,500\n1 < 2 & 3\n-->\n\n2\n00:00:01,000")


def test_rows_stand_in_reading_order_whatever_is_heard_first() -> None:
    measured, _, _ = written(*((number, piece(number)) for number in (2, 0, 1, 3)))
    assert [row["index"] for row in json.loads(measured)["chunks"]] == [0, 1, 2, 3]


def test_a_row_says_of_its_role_what_there_is_to_say() -> None:
    measured, _, _ = written((0, piece(0, speaker="A", item="x", heading=True)), (1, piece(1)))
    first, second = json.loads(measured)["chunks"]
    assert (first["speaker"], first["item"], first["heading"]) == ("A", "x", True)
    assert not {"speaker", "item", "heading", "fade_in_frames", "skip_frames"} & second.keys()
