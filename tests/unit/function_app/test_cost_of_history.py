"""What a sweep and a check cost beside what was done before, in calls and blobs listed, and that they miss nothing."""

from __future__ import annotations

import json

import pytest

from function_app import wiring
from function_app.sweep import Sweeper, SweepReport
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.state import activity, layout, records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.batches import Batch
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import SceneRecord
from tests.counting import Counts
from tests.dispatch import World, put_record, sealed_world

DAY_S = 86_400.0


def counted(world: World) -> tuple[wiring.App, Counts]:
    """The app, and what it asks for."""
    counts = Counts()
    containers, queues = counts.containers(world.containers), counts.queues(world.queues)
    return wiring.assemble(containers, queues, world.compute, world.settings, lambda _: None, at_once=1), counts


def finished(world: World, scenes: int) -> None:
    """So many scenes that are done: their records, written directly."""
    manifest = (InputBlob("tmpl/a.mp4", "0x1", 5),)
    record = SceneRecord("tmpl").attempted("run-1", manifest, world.clock()).committed(())
    done = json.dumps(record.closed({"tmpl/a.mp4": "processed/tmpl/a.mp4"}, world.clock()).to_json())
    for number in range(scenes):
        scene = f"scene{number:06d}"
        put(world.state, layout.record_name(scene), done.replace("tmpl", scene), {"phase": "idle"})


def put(state: MemoryBlobStore, name: str, text: str, metadata: dict[str, str]) -> None:
    state.write("template", text.encode(), metadata=metadata)
    state.blobs[name] = state.blobs.pop("template")


def test_a_sweep_beside_100_000_finished_scenes_makes_at_most_30_calls() -> None:
    """The first one, which looks at every record, as well as the second and one of the next day."""
    world = World()
    finished(world, 100_000)
    app, counts = counted(world)
    for _ in range(2):
        counts.clear()
        assert app.sweeper.sweep() == SweepReport()
        assert counts.total <= 30
        world.clock.advance(300)
    assert counts.listed == 0, "what has finished is in no place that is listed"
    world.clock.advance(DAY_S)
    counts.clear()
    app.sweeper.sweep()
    assert counts.total <= 30


def test_1_000_uploads_into_one_scene_cost_at_most_5_calls_each_and_20_000_listed_blobs() -> None:
    world = World()
    app, counts = counted(world)
    for number in range(1000):
        world.input.write(f"lobby/{number:04d}.jpg", b"photo")
        app.dispatcher.on_upload(f"lobby/{number:04d}.jpg", world.clock())
        world.clock.advance(0.05)
    for _ in range(200):
        world.clock.advance(1)
        while (message := world.debounce.receive(600)) is not None:
            app.on_quiet(message.text.encode(), message.dequeue_count)
            world.debounce.complete(message)
    assert [message.scene for message in world.sent] == ["lobby"]
    assert counts.total <= 5 * 1000
    assert counts.listed <= 20_000


def test_one_check_of_a_scene_after_400_generations_makes_at_most_15_calls() -> None:
    """Something has always lain in it, so that no sweep took its batches for those of a scene that is done."""
    world = World()
    for number in range(400):
        batch = Batch("lobby", (InputBlob("lobby/a.mp4", f"0x{number}", 5),), world.clock(), "quiet")
        stored = batches.create(world.state, batch)
        assert stored is not None
        batches.stamp(world.state, stored, world.clock())
        world.clock.advance(DAY_S)
    world.upload("lobby/_READY", event=False)
    world.clock.advance(60)
    app, counts = counted(world)
    world.input.write("lobby/b.mp4", b"video")
    app.dispatcher.on_quiet(DebounceCheck("lobby", "", world.clock()))
    assert counts.total <= 15
    app.sweeper.sweep()
    assert [info for info in world.state.list("batches/") if not info.metadata.get("queued_at")] == []
    assert len(list(world.state.list("batches/"))) <= 2, "and the sweep removes what nothing can be in any more"


def refuse(world: World, count: int) -> None:
    for number in range(count):
        world.input.blobs[f"lobby//{number}.mp4"] = world.input.blobs["template"]


def test_refused_names_that_are_known_cost_a_sweep_nothing() -> None:
    world = World()
    world.input.write("template", b"video")
    refuse(world, 2000)
    del world.input.blobs["template"]
    app, counts = counted(world)
    assert app.sweeper.sweep().refused == 2000
    counts.clear()
    assert app.sweeper.sweep() == SweepReport()
    assert counts.calls["state.write"] == 1, "the report of the sweep"
    assert counts.total <= 12
    for name in [name for name in world.input.blobs if name.endswith("7.mp4")]:
        del world.input.blobs[name]
    world.clock.advance(2 * DAY_S)
    app.sweeper.sweep()
    assert len(list(world.state.list("refused/"))) == 1800, "refusals of names that are gone go too"


@pytest.mark.parametrize("backlog", [5, 120])
def test_a_lost_message_is_sent_again_whatever_waits_beside_it(backlog: int) -> None:
    """Its scene is older than what waits at the head of the queue: it was received, or lost."""
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(70)
    world.jobs.messages.clear()
    for number in range(backlog):
        world.input.write(f"other{number:03d}/a.mp4", b"1")
    world.clock.advance(70)
    assert world.app.sweeper.sweep().sealed == backlog
    world.clock.advance(700)
    report = world.app.sweeper.sweep()
    assert report.oldest_s >= 700
    assert report.requeued >= 1
    assert "lobby" in [message.scene for message in world.sent]
    assert len(world.sent) <= backlog + 10, "and hardly a message too many"


def test_a_long_queue_is_not_sent_again_as_a_whole() -> None:
    world = World()
    for number in range(500):
        world.input.write(f"scene{number:03d}/a.mp4", b"1")
    world.clock.advance(70)
    world.app.sweeper.sweep()
    for _ in range(20):
        world.clock.advance(300)
        world.app.sweeper.sweep()
    assert len(world.sent) <= 500 + 20 * 8


def test_the_wait_is_told_of_a_scene_of_which_an_upload_was_taken_away() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.upload("lobby/b.mp4")
    world.advance(70)
    world.input.delete("lobby/b.mp4")
    world.clock.advance(3600)
    assert world.app.sweeper.sweep().oldest_s >= 3600
    world.clock.advance(3600)
    assert world.app.sweeper.sweep().oldest_s >= 7200, "though its message was sent again meanwhile"


class Ticking:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_sweep_stops_in_time_and_the_next_goes_on_where_it_stopped() -> None:
    world = World()
    for number in range(500):
        world.input.write(f"scene{number:03d}/a.mp4", b"1")
    world.clock.advance(70)
    sweeper = Sweeper(world.app.dispatcher, at_once=1, clock=Ticking(), limit_s=240.0)
    first = sweeper.sweep()
    assert 200 < first.sealed < 240
    assert first.stopped.startswith(f"sealing: {500 - first.sealed} left, from scene{first.sealed:03d}")
    assert first.started == 3, "executions are started all the same"
    second = sweeper.sweep()
    assert 200 < second.sealed < 240
    sealed = {message.scene for message in world.sent}
    assert sealed == {f"scene{number:03d}" for number in range(first.sealed + second.sealed)}
    assert sum(sweeper.sweep().sealed for _ in range(3)) == 500 - len(sealed)


def test_an_active_record_without_a_marker_is_found_within_a_day() -> None:
    """The version before wrote none, nor does who restores a record."""
    world = sealed_world()
    world.app.sweeper.sweep()
    world.jobs.messages.clear()
    put_record(world, phase="committed")
    world.input.delete("lobby/a.mp4")
    world.state.delete(layout.marker_name("lobby"))
    world.clock.advance(700)
    assert world.app.sweeper.sweep().requeued == 0
    world.clock.advance(DAY_S)
    assert world.app.sweeper.sweep().requeued == 1
    assert layout.marker_name("lobby") in world.state.blobs


def test_a_marker_of_an_idle_scene_is_removed_when_its_runner_cannot_be_writing_any_more() -> None:
    world = World()
    records.ensure(world.state, "lobby")
    activity.mark(world.state, "lobby")
    world.app.sweeper.sweep()
    assert layout.marker_name("lobby") in world.state.blobs
    world.clock.advance(601)
    lease = world.state.lease(layout.record_name("lobby"), 60)
    world.app.sweeper.sweep()
    assert layout.marker_name("lobby") in world.state.blobs, "somebody holds the record at this moment"
    lease.release()
    assert world.app.sweeper.sweep().tidied == 1
    assert layout.marker_name("lobby") not in world.state.blobs


def test_a_stuck_scene_gets_a_message_now_and_then_and_not_with_every_sweep() -> None:
    world = sealed_world()
    world.jobs.messages.clear()
    put_record(world, phase="committed")
    world.input.delete("lobby/a.mp4")
    for _ in range(288):  # a day
        world.clock.advance(300)
        world.app.sweeper.sweep()
        world.jobs.messages.clear()  # each is lost
    sent = activity.sent(world.state.head(layout.marker_name("lobby")).metadata)
    assert sent is not None
    assert sent.times <= 24


def test_a_record_in_which_nothing_ever_happened_goes_after_a_day() -> None:
    world = World()
    for scene in ("ghost", "Ghost of a long name, 2", "lobby"):
        records.ensure(world.state, scene)
    finished(world, 3)
    world.upload("lobby/a.mp4", event=False)
    world.app.sweeper.sweep()
    assert len(list(world.state.list("scenes/"))) == 6
    world.clock.advance(DAY_S + 1)
    world.app.sweeper.sweep()
    kept = [info.name for info in world.state.list("scenes/")]
    assert kept == ["scenes/lobby.json", *(f"scenes/scene{number:06d}.json" for number in range(3))]


def test_the_note_of_a_check_that_never_came_stops_no_event_for_long() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.debounce.messages.clear()  # to the poison queue
    world.clock.advance(700)
    world.app.sweeper.sweep()
    assert [info.name for info in world.state.list("active/")] == []
    assert world.sent == [JobMessage.from_json(world.jobs.messages[0].text)]


def test_a_trickle_of_uploads_is_looked_at_when_the_longest_wait_is_over() -> None:
    world = World()
    for number in range(100):
        world.upload(f"lobby/{number}.mp4")
        world.advance(30)
    (first, *_) = world.sent
    assert (first.sent_at - world.input.head("lobby/0.mp4").modified).total_seconds() <= 1800 + 2 * 62
