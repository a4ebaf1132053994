import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.cli import main

TONE = ("engine=local", "provider.name=tone", "provider.options.latency_s=0")
"""The cheapest voice there is, in this process."""


@dataclass(frozen=True)
class Ended:
    """What one call of the program left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails where there is anything else."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content


ClusterTts = Callable[..., Ended]


@pytest.fixture
def cluster_tts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> ClusterTts:
    """Calls the program in this process, in the folder ``tmp_path``, with nothing of ours in its environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CLUSTER_TTS_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["cluster-tts", *arguments])
        capfd.readouterr()
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as ended:
            main()
        assert signal.getsignal(signal.SIGINT) is before
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    return call
