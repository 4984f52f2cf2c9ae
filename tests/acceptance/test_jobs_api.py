"""The local jobs API, asked by the client that the product uses in Azure: executions live and end as processes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from function_app.starter import Starter
from local.azurite import dying_with_parent
from local.jobs_api.executions import Executions, Fault, Status
from local.jobs_api.server import JobsApi
from scenejobs.adapters.azure.container_apps import ContainerAppsCompute
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryQueue
from scenejobs.errors import ComputeError
from scenejobs.settings.groups import ComputeSettings
from tests.processes import is_running

ROOT = Path(__file__).parents[2]
# Says its execution's name, and ends as it is told to: at once, at a signal, or not at all.
OBEDIENT = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
    "print(os.environ['CONTAINER_APP_JOB_EXECUTION_NAME'], os.environ['COLOUR'], flush=True)\n"
    "time.sleep(60)\n"
)
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
)
# A child with a session of its own, as the runner's: the platform signals it all the same.
FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "sys.exit(128 - child.wait())\n"
)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> object:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


@contextmanager
def desk(
    folder: Path,
    program: str,
    *,
    limit: int | None = None,
    grace_s: float = 20,
    env: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Iterator[tuple[ContainerAppsCompute, Executions]]:
    command = [sys.executable, "-c", program]
    settings_of = {**os.environ, **(env or {})}
    executions = Executions("runner", command, settings_of, folder, limit=limit, grace_s=grace_s, faults=faults)
    with JobsApi(executions) as api:
        settings = ComputeSettings("sub", "group", "runner", arm_endpoint=api.endpoint)
        yield ContainerAppsCompute(settings, read_timeout_s=5), executions


def log(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text()


def test_an_execution_starts_is_listed_and_stops(tmp_path: Path) -> None:
    with desk(tmp_path, OBEDIENT, env={"COLOUR": "blue"}) as (compute, executions):
        assert compute.live() == ()
        name = compute.start()
        (live,) = compute.live()
        assert (live.name, live.status) == (name, "Running")
        assert live.started_at is not None
        wait_for(lambda: log(tmp_path, name))
        assert log(tmp_path, name).split() == [name, "blue"]
        compute.stop(name)
        wait_for(lambda: not compute.live())
        ended = executions.get(name)
        assert ended is not None
        assert (ended.status, ended.exit_code) == (Status.STOPPED, 143)
        compute.stop(name)  # twice is harmless
        compute.stop("runner-unknown")


@pytest.mark.parametrize(("code", "status"), [(0, Status.SUCCEEDED), (3, Status.FAILED)])
def test_the_exit_code_decides_how_an_execution_ended(tmp_path: Path, code: int, status: Status) -> None:
    with desk(tmp_path, f"raise SystemExit({code})") as (compute, executions):
        names = [compute.start(), compute.start()]
        wait_for(lambda: not compute.live())
        assert [execution.name for execution in executions.all()] == names[::-1]
        assert {execution.status for execution in executions.all()} == {status}


def test_an_execution_that_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    with desk(tmp_path, STUBBORN, grace_s=0.5) as (compute, executions):
        name = compute.start()
        wait_for(lambda: log(tmp_path, name))
        compute.stop(name)
        time.sleep(0.2)
        assert len(compute.live()) == 1
        wait_for(lambda: not compute.live())
        ended = executions.get(name)
        assert ended is not None
        assert (ended.status, ended.exit_code) == (Status.STOPPED, -signal.SIGKILL)


def test_a_stop_reaches_every_process_of_an_execution(tmp_path: Path) -> None:
    with desk(tmp_path, FAMILY) as (compute, _):
        name = compute.start()
        child = int(str(wait_for(lambda: log(tmp_path, name))))
        compute.stop(name)
        wait_for(lambda: not compute.live())
        wait_for(lambda: not is_running(child))


def test_an_execution_whose_machine_is_lost_is_gone_without_a_word(tmp_path: Path) -> None:
    with desk(tmp_path, FAMILY) as (compute, executions):
        name = compute.start()
        child = int(str(wait_for(lambda: log(tmp_path, name))))
        assert executions.kill(name)
        wait_for(lambda: not compute.live())
        wait_for(lambda: not is_running(child))
        ended = executions.get(name)
        assert ended is not None
        assert (ended.status, ended.exit_code) == (Status.FAILED, -signal.SIGKILL)
        assert not executions.kill(name), "it is gone already"


def test_more_executions_than_the_limit_are_refused_with_a_time_to_wait(tmp_path: Path) -> None:
    with desk(tmp_path, STUBBORN, limit=1, grace_s=0.1) as (compute, _):
        compute.start()
        with pytest.raises(ComputeError) as refused:
            compute.start()
        assert refused.value.retry_after_s == 5


def test_an_execution_that_does_nothing_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with desk(tmp_path, "print('worked')", faults=[Fault.IDLE]) as (compute, executions):
        name = compute.start()
        time.sleep(0.3)
        assert [execution.name for execution in compute.live()] == [name]
        assert log(tmp_path, name) == ""
        compute.stop(name)
        wait_for(lambda: not compute.live())
        ended = executions.get(name)
        assert ended is not None
        assert ended.status is Status.STOPPED
        other = compute.start()
        wait_for(lambda: "worked" in log(tmp_path, other))


def test_an_execution_whose_end_is_not_noticed_is_listed_until_it_is_stopped(tmp_path: Path) -> None:
    with desk(tmp_path, "", faults=[Fault.UNNOTICED]) as (compute, executions):
        name = compute.start()
        found = wait_for(lambda: (item := executions.get(name)) and item.exit_code == 0 and item)
        assert getattr(found, "status", None) is Status.RUNNING
        assert [execution.name for execution in compute.live()] == [name]
        compute.stop(name)
        assert compute.live() == ()


@pytest.mark.parametrize("fault", [Fault.IDLE, Fault.UNNOTICED])
def test_the_starter_stops_what_shows_no_life_through_the_api_and_starts_another(tmp_path: Path, fault: Fault) -> None:
    clock = ManualClock()
    state, jobs = MemoryBlobStore("state", clock), MemoryQueue("jobs", clock)
    jobs.send("work")
    program = OBEDIENT if fault is Fault.IDLE else ""
    with desk(tmp_path, program, faults=[fault], env={"COLOUR": "blue"}) as (compute, executions):
        starter = Starter(state, jobs, compute, 1)
        assert starter.ensure_started() == 1
        (first,) = (execution.name for execution in compute.live())
        wait_for(lambda: fault is Fault.IDLE or getattr(executions.get(first), "exit_code", None) == 0)
        clock.advance(1801)
        assert starter.ensure_started() == 1
        wait_for(lambda: getattr(executions.get(first), "status", None) is Status.STOPPED)
        assert len(executions.all()) == 2


def test_another_job_is_not_there(tmp_path: Path) -> None:
    with desk(tmp_path, "") as (_, executions), JobsApi(executions) as api, pytest.raises(ComputeError):
        ContainerAppsCompute(ComputeSettings("sub", "group", "other", arm_endpoint=api.endpoint)).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_server_ends_however_it_ends_no_execution_is_left(tmp_path: Path, number: signal.Signals) -> None:
    if number is signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells children of their parent's death")
    port_file = tmp_path / "port"
    program = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    options = ["--port", "0", "--port-file", str(port_file), "--logs", str(tmp_path), "--job", "runner"]
    command = [sys.executable, "-m", "local.jobs_api", *options, "--", sys.executable, "-c", program]
    server = subprocess.Popen(dying_with_parent(command), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        wait_for(port_file.exists)
        endpoint = f"http://127.0.0.1:{port_file.read_text()}"
        name = ContainerAppsCompute(ComputeSettings("sub", "group", "runner", arm_endpoint=endpoint)).start()
        pid = int(str(wait_for(lambda: log(tmp_path, name))))
        assert is_running(pid)
        server.send_signal(number)
        assert server.wait(20) == (0 if number is signal.SIGTERM else -number)
        wait_for(lambda: not is_running(pid))
    finally:
        server.kill()
        server.communicate()
