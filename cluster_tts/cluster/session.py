"""A connection to Ray: the cluster that is given, or a private one on this machine that goes with the run."""

import importlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cluster_tts.errors import JobError

OBJECT_STORE_BYTES = 80_000_000  # Ray's minimum is 75 MiB; no audio ever goes there

PRIVATE_RAY = {
    "RAY_AUTH_MODE": "disabled",  # else a token is written to ~/.ray; allowed only together with loopback
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the one switch that makes every Ray process bind to 127.0.0.1
    "RAY_USAGE_STATS_ENABLED": "0",
}


class Session:
    """One connection, opened and closed on the thread that made it.

    ``ray.init`` must not run on a thread that ends before the run does: Ray's own processes are told by the kernel
    to die with the thread that started them.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS") or None
        self._folder: Path | None = None

    @property
    def is_private(self) -> bool:
        return self._address is None

    def open(self) -> None:
        """Connect.

        Raises:
            JobError: there is no Ray, or none at the given address.
        """
        if self.is_private:
            os.environ.update(PRIVATE_RAY)
        try:
            ray = importlib.import_module("ray")
        except ModuleNotFoundError:
            raise JobError("Ray is not installed: pip install 'ray[default]', or run with engine=local") from None
        logging.getLogger("ray").setLevel(logging.ERROR)  # after the import, which sets it
        if self.is_private:
            # A short path: Ray puts unix sockets below it, whose names may have 107 bytes.
            self._folder = Path(tempfile.mkdtemp(prefix="ctts-", dir="/tmp"))
            options: dict[str, Any] = {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": str(self._folder),
            }
        else:
            options = {"address": self._address}
        try:
            ray.init(**options, namespace="cluster_tts", log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.close()
            where = f"the Ray cluster at '{self._address}'" if self._address else "a private Ray on this machine"
            raise JobError(f"cannot start or join {where}: {error}; engine=local does without Ray") from None

    def close(self) -> None:
        """Disconnect; a private Ray ends and leaves nothing behind."""
        import ray

        ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
