"""Names of files: none leads out of its folder, whatever wrote it."""

from pathlib import Path

import pytest

from cluster_tts.clips import file_name
from cluster_tts.errors import JobError
from cluster_tts.storage import LocalFolder
from cluster_tts.storage.bucket import BucketFolder


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a/..", "..", "a\0b"])
def test_no_verb_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (outside := tmp_path / "x").write_text("stays")
    (folder := LocalFolder(tmp_path / "folder")).make()
    for verb in (folder.read, folder.size, folder.remove, folder.open, folder.address, lambda name: folder / name):
        with pytest.raises(JobError, match="leads out of"):
            verb(name)
    with pytest.raises(JobError, match="leads out of"):
        folder.write(name, b"harm")
    with pytest.raises(JobError, match="leads out of"):
        BucketFolder("s3://bucket/run", "").address(name)
    assert outside.read_text() == "stays"


@pytest.mark.parametrize("name", ["a..b", "..a/b", "a/b.c", ".hidden"])
def test_dots_in_a_name_are_no_way_out(tmp_path: Path, name: str) -> None:
    (folder := LocalFolder(tmp_path)).write(name, b"here")
    assert folder.read(name) == b"here"


@pytest.mark.parametrize("clip", ["../../x", "/etc/x", "..", "", "a/b", "a\n"])
def test_a_clip_id_that_is_a_path_is_none(clip: str) -> None:
    with pytest.raises(JobError, match="is no clip"):
        file_name(clip, "wav")
