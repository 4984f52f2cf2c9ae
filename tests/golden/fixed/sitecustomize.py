"""Python imports this at its start when its folder is on PYTHONPATH: one fixed time, counted ids, in children too.

The type `datetime` itself is changed, not replaced: libraries that look at types, and `from datetime import datetime`
in any module, see what they always see. Durations keep the real monotonic clock, for limits and pauses need it; a
training may have it slowed down, so that a busy machine does not shorten its plan to keep its budget of seconds.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import secrets
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

NOW = "GOLDEN_NOW"  # the time, ISO 8601 with a zone; whoever drives the clock changes the variable
PACE = "GOLDEN_PACE"  # seconds of the monotonic clock per second; default: 1
FOLDER = str(Path(__file__).parent)

_uuids = itertools.count()
_tokens: dict[int, Iterator[int]] = defaultdict(itertools.count)  # by their bytes
_start: Any = subprocess.Popen.__init__
_monotonic = time.monotonic
_began_s = _monotonic()


def _now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
    at = datetime.fromisoformat(os.environ[NOW])
    return at.astimezone(tz) if tz else at.astimezone(UTC).replace(tzinfo=None)


def _token_hex(nbytes: int | None = None) -> str:
    size_bytes = nbytes or secrets.DEFAULT_ENTROPY
    return format(next(_tokens[size_bytes]), f"0{2 * size_bytes}x")


def _slowed() -> float:
    return _began_s + (_monotonic() - _began_s) * float(os.environ[PACE])


def _start_with_same_time(self: Any, *args: Any, env: Any = None, **options: Any) -> None:
    env = dict(os.environ if env is None else env)
    path = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != FOLDER]
    same = {name: os.environ[name] for name in (NOW, PACE) if name in os.environ}
    _start(self, *args, env={**env, **same, "PYTHONPATH": os.pathsep.join([FOLDER, *path])}, **options)


if NOW in os.environ:
    gc.get_referents(datetime.__dict__)[0]["now"] = classmethod(_now)  # the proxy of a type refers to its namespace
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))
    uuid.uuid4 = lambda: uuid.UUID(int=next(_uuids))
    secrets.token_hex = _token_hex
    subprocess.Popen.__init__ = _start_with_same_time  # type: ignore[method-assign]
    if PACE in os.environ:
        time.monotonic = _slowed
    sys.dont_write_bytecode = True  # nothing is left in the checkout
