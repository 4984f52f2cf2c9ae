"""`scenejobs cancel`: a scene stops and keeps its uploads; nothing starts before a retry or a new upload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import InputError, Interrupted
from scenejobs.state import cancelling, rerun, wishes
from scenejobs.state.cancelling import cancel
from scenejobs.state.layout import CANCELLED
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.record import Phase
from tests.commands import typed
from tests.growth import GrowingScene
from tests.runner_world import ByHand, echo_job


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """Two clips, and nothing has begun."""
    scene = GrowingScene(tmp_path)
    scene.cloud.by_hand = ByHand()
    scene.upload("lobby/a.mp4", b"a")
    scene.upload("lobby/b.mp4", b"b")
    return scene


def interrupted(scene: GrowingScene, meanwhile: Callable[[], object]) -> Callable[..., dict[str, Any]]:
    """A job during which something happens, and that stops when it is asked to."""

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        meanwhile()
        assert scene.cloud.by_hand is not None
        scene.cloud.by_hand.acts["called off"]()
        if supervision.stop_requested():
            raise Interrupted("told to stop", stage="training")
        return echo_job(job, supervision)

    return job


def assert_nothing_starts(scene: GrowingScene) -> None:
    runs, starts = scene.cloud.jobs_run, len(scene.compute.executions)
    for _ in range(3):
        scene.sweep_for_an_hour()
        scene.settle()
        scene.cloud.clock.advance(2 * 86400)
    assert (scene.cloud.jobs_run, len(scene.compute.executions)) == (runs, starts)
    assert scene.cloud.names("input") == ["lobby/a.mp4", "lobby/b.mp4"]
    assert scene_status(scene.containers, "lobby").state is State.CANCELLED
    assert scene.violations() == []


def test_before_anything_began_it_keeps_everything_from_beginning(scene: GrowingScene) -> None:
    cancel(scene.containers, "lobby")
    assert_nothing_starts(scene)


def test_a_sealed_scene_whose_message_waits_starts_no_execution(scene: GrowingScene) -> None:
    scene.cloud.clock.advance(70)
    app = scene.app
    sealing = app.dispatcher.seal("lobby", tuple(scene.containers.input.list()), scene.cloud.clock(), "test")
    assert (sealing, scene.queues.jobs.total()) == ("created", 1)
    cancel(scene.containers, "lobby")
    assert_nothing_starts(scene)
    scene.upload("lobby/c.mp4", b"c")
    scene.settle()
    assert scene.used == [["a.mp4", "b.mp4", "c.mp4"]]


def test_a_run_stops_costs_no_attempt_and_goes_on_after_a_retry(scene: GrowingScene) -> None:
    scene.settle(interrupted(scene, lambda: cancel(scene.containers, "lobby")))
    record = scene.cloud.record("lobby")
    assert (record.phase, record.attempts, record.preemptions, record.failures) == (Phase.IDLE, 0, 0, ())
    assert scene.cloud.names("output") == []
    assert_nothing_starts(scene)
    assert typed(["retry", "lobby"], scene.containers, scene.queues) == 0
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene.violations() == []
    assert list(scene.containers.state.list(CANCELLED)) == []


def test_a_new_upload_starts_it_with_all_that_lies_there(scene: GrowingScene) -> None:
    cancel(scene.containers, "lobby")
    scene.settle()
    scene.upload("lobby/a.mp4", b"another version")
    scene.settle()
    assert scene.used == [["a.mp4", "b.mp4"]]
    assert list(scene.containers.state.list(CANCELLED)) == []


def test_one_that_comes_too_late_keeps_the_result_and_leaves_no_note(scene: GrowingScene) -> None:
    def late(job: Job, supervision: Supervision) -> dict[str, Any]:
        summary = echo_job(job, supervision)
        cancel(scene.containers, "lobby")  # no heartbeat sees it before the commit
        return summary

    scene.settle(late)
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert list(scene.containers.state.list(CANCELLED)) == []
    with pytest.raises(InputError, match="nothing of scene lobby waits or runs"):
        cancel(scene.containers, "lobby")


def test_a_run_whose_runner_is_gone_is_taken_back_without_an_execution(scene: GrowingScene) -> None:
    class Gone(BaseException):
        pass

    def killed(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise Gone

    with pytest.raises(Gone):
        scene.settle(killed)
    assert scene.cloud.record("lobby").phase is Phase.RUNNING
    cancel(scene.containers, "lobby")  # while the lease of the dead is held
    assert scene.cloud.record("lobby").phase is Phase.RUNNING
    scene.cloud.clock.advance(120)
    scene.compute.finish(scene.compute.live()[0].name)
    scene.app.sweeper.sweep()
    record = scene.cloud.record("lobby")
    assert (record.phase, record.attempts) == (Phase.IDLE, 1)
    assert_nothing_starts(scene)


def test_a_wish_is_called_off_with_the_scene(scene: GrowingScene) -> None:
    scene.settle()
    wishes.again(scene.containers, scene.queues, "lobby")
    cancel(scene.containers, "lobby")
    runs = scene.cloud.jobs_run
    scene.settle()
    assert scene.cloud.jobs_run == runs
    assert scene.cloud.record("lobby").wish is None
    assert scene_status(scene.containers, "lobby").state is State.DONE
    rerun.carry_out(scene.containers, scene.queues, rerun.plan(scene.containers, "lobby"))
    scene.settle()
    assert scene.cloud.jobs_run == runs + 1


def test_a_decided_scene_is_not_cancelled(scene: GrowingScene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.settle()
    assert typed(["cancel", "lobby"], scene.containers) == 1
    assert "nothing of scene lobby waits or runs" in capsys.readouterr().err
    assert typed(["cancel", "nowhere"], scene.containers) == 1


def test_the_command_says_what_stays_and_what_starts_it(
    scene: GrowingScene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(["cancel", "lobby"], scene.containers) == 0
    assert capsys.readouterr().out.splitlines() == [
        "lobby: cancelled, nothing runs; 2 uploads stay in input",
        "next: scenejobs retry lobby, a new upload, or scenejobs delete lobby --all-generations",
    ]
    assert typed(["status", "lobby", "--wait"], scene.containers) == 1
    assert "lobby: cancelled, 2 uploads stay in the input container" in capsys.readouterr().out
    assert typed(["retry", "lobby", "--dry-run"], scene.containers, scene.queues) == 0
    assert "cancelled no more" in capsys.readouterr().out
    assert cancelling.is_noted(scene.containers.state, "lobby")


def test_a_note_that_cannot_be_read_keeps_nothing_back(scene: GrowingScene) -> None:
    cancel(scene.containers, "lobby")
    [note] = scene.containers.state.list(CANCELLED)
    scene.containers.state.write(note.name, b"{")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
