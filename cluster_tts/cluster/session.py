"""A connection to Ray: the cluster that is given, or a private one on this machine that goes with the run."""

import importlib
import logging
import os
import shutil
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_tts import scratch
from cluster_tts.errors import JobError

log = logging.getLogger(__name__)

REACHABLE_S = 10.0
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
        self._environment: dict[str, str | None] = {}
        self._log_level = logging.NOTSET
        self._was_cluster = True
        self._print: Any = None
        self._ours = False

    @property
    def is_private(self) -> bool:
        """Whether the Ray is ours alone, and ends with the run."""
        return self._folder is not None

    @property
    def is_ours(self) -> bool:
        """Whether it was we who connected, and who disconnect."""
        return self._ours

    def open(self) -> None:
        """Connect; a program that is connected already stays so, and its Ray is used.

        Raises:
            JobError: there is no Ray, or none at the given address.
        """
        try:
            ray = importlib.import_module("ray")
        except ModuleNotFoundError:
            raise JobError("Ray is not installed: pip install 'ray[default]', or run with engine=local") from None
        if ray.is_initialized():
            return
        self._log_level = logging.getLogger("ray").level
        logging.getLogger("ray").setLevel(logging.ERROR)
        options = {"address": self._address} if self._address else self._private_options()
        if self._address:
            self._refuse_unreachable()
        self._ours = True
        self._say_to_log()
        try:
            ray.init(**options, namespace="cluster_tts", log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.close()
            where = f"join the Ray cluster at '{self._address}'" if self._address else "start Ray on this machine"
            raise JobError(f"cannot {where}: {error}; engine=local does without Ray") from None

    def _private_options(self) -> dict[str, Any]:
        from ray._private import ray_constants

        self._environment = {name: os.environ.get(name) for name in PRIVATE_RAY}
        os.environ.update(PRIVATE_RAY)
        # Read from the environment when Ray is imported, which a program of the user's may have done long ago.
        self._was_cluster = ray_constants.ENABLE_RAY_CLUSTER
        ray_constants.ENABLE_RAY_CLUSTER = False
        scratch.clear_away_the_dead()
        self._folder = scratch.new()
        return {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": str(self._folder),
        }

    def _refuse_unreachable(self) -> None:
        """Ray itself would wait for a minute and then end this process."""
        host, _, port = (self._address or "").rpartition(":")
        if host and port.isdecimal() and "/" not in host:
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE_S).close()
            except OSError as error:
                raise JobError(
                    f"cannot join the Ray cluster at '{self._address}' ({error.strerror or error}): "
                    "check cluster.address and RAY_ADDRESS, or leave both out for a private Ray on this machine"
                ) from None

    def _say_to_log(self) -> None:
        """What Ray has to say of processes that died goes to the log: it would print it on stdout, among our JSON."""
        from ray._private import worker

        self._print = worker.print_to_stdstream
        worker.print_to_stdstream = _log

    def close(self) -> None:
        """Disconnect, if it was we who connected; a private Ray ends and leaves nothing behind."""
        if not self._ours:
            return
        import ray
        from ray._private import ray_constants, worker

        ray.shutdown()
        worker.print_to_stdstream = self._print
        logging.getLogger("ray").setLevel(self._log_level)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            ray_constants.ENABLE_RAY_CLUSTER = self._was_cluster
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def take_back_signals() -> None:
    """Have SIGTERM mean again what it meant before ``Session.open``; to be called on the main thread, elsewhere nothing
    happens.

    Ray puts a handler of absl's in its place, which calls the one before it, and ends the process with SIGABRT three
    seconds later, however far a stop in good order has come.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None:
        signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, None):  # nobody's here: it would be absl's three seconds
        signal.alarm(0)


def _log(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
    for line in data["lines"]:
        log.info("ray: %s", line)
