"""Whether other processes are still running."""

from __future__ import annotations

from contextlib import suppress

import psutil


def is_running(pid: int) -> bool:
    """A zombie, which has ended and nobody has waited for, does not run."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
