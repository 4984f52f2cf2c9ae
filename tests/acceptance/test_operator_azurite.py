"""What an operator does, with the commands as processes on the storage emulator: audit, redrive, and reading alarms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.executions import usage
from tests.azurite_scene import ROOT, Scene, names

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


@pytest.fixture
def desk(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def command(desk: Scene, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scenejobs", *arguments],
        cwd=ROOT,
        env=desk.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_failed_scene_is_audited_brought_back_and_audited_again(desk: Scene) -> None:
    desk.upload("lobby/view1.mp4", b"")
    desk.upload("lobby/view2.mp4", b"second")
    desk.queues.jobs.send("no message of ours")
    desk.queue()
    assert desk.run().returncode == 0
    assert desk.queues.poison.total() == 1, "the message nobody can read, with the next one served"
    reason = json.loads(desk.containers.error.read("lobby/error.json")[0])
    assert reason["code"] == "EMPTY_FILE"

    done = command(desk, "audit", "--deep")
    assert (done.returncode, "clean: I1 to I8 hold" in done.stdout) == (0, True), done.stdout

    assert command(desk, "redrive", "lobby").returncode == 0
    assert names(desk.containers.input) == [], "without --apply nothing happens"
    done = command(desk, "redrive", "lobby", "--apply")
    assert done.returncode == 0, done.stderr
    assert names(desk.containers.input) == ["lobby/view1.mp4", "lobby/view2.mp4"]
    assert names(desk.containers.error) == []
    assert desk.queues.debounce.total() == 1
    assert command(desk, "audit").returncode == 0

    desk.upload("lobby/view1.mp4", b"first")  # what was empty is uploaded again
    desk.queue()
    assert desk.run(CONTAINER_APP_JOB_EXECUTION_NAME="runner-abc").returncode == 0
    assert names(desk.containers.processed) == ["lobby/view1.mp4", "lobby/view2.mp4"]
    assert command(desk, "audit", "--deep").returncode == 0
    told = usage.read(desk.containers.state.list("spend/"))
    assert len(told) == 2
    assert any(item.execution.startswith("runner-abc-") and item.seconds > 0 for item in told)

    desk.containers.processed.delete("lobby/view2.mp4")
    done = command(desk, "audit", "--json")
    assert done.returncode == 1
    (violation,) = json.loads(done.stdout)["violations"]
    assert (violation["invariant"], violation["where"]) == ("I1", "processed/lobby/view2.mp4")


def test_a_runner_knows_when_its_execution_ends(desk: Scene) -> None:
    done = desk.run(REPLICA_TIMEOUT_SECS="3600")
    assert done.returncode == 0
    assert "this execution stops by itself in 3480 s" in done.stderr
    done = desk.run(REPLICA_TIMEOUT_SECS="100")
    assert done.returncode == 2
    assert "REPLICA_TIMEOUT_SECS=100 leaves no time" in done.stderr


def test_a_runner_takes_nothing_when_the_days_minutes_are_used_up(desk: Scene) -> None:
    now = desk.containers.state.now()
    usage.write(desk.containers.state, "another", now, now.date(), 3600)
    desk.upload("lobby/view1.mp4", b"first")
    desk.queue()
    done = desk.run(MAX_GPU_MINUTES_PER_DAY="60")
    assert done.returncode == 0
    assert names(desk.containers.input) == ["lobby/view1.mp4"]
    assert desk.queues.jobs.waiting() == 1
    events = [json.loads(line).get("event") for line in done.stderr.splitlines()]
    assert "guard.gpu_budget" in events
