"""An attempt and what follows it: retried, given back, given up; nothing of a runner that lost its lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs import filming
from scenejobs.errors import (
    Code,
    ConfigurationError,
    InputError,
    Interrupted,
    LeaseLost,
    RunnerError,
)
from scenejobs.ports import Containers
from scenejobs.state.layout import record_name
from scenejobs.state.overview.status import scene_status
from scenejobs.state.record import Phase
from tests.doubles.faults import Killed, Meanwhile
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, broken_disk, echo_job


def test_a_failure_of_the_world_is_retried_with_growing_waits(cloud: Cloud) -> None:
    worker = cloud.worker(broken_disk, retry_base_s=5.0)
    worker.drain()
    record = cloud.record("lobby")
    assert (record.phase, record.attempts, cloud.jobs_run) == (Phase.IDLE, 1, 1)
    assert record.failures[0].failure.code == Code.DISK_FULL
    cloud.clock.advance(4.9)
    worker.drain()
    assert cloud.jobs_run == 1, "tried again before the wait was over"
    cloud.clock.advance(0.2)
    worker.drain()
    assert cloud.jobs_run == 2
    cloud.clock.advance(9.9)
    worker.drain()
    assert cloud.jobs_run == 2, "the second wait is not longer than the first"
    cloud.settle()
    assert_at_rest(cloud)
    assert cloud.names("error") == []


def test_attempts_are_capped_and_all_reasons_kept(cloud: Cloud) -> None:
    cloud.settle(broken_disk)
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)
    document = cloud.json("error", "lobby/error.json")
    assert {key: document[key] for key in ("stage", "code", "cause", "advice", "scene")} == {
        "stage": "training", "code": "DISK_FULL", "cause": "no space left", "advice": "a larger disk", "scene": "lobby",
    }  # fmt: skip
    assert len(document["attempts"]) == 3
    assert {blob["name"] for blob in document["inputs"]} == {"lobby/view1.mp4", "lobby/cam2/view2.mov"}
    assert b"no space left" in cloud.stores["error"].read("lobby/run.log")[0]


def test_status_says_what_to_do_about_a_refusal_and_where_that_is_shown(cloud: Cloud) -> None:
    def refused(job: Job, supervision: Supervision) -> dict[str, object]:
        raise InputError("the camera does not move in view1.mp4", code=Code.STATIC_CAMERA, advice=filming.WALK)

    cloud.settle(refused)
    told = str(scene_status(Containers(**cloud.stores), "lobby"))
    assert "the camera does not move in view1.mp4: walk around" in told
    assert "docs/filming.md#move-around" in told
    assert cloud.json("error", "lobby/error.json")["see"] == "docs/filming.md#move-around"


def test_what_ended_for_want_of_time_gets_twice_the_time_within_its_deadline_and_is_no_fault_of_the_films(
    cloud: Cloud,
) -> None:
    jobs: list[Job] = []

    def too_slow(job: Job, supervision: Supervision) -> dict[str, object]:
        jobs.append(job)
        limits.append(supervision.deadline_s or 0.0)
        raise RunnerError("POSES_BUDGET_SECS=60 was enough for 1 of 3 ways", code=Code.POSES_TIMED_OUT, advice="more")

    limits: list[float] = []
    cloud.settle(too_slow)
    assert [job.more_time.poses for job in jobs] == [1, 2, 4]
    assert all(0 < job.more_time.most_s < limit for job, limit in zip(jobs, limits, strict=True))
    document = cloud.json("error", "lobby/error.json")
    assert document["code"] == "POSES_TIMED_OUT"
    assert "POSES_BUDGET_SECS" in document["cause"]
    assert_at_rest(cloud)


def test_a_scene_that_was_hardly_trained_gets_twice_the_time_before_it_is_published(cloud: Cloud) -> None:
    jobs: list[Job] = []

    def too_slow(job: Job, supervision: Supervision) -> dict[str, object]:
        jobs.append(job)
        if job.more_time.again:
            raise RunnerError("training ended after 3 of 500 steps", code=Code.TRAINING_TIMED_OUT, advice="more")
        return echo_job(job, supervision)

    cloud.settle(too_slow)
    assert [job.more_time.training for job in jobs] == [1, 2, 4]
    assert [job.more_time.again for job in jobs] == [True, True, False]
    assert {job.more_time.poses for job in jobs} == {1}
    assert cloud.names("error") == []
    assert_at_rest(cloud)


def test_runners_that_vanish_use_up_attempts_too(cloud: Cloud) -> None:
    def killed(job: Job, supervision: Supervision) -> dict[str, object]:
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            cloud.worker(killed).drain()
        cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle(killed)
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)
    document = cloud.json("error", "lobby/error.json")
    assert document["code"] == Code.TOO_MANY_ATTEMPTS
    assert "vanished" in document["cause"]
    assert [attempt["code"] for attempt in document["attempts"]] == ["JOB_CRASHED"] * 3 + ["TOO_MANY_ATTEMPTS"]


def test_an_input_that_cannot_work_is_not_retried(cloud: Cloud) -> None:
    assert cloud.worker(bad_video).drain() == 0
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)
    assert cloud.names("error") == [
        "lobby/cam2/view2.mov", "lobby/error.json", "lobby/run.log", "lobby/view1.mp4",
    ]  # fmt: skip


def test_a_bug_is_retried_once(cloud: Cloud) -> None:
    def bug(job: Job, supervision: Supervision) -> dict[str, object]:
        raise RunnerError("KeyError at train.py:7", code=Code.BUG, stage="training")

    cloud.settle(bug, max_attempts=5)
    assert cloud.jobs_run == 2
    assert_at_rest(cloud)


def test_the_reason_is_written_before_the_first_input_moves(cloud: Cloud) -> None:
    seen = []
    look = Meanwhile(lambda: seen.append("lobby/error.json" in cloud.names("error")), "copy", "error/", times=9)
    cloud.worker(bad_video, cloud.plan(meanwhile=[look])).drain()
    assert seen == [True, True]


def test_an_upload_called_like_our_documents_does_not_replace_them(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"a")
    cloud.upload("lobby/error.json", b"{}")
    cloud.queue("lobby")
    cloud.worker(bad_video).drain()
    assert cloud.json("error", "lobby/error.json")["cause"] == "view1.mp4 is no video"
    assert cloud.stores["error"].read("lobby/generation~1/error.json")[0] == b"{}"
    assert cloud.names("input") == []


def test_a_preemption_gives_the_attempt_and_the_message_back(cloud: Cloud) -> None:
    def stopped(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.stop.set()
        assert supervision.stop_requested()
        raise Interrupted("told to stop", stage="training")

    with pytest.raises(Interrupted):
        cloud.worker(stopped).drain()
    record = cloud.record("lobby")
    assert (record.phase, record.attempts, record.preemptions) == (Phase.IDLE, 0, 1)
    assert cloud.queues["jobs"].waiting() == 1, "another runner has to wait for the message"
    cloud.stop = type(cloud.stop)()
    cloud.settle()
    assert_at_rest(cloud)


def test_preemptions_without_end_are_a_dead_letter_with_the_reason(cloud: Cloud) -> None:
    def stopped(job: Job, supervision: Supervision) -> dict[str, object]:
        raise Interrupted("told to stop", stage="training")

    for _ in range(5):  # the fifth counts
        with pytest.raises(Interrupted):
            cloud.worker(stopped, max_preemptions=4, max_attempts=2).drain()
        cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle(stopped, max_preemptions=4, max_attempts=2)
    assert cloud.jobs_run == 6
    assert_at_rest(cloud)
    assert cloud.json("error", "lobby/error.json")["code"] == Code.INTERRUPTED


def test_a_stop_after_the_commit_leaves_the_rest_to_the_next_runner(cloud: Cloud) -> None:
    stop = Meanwhile(cloud.stop.set, "copy", "processed/")
    with pytest.raises(Interrupted):
        cloud.worker(plan=cloud.plan(meanwhile=[stop])).drain()
    assert cloud.record("lobby").phase is Phase.COMMITTED
    cloud.stop = type(cloud.stop)()
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_wrong_settings_stop_the_runner_and_cost_no_attempt(cloud: Cloud) -> None:
    def no_gpu(job: Job, supervision: Supervision) -> dict[str, object]:
        raise ConfigurationError("no GPU", code=Code.NO_GPU)

    with pytest.raises(ConfigurationError):
        cloud.worker(no_gpu).drain()
    assert cloud.record("lobby").attempts == 0
    assert cloud.queues["jobs"].total() == 1
    cloud.settle()
    assert_at_rest(cloud)


def test_a_lost_lease_settles_nothing(cloud: Cloud) -> None:
    before: list[object] = []

    def paused(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.clock.advance(61)  # longer than the lease
        cloud.stores["state"].lease(record_name("lobby"), 60)
        before.append(cloud.record("lobby"))
        return echo_job(job, supervision)

    with pytest.raises(LeaseLost):
        cloud.worker(paused).drain()
    assert cloud.record("lobby") == before[0]
    assert (cloud.queues["jobs"].total(), cloud.queues["jobs"].waiting()) == (1, 0), "the message was touched"
    assert cloud.names("processed") == []
    assert not [name for name in cloud.names("output") if "/runs/" not in name]
    cloud.settle()
    assert_at_rest(cloud)


def test_a_paused_runner_cannot_undo_what_its_successor_did(cloud: Cloud) -> None:
    def paused(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.clock.advance(PAST_EVERYTHING_S)
        cloud.worker().drain()  # takes the scene over and finishes it
        cloud.upload("lobby/view1.mp4", b"a new version")
        return echo_job(job, supervision)

    with pytest.raises(LeaseLost):
        cloud.worker(paused).drain()
    assert cloud.names("input") == ["lobby/view1.mp4"]
    cloud.queue("lobby")
    cloud.settle()
    assert_at_rest(cloud)


def test_a_lost_pop_receipt_does_not_stop_the_work(cloud: Cloud) -> None:
    def receipt_lost(job: Job, supervision: Supervision) -> dict[str, object]:
        for message in cloud.queues["jobs"].messages:
            message.receipt = "of somebody else"
        return echo_job(job, supervision)

    assert cloud.worker(receipt_lost).drain() == 0
    assert cloud.names("input") == []
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)
