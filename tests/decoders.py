"""Decoders that misbehave, in the place of the real one."""

from __future__ import annotations

import sys


def crashing_on(name: str) -> tuple[str, ...]:
    """The command of a decoder that dies when it is asked about a file of this name, and is the real one otherwise."""
    program = f"""
import io, os, runpy, sys
data = sys.stdin.read()
if {name!r} in data:
    os.abort()
sys.stdin = io.TextIOWrapper(io.BytesIO(data.encode()))
runpy.run_module("runner.media.decoder_process", run_name="__main__")
"""
    return sys.executable, "-c", program
