"""The steps after the commit: each is safe to repeat, and a runner killed in or after any of them changes no end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.worker.ending.commit import FORWARD, Decided, Step, roll_forward
from scenejobs.ports import Containers
from scenejobs.state import records
from scenejobs.state.layout import RUN_LOG, record_name
from scenejobs.state.record import Outcome, Phase
from tests.doubles.faults import Fault, FaultPlan, Killed, Rule, killed_at
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, echo_job

FinalState = dict[str, object]


ENDS = pytest.mark.parametrize("job", [echo_job, bad_video], ids=["committed", "failing"])


def decided_scene(folder: Path, job: Callable[..., object]) -> Cloud:
    """A scene of the second generation whose runner was killed at the first change after the commit."""
    cloud = Cloud(folder)
    cloud.upload("lobby/view1.mp4", b"older")
    cloud.queue("lobby")
    cloud.worker(job).drain()
    cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.upload("lobby/view2.mp4", b"second")
    cloud.queue("lobby")
    first = Rule(Fault.KILLED_BEFORE, "write", "output/lobby/manifest.json" if job is echo_job else "error/lobby/")
    with pytest.raises(Killed):
        cloud.worker(job, cloud.plan(first)).drain()
    assert cloud.record("lobby").phase is (Phase.COMMITTED if job is echo_job else Phase.FAILING)
    cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.stores["state"].write("work/lobby/digest/part", b"saved work")
    return cloud


def begin(cloud: Cloud, plan: FaultPlan | None = None) -> Decided:
    """The next runner at the first step, with the lease."""
    plan = plan or cloud.plan()
    containers = Containers(**{kind: plan.store(store) for kind, store in cloud.stores.items()})
    lease = containers.state.lease(record_name("lobby"), 60)
    stored = records.load(containers.state, "lobby")
    assert stored is not None
    return Decided(
        stored,
        containers,
        cloud.folder / "no log of this runner",
        lambda: None,
        lambda stored, record: records.save(containers.state, stored, record, lease),
        cloud.clock,
    )


def without_times(log: bytes) -> bytes:
    """The lines of a log of the job without the clock at the beginning of each."""
    return re.sub(rb"(?m)^\d\d:\d\d:\d\d ", b"", log)


def final_state(cloud: Cloud, job: Callable[..., object]) -> FinalState:
    """Every blob with its content but those that tell times; and how the generation ended."""
    cloud.settle(job)  # the killed runner's lease ends and its message comes back: the next runner finishes
    assert cloud.jobs_run == 2
    assert_at_rest(cloud)
    ending = cloud.record("lobby").ending
    assert ending is not None
    outcome = Outcome.SUCCEEDED if job is echo_job else Outcome.DEAD_LETTERED
    assert (ending.generation, ending.outcome) == (2, outcome)
    blobs = {f"{kind}/{name}": blob.data for kind, store in cloud.stores.items() for name, blob in store.blobs.items()}
    timed = ("state/spend/", f"state/{record_name('lobby')}")  # when each runner ran, and when the generation ended
    state: FinalState = {
        name: without_times(data) if name.endswith(f"/{RUN_LOG}") else data
        for name, data in blobs.items()
        if not name.startswith(timed)
    }
    return {**state, "ending": (ending.run, ending.archived, ending.failure)}


def etags(cloud: Cloud) -> dict[str, str]:
    return {f"{kind}/{name}": blob.etag for kind, store in cloud.stores.items() for name, blob in store.blobs.items()}


def unbroken(folder: Path, job: Callable[..., object]) -> FinalState:
    cloud = decided_scene(folder, job)
    roll_forward(begin(cloud))
    return final_state(cloud, job)


def test_the_steps_are_these_and_come_in_this_order() -> None:
    assert [step.__name__ for step in FORWARD] == [
        "publish_or_explain", "archive_inputs", "note_generation", "forget_saved_work", "close_record",
    ]  # fmt: skip


@ENDS
@pytest.mark.parametrize("repeated", FORWARD, ids=lambda step: step.__name__)
def test_a_step_that_is_repeated_changes_nothing_more(
    tmp_path: Path, job: Callable[..., object], repeated: Step
) -> None:
    cloud = decided_scene(tmp_path / "repeated", job)
    scene = begin(cloud)
    for step in FORWARD:
        scene = step(scene)
        if step is repeated:
            before = etags(cloud)
            assert repeated(scene) == scene
            assert etags(cloud) == before
    assert final_state(cloud, job) == unbroken(tmp_path / "unbroken", job)


@ENDS
@pytest.mark.parametrize("done", range(len(FORWARD) + 1))
def test_a_runner_killed_after_any_step_is_followed_to_the_same_end(
    tmp_path: Path, job: Callable[..., object], done: int
) -> None:
    cloud = decided_scene(tmp_path / "killed", job)
    scene = begin(cloud)
    for step in FORWARD[:done]:
        scene = step(scene)
    assert final_state(cloud, job) == unbroken(tmp_path / "unbroken", job)


@ENDS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(FORWARD)), ids=lambda number: FORWARD[number].__name__)
def test_a_runner_killed_at_any_call_of_a_step_is_followed_to_the_same_end(
    tmp_path: Path, job: Callable[..., object], number: int, after: bool
) -> None:
    expected = unbroken(tmp_path / "unbroken", job)

    def until(folder: str, *rules: Rule) -> tuple[Cloud, FaultPlan, Decided]:
        cloud = decided_scene(tmp_path / folder, job)
        plan = cloud.plan()
        scene = begin(cloud, plan)
        for step in FORWARD[:number]:
            scene = step(scene)
        plan.calls.clear()
        plan.rules = list(rules)
        return cloud, plan, scene

    _, plan, scene = until("all")
    FORWARD[number](scene)
    assert plan.calls
    for at in range(1, len(plan.calls) + 1):
        cloud, _, scene = until(str(at), killed_at(at, after=after))
        with pytest.raises(Killed):
            FORWARD[number](scene)
        assert final_state(cloud, job) == expected, plan.calls[at - 1]


@ENDS
def test_a_generation_is_described_once_by_whoever_comes_first(tmp_path: Path, job: Callable[..., object]) -> None:
    cloud = decided_scene(tmp_path, job)
    roll_forward(begin(cloud))
    note = json.loads(cloud.stores["state"].read("generations/lobby/2.json")[0])
    assert set(note["archived"]) == {"lobby/view1.mp4", "lobby/view2.mp4"}
    assert cloud.names("state", "work/") == []
