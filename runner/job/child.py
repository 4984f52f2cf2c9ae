"""The child process of a job: `python -m runner.job.child request.json <descriptor of the progress pipe>`.

It has no credentials and no network duties. SIGTERM is ignored: Container Apps signals every process of the container,
and it is the parent that decides, on standard input, when this one is to stop.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType

from runner.files.atomic import FULL, write_atomically
from runner.files.disk import free_bytes
from runner.job.request import FAILURE_FILE, RESULT_FILE, Job, decode, encode_report, encode_result
from runner.process.error_json import dump_error
from runner.process.linux import die_with_parent
from runner.scene.progress import Progress, Report
from scenejobs.errors import Code, ResourceError, RunnerError, SceneJobError
from scenejobs.logs import setup
from scenejobs.settings.groups import LogSettings
from scenejobs.settings.reader import read

log = logging.getLogger("runner.job.child")  # __name__ is __main__ here

REPORT_S = 0.2  # between two lines to the parent, but for a new stage and the end of one


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()  # which cannot renew the lease any more: nobody needs this work
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request, pipe = Path(arguments[0]), int(arguments[1])
    job = decode(request.read_bytes())
    os.set_inheritable(pipe, False)
    setup.configure(read(LogSettings, os.environ), stream=sys.stderr)
    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    reporter = _Reporter(pipe, stop)
    sys.excepthook = _Last(job.workspace, reporter)  # an exception nobody expected is an outcome as well
    return _run(job, Progress(emit=reporter.emit, stop_requested=stop.is_set), reporter)


class _Reporter:
    """Writes reports to the parent, not more often than anybody wants to read them."""

    def __init__(self, pipe: int, stop: threading.Event) -> None:
        self._pipe = pipe
        self._stop = stop
        self._written_at = 0.0
        self.stage = "validation"

    def emit(self, report: Report) -> None:
        now = time.monotonic()
        if report.stage == self.stage and report.fraction < 1 and now - self._written_at < REPORT_S:
            return
        self.stage, self._written_at = report.stage, now
        try:
            os.write(self._pipe, encode_report(report) + b"\n")
        except BrokenPipeError:  # the parent is gone
            self._stop.set()


def _run(job: Job, progress: Progress, reporter: _Reporter) -> int:
    from runner.pipeline import backend
    from runner.pipeline import (  # here, so that what a broken installation raises is reported
        settings as pipeline_settings,
    )

    try:
        settings = pipeline_settings.resolve(
            job.settings, job.job_id, save_s=job.save_s, out_of_memory=job.out_of_memory, cache=job.cache,
            warnings=job.warnings, refused=job.refused, generations=job.generations, unused=job.unused, asked=job.asked,
            more_time=job.more_time, finished=job.finished, machine=job.machine,
            uploaded_at=job.uploaded_at,
            ends_at=None if job.deadline_s is None else time.monotonic() + job.deadline_s,
        )  # fmt: skip
        reconstruct = backend.choose(settings)
        summary = reconstruct(list(job.clips), job.workspace, job.out, job.name, settings, progress)
    except SceneJobError as exc:
        exc.stage = exc.stage or reporter.stage
        log.error("%s", exc, exc_info=True)
        _write_failure(job.workspace, exc)
        return exc.exit_code
    write_atomically(job.workspace / RESULT_FILE, [encode_result(summary)])
    return 0


class _Last:
    """Turns an exception that nobody caught into a failure file. See sys.excepthook."""

    def __init__(self, workspace: Path, reporter: _Reporter) -> None:
        self._workspace = workspace
        self._reporter = reporter

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("%s", error, exc_info=(kind, error, trace))
        _write_failure(self._workspace, unexpected(error, trace, self._workspace, self._reporter.stage))


def unexpected(
    error: BaseException, trace: TracebackType | None, workspace: Path, stage: str
) -> ResourceError | RunnerError:
    """What an exception that is none of ours means."""
    if isinstance(error, OSError) and error.errno in FULL:
        return ResourceError(
            f"no space left in the workspace: {free_bytes(workspace) / 1e6:.0f} MB are free",
            code=Code.DISK_FULL,
            advice="give the workspace a larger disk, or point TEMP_PATH to one",
            stage=stage,
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing torch
        return ResourceError(
            f"an allocation failed: {str(error).splitlines()[0][:300] if str(error) else 'out of memory'}",
            code=Code.OUT_OF_MEMORY,
            advice="use a smaller preset, fewer frames, or a machine with more memory",
            stage=stage,
        )
    frames = traceback.extract_tb(trace)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return RunnerError(
        f"{type(error).__name__}{place}: {str(error)[:300]}",
        code=Code.BUG,
        advice="this is a bug; report it with the log",
        stage=stage,
    )


def _write_failure(workspace: Path, error: SceneJobError) -> None:
    (workspace / FAILURE_FILE).write_text(dump_error(error), encoding="utf-8")


def _listen(stop: threading.Event) -> None:
    """Any word from the parent, and its end, mean: stop. Reads the descriptor itself, which no exit has to wait for."""
    os.read(0, 64)
    stop.set()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # skips the destructors of native libraries, some of which crash
