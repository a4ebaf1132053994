"""What README, docs, examples and jobs name is there: links, settings, files of settings, columns, kinds of error."""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from cluster_tts import config
from cluster_tts.emulator import EMULATORS
from cluster_tts.errors import JobError
from cluster_tts.gauge import Gauge
from cluster_tts.manifest.schemas import DOCUMENTS, OUTCOMES, PLAN
from cluster_tts.model import Status
from cluster_tts.providers.answers import Meaning
from cluster_tts.providers.replicate import ENDED_BADLY

from .documented import BLOCKS, PAGES, ROOT, Block, prose

NO_SETTINGS = {"docs/metrics.md": "scrape_configs"}  # YAML of others, by its first key
COLUMN = re.compile(r"^\| `(\w+)` \| (.+?) \| ", re.MULTILINE)
TABLES = {"plan": PLAN, "outcomes": OUTCOMES, "documents": DOCUMENTS}
RAISED = ("RetryLater", "ChunkError", "AccountRefused")


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language in ("yaml", "json")], ids=str)
def test_files_of_settings_are_used_by_a_command_and_others_are_whole(block: Block) -> None:
    content = yaml.safe_load(block.text)
    if block.file:
        used = [each for each in BLOCKS if each.page == block.page and f"-c {block.file}" in each.text]
        assert used, f"{block}: no command takes {block.file}"
    elif block.language == "yaml":
        assert NO_SETTINGS[block.page] in content
    else:
        assert json.loads(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_settings_that_are_named_exist_and_take_the_value_that_is_named(page: Path) -> None:
    for key, value in _settings_in(prose(page)):
        free = any(key.startswith(f"{table}.") for table in config.FREE)
        assert key in {*config.ALL_KEYS, *config.SECTIONS} or free, key
        if value not in ("", "..."):
            assert any(_is_taken(f"{key}={value}", provider) for provider in ("hibari", *EMULATORS)), f"{key}={value}"


def _settings_in(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of settings in a text, but for what the report calls like them."""
    gauge = Gauge()
    gauge.course = [1.0]
    reported = {f"quota.{name}" for name in gauge.as_dict() or ()}
    for code in re.findall(r"`([^`\n]+)`", text):
        for word in code.replace('"', "").split():
            setting = re.fullmatch(r"((\w+)(?:\.\w+)+)(?:\.\*)?(?:=(.*))?", word)
            if setting and setting[2] in config.SECTIONS | config.FREE and setting[1] not in reported:
                yield setting[1], setting[3] or ""


def _is_taken(setting: str, provider: str) -> bool:
    with suppress(JobError):
        config.load([], ["stitching.each_item=true", f"provider.name={provider}", setting], environ={})
        return True
    return False


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_the_manifest_is_described_and_no_other(name: str) -> None:
    duckdb = pytest.importorskip("duckdb")

    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    table = pa.table({field.name: pa.array([], field.type) for field in TABLES[name]}, schema=TABLES[name])
    with duckdb.connect() as database:
        database.register("files", table)
        types = {column: kind for column, kind, *_ in database.execute("DESCRIBE files").fetchall()}
    expected = [(each.name, types[each.name] + "?" * each.nullable) for each in TABLES[name]]
    assert COLUMN.findall(next(each for each in section if each.startswith(f"{name}\n"))) == expected


def test_every_status_and_every_kind_of_error_is_described_and_no_other_kind() -> None:
    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    assert all(f"`{status}`" in text for status in Status)
    rows = re.findall(
        r"^\| (`.*?`) \| [^|]+ \|$", text.partition("| `error_kind` | what")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert sorted(kind for row in rows for kind in re.findall(r"`(\w+)`", row)) == sorted(set(_kinds()))


def _kinds() -> Iterator[str]:
    """The kinds that errors are made with anywhere in the package."""
    yield from (meaning.value for meaning in Meaning)
    yield from ENDED_BADLY.values()
    yield from ("worker_died", "fetch_failed")  # told by the queue, of nothing that was raised; passed on by replicate
    for path in (ROOT / "cluster_tts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
                given = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "kind")]
                yield from (each.value for each in given if isinstance(each, ast.Constant))
            elif isinstance(node, ast.ClassDef) and node.name in RAISED:
                defaults = next(each.args.defaults for each in node.body if isinstance(each, ast.FunctionDef))
                yield from (each.value for each in defaults if isinstance(each, ast.Constant) and each.value)
