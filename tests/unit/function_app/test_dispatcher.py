"""The same uploads are one job, however often, late or broken off the dispatcher looks at them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from function_app.debounce import Why
from function_app.dispatcher import Sealing
from scenejobs.errors import Busy, ComputeError, UnreadableMessage
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.layout import refused_name
from scenejobs.state.messages import DebounceCheck
from tests.dispatch import SETTINGS, World
from tests.doubles.faults import Fault, FaultPlan, Killed, Meanwhile, Rule, killed_at


def seal(world: World, scene: str = "lobby") -> Sealing:
    return world.app.dispatcher.seal(scene, list_scene(world.input, scene, 1), world.input.now(), Why.QUIET)


def test_an_upload_is_only_a_hint() -> None:
    """One delayed check per event, and nothing is listed; which check is to look is noted."""
    world = World()
    for _ in range(2):
        world.app.dispatcher.on_upload("lobby/cam1/a.mp4", world.clock())
    checks = [DebounceCheck.from_json(message.text) for message in world.debounce.messages]
    assert [(check.scene, check.blob, check.ready) for check in checks] == [("lobby", "lobby/cam1/a.mp4", False)] * 2
    assert world.debounce.receive(1) is None
    world.clock.advance(62)
    assert world.debounce.receive(1) is not None
    assert [blob.name for blob in world.state.list()] == ["active/lobby.check"]


def test_a_marker_is_looked_at_without_delay() -> None:
    world = World()
    world.app.dispatcher.on_upload("lobby/_READY", world.clock())
    message = world.debounce.receive(1)
    assert message is not None
    assert DebounceCheck.from_json(message.text).ready


@pytest.mark.parametrize("name", ["lobby/../secret.mp4", "lobby\\a.mp4", "//a.mp4", "lobby/a\x00.mp4", "a" * 1025])
def test_a_refused_name_is_recorded_once_and_never_used(name: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    for _ in range(2):
        world.app.dispatcher.on_upload(name, world.clock())
    assert json.loads(world.state.read(refused_name(name))[0])["name"] == name
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert world.debounce.messages == []


def test_a_check_of_a_scene_that_cannot_exist_is_unreadable() -> None:
    world = World()
    with pytest.raises(UnreadableMessage):
        world.app.dispatcher.on_quiet(DebounceCheck("../other", "", world.clock()))


def test_a_check_that_comes_after_the_scene_was_processed_does_nothing() -> None:
    world = World()
    world.app.dispatcher.on_quiet(DebounceCheck("lobby", "lobby/a.mp4", world.clock()))
    assert world.sent == []
    assert list(world.state.list()) == []


def test_the_batch_says_what_was_sealed_and_sent() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    assert seal(world) is Sealing.CREATED
    (stored,) = batches.of_scene(world.state, "lobby")
    assert stored.batch.queued_at == world.clock()
    assert (stored.batch.sends, stored.batch.blobs[0].name) == (1, "lobby/a.mp4")
    assert world.sent[0].batch == stored.batch.digest
    assert batches.Batch.from_json(stored.batch.to_json()) == stored.batch


def test_the_trace_of_the_event_reaches_the_job() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(60)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    world.app.dispatcher.on_quiet(DebounceCheck("lobby", "lobby/a.mp4", world.clock()), traceparent=trace)
    assert world.sent[0].traceparent == trace


def test_the_same_set_is_sealed_once() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    assert [seal(world) for _ in range(3)] == [Sealing.CREATED, Sealing.KNOWN, Sealing.KNOWN]
    assert len(world.sent) == 1


def test_a_batch_without_stamp_is_left_alone_for_a_while_and_then_sent_again() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    blobs = list_scene(world.input, "lobby", 1)
    batches.create(world.state, batches.Batch("lobby", snapshot(blobs), world.clock(), "quiet"))
    assert seal(world) is Sealing.PENDING
    world.clock.advance(120)
    assert seal(world) is Sealing.RESENT
    assert seal(world) is Sealing.KNOWN
    assert len(world.sent) == 1


@pytest.mark.parametrize("at", ["before the batch", "after the batch"])
def test_an_upload_that_comes_while_its_scene_is_sealed_is_not_lost(at: str) -> None:
    """Between the listing and the batch or its stamp (F15): random schedules hardly hit that. Its event is lost."""
    world = World()
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(60)
    between = Meanwhile(
        lambda: world.upload("lobby/b.mp4", event=False),
        "write",
        "state/batches/",
        skip=0 if at == "before the batch" else 1,
    )
    state = FaultPlan(world.clock, meanwhile=[between]).store(world.state)
    check = DebounceCheck("lobby", "lobby/a.mp4", world.clock())
    world.assembled(state, world.debounce, world.jobs).dispatcher.on_quiet(check)
    assert "lobby/b.mp4" in world.input.blobs
    world.clock.advance(60)
    assert [blob.name for blob in world.app.dispatcher.waiting("lobby", list_scene(world.input, "lobby", 1))] == [
        "lobby/b.mp4"
    ]
    world.app.sweeper.sweep()
    assert world.app.dispatcher.waiting("lobby", list_scene(world.input, "lobby", 1)) == []
    assert len(world.sent) == 2


def test_a_damaged_batch_is_sealed_anew() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    seal(world)
    (stored,) = batches.of_scene(world.state, "lobby")
    name = f"batches/lobby/{stored.batch.digest}.json"
    world.state.write(name, b"{}")
    assert batches.of_scene(world.state, "lobby") == []
    assert seal(world) is Sealing.CREATED


def test_a_failed_start_leaves_batch_and_message_and_is_not_charged_to_the_scene() -> None:
    world = World()
    world.compute.fail_with = [ComputeError("no capacity")]
    world.upload("lobby/a.mp4")
    world.clock.advance(62)
    with pytest.raises(ComputeError):
        world.deliver()
    assert len(world.sent) == 1
    assert list(world.state.list("scenes/")) == []
    world.clock.advance(600)  # the host gives the check out again
    world.deliver()
    assert len(world.sent) == 1
    assert len(world.compute.live()) == 1


CHANGES = ("write", "delete", "send", "lease")


def broken_off(number: int, after: bool) -> tuple[World, FaultPlan, bool]:
    """Two uploads are sealed while the process is killed before or after this call, counted from 1."""
    world = World()
    plan = FaultPlan(world.clock, [killed_at(number, after=after)])
    app = world.assembled(plan.store(world.state), plan.queue(world.debounce), plan.queue(world.jobs))
    world.upload("lobby/a.mp4", event=False)
    world.upload("lobby/b.mp4", event=False)
    world.clock.advance(100)
    check = DebounceCheck("lobby", "lobby/b.mp4", world.clock())
    try:
        app.dispatcher.on_quiet(check)
        app.sweeper.sweep_if_due()
    except Killed:
        return world, plan, True
    return world, plan, False


def test_killed_at_any_step_the_sweep_brings_every_upload_into_exactly_one_run() -> None:
    for number, after in itertools.product(range(1, 200), (False, True)):
        world, plan, killed = broken_off(number, after)
        if not killed:
            break
        for _ in range(5):  # the check itself is lost as well: only the sweep is left
            world.clock.advance(300)
            world.app.sweeper.sweep()
            world.work()
        assert world.runs == [("lobby", ("lobby/a.mp4", "lobby/b.mp4"))], (number, after, plan.calls)
        assert list(world.input.list()) == []
        assert world.jobs.messages == []
    # batch, message, stamp; the starter's record, lease and note; the sweep's claim, look and note: all were tried
    changes = [verb for verb, _, _ in (call.partition(" ") for call in plan.calls) if verb in CHANGES]
    assert changes[:3] == ["write", "send", "write"]
    assert len(changes) >= 7
    assert number == len(plan.calls) + 1


def test_killed_at_any_step_the_next_delivery_of_the_check_finishes_the_work() -> None:
    for number, after in itertools.product(range(1, 200), (False, True)):
        world, _, killed = broken_off(number, after)
        if not killed:
            break
        world.debounce.send(DebounceCheck("lobby", "lobby/b.mp4", world.clock()).to_json())
        for _ in range(4):
            world.clock.advance(60)
            world.deliver()
        assert world.sent, (number, after)
        world.work()
        assert len(world.runs) == 1


def test_a_storage_that_is_busy_raises_so_that_the_host_gives_the_check_out_again() -> None:
    world = World()
    plan = FaultPlan(world.clock, [Rule(Fault.BUSY, "write")])
    app = world.assembled(plan.store(world.state), world.debounce, world.jobs)
    world.upload("lobby/a.mp4", event=False)
    world.clock.advance(60)
    with pytest.raises(Busy):
        app.dispatcher.on_quiet(DebounceCheck("lobby", "lobby/a.mp4", world.clock()))


def test_deeper_prefixes_can_name_scenes() -> None:
    world = World(settings=replace(SETTINGS, prefix_depth=2))
    for name in ("house/lobby/a.mp4", "house/attic/a.mp4", "house/b.mp4", "c.mp4"):
        world.upload(name)
    world.advance(70)
    assert sorted(message.scene for message in world.sent) == ["c", "house", "house/attic", "house/lobby"]


@pytest.mark.parametrize("name", ["lobby/manifest.json/a.mp4", "lobby/runs/a.mp4", "lobby/generation~2/a.mp4"])
def test_a_folder_called_like_a_file_of_its_scene_is_refused_by_name(name: str) -> None:
    """With two levels of folders it would be a scene whose results lie where those of `lobby` do."""
    deep = World(replace(SETTINGS, prefix_depth=2))
    deep.upload(name)
    deep.upload("lobby/a.mp4")
    deep.advance(70)
    deep.work()
    assert [scene for scene, _ in deep.runs] == ["lobby"]
    (refused,) = deep.state.list("refused/")
    assert "cannot be called" in json.loads(deep.state.read(refused.name)[0])["reason"]
    flat = World()
    flat.upload(name)  # with one it is a file of scene `lobby`
    flat.advance(70)
    flat.work()
    assert flat.runs == [("lobby", (name,))]
