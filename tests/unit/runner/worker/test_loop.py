"""The loop over messages: what one execution takes, acknowledges, requeues and leaves to others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.worker.loop import MAX_DEQUEUES
from scenejobs.state.layout import USAGE
from scenejobs.state.record import Outcome
from tests.doubles.faults import Fault, Rule
from tests.invariants import assert_at_rest
from tests.runner_world import Cloud, echo_job


def test_a_scene_is_processed_published_and_archived(cloud: Cloud) -> None:
    assert cloud.worker().drain() == 0
    assert_at_rest(cloud)
    assert cloud.names("processed") == ["lobby/cam2/view2.mov", "lobby/view1.mp4"]
    assert cloud.json("output", "lobby/manifest.json")["videos"] == ["cam2/view2.mov", "view1.mp4"]
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert (ending.generation, ending.outcome) == (1, Outcome.SUCCEEDED)
    assert ending.archived["lobby/view1.mp4"] == "processed/lobby/view1.mp4"


def test_the_log_of_a_run_lies_with_its_outputs(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    cloud.worker().drain()
    run = cloud.record("lobby").run
    assert b"attempt 1 of 3" in cloud.stores["output"].read(f"lobby/runs/{run}/run.log")[0]


def test_a_second_message_for_a_finished_scene_does_nothing(cloud: Cloud) -> None:
    cloud.queue("lobby")
    cloud.worker().drain()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_scenes_are_never_mixed(cloud: Cloud) -> None:
    cloud.upload("lobby2/a.mp4", b"other")
    cloud.worker().drain()
    assert cloud.names("input") == ["lobby2/a.mp4"]
    assert cloud.json("output", "lobby/manifest.json")["videos"] == ["cam2/view2.mov", "view1.mp4"]


def test_one_execution_takes_all_waiting_scenes(cloud: Cloud) -> None:
    cloud.upload("hall/a.mp4", b"hall")
    cloud.queue("hall")
    cloud.worker().drain()
    assert cloud.jobs_run == 2
    assert_at_rest(cloud)


def test_a_second_runner_leaves_a_scene_that_is_worked_on(cloud: Cloud) -> None:
    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        if cloud.jobs_run == 1:
            cloud.queue("lobby")
            assert cloud.worker(job).drain() == 0
            assert cloud.jobs_run == 1, "two runners worked on one scene"
            assert cloud.queues["jobs"].total() == 2, "nobody would come back if the first runner died"
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_a_runner_that_was_started_for_nothing_ends_and_changes_nothing(cloud: Cloud) -> None:
    """Two starters, the dispatcher and KEDA, saw the same message. Only for how long it ran is told."""

    def etags() -> dict[str, str]:
        infos = (info for store in cloud.stores.values() for info in store.list())
        return {info.name: info.etag for info in infos if not info.name.startswith(USAGE)}

    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        before = etags()
        assert cloud.worker(job).drain() == 0
        assert etags() == before
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    assert cloud.jobs_run == 1
    assert cloud.queues["jobs"].total() == 0


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[" * 5000,
        json.dumps({"v": 2, "scene": "lobby"}),
        json.dumps({"v": 1, "scene": "../state/scenes", "batch": "", "sent_at": "2026-01-01T00:00:00+00:00"}),
        json.dumps({"v": 1, "scene": "", "batch": "", "sent_at": "2026-01-01T00:00:00+00:00"}),
        "\u202e" * 8000,
    ],
)
def test_an_unreadable_message_goes_to_the_poison_queue_and_the_next_is_served(cloud: Cloud, text: str) -> None:
    cloud.queues["jobs"].send(text)
    cloud.queues["jobs"].messages.reverse()  # the bad one first
    assert cloud.worker().drain() == 0
    assert cloud.jobs_run == 1
    (poison,) = cloud.queues["poison"].messages
    body = json.loads(poison.text)
    assert body["reason"]
    assert text.startswith(body["text"])
    assert cloud.queues["jobs"].total() == 0


def test_a_message_that_goes_round_in_circles_is_poison(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages[0].dequeue_count = MAX_DEQUEUES
    cloud.worker().drain()
    assert cloud.queues["poison"].total() == 1


def test_a_message_without_uploads_is_removed(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.queue("ghost")
    assert cloud.worker().drain() == 0
    assert_at_rest(cloud)


def test_trouble_with_the_store_outside_an_attempt_gives_the_message_back(cloud: Cloud) -> None:
    assert cloud.worker(plan=cloud.plan(Rule(Fault.BUSY, "lease", "state/"))).drain() == 3
    assert cloud.queues["jobs"].total() == 1
    cloud.settle()
    assert_at_rest(cloud)
