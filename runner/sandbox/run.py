"""Runs one piece of work on a stranger's file in a locked-down process, and says how it ended, whatever it did.

    parent -> child   a request on its standard input; open descriptors; SIGKILL
    child -> parent   JSON lines, limited in length, on a pipe; files in its folder; its complaints on standard error

Nothing that comes back is trusted: the caller checks every value and file. The child (see `lockdown.py`) can end
in any way; here each way becomes an InputError about the file, so that a hostile upload is refused and not tried again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.paths import ROOT
from runner.process import linux
from runner.process.error_json import load_error
from runner.process.line_pipe import LinePipe
from runner.sandbox import lockdown
from runner.sandbox.lockdown import Ceilings
from scenejobs.errors import Code, InputError, ResourceError, RunnerError, SceneJobError
from scenejobs.logs.redact import redact
from scenejobs.logs.setup import printable

POLL_S = 0.05
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
USERS = range(50_000, 60_000)  # one of these per process, where this one is root; nobody owns anything by them
FOR_ANOTHER_USER = (
    linux.CAP_CHOWN, linux.CAP_DAC_OVERRIDE, linux.CAP_KILL, linux.CAP_SETGID, linux.CAP_SETUID,
)  # fmt: skip
COMPLAINT_LINES, COMPLAINT_CHARS = 20, 300  # of standard error are kept for the log
RE_EXPORT = "export it again with another program, or record it again"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What one piece of work may take."""

    ceilings: Ceilings
    wall_s: float
    silence_s: float  # without a line from the child
    answer_bytes: int  # longest line that it may send
    files: int  # in its folder
    folder_bytes: int  # of them all


@dataclass
class _Running:
    """State of one child."""

    ended_for: InputError | None = None  # why it was killed
    failure: SceneJobError | None = None  # what it says
    result: Any = None
    layers: list[str] | None = None
    heard_at: float = field(default_factory=time.monotonic)
    complaints: list[str] = field(default_factory=list)


def run(
    request: Mapping[str, Any],
    *,
    about: str,
    bounds: Bounds,
    mode: str,
    command: Sequence[str],
    descriptors: Sequence[int] = (),
    folder: Path | None = None,
    tell: Callable[[float, str], None] = lambda _share, _detail: None,
    on_layers: Callable[[list[str]], None] = lambda _layers: None,
) -> Any:
    """The child's answer.

    about: name of the file, for messages. mode: "auto" | "require" | "off". command: is followed by the descriptor of
    the pipe. folder: the only one it may write to; empty. tell: gets share and detail of progress, is called often, and
    may raise to end the child. on_layers: gets the names of the layers before the child looks at the
    file, and may raise as well.
    Raises InputError (what the child says about the file; UNSAFE_VIDEO, TOO_LARGE for how it died), ResourceError when
    the system killed it for memory or the disk is full, RunnerError BUG for an exception of ours. The child never
    outlives the call.
    """
    user = own_user() if mode != "off" else None
    if folder is not None and user is not None:
        os.chown(folder, user, user)
    state = _Running()
    with LinePipe(bounds.answer_bytes) as answers, LinePipe() as complaints:
        process = subprocess.Popen(
            [*command, str(answers.write_end)],
            stdin=subprocess.PIPE,
            stdout=complaints.write_end,
            stderr=complaints.write_end,
            pass_fds=(answers.write_end, *descriptors),
            start_new_session=True,
            cwd=folder or "/",
            env=environment(os.environ),
        )
        answers.close_write_end()
        complaints.close_write_end()
        try:
            _send(process, {**request, "user": user, "mode": mode, "ceilings": bounds.ceilings.to_json()})
            _follow(process, state, answers, complaints, about, bounds, folder, tell, on_layers)
        finally:
            _end(process)
        for line in complaints.lines(0):
            _complain(state, line)
    if folder is not None and user is not None:
        _take_back(folder)
    return _verdict(process.returncode, state, about, bounds)


def own_user() -> int | None:
    """A user id for a child, where this process may give it one, end it, and take its files back."""
    if sys.platform != "linux" or os.geteuid() != 0 or not linux.has_capabilities(FOR_ANOTHER_USER):
        return None
    return USERS[secrets.randbelow(len(USERS))]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Nothing but what Python needs to start."""
    kept = {name: env[name] for name in KEPT_VARIABLES if name in env}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # a thread before the sandbox is closed would stay outside of it
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, which is what is limited
    }


def _send(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # it has died already
        process.stdin.write(json.dumps(request).encode())


def _follow(
    process: subprocess.Popen[bytes],
    state: _Running,
    answers: LinePipe,
    complaints: LinePipe,
    about: str,
    bounds: Bounds,
    folder: Path | None,
    tell: Callable[[float, str], None],
    on_layers: Callable[[list[str]], None],
) -> None:
    """Until it has ended or was told to: reads what it says, and looks at clock and folder."""
    began = time.monotonic()
    progress = (0.0, f"opening {about}")
    while True:
        over = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        for line in answers.lines(0 if over else POLL_S):
            progress = _hear(state, line, on_layers) or progress
        for line in complaints.lines(0):
            _complain(state, line)
        tell(*progress)
        now = time.monotonic()
        if folder is not None and _is_too_full(folder, bounds):
            state.ended_for = _unsafe(about, "wrote more than it was asked for")
        elif over:
            return
        elif now - began > bounds.wall_s:
            state.ended_for = InputError(
                f"decoding {about} takes more than {bounds.wall_s:g} s",
                code=Code.TOO_LARGE, advice="cut it, or record at a lower resolution",
            )  # fmt: skip
        elif now - state.heard_at > bounds.silence_s:
            state.ended_for = _unsafe(about, f"did not come to a picture for {bounds.silence_s:g} s")
        if state.ended_for is not None:
            return


def _hear(state: _Running, line: bytes, on_layers: Callable[[list[str]], None]) -> tuple[float, str] | None:
    """Takes in one line; returns progress when it is that. What is not understood is ignored: it is not trusted."""
    try:
        message = json.loads(line)
        if state.layers is None:
            state.layers = [layer for layer in message["layers"] if isinstance(layer, str)]
            on_layers(state.layers)
        elif "progress" in message:
            share, detail = message["progress"]
            state.heard_at = time.monotonic()
            return min(1.0, max(0.0, float(share))), printable(str(detail))[:200]
        elif "failure" in message and state.failure is None:
            state.failure = load_error(json.dumps(message["failure"]))
        elif "result" in message and state.result is None:
            state.result = message["result"]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _complain(state: _Running, line: bytes) -> None:
    state.complaints.append(printable(redact(line.decode("utf-8", "replace")))[:COMPLAINT_CHARS])
    del state.complaints[:-COMPLAINT_LINES]


def _is_too_full(folder: Path, bounds: Bounds) -> bool:
    files = total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            files += 1
            if files > bounds.files:
                return True
            with contextlib.suppress(FileNotFoundError):  # it may remove it meanwhile
                total += entry.stat(follow_symlinks=False).st_size
    return total > bounds.folder_bytes


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _take_back(folder: Path) -> None:
    """The files become this user's. Nobody runs any more who could change them meanwhile."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def _verdict(code: int, state: _Running, about: str, bounds: Bounds) -> Any:
    if state.ended_for is None and code == 0 and state.failure is None and state.result is not None:
        return state.result
    for line in state.complaints:
        log.warning("decoder of %s: %s", about, line)
    if state.ended_for is not None:
        raise state.ended_for
    if isinstance(state.failure, InputError | ResourceError):
        raise state.failure
    raise death(code, about, bounds, state.complaints[-1] if state.complaints else "")


def death(code: int, about: str, bounds: Bounds, last_words: str) -> SceneJobError:
    """The error for a child that ended without an answer. code: as subprocess gives it, negative for a signal."""
    smaller = "cut it, or record at a lower resolution"
    if code == -signal.SIGXCPU:
        cause = f"decoding {about} takes more than {bounds.ceilings.cpu_s:g} s of computing"
        return InputError(cause, code=Code.TOO_LARGE, advice=smaller)
    if code == lockdown.OUT_OF_MEMORY:
        cause = f"decoding {about} takes more than {bounds.ceilings.memory_bytes / 1024**3:.1f} GiB of memory"
        return InputError(cause, code=Code.TOO_LARGE, advice=smaller)
    if code == -signal.SIGKILL:  # not by us: the system's memory ran out before the decoder's own limit
        return ResourceError(
            f"the decoder of {about} was killed (signal 9), probably for memory", code=Code.OUT_OF_MEMORY,
            advice="use a machine with more memory, or lower DECODE_MEMORY_GB",
        )  # fmt: skip
    if code == -signal.SIGSYS:
        return _unsafe(about, "tried what its sandbox forbids")
    if code < 0:
        return _unsafe(about, f"died of {signal.Signals(-code).name}")
    if code == lockdown.EXCEPTION:
        cause = f"the decoder of {about} failed: {last_words or 'see the log'}"
        return RunnerError(cause, code=Code.BUG, advice="this is a bug; report it with the log")
    return _unsafe(about, f"ended with code {code} and without an answer")


def _unsafe(about: str, what: str) -> InputError:
    return InputError(f"the decoder of {about} {what}", code=Code.UNSAFE_VIDEO, advice=RE_EXPORT)
