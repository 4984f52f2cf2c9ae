"""Runs one job in a child process and says how it ended, whatever the child did.

Decoders, COLMAP, CUDA: native code can crash, hang, hold the interpreter's lock or be killed for memory. Here each of
these is an outcome like any other, and the parent goes on renewing the lease meanwhile.

    parent -> child   request.json; "stop" on its standard input; SIGKILL to its process group
    child -> parent   progress as JSON lines on a pipe; result.json or failure.json; its output in the run's log
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.files.disk import free_bytes
from runner.job.request import FAILURE_FILE, REQUEST_FILE, RESULT_FILE, STOP_LINE, Job
from runner.paths import ROOT
from runner.process import memory
from runner.process.error_json import load_error
from runner.process.line_pipe import LinePipe
from runner.scene.progress import STAGES, Report
from scenejobs.errors import Code, InfrastructureError, InputError, Interrupted, ResourceError, RunnerError

CHILD = (sys.executable, "-P", "-m", "runner.job.child")

# The child parses hostile media: it gets no credentials and no identity endpoint, only what these names hold.
ALLOWED = frozenset({"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "XDG_CACHE_HOME",
                     "MOCK_SECONDS", "LOG_LEVEL", "PYTHONWARNINGS", "TERM"})  # fmt: skip
ALLOWED_PREFIXES = ("NUMBA_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "TORCH_", "PYTORCH_")

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
    """What the parent looks at, and tells, while the job runs. Called often, from the thread that called `run_job`."""

    stop_requested: Callable[[], bool] = lambda: False
    check_ownership: Callable[[], None] = lambda: None  # raises LeaseLost: the job is killed, nothing is reported
    on_progress: Callable[[Report], None] = lambda _: None
    log_file: Path | None = None  # the child's output is appended here; None: thrown away
    deadline_s: float | None = None  # of this job, from its plan; None: that of the limits
    grace_left_s: Callable[[], float] = lambda: math.inf  # until a stop must be done, see runner/worker/shutdown.py


@dataclass
class _Watch:
    """The running state of one supervised child."""

    started_at: float
    progress_at: float
    last: Report | None = None
    ending: Exception | None = None  # why the parent asked it to end
    kill_at: float | None = None
    oom_kills: int = field(default_factory=memory.oom_kills)


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
    ResourceError when disk or memory ran out; Interrupted when a stop was asked for; LeaseLost from `check_ownership`.
    """
    limits = limits or JobLimits()
    if supervision.deadline_s is not None:
        limits = replace(limits, deadline_s=min(limits.deadline_s, supervision.deadline_s))
    for folder in (job.workspace, job.out):
        folder.mkdir(parents=True, exist_ok=True)
    for left in (RESULT_FILE, FAILURE_FILE):
        (job.workspace / left).unlink(missing_ok=True)
    (job.workspace / REQUEST_FILE).write_text(json.dumps(job.to_json()), encoding="utf-8")

    now = time.monotonic()
    watch = _Watch(now, now)
    with LinePipe() as pipe, _output(supervision.log_file) as output:
        process = subprocess.Popen(
            [*command, str(job.workspace / REQUEST_FILE), str(pipe.write_end)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(pipe.write_end,),
            start_new_session=True,  # its group can be killed as a whole
            env=child_environment(env, job),
            cwd=job.workspace,
        )
        pipe.close_write_end()
        try:
            while not _ended(process):
                _receive(pipe, limits.poll_s, watch, supervision)
                supervision.check_ownership()
                _look(process, watch, supervision, limits, job.workspace)
            _receive(pipe, 0.0, watch, supervision)
        finally:
            _kill_group(process)
            returncode = process.wait()
    return _verdict(returncode, watch, job.workspace)


def child_environment(env: Mapping[str, str], job: Job) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if name in ALLOWED or name.startswith(ALLOWED_PREFIXES)}
    kept["LOG_FORMAT"] = "text"  # its output is the run's log, for people
    temporary = job.workspace / "tmp"
    temporary.mkdir(exist_ok=True)
    threads = {"OMP_NUM_THREADS": str(job.settings.threads)} if job.settings.threads else {}
    return {
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait slow the others down
        **threads,
        **kept,
        "PYTHONPATH": str(ROOT),  # with -P: nothing in the workspace can pass as a module
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
    }


@contextlib.contextmanager
def _output(path: Path | None) -> Any:
    with (path or Path(os.devnull)).open("ab") as file:
        yield file


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended. It stays unreaped, so that its group id cannot become somebody else's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left in it
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _receive(pipe: LinePipe, wait_s: float, watch: _Watch, supervision: Supervision) -> None:
    for line in pipe.lines(wait_s):
        report = _parse_report(line)
        if report is not None:
            watch.last, watch.progress_at = report, time.monotonic()
            supervision.on_progress(report)


def _parse_report(line: bytes) -> Report | None:
    """None for a line that is no report: the child is not trusted."""
    try:
        value = json.loads(line)
        eta_s = None if value.get("eta_s") is None else float(value["eta_s"])
        report = Report(str(value["stage"]), float(value["fraction"]), str(value["detail"])[:500], eta_s)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    known = report.stage in STAGES and math.isfinite(report.fraction) and math.isfinite(eta_s or 0.0)
    return report if known else None


def _look(
    process: subprocess.Popen[bytes], watch: _Watch, supervision: Supervision, limits: JobLimits, workspace: Path
) -> None:
    """Asks the child to stop when there is a reason, and kills it when it does not in time."""
    now = time.monotonic()
    if watch.ending is None:
        watch.ending = _reason_to_end(now, watch, supervision, limits, workspace)
        if watch.ending is None:
            return
        log.warning("the job is asked to stop: %s", watch.ending)
        watch.kill_at = now + min(limits.grace_s, supervision.grace_left_s())
        with contextlib.suppress(BrokenPipeError):  # it ends already
            if process.stdin:
                process.stdin.write(STOP_LINE)
                process.stdin.flush()
    elif watch.kill_at is not None and (now >= watch.kill_at or supervision.grace_left_s() <= 0):
        log.warning("the job did not stop in time and is killed")
        if isinstance(watch.ending, RunnerError):
            os.kill(process.pid, signal.SIGUSR1)  # the child writes where each thread is to the log
            time.sleep(0.2)
        _kill_group(process)
        watch.kill_at = None


def _reason_to_end(
    now: float, watch: _Watch, supervision: Supervision, limits: JobLimits, workspace: Path
) -> Exception | None:
    stage = watch.last.stage if watch.last else "validation"
    if supervision.stop_requested():
        return Interrupted(f"told to stop during {stage}", stage=stage)
    if now - watch.started_at > limits.deadline_s:
        return RunnerError(
            f"the job was not done after {limits.deadline_s:.0f} s, it was in {stage}",
            code=Code.JOB_TIMED_OUT,
            advice="use a smaller preset, or raise DEADLINE_FACTOR and JOB_TIMEOUT_SECS",
            stage=stage,
        )
    if now - watch.progress_at > limits.stall_s:
        return RunnerError(
            f"no progress for {limits.stall_s:.0f} s in {stage}",
            code=Code.JOB_TIMED_OUT,
            advice="the log shows where it hung; raise JOB_STALL_SECS if the machine is only slow",
            stage=stage,
        )
    free = free_bytes(workspace)
    if free < limits.min_free_bytes:
        return ResourceError(
            f"only {free / 1e6:.0f} MB are free in {workspace}, {limits.min_free_bytes / 1e6:.0f} MB are needed",
            code=Code.DISK_FULL,
            advice="give the workspace a larger disk, or point TEMP_PATH to one",
            stage=stage,
        )
    return None


def _verdict(returncode: int, watch: _Watch, workspace: Path) -> dict[str, Any]:
    """The result, or the error that says how it ended."""
    result = workspace / RESULT_FILE
    if result.is_file():  # written whole and last: what happened to the process afterwards does not matter
        summary: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return summary
    failure = workspace / FAILURE_FILE
    reported = load_error(failure.read_text(encoding="utf-8")) if failure.is_file() else None
    if isinstance(reported, InputError):
        raise reported
    if watch.ending is not None:  # its death, or its "interrupted", is what was asked for
        raise watch.ending
    if reported is not None:
        raise reported
    raise _crash(returncode, watch)


def _crash(returncode: int, watch: _Watch) -> InfrastructureError:
    """How a child that left no word died."""
    stage = watch.last.stage if watch.last else "validation"
    used = memory.describe()
    if returncode == -signal.SIGKILL:
        sure = memory.oom_kills() > watch.oom_kills
        return ResourceError(
            f"the job was killed {'for memory' if sure else '(signal 9), probably for memory'} in {stage}: {used}",
            code=Code.OUT_OF_MEMORY,
            advice="use a smaller preset, fewer frames, or a machine with more memory",
            stage=stage,
        )
    if returncode < 0:
        how = f"died of {signal.Signals(-returncode).name}"
    else:
        how = f"ended with exit code {returncode} and without a result"
    return RunnerError(
        f"the job {how} in {stage}: {used}",
        code=Code.JOB_CRASHED,
        advice="the log holds the stack; report it with the video if it happens again",
        stage=stage,
    )
