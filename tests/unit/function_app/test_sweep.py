"""Whatever was lost on the way, an event, a message or an execution, the sweep finds; what is well it leaves alone."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from function_app import __main__ as command
from function_app import wiring
from function_app.sweep import SweepReport
from scenejobs.errors import Busy, ComputeError, ConfigurationError, StartUnknown
from scenejobs.ports import BlobStore
from scenejobs.state import layout, records
from scenejobs.state.executions import usage
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord
from tests.dispatch import SETTINGS, World, put_record, sealed_world
from tests.doubles.faults import Fault, FaultPlan, Rule


def test_a_sweep_of_nothing_does_nothing() -> None:
    world = World()
    assert world.app.sweeper.sweep() == SweepReport()
    assert world.compute.starts == 0


def test_a_scene_whose_events_were_all_lost_is_sealed() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.upload("attic/a.mp4", event=False)
    assert world.app.sweeper.sweep() == SweepReport(scenes=2)  # not quiet yet
    world.clock.advance(60)
    assert world.app.sweeper.sweep() == SweepReport(scenes=2, sealed=2, started=2)
    assert world.app.sweeper.sweep() == SweepReport(scenes=2)
    assert sorted(message.scene for message in world.sent) == ["attic", "lobby"]


def test_a_lost_work_message_is_sent_again_after_a_while() -> None:
    world = sealed_world()
    world.jobs.messages.clear()
    world.clock.advance(300)
    assert world.app.sweeper.sweep().requeued == 0
    world.clock.advance(301)
    assert world.app.sweeper.sweep().requeued == 1
    assert world.app.sweeper.sweep().requeued == 0
    world.work()
    assert len(world.runs) == 1
    world.clock.advance(3000)
    assert world.app.sweeper.sweep() == SweepReport()


def test_the_message_is_sent_again_even_if_the_user_deleted_one_of_the_uploads() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.upload("lobby/b.mp4")
    world.advance(70)
    world.jobs.messages.clear()
    world.input.delete("lobby/b.mp4")
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 1


def test_a_long_queue_is_not_mistaken_for_lost_messages() -> None:
    world = sealed_world()
    for execution in world.compute.live():
        world.compute.finish(execution.name)
    for _ in range(50):  # five hours without any capacity
        world.clock.advance(360)
        assert world.app.sweeper.sweep().requeued == 0
    assert len(world.sent) == 1


def test_a_scene_that_is_worked_on_is_left_alone() -> None:
    """Its message is hidden, for hours; the lease says that somebody works."""
    world = sealed_world()
    assert world.jobs.receive(1e6) is not None
    lease = put_record(world, lease_s=60)
    assert lease is not None
    for _ in range(500):
        world.clock.advance(15)
        lease.renew()
        assert world.app.sweeper.sweep().requeued == 0


@pytest.mark.parametrize("phase", ["running", "idle"])
def test_a_scene_whose_runner_vanished_is_sent_again(phase: str) -> None:
    world = sealed_world()
    world.jobs.messages.clear()
    put_record(world, phase=phase)
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 1
    assert [message.scene for message in world.sent] == ["lobby"]


@pytest.mark.parametrize("phase", ["committed", "failing"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_scene_that_was_not_closed_is_sent_again(phase: str, moved: bool) -> None:
    """Nothing of it may lie in the input any more: what is left to do is in the record alone."""
    world = sealed_world()
    world.jobs.messages.clear()
    put_record(world, phase=phase)
    if moved:
        world.input.delete("lobby/a.mp4")
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 1
    assert [message.scene for message in world.sent] == ["lobby"]
    assert world.app.sweeper.sweep().requeued == 0


def test_closed_scenes_are_not_even_read() -> None:
    world = World()
    records.ensure(world.state, "lobby")
    info = world.state.head(layout.record_name("lobby"))
    assert info.metadata == {"phase": "idle"}
    world.state.write(info.name, b"not even JSON", metadata=info.metadata)
    world.clock.advance(700)
    assert world.app.sweeper.sweep() == SweepReport()


def test_a_ready_marker_whose_videos_are_gone_asks_for_no_work() -> None:
    """Found by simulated schedule 11556: its message was sent again, and a runner dead-lettered the marker."""
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.upload("lobby/_READY", event=False)
    assert world.app.sweeper.sweep().sealed == 1
    world.jobs.messages.clear()
    world.input.delete("lobby/a.mp4")
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 0
    assert world.sent == []


def test_one_damaged_record_does_not_keep_the_others_from_healing(caplog: pytest.LogCaptureFixture) -> None:
    world = sealed_world()
    world.jobs.messages.clear()
    world.state.write("scenes/attic.json", b"{", metadata={"phase": "running"})
    put_record(world, phase="committed")
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 1
    assert "scenes/attic.json" in caplog.text


def unwritable(world: World, folder: str) -> BlobStore:
    """The state container, busy whenever something is written below a folder."""
    rule = Rule(Fault.BUSY, "write", f"{world.state.name}/{folder}", times=1_000_000)
    return FaultPlan(world.clock, [rule]).store(world.state)


def test_one_scene_that_cannot_be_sealed_keeps_no_other_from_healing_and_starting() -> None:
    """The failure is told in the end; the next sweep tries again."""
    world = World()
    for name in ("attic/a.mp4", "lobby/a.mp4"):
        world.upload(name, event=False)
    world.clock.advance(60)
    state = unwritable(world, "batches/attic/")
    with pytest.raises(Busy, match="attic"):
        world.assembled(state, world.debounce, world.jobs).sweeper.sweep()
    assert [message.scene for message in world.sent] == ["lobby"]
    assert world.compute.starts == 1
    assert world.app.sweeper.sweep().sealed == 1


def test_waiting_messages_get_their_execution_even_if_nothing_can_be_healed() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.clock.advance(70)
    world.jobs.send(JobMessage("lobby", "", world.clock()).to_json())
    state = unwritable(world, "batches/")
    with pytest.raises(Busy):
        world.assembled(state, world.debounce, world.jobs).sweeper.sweep()
    assert world.compute.starts == 1


def test_refused_uploads_are_recorded_once_and_nothing_else_happens_to_them() -> None:
    world = World()
    world.input.write("lobby.mp4", b"1")
    world.input.blobs["lobby/../secret.mp4"] = world.input.blobs.pop("lobby.mp4")  # as a foreign program may store it
    assert world.app.sweeper.sweep() == SweepReport(refused=1)
    assert world.app.sweeper.sweep() == SweepReport()
    assert [blob.name for blob in world.input.list()] == ["lobby/../secret.mp4"]


def test_a_failed_start_fails_the_sweep_after_everything_else_is_healed(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(100)
    world.compute.fail_with = [ComputeError("no capacity")]
    with caplog.at_level(logging.INFO), pytest.raises(ComputeError):
        world.app.sweeper.sweep()
    assert len(world.sent) == 1
    assert '"sealed": 1' in caplog.text
    world.clock.advance(300)
    assert world.app.sweeper.sweep().started == 1


def test_a_start_without_an_answer_does_not_fail_the_sweep_which_tells_of_it() -> None:
    """The next sweep counts what runs, and starts only what is missing."""
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(100)
    world.compute.fail_with = [StartUnknown("cut off")]
    report = world.app.sweeper.sweep()
    assert (report.sealed, report.started) == (1, 0)
    assert report.held_back == "whether an execution was started is not known: cut off"
    world.clock.advance(300)
    assert world.app.sweeper.sweep().started == 1


def test_checks_sweep_only_when_the_timer_seems_frozen() -> None:
    world = World()
    assert world.app.sweeper.sweep_if_due() is not None  # the first of all
    world.clock.advance(899)
    assert world.app.sweeper.sweep_if_due() is None
    world.clock.advance(1)
    assert world.app.sweeper.sweep_if_due() is not None
    world.clock.advance(800)
    world.app.sweeper.sweep()
    world.clock.advance(800)
    assert world.app.sweeper.sweep_if_due() is None


def test_a_sweep_by_hand_prints_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(100)
    assert command.main(["sweep"], lambda: world.app) == 0
    assert json.loads(capsys.readouterr().out)["sealed"] == 1


def test_a_sweep_by_hand_without_settings_names_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNNER_JOB_NAME", raising=False)
    assert command.main(["sweep"], wiring.app.__wrapped__) == ConfigurationError.exit_code
    assert "RUNNER_JOB_NAME is not set" in capsys.readouterr().err


def test_a_scene_record_without_phase_in_its_metadata_is_read() -> None:
    world = sealed_world()
    world.jobs.messages.clear()
    world.input.delete("lobby/a.mp4")
    record = SceneRecord("lobby").attempted("run-1", (), world.clock())
    world.state.write(layout.record_name("lobby"), json.dumps(record.to_json()).encode())
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 1


def test_the_report_says_what_holds_the_waiting_work_back() -> None:
    world = World(settings=replace(SETTINGS, max_gpu_minutes=10))
    usage.write(world.state, "x", world.clock(), world.clock().date(), 600)
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(100)
    report = world.app.sweeper.sweep()
    assert (report.sealed, report.started) == (1, 0)
    assert report.held_back == "held back by the daily budget until 2026-01-02 00:00 UTC"
    world.clock.advance(86_400)
    assert world.app.sweeper.sweep().held_back == ""
    assert world.compute.starts == 1


def test_a_batch_of_a_program_that_told_nothing_in_metadata_is_read() -> None:
    world = sealed_world()
    (info,) = world.state.list("batches/")
    world.state.write(info.name, world.state.read(info.name)[0])
    world.clock.advance(100)
    assert world.app.sweeper.sweep().sealed == 0
    assert len(world.sent) == 1


def test_the_report_tells_how_long_finished_uploads_have_waited_with_nobody_at_work() -> None:
    world = sealed_world()
    world.advance(1000)
    assert world.app.sweeper.sweep().oldest_s in range(1000, 1100)
    put_record(world, lease_s=60)
    assert world.app.sweeper.sweep().oldest_s == 0  # a runner holds it


def test_uploads_that_are_not_complete_yet_do_not_count_as_waiting() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(30)
    assert world.app.sweeper.sweep().oldest_s == 0
