"""The process that opens untrusted videos and photos: `python -m runner.media.decoding.process <pipe descriptor>`.

Reads one request (`requests.py`) from standard input, loads what it needs, closes itself in, and only then
looks at the files, which it has as open descriptors. See `runner/sandbox/run.py` for the other end.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runner.process.error_json import dump_error
from runner.sandbox import lockdown
from runner.sandbox.seccomp import DECODER
from scenejobs.errors import SceneJobError

if TYPE_CHECKING:
    from runner.media.decoding.requests import Answer


def main(pipe: int) -> int:
    os.set_inheritable(pipe, False)
    asked: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    work = _enter(asked, pipe)
    try:
        answer = work()
    except SceneJobError as exc:
        _say(pipe, {"failure": json.loads(dump_error(exc))})
        return 0
    except MemoryError:
        return lockdown.OUT_OF_MEMORY
    _say(pipe, {"result": answer})
    return 0


def _enter(asked: dict[str, Any], pipe: int) -> Callable[[], Answer]:
    """Closes this process in. asked: the request and how to be closed in, see `sandbox.run`. Returns the work."""
    ceilings = lockdown.Ceilings.from_json(asked.pop("ceilings"))
    mode, user, writes = asked.pop("mode"), asked.pop("user"), asked.pop("writes")
    layers = lockdown.begin(ceilings, layers=mode != "off")
    from runner.media.decoding import work  # with all that decoding may need: later it might be out of reach

    request = work.decoded(asked)
    if mode != "off":
        write = [Path.cwd()] if writes else []
        layers += lockdown.complete(write, read=lockdown.code_folders(), rules=DECODER, user=user)
    _say(pipe, {"layers": layers})
    if mode == "require" and lockdown.missing(layers):
        sys.exit(lockdown.NOT_CLOSED)  # the parent sees the list as well
    return lambda: work.work(request, lambda share, detail: _say(pipe, {"progress": [share, detail]}))


def _say(pipe: int, message: dict[str, Any]) -> None:
    data = msgspec.json.encode(message) + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


if __name__ == "__main__":
    try:
        code = main(int(sys.argv[1]))
    except Exception:  # noqa: BLE001  # the process ends either way; the code tells a bug of ours from a crash
        traceback.print_exc()
        code = lockdown.EXCEPTION
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # skips the destructors of native libraries
