"""Joining as a Ray task. Apart from the actors, so that a worker need not import Arrow and the encoders for it."""

from typing import Any

import ray

from cluster_tts.joining import join

join_remotely: Any = ray.remote(join)
