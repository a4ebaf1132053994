"""Every command, query and program in README, docs, examples and jobs is run. Nothing is left out."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from cluster_tts.errors import CTTSError
from tests.storage.faulty import ENVIRONMENT

from .conftest import ClusterTts
from .desk import ELSEWHERE, Desk, Servers
from .documented import BLOCKS, SHELL, Block
from .emulating import KEY, KEYS, Emulator

LANGUAGES = {*SHELL, "text", "csv", "json", "python", "sql", "yaml"}
LEFT = re.compile(r"[a-z]+/documents/")  # of a finished run, not of OUT, which stands for any


def ids(found: list[Block]) -> Any:
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def at_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_dir: Path, cluster_tts: ClusterTts, servers: Servers
) -> Iterator[Callable[[Block], Desk]]:
    """A ``Desk`` for a block, in the environment that commands have here."""
    for name in (*ENVIRONMENT, "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "")  # so that they are as before afterwards, whoever sets them
        monkeypatch.delenv(name)
    for name, value in {
        **dict.fromkeys(KEYS.values(), KEY),
        "CLUSTER_TTS_STATE_DIR": str(state_dir),
        "CLUSTER_TTS_ENGINE": "local",
        "CLUSTER_TTS_QUOTA__BURST": "100",  # whose size need not be found out carefully
        "no_proxy": "127.0.0.1,localhost",
    }.items():
        monkeypatch.setenv(name, value)
    desks: list[Desk] = []

    def make(block: Block) -> Desk:
        desks.append(Desk(tmp_path, block, cluster_tts, servers))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES
    assert len([block for block in BLOCKS if block.language in SHELL]) > 30


def test_each_reason_not_to_run_a_command_here_is_some_command_s() -> None:
    commands = [command for block in BLOCKS if block.language in SHELL for command in block.commands]
    inner = [command.partition(" -- ")[2] for command in commands]
    assert all(any(re.match(begins, each) for each in (*commands, *inner)) for begins, _, _ in ELSEWHERE)


@pytest.mark.parametrize(
    "command",
    [
        "frobnicate texts/",
        "cluster-tts run texts/ quota.plna=tier1",
        "cluster-tts run nowhere/",
        "cluster-tts run texts/ --retry",
        "make nothing",
        "pip install '.[nothing]'",
        "kubectl apply -k k8s/overlays/nothing",
        "kubectl exec pod -- cluster-tts run nowhere/",
        "ray job stop --nothing book-1",
        "ray job submit -- python jobs/synthesize.py nowhere/",
    ],
)
def test_a_command_that_is_wrong_is_noticed(command: str, at_desk: Callable[[Block], Desk]) -> None:
    if command.startswith("ray"):
        pytest.importorskip("ray", reason="Ray is not installed: its options cannot be read")
    with pytest.raises((AssertionError, CTTSError, click.ClickException)):
        at_desk(Block("nowhere.md", 1, "", command)).run(command)


@ids([block for block in BLOCKS if block.language in SHELL])
def test_the_commands_of_a_block_do_what_they_say(block: Block, at_desk: Callable[[Block], Desk]) -> None:
    desk = at_desk(block)
    for command in block.commands:
        desk.run(command)


@ids([block for block in BLOCKS if block.language == "text" and LEFT.match(block.text)])
def test_a_job_leaves_the_files_that_its_page_names(block: Block, at_desk: Callable[[Block], Desk]) -> None:
    desk = at_desk(block)
    paths = [line.split()[0] for line in block.text.splitlines()]
    desk.finished(paths[0].partition("/")[0])
    assert [path for path in paths if not (desk.folder / path).is_file()] == []


@ids([block for block in BLOCKS if block.language == "python" and not block.file])
def test_python_runs(block: Block, at_desk: Callable[[Block], Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    at_desk(block)
    monkeypatch.setenv("CLUSTER_TTS_PROVIDER__NAME", "tone")
    exec(compile(block.text, str(block), "exec"), {})


def test_queries_answer(at_desk: Callable[[Block], Desk], cluster_tts: ClusterTts) -> None:
    """Over a run in which clips were spoken, refused, tried again and given up."""
    duckdb = pytest.importorskip("duckdb")
    at_desk(BLOCKS[0])
    faults = ("400=0.3", "500=0.2", "too_many_concurrent_requests=0.1")
    emulator = Emulator("elevenlabs", *(word for fault in faults for word in ("--fault", fault)))
    try:
        ended = cluster_tts(
            "run", "texts", "talk.txt", "voices.ADA=21m00Tcm4TlvDq8ikWAM", "voices.TOM=JBFqnCBsd6RMkjVDRZzb",
            "--out", "OUT", "provider.name=elevenlabs", f"provider.base_url={emulator.url}", "quota.plan=creator",
            "chunking.max_characters=20",
        )  # fmt: skip
    finally:
        emulator.stop()
    assert ended.exit_code == 3, ended.err
    queries = [block for block in BLOCKS if block.language == "sql"]
    assert len(queries) > 10
    with duckdb.connect() as database:
        for block in queries:
            rows = database.execute(block.text).fetchall()
            assert rows or block.text.startswith("CREATE"), f"{block} has no answer"
