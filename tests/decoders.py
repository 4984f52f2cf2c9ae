"""Decoders that misbehave, in the place of the real one."""

from __future__ import annotations

import sys


def crashing_on(name: str, request: str = "") -> tuple[str, ...]:
    """The command of a decoder that dies when it is asked about a file of this name, and is the real one otherwise.

    request: class of the only requests that kill it; empty: any.
    """
    return _misbehaving(f"{name!r} in data and {request!r} in data", "os.abort()")


def raising_on(name: str, request: str = "") -> tuple[str, ...]:
    """The same for one that raises what nobody expected when it has come to the file."""
    program = "import runner.media.decoding.work as work\n    work.work = lambda request, on_progress: {}[29]"
    return _misbehaving(f"{name!r} in data and {request!r} in data", program)


def hanging_on(name: str, request: str = "") -> tuple[str, ...]:
    """The same for one that says nothing more."""
    return _misbehaving(f"{name!r} in data and {request!r} in data", "import time; time.sleep(600)")


def _misbehaving(when: str, what: str) -> tuple[str, ...]:
    program = f"""
import io, os, runpy, sys
data = sys.stdin.read()
if {when}:
    {what}
sys.stdin = io.TextIOWrapper(io.BytesIO(data.encode()))
runpy.run_module("runner.media.decoding.process", run_name="__main__")
"""
    return sys.executable, "-c", program
