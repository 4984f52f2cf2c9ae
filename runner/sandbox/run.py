"""Runs one piece of work on an untrusted file in a locked-down process, and turns its end into a value or an error.

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
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from runner.process import environment, linux
from runner.process.error_json import load_error
from runner.process.exit_reason import BY_SUPERVISOR, Exit, ExitReason
from runner.process.supervise import Child, supervise
from runner.sandbox import lockdown
from runner.sandbox.lockdown import Ceilings
from scenejobs.errors import Code, InputError, ResourceError, RunnerError, SceneJobError
from scenejobs.logs.setup import printable

POLL_S = 0.05
USERS = range(50_000, 60_000)  # one of these per process, where this one is root; nobody owns anything by them
FOR_ANOTHER_USER = (
    linux.CAP_CHOWN, linux.CAP_DAC_OVERRIDE, linux.CAP_KILL, linux.CAP_SETGID, linux.CAP_SETUID,
)  # fmt: skip
DETAIL_CHARS = 200  # of a report of progress
SMALLER = "cut it, or record at a lower resolution"
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


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the child: the first names its layers, each later one is one of the other three."""

    layers: list[str] | None = None  # what closes it in
    progress: tuple[float, str] | None = None  # share of the work that is done, what is being done
    failure: msgspec.Raw = msgspec.Raw()  # an error, see `error_json`
    result: Any = None


class _Heard:
    """What one child said."""

    def __init__(self, about: str, on_layers: Callable[[list[str]], None]) -> None:
        self._on_layers = on_layers
        self._layers: list[str] | None = None
        self.progress = (0.0, f"opening {about}")
        self.failure: SceneJobError | None = None
        self.result: Any = None

    @property
    def began(self) -> bool:
        """Whether it was closed in, after which it opens the file."""
        return self._layers is not None

    def take(self, line: bytes) -> bool:
        """True for progress: the sign of life. What is not understood is ignored: it is not trusted."""
        try:
            message = msgspec.json.decode(line, type=Line)
        except (ValueError, RecursionError):  # ValueError: of msgspec as well
            return False
        if self._layers is None:
            if message.layers is not None:
                self._layers = message.layers
                self._on_layers(self._layers)
        elif message.progress is not None:
            share, detail = message.progress
            self.progress = min(1.0, max(0.0, share)), printable(detail)[:DETAIL_CHARS]
            return True
        elif message.failure and self.failure is None:
            self.failure = load_error(bytes(message.failure))
        elif message.result is not None and self.result is None:
            self.result = message.result
        return False


def run(
    request: Mapping[str, Any],
    *,
    about: str,
    bounds: Bounds,
    mode: str,
    command: Sequence[str],
    descriptors: Sequence[int] = (),
    folder: Path | None = None,
    on_progress: Callable[[float, str], None] = lambda _share, _detail: None,
    on_layers: Callable[[list[str]], None] = lambda _layers: None,
) -> Any:
    """The child's answer.

    about: name of the file, for messages. mode: "auto" | "require" | "off". command: is followed by the descriptor of
    the pipe. folder: the only one it may write to; empty. on_progress: gets share and detail of progress, is called
    often, and may raise to end the child. on_layers: gets the names of the layers before the child looks at the file,
    and may raise as well.
    Raises InputError (what the child says about the file; UNSAFE_VIDEO, TOO_LARGE for how it died), ResourceError when
    the system killed it for memory or the disk is full, RunnerError BUG for an exception before it opened the file. The
    child never outlives the call.
    """
    user = own_user() if mode != "off" else None
    if folder is not None and user is not None:
        os.chown(folder, user, user)
    heard = _Heard(about, on_layers)
    child = Child(
        command,
        environment.for_child(os.environ, environment.DECODER),
        folder=folder or Path("/"),
        wall_s=bounds.wall_s,
        silence_s=bounds.silence_s,
        has_room=lambda: folder is None or not _is_too_full(folder, bounds),
        line_bytes=bounds.answer_bytes,
        descriptors=descriptors,
        poll_s=POLL_S,
    )
    asked = json.dumps({**request, "user": user, "mode": mode, "ceilings": bounds.ceilings.to_json()}).encode()
    end = supervise(child, asked, heard.take, lambda: on_progress(*heard.progress))
    if end.reason not in BY_SUPERVISOR:
        on_progress(*heard.progress)  # of its last lines
    if end.reason is not ExitReason.TIMED_OUT and folder is not None and _is_too_full(folder, bounds):
        end = replace(end, reason=ExitReason.DISK_FULL)  # it may have written until its end
    if folder is not None and user is not None:
        _take_back(folder)
    return _verdict(end, heard, about, bounds)


def own_user() -> int | None:
    """A user id for a child, where this process may give it one, end it, and take its files back."""
    if sys.platform != "linux" or os.geteuid() != 0 or not linux.has_capabilities(FOR_ANOTHER_USER):
        return None
    return USERS[secrets.randbelow(len(USERS))]


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


def _take_back(folder: Path) -> None:
    """The files become this user's. Nobody runs any more who could change them meanwhile."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def _verdict(end: Exit, heard: _Heard, about: str, bounds: Bounds) -> Any:
    """The result, or the error that says how it ended."""
    if end.reason is ExitReason.OK and heard.failure is None and heard.result is not None:
        return heard.result
    for line in end.last_lines:
        log.warning("decoder of %s: %s", about, line)
    if end.reason not in BY_SUPERVISOR and isinstance(heard.failure, InputError | ResourceError):
        raise heard.failure
    raise death(end, about, bounds, opened=heard.began)


def death(end: Exit, about: str, bounds: Bounds, *, opened: bool) -> SceneJobError:
    """The error for a child that ended without an answer, or was ended. opened: it had come to the file."""
    if end.reason is ExitReason.TIMED_OUT:
        return _too_large(about, f"more than {bounds.wall_s:g} s", "DECODE_TIMEOUT_SECS")
    if end.signal == signal.SIGXCPU and end.reason is ExitReason.CRASHED:
        return _too_large(about, f"more than {bounds.ceilings.cpu_s:g} s of computing", "DECODE_TIMEOUT_SECS")
    if end.code == lockdown.OUT_OF_MEMORY and end.reason is ExitReason.FAILED:
        memory = f"more than {bounds.ceilings.memory_bytes / 1024**3:.1f} GiB of memory"
        return _too_large(about, memory, "DECODE_MEMORY_GB")
    if end.reason is ExitReason.KILLED_FOR_MEMORY:  # the system's memory ran out before the decoder's own limit
        return ResourceError(
            f"the decoder of {about} was killed (signal 9), probably for memory", code=Code.OUT_OF_MEMORY,
            advice="use a machine with more memory, or lower DECODE_MEMORY_GB",
        )  # fmt: skip
    if end.code == lockdown.EXCEPTION and end.reason is ExitReason.FAILED:
        cause = f"the decoder of {about} failed: {end.last_lines[-1] if end.last_lines else 'see the log'}"
        if opened:  # what one file makes it raise costs that file, and says nothing about the others
            advice = f"{RE_EXPORT}; this is a bug: report it with the log"
            return InputError(cause, code=Code.UNSAFE_VIDEO, advice=advice)
        return RunnerError(cause, code=Code.BUG, advice="this is a bug; report it with the log")
    return InputError(f"the decoder of {about} {_misdeed(end, bounds)}", code=Code.UNSAFE_VIDEO, advice=RE_EXPORT)


def _misdeed(end: Exit, bounds: Bounds) -> str:
    """What an upload is refused for."""
    if end.reason is ExitReason.DISK_FULL:
        return "wrote more than it was asked for"
    if end.reason is ExitReason.SILENT:
        return f"did not come to a picture for {bounds.silence_s:g} s"
    if end.signal == signal.SIGSYS:
        return "tried what its sandbox forbids"
    return end.explained("an answer")


def _too_large(about: str, what: str, setting: str) -> InputError:
    advice = f"{SMALLER}, or raise {setting}"
    return InputError(f"decoding {about} takes {what}", code=Code.TOO_LARGE, advice=advice)
