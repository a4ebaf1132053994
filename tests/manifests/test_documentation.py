"""What docs/kubernetes.md says is there, is there."""

import re

from tests.manifests.rendering import K8S, OVERLAYS, ROOT

TEXT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def test_every_path_in_it_exists() -> None:
    for path in re.findall(r"\bk8s/[\w./-]*\w", TEXT):
        assert (ROOT / path).exists(), path


def test_every_overlay_is_in_its_table_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", TEXT, re.MULTILINE)) == OVERLAYS


def test_objects_that_commands_name_are_there() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in K8S.rglob("*.yaml"))
    for name in re.findall(r"secret generic ([\w-]+)", TEXT):
        assert f"secretRef: {{name: {name}," in text
    for name in re.findall(r"svc/([\w-]+)-head-svc", TEXT):
        assert f"name: {name} " in text
