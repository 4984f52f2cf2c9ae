"""Runs one job in a child process and says how it ended, whatever the child did.

Decoders, COLMAP, CUDA: native code can crash, hang, hold the interpreter's lock or be killed for memory. Here each of
these is an outcome like any other, and the parent goes on renewing the lease meanwhile.

    parent -> child   request.json; "stop" on its standard input; SIGKILL to its process group
    child -> parent   progress as JSON lines on a pipe; result.json or failure.json; its output in the run's log
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from runner.files.disk import free_bytes
from runner.job import request
from runner.job.request import FAILURE_FILE, REQUEST_FILE, RESULT_FILE, STOP_LINE, Job
from runner.job.unused_files import explain
from runner.process import environment, memory
from runner.process.error_json import load_error
from runner.process.exit_reason import Exit, ExitReason
from runner.process.supervise import Child, Grace, supervise
from runner.scene.progress import Report
from scenejobs.errors import (
    Code,
    InfrastructureError,
    InputError,
    Interrupted,
    ResourceError,
    RunnerError,
    SceneJobError,
)

CHILD = (sys.executable, "-P", "-m", "runner.job.child")
STACKS_S = 0.2  # for writing where each thread is

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobLimits:
    """When the parent ends a job."""

    deadline_s: float = 3 * 3600.0
    stall_s: float = 1800.0  # without a report of progress
    grace_s: float = 10.0  # between asking to stop and killing
    min_free_bytes: int = 64 * 1024**2  # of the workspace's disk; below, everything else on it fails as well
    poll_s: float = 0.2


@dataclass(frozen=True)
class Supervision:
    """What the parent looks at and reports while the job runs. Called often, from the thread that called `run_job`."""

    stop_requested: Callable[[], bool] = lambda: False
    check_lease: Callable[[], None] = lambda: None  # raises LeaseLost: the job is killed, nothing is reported
    on_progress: Callable[[Report], None] = lambda _: None
    log_file: Path | None = None  # the child's output is appended here; None: thrown away
    deadline_s: float | None = None  # of this job, from its plan; None: that of the limits
    grace_left_s: Callable[[], float] = lambda: math.inf  # until a stop must be done, see runner/worker/shutdown.py


def run_job(
    job: Job,
    supervision: Supervision,
    limits: JobLimits | None = None,
    *,
    command: tuple[str, ...] = CHILD,
    env: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Runs `reconstruct` on the job in a child process; returns its summary.

    Raises what the job raised (InputError, ConfigurationError, ...); RunnerError when it crashed, hung or ran too long;
    ResourceError when disk or memory ran out; Interrupted when a stop was requested; LeaseLost from `check_lease`.
    """
    limits = limits or JobLimits()
    if supervision.deadline_s is not None:
        limits = replace(limits, deadline_s=min(limits.deadline_s, supervision.deadline_s))
    for folder in (job.workspace, job.out):
        folder.mkdir(parents=True, exist_ok=True)
    for earlier in (RESULT_FILE, FAILURE_FILE):
        (job.workspace / earlier).unlink(missing_ok=True)
    told = msgspec.structs.replace(job, deadline_s=limits.deadline_s)
    (job.workspace / REQUEST_FILE).write_bytes(request.encode(told))
    running = _Running(job.workspace, limits, supervision.on_progress)
    child = Child(
        [*command, str(job.workspace / REQUEST_FILE)],
        child_environment(env, job),
        folder=job.workspace,
        wall_s=limits.deadline_s,
        silence_s=limits.stall_s,
        has_room=running.has_room,
        output=supervision.log_file or Path(os.devnull),
        poll_s=limits.poll_s,
    )
    grace = Grace(
        STOP_LINE, limits.grace_s, supervision.stop_requested, supervision.grace_left_s,
        on_ask=running.is_asked_to_stop, on_kill=running.is_killed,
    )  # fmt: skip
    end = supervise(child, None, running.take_line, supervision.check_lease, grace)
    try:
        return _verdict(end, running, job.workspace)
    except SceneJobError as exc:
        explain(exc, job)
        raise


def child_environment(env: Mapping[str, str], job: Job) -> dict[str, str]:
    """Its temporary files belong into the workspace, which has the space and is removed."""
    temporary = job.workspace / "tmp"
    temporary.mkdir(exist_ok=True)
    threads = {"OMP_NUM_THREADS": str(job.settings.threads)} if job.settings.threads else {}
    return environment.for_child(env, environment.JOB, defaults=threads, fixed={"TMPDIR": str(temporary)})


class _Running:
    """What is known of a job while it runs."""

    def __init__(self, workspace: Path, limits: JobLimits, on_progress: Callable[[Report], None]) -> None:
        self._workspace, self._limits, self._on_progress = workspace, limits, on_progress
        self.stage = "validation"
        self.ending: Exception | None = None  # why the parent asked it to end

    def take_line(self, line: bytes) -> bool:
        """A report of progress is passed on; it shows that the job goes on. Another line is ignored."""
        report = request.decode_report(line)
        if report is None:
            return False
        self.stage = report.stage
        self._on_progress(report)
        return True

    def has_room(self) -> bool:
        return free_bytes(self._workspace) >= self._limits.min_free_bytes

    def is_asked_to_stop(self, reason: ExitReason) -> None:
        self.ending = self._error(reason)
        log.warning("the job is asked to stop: %s", self.ending)

    def is_killed(self, reason: ExitReason, pid: int) -> None:
        log.warning("the job did not stop in time and is killed")
        if reason in (ExitReason.TIMED_OUT, ExitReason.SILENT):
            os.kill(pid, signal.SIGUSR1)  # the child writes where each thread is to the log
            time.sleep(STACKS_S)

    def _error(self, reason: ExitReason) -> Exception:
        """Why the job is ended from outside."""
        limits, stage = self._limits, self.stage
        if reason is ExitReason.STOPPED:
            return Interrupted(f"told to stop during {stage}", stage=stage)
        if reason is ExitReason.TIMED_OUT:
            return RunnerError(
                f"the job was not done after {limits.deadline_s:.0f} s, it was in {stage}",
                code=Code.JOB_TIMED_OUT,
                advice="use a smaller preset, or raise DEADLINE_FACTOR and JOB_TIMEOUT_SECS",
                stage=stage,
            )
        if reason is ExitReason.SILENT:
            return RunnerError(
                f"no progress for {limits.stall_s:.0f} s in {stage}",
                code=Code.JOB_TIMED_OUT,
                advice="the log shows where it hung; raise JOB_STALL_SECS if the machine is only slow",
                stage=stage,
            )
        free = free_bytes(self._workspace)
        return ResourceError(
            f"only {free / 1e6:.0f} MB are free in {self._workspace}, {limits.min_free_bytes / 1e6:.0f} MB are needed",
            code=Code.DISK_FULL,
            advice="give the workspace a larger disk, or point TEMP_PATH to one",
            stage=stage,
        )


def _verdict(end: Exit, running: _Running, workspace: Path) -> dict[str, Any]:
    """The result, or the error that says how it ended."""
    result = workspace / RESULT_FILE
    if result.is_file():  # written whole and last: what happened to the process afterwards does not matter
        return request.decode_result(result.read_bytes())
    failure = workspace / FAILURE_FILE
    reported = load_error(failure.read_bytes()) if failure.is_file() else None
    if isinstance(reported, InputError):
        raise reported
    if running.ending is not None:  # its death, or its "interrupted", is what was asked for
        raise running.ending
    if reported is not None:
        raise reported
    raise death(end, running.stage)


def death(end: Exit, stage: str) -> InfrastructureError:
    """The error for a child that ended by itself and left no word."""
    cause = f"the job {end.explained()} in {stage}: {memory.describe()}"
    if end.reason is ExitReason.KILLED_FOR_MEMORY:
        advice = "use a smaller preset, fewer frames, or a machine with more memory"
        return ResourceError(cause, code=Code.OUT_OF_MEMORY, advice=advice, stage=stage)
    advice = "the log holds the stack; report it with the video if it happens again"
    return RunnerError(cause, code=Code.JOB_CRASHED, advice=advice, stage=stage)
