"""What kubectl makes of the folders in k8s/: the objects that would be applied."""

import shutil
import subprocess
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
K8S = ROOT / "k8s"
OVERLAYS = sorted(folder.name for folder in (K8S / "overlays").iterdir())
SETUPS = ["setup", "setup-volume"]

Manifest = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which renders the overlays")


def rendered(name: str) -> list[Manifest]:
    """The objects of an overlay, or of what is set up once; the caller may change them."""
    return deepcopy(_rendered(name))


def of_kind(documents: list[Manifest], kind: str) -> Manifest:
    """The only one of its kind."""
    [found] = [document for document in documents if document["kind"] == kind]
    return found


@cache
def _rendered(name: str) -> list[Manifest]:
    folder = K8S / name if name in SETUPS else K8S / "overlays" / name
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
