"""Who may import whom: down, or to the right within a row, as the table says. Read from the imports themselves."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cluster_tts"

ROWS = [
    ["model", "errors", "job", "ranges", "catalogue", "config", "keys", "logs"],
    [
        "audio",
        "containers",
        "plausibility",
        "balance",
        "cutting",
        "chunking",
        "casting",
        "timeline",
        "pacing",
        "context",
        "lending",
        "task_queue",
        "refilling",
        "quota",
        "patience",
        "timeouts",
        "staffing",
        "forecast",
        "timeline",
        "stretch",
        "resampling",
        "loudness",
        "prices",
        "completion",
        "claims",
        "gauge",
        "figures",
        "progress",
        "report",
        "columns",
        "report_page",
        "sealed_json",
    ],
    [
        "scratch",
        "storage",
        "damage",
        "durability",
        "decoding",
        "checking",
        "clips",
        "landmarks",
        "documents",
        "manifest",
        "media",
        "stitching",
        "providers",
        "limiter",
        "fencing",
        "record",
        "reservations",
        "spending",
        "workspace",
        "emulator",
    ],
    ["worker", "synthesis", "attempts", "joining"],
    ["workload", "drafting", "planning", "missing", "watching", "assembly", "pipeline"],
    ["local", "cluster"],
    ["cli", "display", "live", "watched", "api", "commands", "endings", "afterwards", "saved_job", "submitted"],
]
"""Lowest row first; within a row a module may import those to its left or right as long as there is no circle."""

LEVEL = {module: level for level, row in enumerate(ROWS) for module in row}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.stem.startswith("__"))


def part(path: Path) -> str:
    """The module or folder of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, at_import_only: bool = False) -> set[str]:
    """The parts of the package that a file imports."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_import_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cluster_tts"):
            inner = node.module.split(".")[1:2]
            found.update(inner or (alias.name for alias in node.names))
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("cluster_tts."))
    return {name for name in found if not name.startswith("__")} - {part(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_or_along_a_row(path: Path) -> None:
    level = LEVEL[part(path)]
    upwards = {name for name in imports(path) if LEVEL[name] > level}
    assert not upwards, f"{part(path)} may not import {upwards}"


def test_every_module_has_a_place_in_the_table() -> None:
    assert {part(path) for path in modules()} == set(LEVEL)


def test_no_two_parts_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        graph.setdefault(part(path), set()).update(imports(path, at_import_only=True))
    for start in graph:
        seen, waiting = set(), list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        assert start not in seen, f"{start} imports itself by way of others"


def test_only_cluster_knows_ray_and_only_config_knows_omegaconf() -> None:
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert "ray" not in names or part(path) == "cluster"
        assert "omegaconf" not in names or part(path) == "config"
