"""The wheel carries all it needs: unpacked into an empty folder it works as the checkout does."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytest.importorskip("hatchling", reason="builds the wheel: pip install hatchling")


def test_conf_travels_in_the_wheel_and_the_program_runs_from_any_folder(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    assert {"cluster_tts/conf/default.yaml", "cluster_tts/conf/provider/hibari.yaml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "samples/", "benchmarks/"))]
    (elsewhere / "a.txt").write_text("One sentence. And another.")
    done = subprocess.run(
        [sys.executable, "-m", "cluster_tts", "run", "a.txt", "engine=local", "provider.name=tone"],
        cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "out" / "documents" / "a.wav").is_file()
    where = subprocess.run(
        [sys.executable, "-c", "import cluster_tts.config as c; print(c.conf_dir())"],
        cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()) == installed / "cluster_tts" / "conf"
