"""A dead-lettered scene is brought back safely: killed at any call, never in none of the containers, run once more."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import Code, InputError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import redrive
from scenejobs.state.layout import record_name
from scenejobs.state.record import Outcome
from tests.commands import typed
from tests.doubles.faults import Fault, FaultPlan, Killed, Meanwhile, Rule, killed_at
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, broken_disk, echo_job


def failed_scene(folder: Path) -> Cloud:
    """`lobby`, whose two videos lie in the error container."""
    cloud = Cloud(folder)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.upload("lobby/cam2/view2.mov", b"second")
    cloud.queue("lobby")
    cloud.worker(bad_video).drain()
    cloud.clock.advance(PAST_EVERYTHING_S)
    return cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return failed_scene(tmp_path)


def stores(cloud: Cloud, faults: FaultPlan | None = None) -> tuple[Containers, Queues]:
    plan = faults or cloud.plan()
    containers = Containers(**{kind: plan.store(store) for kind, store in cloud.stores.items()})
    return containers, Queues(**{name: plan.queue(queue) for name, queue in cloud.queues.items()})


def bring_back(cloud: Cloud, scene: str = "lobby", faults: FaultPlan | None = None, **options: Any) -> redrive.Redrive:
    containers, queues = stores(cloud, faults)
    plan = redrive.plan(containers, scene, **options)
    return redrive.carry_out(containers, queues, plan, cloud.clock.advance)


def violations(cloud: Cloud) -> list[str]:
    report = audit(collect(*stores(cloud), DispatchSettings(), 3, cloud.clock()))
    return [finding.line() for finding in report.violations]


def missing(cloud: Cloud) -> list[str]:
    """Videos whose bytes are in none of the three containers."""
    held = {cloud.stores[kind].read(name)[0] for kind in ("input", "processed", "error") for name in cloud.names(kind)}
    return [upload.name for upload in cloud.uploads if upload.data not in held]


def assert_processed_once(cloud: Cloud) -> None:
    assert cloud.names("input") == []
    assert cloud.names("error") == []
    processed = sorted(cloud.stores["processed"].read(name)[0] for name in cloud.names("processed"))
    assert processed == sorted(upload.data for upload in cloud.uploads)
    assert violations(cloud) == []


def test_a_failed_scene_is_brought_back_and_processed(cloud: Cloud) -> None:
    done = bring_back(cloud)
    assert [item.name for item in done.inputs] == ["lobby/cam2/view2.mov", "lobby/view1.mp4"]
    assert cloud.names("error") == [], "reason and log explain nothing there any more"
    assert cloud.json("state", "redrive/lobby/1/error.json")["cause"] == "view1.mp4 is no video"
    assert cloud.stores["state"].read("redrive/lobby/1/run.log")[0]
    assert cloud.record("lobby").held == ""
    assert violations(cloud) == []
    cloud.settle()
    assert_processed_once(cloud)
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert (ending.generation, ending.outcome) == (2, Outcome.SUCCEEDED)


def test_without_apply_nothing_is_changed(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    before = {kind: dict(store.blobs) for kind, store in cloud.stores.items()}
    assert run(cloud, "lobby") == 0
    assert before == {kind: dict(store.blobs) for kind, store in cloud.stores.items()}
    assert "lobby: 2 inputs" in capsys.readouterr().out


def test_a_scene_that_fails_again_is_a_dead_letter_again(cloud: Cloud) -> None:
    bring_back(cloud)
    cloud.settle(bad_video)
    assert cloud.names("error") == ["lobby/cam2/view2.mov", "lobby/error.json", "lobby/run.log", "lobby/view1.mp4"]
    assert violations(cloud) == []
    bring_back(cloud)
    cloud.settle()
    assert_processed_once(cloud)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_call_the_same_command_finishes_it(tmp_path: Path, after: bool) -> None:
    """With runners working in between: they find the scene held, or whole."""
    whole = failed_scene(tmp_path)
    unbroken = whole.plan()
    bring_back(whole, faults=unbroken)
    assert len(unbroken.calls) > 25
    for at, call in enumerate(unbroken.calls, start=1):
        cloud, what = failed_scene(tmp_path), f"killed {'after' if after else 'before'} {call}"
        with pytest.raises(Killed):
            bring_back(cloud, faults=cloud.plan(killed_at(at, after=after)))
        assert missing(cloud) == [], what
        cloud.clock.advance(61)
        assert violations(cloud) == [], what
        cloud.queue("lobby")
        cloud.worker().drain()
        assert cloud.names("processed") in ([], ["lobby/cam2/view2.mov", "lobby/view1.mp4"]), (
            f"{what}: half a scene ran"
        )
        with contextlib.suppress(InputError):  # it was done: only the hint was not sent
            bring_back(cloud)
        cloud.queue("lobby")  # as the sweep does
        cloud.settle()
        assert_processed_once(cloud)
        assert cloud.jobs_run == 2, what


def test_twenty_scenes_are_brought_back_and_never_in_none_of_the_containers(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    for number in range(20):
        cloud.upload(f"scene{number}/view1.mp4", b"one %d" % number)
        cloud.upload(f"scene{number}/view2.mp4", b"two %d" % number)
        cloud.queue(f"scene{number}")
    cloud.settle(bad_video)

    def nothing_is_missing() -> None:
        assert missing(cloud) == []

    faults = cloud.plan(meanwhile=[Meanwhile(nothing_is_missing, times=10**9, after=True)])
    for scene in redrive.dead_lettered(stores(cloud)[0]):
        bring_back(cloud, scene, faults)
    assert len(faults.calls) > 20 * 25
    cloud.settle()
    assert_processed_once(cloud)
    assert len(cloud.names("processed")) == 40


def test_a_scene_that_is_worked_on_is_left_alone(cloud: Cloud) -> None:
    cloud.stores["state"].lease(record_name("lobby"), 60)
    with pytest.raises(InputError, match="being worked on"):
        bring_back(cloud)
    assert cloud.names("input") == []


def test_a_newer_upload_of_the_same_name_is_only_overwritten_when_asked_for(cloud: Cloud) -> None:
    newer = cloud.upload("lobby/view1.mp4", b"newer")
    with pytest.raises(InputError, match=r"another lobby/view1\.mp4"):
        bring_back(cloud)
    assert cloud.names("input") == ["lobby/view1.mp4"]
    bring_back(cloud, replacing=True)
    assert cloud.stores["input"].read("lobby/view1.mp4")[0] == b"first"
    cloud.uploads.remove(newer)
    cloud.settle()
    assert_processed_once(cloud)


def test_an_upload_that_replaces_the_copy_meanwhile_wins_and_the_original_stays(cloud: Cloud) -> None:
    upload = Meanwhile(
        lambda: cloud.stores["input"].write("lobby/view1.mp4", b"newer"), "delete", "error/lobby/cam2/view2.mov"
    )
    done = bring_back(cloud, faults=cloud.plan(meanwhile=[upload]))
    assert [item.name for item in done.inputs if item.superseded] == ["lobby/view1.mp4"]
    assert cloud.names("error") == ["lobby/error.json", "lobby/run.log", "lobby/view1.mp4"]
    assert violations(cloud) == []


def test_a_redrive_that_died_among_its_deletes_is_finished_although_a_copy_was_replaced(cloud: Cloud) -> None:
    with pytest.raises(Killed):
        bring_back(cloud, faults=cloud.plan(Rule(Fault.KILLED_BEFORE, "delete", "error/lobby/view1")))
    newer = cloud.upload("lobby/cam2/view2.mov", b"newer")  # in place of the copy whose original is deleted already
    bring_back(cloud)
    assert cloud.names("input") == ["lobby/cam2/view2.mov", "lobby/view1.mp4"]
    assert cloud.stores["input"].read(newer.name)[0] == b"newer"
    assert violations(cloud) == []


@pytest.mark.parametrize("job", [echo_job, None], ids=["succeeded", "unknown"])
def test_only_what_failed_can_be_brought_back(tmp_path: Path, job: Any) -> None:
    cloud = Cloud(tmp_path)
    if job is not None:
        cloud.upload("lobby/view1.mp4", b"first")
        cloud.queue("lobby")
        cloud.worker(job).drain()
    with pytest.raises(InputError, match="succeeded" if job else "no scene"):
        bring_back(cloud)


def test_a_generation_is_brought_back_once(cloud: Cloud) -> None:
    bring_back(cloud)
    with pytest.raises(InputError, match="was brought back"):
        bring_back(cloud)


def test_a_failure_before_the_last_success_is_brought_back_when_named(cloud: Cloud) -> None:
    """Where late clips replace the scene: else they extend it by what failed, which is then part of the result."""
    cloud.upload("lobby/view3.mp4", b"third")
    cloud.queue("lobby")
    cloud.settle(late_uploads="replace")
    with pytest.raises(InputError, match="--generation brings back one of 1"):
        bring_back(cloud)
    bring_back(cloud, generation=1)
    cloud.settle()
    assert_processed_once(cloud)


# ---- the command -----------------------------------------------------------------------------------------------------


def run(cloud: Cloud, *arguments: str) -> int:
    return typed(["redrive", *arguments], *stores(cloud))


def test_all_scenes_with_a_code_are_brought_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = failed_scene(tmp_path)
    cloud.upload("attic/a.mp4", b"a")
    cloud.queue("attic")
    cloud.settle(broken_disk)
    assert run(cloud, "--all", "--code", Code.DISK_FULL) == 0
    assert cloud.names("input") == []
    assert run(cloud, "--all", "--code", Code.DISK_FULL, "--apply") == 0
    assert cloud.names("input") == ["attic/a.mp4"]
    assert run(cloud, "--all", "--apply") == 0
    assert "attic: 1 inputs (0.0 MB) of generation 1, which ended with DISK_FULL" in capsys.readouterr().out
    cloud.settle()
    assert_processed_once(cloud)


def test_what_is_in_the_way_is_told_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = failed_scene(tmp_path)
    cloud.upload("attic/a.mp4", b"a")
    cloud.queue("attic")
    cloud.settle(bad_video)
    cloud.upload("attic/a.mp4", b"newer")
    assert run(cloud, "--all", "--apply") == 1
    assert "attic: not run again: the input container holds another attic/a.mp4" in capsys.readouterr().err
    assert cloud.names("input", "lobby/") == ["lobby/cam2/view2.mov", "lobby/view1.mp4"]


@pytest.mark.parametrize("arguments", [(), ("lobby", "--all"), ("lobby", "--code", "BUG")])
def test_the_command_wants_one_scene_or_all(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    assert run(cloud, *arguments) == 2
