"""However the child process of a job ends, the parent says how. The children here are small real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from runner.job.request import Job
from runner.job.supervise import JobLimits, Supervision, child_environment, run_job
from runner.scene.frames import Clip
from runner.scene.progress import Report
from scenejobs.errors import (
    Code,
    InputError,
    Interrupted,
    LeaseLost,
    ResourceError,
    RunnerError,
    SceneJobError,
)
from scenejobs.settings.pipeline import PipelineSettings
from tests.children import dies

LIMITS = JobLimits(deadline_s=30, stall_s=30, grace_s=5, poll_s=0.02)

# What every stand-in child starts with: `report(stage)`, `folder`, `result(text)`.
PRELUDE = """
import json, os, signal, sys, time
folder, pipe = os.path.dirname(sys.argv[1]), int(sys.argv[2])
def report(stage, fraction=0.5):
    os.write(pipe, json.dumps({"stage": stage, "fraction": fraction, "detail": "", "eta_s": None}).encode() + b"\\n")
def result(text):
    with open(os.path.join(folder, "result.json"), "w") as file:
        file.write(text)
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    video = tmp_path / "0001.mp4"
    video.write_bytes(b"video")
    return Job(
        (Clip("view1.mp4", video),), tmp_path / "workspace", tmp_path / "out", "lobby", "run-1",
        PipelineSettings(backend="mock"),
    )  # fmt: skip


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", PRELUDE + textwrap.dedent(code))


def run(job: Job, code: str, supervision: Supervision | None = None, limits: JobLimits = LIMITS) -> dict[str, object]:
    return run_job(job, supervision or Supervision(), limits, command=child(code))


def test_what_is_known_about_the_uploads_beforehand_is_told_in_metrics_and_report(job: Job) -> None:
    summary = run_job(replace(job, warnings=("poses/cameras.json is <not> read",)), Supervision(), LIMITS)
    assert "poses/cameras.json is <not> read" in summary["warnings"]
    assert json.loads((job.out / "metrics.json").read_text())["warnings"] == summary["warnings"]
    assert "poses/cameras.json is &lt;not&gt; read" in (job.out / "report.html").read_text()


def test_the_real_child_runs_the_mock_and_reports_progress(job: Job, tmp_path: Path) -> None:
    reports: list[Report] = []
    summary = run_job(job, Supervision(on_progress=reports.append, log_file=tmp_path / "run.log"), LIMITS)
    assert summary["mock"] is True
    assert (job.out / "lobby.ply").is_file()
    assert [report.stage for report in reports if report.fraction == 0] == [
        "validation", "frame_extraction", "colmap_reconstruction", "training", "ply_export", "splat_export",
    ]  # fmt: skip
    fractions = [report.total_fraction for report in reports]
    assert fractions == sorted(fractions)


def test_an_error_of_the_job_arrives_with_its_class_code_and_stage(job: Job) -> None:
    job.clips[0].path.write_bytes(b"")
    with pytest.raises(InputError, match=r"view1\.mp4 is empty") as caught:
        run_job(job, Supervision(), LIMITS)
    assert (caught.value.code, caught.value.stage) == (Code.EMPTY_FILE, "frame_extraction")
    assert caught.value.advice


def test_an_exception_nobody_expected_is_a_bug_whose_stack_is_in_the_log(job: Job, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    (job.out / "lobby.ply").mkdir(parents=True)  # no file can be written there
    with pytest.raises(RunnerError, match=r"IsADirectoryError at \w+\.py:\d+") as caught:
        run_job(job, Supervision(log_file=log), LIMITS)
    assert (caught.value.code, caught.value.stage) == (Code.BUG, "ply_export")
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGSEGV, RunnerError, Code.JOB_CRASHED),
        (signal.SIGABRT, RunnerError, Code.JOB_CRASHED),
        (signal.SIGKILL, ResourceError, Code.OUT_OF_MEMORY),
    ],
)
def test_a_death_by_signal_is_named(job: Job, number: signal.Signals, error: type[SceneJobError], code: Code) -> None:
    with pytest.raises(error) as caught:
        run(job, f"report('training'); time.sleep(0.1); os.kill(os.getpid(), {int(number)})")
    assert (caught.value.code, caught.value.stage) == (code, "training")
    assert "GiB of" in caught.value.cause, "the sizes tell whether it was memory"
    assert number.name in caught.value.cause or "signal 9" in caught.value.cause


def test_an_end_without_a_word_is_a_crash(job: Job) -> None:
    with pytest.raises(RunnerError, match="exit code 7 and without a result"):
        run(job, "sys.exit(7)")


def test_a_crash_after_the_result_was_written_does_not_matter(job: Job) -> None:
    """Some native libraries crash while they are unloaded."""
    assert run(job, "result('{\"ok\": 1}'); os.kill(os.getpid(), signal.SIGSEGV)") == {"ok": 1}


def test_the_result_of_an_earlier_attempt_is_not_taken_for_this_one(job: Job) -> None:
    run(job, "result('{}')")
    with pytest.raises(RunnerError):
        run(job, "sys.exit(0)")


def test_a_stop_is_asked_for_and_waited_for(job: Job) -> None:
    code = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        report("training")
        os.read(0, 64)
        open(os.path.join(folder, "saved"), "w").close()
    """
    began = time.monotonic()
    with pytest.raises(Interrupted) as caught:
        run(job, code, Supervision(stop_requested=lambda: time.monotonic() - began > 0.3))
    assert (job.workspace / "saved").is_file(), "there was time to save the state"
    assert caught.value.exit_code == 143


def test_a_child_that_does_not_stop_is_killed_with_its_children(job: Job) -> None:
    code = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if (grandchild := os.fork()) == 0:
            time.sleep(60)
            os._exit(0)
        report("training")
        open(os.path.join(folder, "pids"), "w").write(f"{os.getpid()} {grandchild}")
        time.sleep(60)
    """
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(job, code, Supervision(stop_requested=lambda: True), JobLimits(grace_s=0.5, poll_s=0.02))
    assert time.monotonic() - began < 20
    pids = list(map(int, (job.workspace / "pids").read_text().split()))
    assert len(pids) == 2
    assert all(dies(pid) for pid in pids)


STUBBORN = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report("training")
    time.sleep(60)
"""


def test_a_child_is_killed_when_the_time_for_stopping_is_used_up(job: Job) -> None:
    """However long its own grace would be: what is left for it counts from the signal, not from when it was asked."""
    limits = JobLimits(grace_s=60, stall_s=30, deadline_s=30, poll_s=0.02)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(job, STUBBORN, Supervision(stop_requested=lambda: True, grace_left_s=lambda: 0.3), limits)
    assert time.monotonic() - began < 30


def test_a_signal_while_a_child_is_given_time_for_another_reason_shortens_it(job: Job) -> None:
    limits = JobLimits(deadline_s=0.5, grace_s=60, poll_s=0.02)
    began = time.monotonic()

    def left_s() -> float:
        return 0.0 if time.monotonic() - began > 1.5 else float("inf")

    with pytest.raises(RunnerError):
        run(job, STUBBORN, Supervision(grace_left_s=left_s), limits)
    assert time.monotonic() - began < 30


def test_the_death_of_a_child_while_stopping_is_no_failure(job: Job) -> None:
    """Container Apps signals every process; a child that dies of it was interrupted, not broken."""
    with pytest.raises(Interrupted):
        run(job, "os.read(0, 64); os.kill(os.getpid(), signal.SIGTERM)", Supervision(stop_requested=lambda: True))


def test_a_lost_lease_kills_the_job_at_once(job: Job) -> None:
    began = time.monotonic()

    def check() -> None:
        if time.monotonic() - began > 0.3:
            raise LeaseLost("somebody else's")

    with pytest.raises(LeaseLost):
        run(job, "report('training'); time.sleep(60)", Supervision(check_lease=check))
    assert time.monotonic() - began < 20


def test_a_job_past_its_deadline_is_ended(job: Job) -> None:
    code = "while True: report('training'); time.sleep(0.05)"
    with pytest.raises(RunnerError, match="not done after 1 s, it was in training") as caught:
        run(job, code, limits=JobLimits(deadline_s=1, grace_s=0.2, poll_s=0.02))
    assert caught.value.code == Code.JOB_TIMED_OUT


@pytest.mark.parametrize(("planned_s", "limit_s"), [(1, 30), (30, 1)], ids=["of its plan", "of the settings"])
def test_the_earlier_deadline_counts(job: Job, planned_s: float, limit_s: float) -> None:
    limits = JobLimits(deadline_s=limit_s, grace_s=0.2, poll_s=0.02)
    with pytest.raises(RunnerError, match="not done after 1 s"):
        run(job, "while True: report('training'); time.sleep(0.05)", Supervision(deadline_s=planned_s), limits=limits)


def test_a_job_without_progress_is_ended(job: Job) -> None:
    with pytest.raises(RunnerError, match="no progress for 1 s in colmap_reconstruction") as caught:
        run(
            job,
            "report('colmap_reconstruction'); time.sleep(60)",
            limits=JobLimits(stall_s=1, grace_s=0.2, poll_s=0.02),
        )
    assert caught.value.code == Code.JOB_TIMED_OUT


def test_a_disk_that_runs_full_ends_the_job_with_the_sizes(job: Job) -> None:
    with pytest.raises(ResourceError, match="MB are free") as caught:
        run(job, "time.sleep(60)", limits=JobLimits(min_free_bytes=10**18, grace_s=0.2, poll_s=0.02))
    assert caught.value.code == Code.DISK_FULL


def test_lines_that_are_no_reports_are_ignored(job: Job) -> None:
    code = r"""
        os.write(pipe, b"noise\n{}\n[1]\n\xff\xfe\n" + b'{"stage": "../../etc", "fraction": 1, "detail": ""}\n')
        os.write(pipe, b"x" * 60000 + b"\n")
        os.write(pipe, b'{"stage": "training", "fraction": NaN, "detail": "", "eta_s": null}\n')
        report("training")
        result("{}")
    """
    reports: list[Report] = []
    run(job, code, Supervision(on_progress=reports.append))
    assert [(report.stage, report.fraction) for report in reports] == [("training", 0.5)]


def test_what_the_child_prints_is_in_the_log(job: Job, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("before\n")
    run(job, "print('said', flush=True); print('complained', file=sys.stderr); result('{}')", Supervision(log_file=log))
    assert log.read_text().split() == ["before", "said", "complained"]


def test_the_child_gets_no_credentials(job: Job) -> None:
    secrets = {
        "AZURE_STORAGE_SAS_TOKEN": "sig=x", "AZURE_CLIENT_SECRET": "secret", "AZURE_STORAGE_CONNECTION_STRING": "x",
        "IDENTITY_ENDPOINT": "http://169.254.169.254", "IDENTITY_HEADER": "secret", "MSI_SECRET": "secret",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "x", "GITHUB_TOKEN": "x", "LD_PRELOAD": "x", "PYTHONSTARTUP": "x",
    }  # fmt: skip
    kept = {
        "PATH": "/bin",
        "HOME": "/home/u",
        "LANG": "C.UTF-8",
        "NUMBA_CACHE_DIR": "/cache",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    job.workspace.mkdir()
    environment = child_environment({**secrets, **kept}, job)
    assert not secrets.keys() & environment.keys()
    assert environment.items() >= kept.items()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_child_dies_with_its_parent(job: Job, tmp_path: Path) -> None:
    """SIGKILL of the parent, which nobody can handle: a job that goes on would work on a scene it does not own."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
            import dataclasses, sys
            sys.path.insert(0, {str(Path(__file__).parents[4])!r})
            from pathlib import Path
            from runner.job.request import Job
            from runner.job.supervise import Supervision, run_job
            from runner.scene.frames import Clip
            from scenejobs.settings.pipeline import PipelineSettings
            folder = Path({str(tmp_path)!r})
            job = Job((Clip("a", folder / "0001.mp4"),), folder / "w", folder / "o", "n", "id",
                      PipelineSettings(backend="mock"))
            run_job(job, Supervision(on_progress=lambda report: print(report.stage, flush=True)))
        """)
    )
    environment = {**os.environ, "MOCK_SECONDS": "60"}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        while "training" not in parent.stdout.readline():
            assert parent.poll() is None
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        if not children.is_file():
            parent.kill()
            pytest.skip("this system does not list the children of a process")
        (pid,) = map(int, children.read_text().split())
        parent.kill()
        parent.wait()
    assert dies(pid)
