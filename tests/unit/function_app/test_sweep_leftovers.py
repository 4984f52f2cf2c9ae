"""What nobody can need any more is removed: saved work, batches, parts, old usage. What goes on is left alone."""

from __future__ import annotations

import pytest

from scenejobs.state import layout, records
from scenejobs.state.executions import usage
from tests.dispatch import World, put_record, sealed_world


def put_saved_work(world: World) -> list[str]:
    folder = layout.resume_folder("lobby", "0123")
    for name in ("saved.json", "aa", "bb"):
        world.state.write(folder + name, b"{}")
    return saved_work(world)


def saved_work(world: World) -> list[str]:
    return [blob.name for blob in world.state.list("work/")]


@pytest.mark.parametrize("phase", ["running", "idle"])
def test_saved_work_of_a_generation_that_goes_on_is_left_alone(phase: str) -> None:
    world = sealed_world()
    put_record(world, phase=phase)
    saved = put_saved_work(world)
    world.clock.advance(30 * 86400)
    world.app.sweeper.sweep()
    assert saved_work(world) == saved


@pytest.mark.parametrize("phase", ["committed", "failing"])
def test_saved_work_of_a_generation_that_is_decided_is_removed(phase: str) -> None:
    world = sealed_world()
    put_record(world, phase=phase)
    put_saved_work(world)
    assert world.app.sweeper.sweep().tidied == 3
    assert saved_work(world) == []


def test_saved_work_without_a_record_or_of_a_closed_generation_is_removed() -> None:
    world = World()
    put_saved_work(world)
    assert world.app.sweeper.sweep().tidied == 3
    put_saved_work(world)
    records.ensure(world.state, "lobby")
    assert world.app.sweeper.sweep().tidied == 3
    assert saved_work(world) == []


def test_saved_work_of_uploads_that_the_user_deleted_is_removed_after_a_week() -> None:
    world = sealed_world()
    put_record(world, phase="idle")
    saved = put_saved_work(world)
    world.input.delete("lobby/a.mp4")
    world.clock.advance(6 * 86400)
    world.app.sweeper.sweep()
    assert saved_work(world) == saved
    world.clock.advance(2 * 86400)
    world.app.sweeper.sweep()
    assert saved_work(world) == []


def test_a_record_that_cannot_be_read_keeps_its_saved_work() -> None:
    world = World()
    saved = put_saved_work(world)
    world.state.write(layout.record_name("lobby"), b"{}")
    world.app.sweeper.sweep()
    assert saved_work(world) == saved


def test_batches_of_scenes_that_are_done_are_tidied_away() -> None:
    world = sealed_world()
    world.work()
    world.upload("attic/a.mp4", event=False)
    world.clock.advance(60)
    world.app.sweeper.sweep()  # attic stays: nobody works on it
    world.clock.advance(86_400)
    assert world.app.sweeper.sweep().tidied == 1
    assert [blob.name.split("/")[1] for blob in world.state.list("batches/")] == ["attic"]


def test_old_parts_and_last_months_ledger_are_tidied_away() -> None:
    world = World()
    world.state.write(layout.part_name("lobby", "a" * 64), b"[]")
    world.state.write(layout.part_name("lobby", "b" * 64), b"[]")
    world.state.write(layout.record_name("lobby"), b"{}", metadata={"phase": "idle", "parts": "a" * 64})
    usage.write(world.state, "x", world.clock(), world.clock().date(), 5)
    assert world.app.sweeper.sweep().tidied == 0
    world.clock.advance(86_401)
    assert world.app.sweeper.sweep().tidied == 1
    assert [info.name for info in world.state.list("parts/")] == [layout.part_name("lobby", "a" * 64)]
    world.clock.advance(36 * 86_400)
    assert world.app.sweeper.sweep().tidied == 1
    assert list(world.state.list("spend/")) == []
