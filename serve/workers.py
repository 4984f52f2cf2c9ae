"""The worker of a serve process: a runner in queue mode, a process of this machine (watch/local_workers.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from runner.paths import ROOT
from scenejobs.settings import modes
from watch.instances import name_of

MOST_CHARS = 40  # of the machine's name in the names of its executions


def worker_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The settings of this process, for a runner in queue mode that ends when the queue is empty."""
    kept = {name: value for name, value in env.items() if name not in modes.not_read_by("queue")}
    path = os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH", ""))))
    return {**kept, "RUN_MODE": "queue", "QUEUE_IDLE_POLLS": "1", "QUEUE_IDLE_WAIT_SECS": "0", "PYTHONPATH": path}


def executions_of(instance: str) -> str:
    """With what the names of its executions begin, so that records and usage tell the machines apart."""
    name = re.sub(r"[^a-z0-9]+", "-", name_of(instance).lower()).strip("-")
    return f"serve-{name[:MOST_CHARS].rstrip('-')}" if name else "serve"
