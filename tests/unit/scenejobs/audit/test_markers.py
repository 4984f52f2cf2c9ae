"""The audit knows markers: one that is missing passes a scene by, one that is too many is a note."""

from __future__ import annotations

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import Finding, collect
from scenejobs.ports import Containers, Queues
from scenejobs.state import activity, layout, records
from tests.dispatch import SETTINGS, World, put_record, sealed_world

DAY_S = 86_400.0


def found(world: World) -> list[Finding]:
    containers, queues = Containers(**vars(world.containers)), Queues(**vars(world.queues))
    findings = audit(collect(containers, queues, SETTINGS, 3, world.clock())).findings
    return [finding for finding in findings if "mark" in finding.what]


def test_a_marker_of_a_scene_in_work_is_nothing_to_say() -> None:
    world = sealed_world()
    put_record(world, phase="committed")
    assert found(world) == []


def test_the_marker_of_an_idle_scene_is_a_note() -> None:
    world = World()
    records.ensure(world.state, "lobby")
    activity.mark(world.state, "lobby")
    (note,) = found(world)
    assert (note.violation, note.where) == (False, "state/active/lobby.json")


@pytest.mark.parametrize(("days", "violation"), [(0.1, False), (1.5, False), (3, True)])
def test_an_active_record_without_a_marker_is_a_violation_once_a_daily_look_must_have_found_it(
    days: float, violation: bool
) -> None:
    world = sealed_world()
    put_record(world, phase="committed")
    world.state.delete(layout.marker_name("lobby"))
    world.clock.advance(days * DAY_S)
    (finding,) = found(world)
    assert (finding.invariant, finding.violation, finding.where) == ("I8", violation, "state/scenes/lobby.json")


def test_the_note_of_a_check_is_a_name_of_ours() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    assert "active/lobby.check" in world.state.blobs
    assert found(world) == []
