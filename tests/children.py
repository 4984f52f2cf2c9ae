"""Small real child processes for tests: what they run, how to see that one is gone."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

# `say(line)` writes a line to the parent, on the pipe whose descriptor is the last argument.
PRELUDE = """
import json, os, signal, sys, time
def say(line):
    os.write(int(sys.argv[-1]), line + b"\\n")
"""


def program(code: str) -> tuple[str, ...]:
    """The command of a child that runs the code after `PRELUDE`, quick to start: it has no packages."""
    return (sys.executable, "-I", "-S", "-c", PRELUDE + textwrap.dedent(code))


def dies(pid: int) -> bool:
    """Whether the process is gone within seconds: a kill takes effect when the system gets round to it."""
    end = time.monotonic() + 10
    while time.monotonic() < end and is_alive(pid):
        time.sleep(0.02)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children() -> set[int]:
    """Of this thread; helpers of other tests may be among them."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
