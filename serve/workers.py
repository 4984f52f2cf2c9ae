"""Names of the workers of a serve process, which are processes of this machine (watch/local_workers.py)."""

from __future__ import annotations

import re

from watch.instances import name_of

MOST_CHARS = 40  # of the machine's name in the names of its executions


def executions_of(instance: str) -> str:
    """With what the names of its executions begin, so that records and usage tell the machines apart."""
    name = re.sub(r"[^a-z0-9]+", "-", name_of(instance).lower()).strip("-")
    return f"serve-{name[:MOST_CHARS].rstrip('-')}" if name else "serve"
