"""Sources as they lie about: beside what runs have left, and among files that are nobody's text."""

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
