"""Items of a document that lacks clips: those that lack none are there, and nothing says that it is whole."""

from pathlib import Path

import numpy as np
import soundfile as sf

from cluster_tts.assembly import order_of
from cluster_tts.checking import probe
from cluster_tts.clips import Clips
from cluster_tts.documents import find
from cluster_tts.job import CheckSettings, Job, ProviderSettings, StitchingSettings
from cluster_tts.joining import join
from cluster_tts.manifest import Manifest
from cluster_tts.planning import make_plan
from cluster_tts.storage import LocalFolder
from cluster_tts.workload import Plan

TABLE = "item,text\nv1,The first.\nv2,The second.\nv3,The third.\n"


def planned(folder: Path, joined: bool = True, table: str = TABLE) -> tuple[Job, Plan]:
    (folder / "verses.csv").write_text(table)
    job = Job(
        out=str(folder / "out"),
        provider=ProviderSettings(name="tone"),
        stitching=StitchingSettings(each_item=True, joined=joined),
        check=CheckSettings(None),
    )
    manifest = Manifest(LocalFolder(folder / "out" / "manifest"), "r1")
    return job, make_plan(job, find([str(folder / "verses.csv")]), manifest, manifest.plan_writer())


def speak(job: Job, plan: Plan, *indexes: int) -> None:
    """Have the clips of these chunks, each longer than the one before it."""
    for clip in [clip for clip in plan.clips() if clip.chunk_index in indexes]:
        number, path = clip.chunk_index, Path(Clips.of(job).address(clip.id))
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.full(800 * (number + 1), 1000, np.int16), 8_000)
        plan.completion.have(clip.id, probe(path))


def files(job: Job) -> dict[str, int]:
    documents = Path(job.out) / "documents"
    return {str(path.relative_to(documents)): path.stat().st_size for path in documents.rglob("*") if path.is_file()}


def test_what_is_whole_of_it_is_there(tmp_path: Path) -> None:
    job, plan = planned(tmp_path)
    speak(job, plan, 0, 2)
    assert join(order_of(job, plan, "verses", None, only_items=True)) is None
    assert files(job) == {"verses/v1.wav": 44 + 1600, "verses/v3.wav": 44 + 4800}


def test_where_nothing_is_there_nothing_is_written(tmp_path: Path) -> None:
    job, plan = planned(tmp_path)
    assert join(order_of(job, plan, "verses", None, only_items=True)) is None
    assert not (Path(job.out) / "documents").exists()


def test_it_is_whole_once_the_last_one_comes(tmp_path: Path) -> None:
    job, plan = planned(tmp_path, joined=False)
    speak(job, plan, 0, 2)
    join(order_of(job, plan, "verses", None, only_items=True))
    assert set(files(job)) == {"verses/v1.wav", "verses/v3.wav"}
    speak(job, plan, 1)
    joined = join(order_of(job, plan, "verses", None))
    assert joined is not None
    assert joined.path == "documents/verses.json"
    assert set(files(job)) == {
        "verses/v1.wav", "verses/v2.wav", "verses/v3.wav", "verses.json", "verses.srt", "verses.vtt",
    }  # fmt: skip


def test_the_name_of_an_item_is_its_own_whichever_are_there(tmp_path: Path) -> None:
    job, plan = planned(tmp_path, table="item,text\n0002,The first.\n,The second.\n")
    speak(job, plan, 1)
    join(order_of(job, plan, "verses", None, only_items=True))
    assert files(job) == {"verses/0002-2.wav": 44 + 3200}
    speak(job, plan, 0)
    join(order_of(job, plan, "verses", None))
    assert files(job)["verses/0002.wav"] == 44 + 1600
    assert files(job)["verses/0002-2.wav"] == 44 + 3200
