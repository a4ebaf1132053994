"""Sources as they lie about: beside what runs have left, and among files that are nobody's text."""

import json
from pathlib import Path

import pytest

from .conftest import TONE, ClusterTts


@pytest.mark.parametrize("out", ["out", "."])
def test_the_same_command_continues_although_out_lies_among_the_sources(
    out: str, cluster_tts: ClusterTts, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("A sentence.")
    (tmp_path / "b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nA cue.\n")
    command = "run", ".", "--out", out, "--json", *TONE
    first, second = cluster_tts(*command), cluster_tts(*command)
    assert (first.exit_code, first.json["totals"]["spoken"]) == (0, 2)
    assert (second.exit_code, second.json["totals"]["spoken"]) == (0, 0)
    assert [line["name"] for line in second.json["documents"]] == ["a", "b"]


def test_no_documents_items_stand_where_anothers_audio_is(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    for name in "a.csv", "a.wav.csv":
        (tmp_path / name).write_text("id,text\n1:1,One.\n1_1,Two.\n")
    ended = cluster_tts("run", "a.csv", "a.wav.csv", "stitching.each_item=true", "--json", *TONE)
    assert ended.exit_code == 0
    for name in "a", "a_wav":
        document = json.loads((tmp_path / "out" / "documents" / f"{name}.json").read_text())
        assert [item["item"] for item in document["items"]] == ["1:1", "1_1"]


def test_a_folder_of_texts_may_hold_other_data(cluster_tts: ClusterTts, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, content in {
        "a.txt": "A sentence.",
        "notes.txt": "TODO: buy milk.\nFIXME: the door.\n",
        "log.jsonl": '{"source": "https://x"}\n',
        "data.csv": "x,y\n1,2\n",
    }.items():
        (tmp_path / "in" / name).write_text(content)
    ended = cluster_tts("run", "in", "--json", *TONE)
    assert (ended.exit_code, [line["name"] for line in ended.json["documents"]]) == (0, ["a", "notes"])
    assert "'in/log.jsonl' is left out" in ended.err
