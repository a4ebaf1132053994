"""The limiter as an actor: shared by runs, outliving workers, and killed in mid-run without a request refused."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[default]'")

from cluster_tts import config
from cluster_tts.commands import Result, RunOptions, run_job
from cluster_tts.emulator.server import Emulator, running
from cluster_tts.emulator.settings import Settings
from cluster_tts.progress import Progress

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

WINDOW_S, LIMIT, CHUNKS = 4.0, 40, 100


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(f"Sentence number {n} is one of many." for n in range(CHUNKS)))
    return path


async def run(emulator: Emulator, texts: Path, out: Path, *settings: str, options: RunOptions | None = None) -> Result:
    limits = (f"quota.requests_per_minute={LIMIT * 60 / WINDOW_S}", f"quota.window_s={WINDOW_S}")
    job = config.load(
        overrides=[
            "provider.name=openai", f"provider.base_url={emulator.url}", "provider.format=pcm", f"out={out}",
            "check.characters_per_second=null", "workers.count=2", *limits, *settings,
        ],
        environ={},
    )  # fmt: skip
    return await run_job(job, [str(texts)], asyncio.Event(), options or RunOptions())


async def test_a_limiter_killed_in_mid_run_comes_back_and_nothing_is_refused(texts: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_it(progress: Progress) -> None:
        if progress.spoken > LIMIT // 2 and not killed:
            for process in psutil.Process().children(recursive=True):
                if "_LimiterShell" in " ".join(process.cmdline()):
                    killed.append(process.pid)
                    os.kill(process.pid, signal.SIGKILL)

    limits = Settings(
        "openai",
        requests_per_minute=LIMIT * 60 / WINDOW_S,
        window_s=WINDOW_S,
        latency_s=0.3,
        characters_per_second=1000,
    )
    async with running(limits) as emulator:
        result = await run(emulator, texts, tmp_path / "out", "engine=ray", options=RunOptions(watch=kill_it))
        stats = emulator.stats()
    assert killed
    assert result.exit_code == 0
    assert stats["refused"] == {}
    assert stats["largest_window"]["requests"] <= LIMIT
    assert stats["served"] == CHUNKS, "nothing was asked for twice"


async def test_a_run_started_again_within_the_window_of_one_that_was_killed_is_not_refused(
    texts: Path, tmp_path: Path, state_dir: Path
) -> None:
    limits = Settings(
        "openai",
        requests_per_minute=LIMIT * 60 / WINDOW_S,
        window_s=WINDOW_S,
        latency_s=0.2,
        characters_per_second=1000,
    )
    async with running(limits) as emulator:
        arguments = [
            "-m", "cluster_tts", "run", str(texts), "--out", str(tmp_path / "out"), "engine=local",
            "provider.name=openai", f"provider.base_url={emulator.url}", "provider.format=pcm",
            "check.characters_per_second=null", f"quota.requests_per_minute={LIMIT * 60 / WINDOW_S}",
            f"quota.window_s={WINDOW_S}",
        ]  # fmt: skip
        first = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL, env={**os.environ}
        )
        while emulator.stats()["served"] < LIMIT // 2:  # noqa: ASYNC110 - another process works meanwhile
            await asyncio.sleep(0.05)
        first.kill()
        await first.wait()
        result = await run(emulator, texts, tmp_path / "out", "engine=local")
        stats = emulator.stats()
    assert result.exit_code == 0
    assert stats["refused"] == {}
    assert stats["largest_window"]["requests"] <= LIMIT
