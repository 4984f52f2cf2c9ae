"""One supervisor for every child process: starts it, reads its lines, watches its limits, ends it, says how it ended.

    supervisor -> child   a request on its standard input; the line of `Grace`; SIGKILL to its process group
    child -> supervisor   lines on a pipe, limited in length; its output, kept in memory or appended to a file

What to run and which error an `ExitReason` becomes is the caller's: `sandbox/run.py`, `poses/colmap/client.py`,
`job/supervise.py`. The child leads a process group of its own and never outlives the call; what it starts dies with it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.process import memory
from runner.process.exit_reason import Exit, ExitReason, exit_of
from runner.process.line_pipe import MAX_LINE, LinePipe
from scenejobs.logs.redact import redact
from scenejobs.logs.setup import printable

KEPT_LINES, KEPT_CHARS = 20, 300  # of a child's output, where it is kept in memory
TAIL_BYTES = 2000  # of a file with its output
SOON_S = 0.02  # between two looks at a child that has closed its pipe: it is about to end

OnLine = Callable[[bytes], bool]  # takes one line; True: it is a sign of life


def _nothing() -> None:
    """Checks nothing."""


@dataclass(frozen=True)
class Child:
    """One process, and what it may take."""

    command: Sequence[str]  # the number of the pipe's descriptor is added, unless the lines come on standard output
    environment: Mapping[str, str]  # all of it, see `environment.for_child`
    folder: Path | None = None  # its working folder; None: that of this process
    wall_s: float = math.inf  # from its start
    silence_s: float = math.inf  # without a sign of life
    has_room: Callable[[], bool] = lambda: True  # whether what it may write to has room left
    line_bytes: int = MAX_LINE  # longest line; a longer one is thrown away
    lines_on_stdout: bool = False
    output: Path | None = None  # standard output and error are appended here; None: their last lines are kept
    descriptors: Sequence[int] = ()  # open files that it inherits
    poll_s: float = 0.2  # between two looks at it


@dataclass(frozen=True)
class Grace:
    """How a child is asked to end before it is killed. Without one it is killed at once."""

    line: bytes  # written to its standard input
    seconds: float  # from asking to killing
    stop_requested: Callable[[], bool] = lambda: False  # by somebody outside: STOPPED
    left_s: Callable[[], float] = lambda: math.inf  # until it has to be over, whatever `seconds` says
    on_ask: Callable[[ExitReason], None] = lambda _reason: None  # before it is asked
    on_kill: Callable[[ExitReason, int], None] = lambda _reason, _pid: None  # before it is killed


def supervise(
    child: Child,
    request: bytes | None,
    on_line: OnLine,
    check: Callable[[], None] = _nothing,
    grace: Grace | None = None,
) -> Exit:
    """Runs a child process until it has ended, by itself or because of a limit.

    request: is written to its standard input, which is closed then; None: that stays open until the child has ended,
    so that the child sees the end of this process there. check: is called several times a second while the child runs;
    what it or `on_line` raises kills the child and is passed on.
    """
    oom_kills = memory.oom_kills()
    with LinePipe(child.line_bytes) as lines, _output(child) as output:
        process = _start(child, lines, output)
        running = _Running(child, process, lines, output, grace)
        try:
            if request is not None:
                _send(process, request)
            running.follow(on_line, check)
        finally:
            _end(process)
        output.collect()
        last_lines = output.last_lines()
    return exit_of(process.returncode, running.ended_for, last_lines, max(0, memory.oom_kills() - oom_kills))


class _Running:
    """The state of one child that runs."""

    def __init__(
        self, child: Child, process: subprocess.Popen[bytes], lines: LinePipe, output: _Output, grace: Grace | None
    ) -> None:
        self._child, self._process, self._lines, self._output, self._grace = child, process, lines, output, grace
        self._started_at = self._heard_at = time.monotonic()
        self._kill_at = math.inf
        self.ended_for: ExitReason | None = None

    def follow(self, on_line: OnLine, check: Callable[[], None]) -> None:
        """Until the child has ended, or has to be killed."""
        while True:
            over = _has_ended(self._process)  # before its lines are read: then the last ones are read as well
            for line in self._lines.lines(0 if over else self._wait_s()):
                if on_line(line):
                    self._heard_at = time.monotonic()
            self._output.collect()
            if over:
                return
            check()
            if self.ended_for is None:
                self.ended_for = self._limit_passed()
                if self.ended_for is not None and not self._ask_to_end(self.ended_for):
                    return
            elif self._grace and (time.monotonic() >= self._kill_at or self._grace.left_s() <= 0):
                self._grace.on_kill(self.ended_for, self._process.pid)
                return

    def _wait_s(self) -> float:
        return min(self._child.poll_s, SOON_S) if self._lines.ended else self._child.poll_s

    def _limit_passed(self) -> ExitReason | None:
        now = time.monotonic()
        if self._grace and self._grace.stop_requested():
            return ExitReason.STOPPED
        if now - self._started_at > self._child.wall_s:
            return ExitReason.TIMED_OUT
        if now - self._heard_at > self._child.silence_s:
            return ExitReason.SILENT
        return None if self._child.has_room() else ExitReason.DISK_FULL

    def _ask_to_end(self, reason: ExitReason) -> bool:
        """False: there is nothing to ask, it has to be killed."""
        if self._grace is None:
            return False
        self._grace.on_ask(reason)
        self._kill_at = time.monotonic() + min(self._grace.seconds, self._grace.left_s())
        with contextlib.suppress(BrokenPipeError):  # it ends already
            if self._process.stdin is not None:
                self._process.stdin.write(self._grace.line)
                self._process.stdin.flush()
        return True


class _Output(Protocol):
    """Where standard output and error of a child go."""

    @property
    def descriptor(self) -> int: ...

    def collect(self) -> None:
        """Takes in what came since the last call."""

    def last_lines(self) -> tuple[str, ...]: ...


class _KeptLines:
    """The last lines, in memory, without secrets. The rest is thrown away, however much it is."""

    def __init__(self, pipe: LinePipe) -> None:
        self._pipe = pipe
        self._kept: list[str] = []

    @property
    def descriptor(self) -> int:
        return self._pipe.write_end

    def collect(self) -> None:
        self._pipe.close_write_end()
        for line in self._pipe.lines(0):
            self._kept.append(printable(redact(line.decode("utf-8", "replace")))[:KEPT_CHARS])
            del self._kept[:-KEPT_LINES]

    def last_lines(self) -> tuple[str, ...]:
        return tuple(self._kept)


class _File:
    """A file, to which everything is appended."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor

    def collect(self) -> None:
        """Nothing to do: the child writes by itself."""

    def last_lines(self) -> tuple[str, ...]:
        if not self._path.is_file():  # a device that throws everything away
            return ()
        with self._path.open("rb") as file:
            file.seek(max(0, self._path.stat().st_size - TAIL_BYTES))
            return tuple(file.read().decode("utf-8", "replace").strip().splitlines())


@contextlib.contextmanager
def _output(child: Child) -> Iterator[_Output]:
    if child.output is None:
        with LinePipe() as pipe:
            yield _KeptLines(pipe)
    else:
        with child.output.open("ab") as file:
            yield _File(child.output, file.fileno())


def _start(child: Child, lines: LinePipe, output: _Output) -> subprocess.Popen[bytes]:
    """Raises OSError when the program or its folder is not there."""
    by_argument = [] if child.lines_on_stdout else [lines.write_end]
    process = subprocess.Popen(
        [*child.command, *map(str, by_argument)],
        stdin=subprocess.PIPE,
        stdout=lines.write_end if child.lines_on_stdout else output.descriptor,
        stderr=output.descriptor,
        pass_fds=(*by_argument, *child.descriptors),
        start_new_session=True,  # its group can be killed as a whole
        cwd=child.folder,
        env=dict(child.environment),
    )
    lines.close_write_end()
    output.collect()
    return process


def _send(process: subprocess.Popen[bytes], request: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # it has died already
        process.stdin.write(request)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended. It stays unreaped, so that its group id cannot become somebody else's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of the group, and reaps the child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left in it
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()
