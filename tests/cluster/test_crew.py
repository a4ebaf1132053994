"""The Ray engine: same bytes as the local one, also when a worker is killed; nothing stays behind."""

import asyncio
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from cluster_tts import config
from cluster_tts.clips import Clips
from cluster_tts.cluster.crew import RayCrew
from cluster_tts.commands import Result, RunOptions, run_job
from cluster_tts.completion import SOUND_DTYPE
from cluster_tts.errors import DocumentError, JobError
from cluster_tts.job import StitchingSettings
from cluster_tts.joining import JoinOrder
from cluster_tts.lending import Ledger, Orders
from cluster_tts.manifest import Manifest, PlanLocation
from cluster_tts.model import Status
from cluster_tts.progress import Progress
from cluster_tts.refilling import RefilledQueue
from cluster_tts.stitching import Piece
from cluster_tts.storage import LocalFolder

pytestmark = [
    pytest.mark.ray,
    # Ray leaves sockets and files to the garbage collector; that is not ours to mend.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TONE = ("provider.name=tone", "provider.options.latency_s=0.05", "provider.options.characters_per_second=100")
UNJUDGED = "check.characters_per_second=null"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(4):
        paragraphs = [f"Document {number}, paragraph {n}, says something of its own. " * 3 for n in range(30)]
        (folder / f"document-{number}.txt").write_text("\n\n".join(paragraphs))
    return folder


def run(texts: Path, out: Path, *settings: str, watch: Callable[[Progress], None] = lambda progress: None) -> Result:
    job = config.load(overrides=[*TONE, UNJUDGED, f"out={out}", *settings], environ={})
    return asyncio.run(run_job(job, [str(texts)], asyncio.Event(), RunOptions(watch=watch)))


def digests(out: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((out / "documents").glob("*.wav"))
    }


def actors(of: str) -> list[psutil.Process]:
    """Processes of this run's Ray that carry actors of the class ``of``."""
    return [p for p in psutil.Process().children(recursive=True) if of in " ".join(p.cmdline())]


def workers() -> list[psutil.Process]:
    return actors("_WorkerShell")


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    before = set(Path("/tmp").glob(f"ctts-{os.getpid()}-*"))
    running = {p.pid for p in psutil.Process().children(recursive=True)}
    yield
    children = [p for p in psutil.Process().children(recursive=True) if p.pid not in running]
    left = [p.name() for p in children if p.status() != psutil.STATUS_ZOMBIE]
    assert not left, "no process of a private Ray outlives its run"
    assert set(Path("/tmp").glob(f"ctts-{os.getpid()}-*")) == before
    assert not (Path.home() / ".ray" / "auth_token").exists()


def test_ray_gives_the_same_bytes_as_one_process_also_when_a_worker_is_killed(texts: Path, tmp_path: Path) -> None:
    local = run(texts, tmp_path / "local", "engine=local")
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.spoken > 10 and not killed and (found := workers()):
            killed.append(found[0].pid)
            os.kill(found[0].pid, signal.SIGKILL)

    ray = run(texts, tmp_path / "ray", "engine=ray", "workers.slots=2", watch=kill_one)
    assert (local.exit_code, ray.exit_code) == (0, 0)
    assert len(killed) == 1
    assert digests(tmp_path / "ray") == digests(tmp_path / "local")
    assert len(digests(tmp_path / "ray")) == 4
    outcomes = list(Manifest(LocalFolder(tmp_path / "ray" / "manifest")).read_outcomes())
    spoken = [o.clip_id for o in outcomes if o.status is Status.SPOKEN]
    found = {o.clip_id for o in outcomes if o.status is Status.FOUND}  # stored by the one that died before it told
    assert len({*spoken, *found}) == 120
    assert len(spoken) <= 120 + 2, "at most what was in flight at the kill is spoken twice"
    assert len({o.worker for o in outcomes}) >= 3, "the dead worker was replaced"


def test_a_queue_that_is_killed_is_replaced_and_nothing_is_spoken_twice_or_left_out(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.spoken > 20 * (len(killed) + 1) and len(killed) < 2 and (found := actors("TaskQueue")):
            killed.append(found[0].pid)
            found[0].kill()

    ray = run(texts, tmp_path / "ray", "engine=ray", "workers.slots=2", watch=kill)
    assert ray.exit_code == 0
    assert len(killed) == 2
    outcomes = list(Manifest(LocalFolder(tmp_path / "ray" / "manifest")).read_outcomes())
    assert Counter(o.status for o in outcomes) == {Status.SPOKEN: 120}
    assert len({o.clip_id for o in outcomes}) == 120
    assert len({o.worker for o in outcomes}) == 2, "the workers live on"
    assert not capsys.readouterr().out, "stdout is ours"


def test_a_worker_found_dead_while_the_queue_is_asked_is_told_of_the_next_time() -> None:
    told: list[tuple[str, ...]] = []
    crew = RayCrew(config.load(overrides=TONE, environ={}))

    class Busy:
        async def exchange(self, orders: Orders, workers: Callable[[], Collection[str]]) -> Ledger:
            told.append(tuple(orders.dead))
            crew._dead.append(f"w{len(told)}")
            return Ledger((), 0, 0)

    crew._queue = cast(RefilledQueue, Busy())

    async def ask() -> None:
        for _ in range(3):
            await crew._ask_queue()

    asyncio.run(ask())
    assert told == [(), ("w1",), ("w2",)]


def test_the_limiter_actor_keeps_the_accounts_quota_for_all_workers(texts: Path, tmp_path: Path) -> None:
    result = run(
        texts, tmp_path / "out", "quota.requests_per_minute=2400", "quota.window_s=1",
        "quota.max_concurrent_requests=3", "provider.options.latency_s=0.02",
    )  # fmt: skip
    assert result.exit_code == 0
    outcomes = [
        o for o in Manifest(LocalFolder(tmp_path / "out" / "manifest")).read_outcomes() if o.status is Status.SPOKEN
    ]
    left = sorted(o.started_at + o.gate_wait_s for o in outcomes)
    assert len(left) == 120
    # 40 a window of 1.1 s with its guard: the 81st leaves two windows after the first. Were the limit kept by each of
    # the two workers for itself, it would be half of that. Slowness can only make it more.
    assert left[80] - left[0] > 1.8
    spans = sorted((o.started_at + o.gate_wait_s, o.started_at + o.gate_wait_s + o.latency_s) for o in outcomes)
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) <= 3


def test_a_clip_swapped_behind_our_back_is_noticed_when_joined_and_spoken_again(texts: Path, tmp_path: Path) -> None:
    swapped: list[str] = []

    def swap(progress: Progress) -> None:
        clips = sorted((tmp_path / "out" / "clips").rglob("*.wav"))
        if len(clips) > 1 and not swapped:
            swapped.append(clips[0].stem)
            clips[0].write_bytes(clips[1].read_bytes())

    result = run(texts, tmp_path / "out", "workers.slots=1", watch=swap)
    run(texts, tmp_path / "local", "engine=local")
    assert result.exit_code == 0
    assert digests(tmp_path / "out") == digests(tmp_path / "local")
    spoken = Counter(o.clip_id for o in Manifest(LocalFolder(tmp_path / "out" / "manifest")).read_outcomes())
    assert [clip for clip, times in spoken.items() if times > 1] == swapped


def test_an_error_that_stops_a_worker_stops_the_run_in_its_own_words(texts: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"

    def take_away(progress: Progress) -> None:
        if progress.spoken and clips.is_dir():
            clips.rename(tmp_path / "gone")
            clips.write_text("no folder any more")

    # Whoever notices first: a worker that stores a clip, or a task that joins.
    with pytest.raises(JobError, match=f"^cannot (write clips to|use) '{clips}[^']*'.*Not a directory") as error:
        run(texts, tmp_path / "out", f"clips.dir={clips}", watch=take_away)
    assert error.value.exit_code == 75
    assert "\n" not in str(error.value)


def test_a_cluster_that_is_not_there_is_named(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"cannot join the Ray cluster at '127\.0\.0\.1:1'"):
        run(texts, tmp_path / "out", "cluster.address='127.0.0.1:1'")


def test_a_document_that_cannot_be_joined_says_so_in_its_own_words(tmp_path: Path) -> None:
    class Lost(JoinOrder):
        def pieces(self) -> Iterator[Piece]:
            raise DocumentError("'a.opus' cannot be written as opus")

    folder = LocalFolder(tmp_path)
    order = Lost(
        "a",
        PlanLocation(folder, "part", (), 0),
        np.zeros(0, SOUND_DTYPE),
        folder,
        Clips(folder, "wav"),
        StitchingSettings(),
    )
    crew = RayCrew(config.load(overrides=[*TONE, f"out={tmp_path}", "workers.count=1"], environ={}))

    async def joined() -> None:
        await crew.hire()
        try:
            await crew.join(order)
        finally:
            await crew.aclose()

    with pytest.raises(DocumentError) as error:
        asyncio.run(joined())
    assert str(error.value) == "'a.opus' cannot be written as opus"
