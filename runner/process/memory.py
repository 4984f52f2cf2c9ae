"""Memory of this container or machine, to tell an out-of-memory kill from another one."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
GIB = 1024**3


def oom_kills() -> int:
    """How often the kernel killed a process of this container for memory; 0 where nobody counts."""
    for line in _read(CGROUP / "memory.events").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.strip().isdecimal():
            return int(count)
    return 0


def limit_bytes() -> int:
    """What the container may use, else what the machine has."""
    text = _read(CGROUP / "memory.max").strip()
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, int(text)) if text.isdecimal() else machine


def describe() -> str:
    """The largest child of this process so far, against the limit."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return f"its peak was {peak / GIB:.1f} GiB of {limit_bytes() / GIB:.1f} GiB"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # no such file outside a container
        return ""
