"""A sweep over many scenes: how many calls it makes to the containers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from function_app import wiring
from function_app.sweep import SweepReport
from scenejobs.state import layout, records
from tests.dispatch import World
from tests.doubles.faults import FaultPlan

SCALE = Path(__file__).parents[3] / "docs/scale.md"


def counted_sweep(world: World) -> tuple[SweepReport, FaultPlan, FaultPlan]:
    """One sweep; plans without faults count the calls that it made to the input and to the state container."""
    to_input, to_state = FaultPlan(world.clock), FaultPlan(world.clock)
    containers = replace(world.containers, input=to_input.store(world.input), state=to_state.store(world.state))
    app = wiring.assemble(containers, world.queues, world.compute, world.settings)
    return app.sweeper.sweep(), to_input, to_state


def world_of(scenes: int) -> World:
    """So many scenes, sealed and queued; none is begun."""
    world = World()
    for number in range(scenes):
        world.input.write(f"scene{number}/a.mp4", b"1")
    world.clock.advance(100)
    assert world.app.sweeper.sweep().sealed == scenes
    return world


def test_a_sweep_with_nothing_to_do_costs_what_the_page_says() -> None:
    (told,) = re.findall(r"\| a sweep with nothing to do \| (\d+),", SCALE.read_text())
    world = World()
    world.app.sweeper.sweep()  # the first is the daily look as well
    world.clock.advance(300)
    report, to_input, to_state = counted_sweep(world)
    assert (report.scenes, report.sealed, report.tidied) == (0, 0, 0)
    assert to_input.count() + to_state.count() == int(told)


def test_a_scene_that_is_sealed_costs_a_batch_a_look_at_its_record_a_message_and_a_stamp() -> None:
    world = World()
    for number in range(100):
        world.input.write(f"scene{number}/a.mp4", b"1")
    world.clock.advance(100)
    report, _, to_state = counted_sweep(world)
    assert report.sealed == 100
    assert to_state.count("write") <= 2 * 100 + 3
    assert to_state.count() <= 4 * 100 + 28  # whether its user called it off is asked of each


@pytest.mark.parametrize("scenes", [1, 300])
def test_a_sweep_lists_each_place_once_however_many_scenes_wait(scenes: int) -> None:
    world = world_of(scenes)
    report, to_input, to_state = counted_sweep(world)
    assert (report.scenes, report.sealed, report.requeued) == (scenes, 0, 0)
    assert to_input.count("list") == 1
    # batches, records, parts, uploads that are done with, ledger; the ledger again for the starter
    assert to_state.count("list") <= 10  # and three times what is called off: for the view, and around the starter
    assert to_input.count() + to_state.count() <= 23


def test_a_sweep_reads_no_batch_and_probes_no_lease_while_scenes_are_worked_on() -> None:
    world = world_of(300)
    for number in range(300):
        assert world.jobs.receive(7200) is not None
        records.ensure(world.state, f"scene{number}")
    world.clock.advance(3600)
    for number in range(300):
        world.state.lease(layout.record_name(f"scene{number}"), 60)
    report, _, to_state = counted_sweep(world)
    assert (report.requeued, to_state.count("lease state/scenes/")) == (0, 0)
    assert to_state.count("read") <= 5


def test_only_the_scenes_whose_message_was_lost_are_looked_at_closely() -> None:
    world = world_of(300)
    world.jobs.messages = world.jobs.messages[:0]
    world.clock.advance(700)
    for number in range(3):
        records.ensure(world.state, f"scene{number}")
        world.state.lease(layout.record_name(f"scene{number}"), 60)
    report, _, _ = counted_sweep(world)
    assert report.requeued == 297
