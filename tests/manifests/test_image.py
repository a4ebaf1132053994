"""What can be known of the image without building it: it is pinned and whole, and pods find in it what they call."""

import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import version

import pytest

from tests.manifests.rendering import K8S, ROOT

IMAGE = K8S / "image"
DOCKERFILE = (IMAGE / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKED = dict(
    line.lower().split("==")
    for line in (IMAGE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line[0] != "#"
)
requirements_of = pytest.importorskip("packaging.requirements", reason="reads requirements: pip install packaging")


def requirements(extras: str) -> list[str]:
    command = [sys.executable, str(IMAGE / "requirements.py"), extras]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_requirement_is_locked_within_its_range() -> None:
    for line in requirements("espeak,media"):
        wanted = requirements_of.Requirement(line)
        assert wanted.specifier.contains(LOCKED[wanted.name.lower()]), f"run make lock: {line}"


def test_the_image_is_asked_for_what_the_package_needs_and_an_unknown_extra_is_named() -> None:
    assert requirements("") == PROJECT["dependencies"]
    assert requirements("espeak")[-1:] == PROJECT["optional-dependencies"]["espeak"]
    done = subprocess.run(
        [sys.executable, str(IMAGE / "requirements.py"), "medai"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "requirements.py: no extra is called medai\n")


def test_rays_version_is_the_same_in_image_and_manifests() -> None:
    assert LOCKED["ray"] == version("ray")
    for path in (K8S / "base").rglob("ray-*.yaml"):
        assert f"rayVersion: {LOCKED['ray']} " in path.read_text(encoding="utf-8")


def test_the_base_is_pinned_to_a_version() -> None:
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}"}


def test_it_is_nobody_and_known_by_number_and_stops_by_a_signal_that_arrives() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 1000:1000$", last, re.MULTILINE)
    assert 'ENTRYPOINT ["tini", "--", "cluster-tts"]' in last
    assert "HEALTHCHECK" in last


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"]
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert lines[0] == "*", "whatever is not named stays out: keys, audio, environments"
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in copied.split():
            assert (ROOT / source).exists(), source
            assert source == "." or any(source == path or source.startswith(f"{path}/") for path in kept), source
    for needed in PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "cluster_tts", "conf":
        assert needed in kept, "the wheel is built from it"
    assert not any(fnmatch(path, ".env*") for path in kept)


def test_what_pods_call_is_in_the_image() -> None:
    assert "COPY jobs /app/jobs" in DOCKERFILE
    assert "COPY k8s/image/driver.py /app/driver.py" in DOCKERFILE
    for path in K8S.rglob("*.yaml"):
        for called in re.findall(r"/app/([\w/]+\.py)", path.read_text(encoding="utf-8")):
            assert called == "driver.py" or (ROOT / called).is_file(), (path, called)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_one_command_builds_it_under_the_projects_version() -> None:
    done = subprocess.run(["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"docker build --file k8s/image/Dockerfile --tag cluster-tts:{PROJECT['version']} " in done.stdout
    for folder in (K8S / "overlays").iterdir():
        told = (folder / "kustomization.yaml").read_text(encoding="utf-8")
        assert f"newTag: {PROJECT['version']}\n" in told
