"""What holds for all tests: nothing that a run remembers of an account reaches the next test, or the user's own."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a busy machine is no defect. CI tries the same cases each time, people try others.
settings.register_profile("cluster_tts", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("cluster_tts")


@pytest.fixture(autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for the state of accounts, also in processes that it starts."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("CLUSTER_TTS_STATE_DIR", str(folder))
    return folder
