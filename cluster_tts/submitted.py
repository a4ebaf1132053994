"""What is different for a program that ``ray job submit`` has started on a cluster."""

import json
import os
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster_tts.errors import JobError
from cluster_tts.storage import is_url

WORKING_DIR_COPY = "working_dir_files"  # where Ray unpacks --working-dir; it goes with the job
JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # where Ray tells a driver as what it was submitted


def refuse_relative(setting: str, place: str | None) -> None:
    """Raise ``JobError`` for a place in a folder that vanishes with the job it was unpacked for."""
    if place is None or Path(place).is_absolute() or is_url(place) or WORKING_DIR_COPY not in Path.cwd().parts:
        return
    raise JobError(
        f"{setting} '{place}' is relative, and this job's folder is a copy that vanishes with it: give an absolute "
        "path that every node sees, or a URL"
    )


def submission(environ: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """As what this process was submitted: ``submission_id``, the ``node`` it runs on, ``ray_version``; None: it was
    not."""
    try:
        submission_id = json.loads(environ.get(JOB_CONFIG, "{}"))["metadata"]["job_submission_id"]
    except (ValueError, TypeError, KeyError):  # Ray's own affair: it may look different in another release
        return None
    try:
        ray_version = version("ray")
    except PackageNotFoundError:
        ray_version = ""
    return {"submission_id": str(submission_id), "node": socket.gethostname(), "ray_version": ray_version}
